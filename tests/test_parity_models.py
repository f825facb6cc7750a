"""Every model of The Virtual Brain: coupled or not, the states that TVB's own class gives."""

import pytest

import parity
from reference import model_cases
from reference.cases import stored

# The regional simulations, which are coupled, try most at once; the others are for test-all.
CASES = [
    pytest.param(one, marks=() if one.kind == "regional" else pytest.mark.slow, id=one.name)
    for case in model_cases.cases()
    for one in model_cases.simulations(case, 76)
]


@pytest.mark.parametrize("simulation", CASES)
def test_states_are_those_of_tvb(simulation):
    arrays = stored(f"model_{simulation.case.model}")
    assert parity.difference(simulation, arrays) <= simulation.case.tolerance


@pytest.mark.parametrize("case", model_cases.cases(), ids=lambda case: case.model)
def test_less_than_the_whole_is_compared_for_a_reason_alone(case):
    whole = case.duration >= model_cases.DURATION and case.tolerance <= 1e-9
    assert whole or case.reason
