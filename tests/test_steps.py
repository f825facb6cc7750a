"""Times in whole steps, and steps in parts."""

import pytest

from tvbjax.steps import part_of, steps_of


@pytest.mark.parametrize(
    "whole, most, part",
    [(10_000, 268, 250), (40, 16, 10), (133, 3, 3), (7, 10, 7), (22, 10, 10), (1, 5, 1), (9, 1, 1)],
)
def test_parts_are_alike_unless_they_would_be_short(whole, most, part):
    assert part_of(whole, most) == part


def test_times_between_steps_name_their_neighbours():
    assert steps_of(0.3, 0.1, "here") == 3
    with pytest.raises(ValueError, match=r"here 0\.35 ms .* 0\.3 or 0\.4 ms"):
        steps_of(0.35, 0.1, "here")
