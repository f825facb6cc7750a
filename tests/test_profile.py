"""Profiles of a parabola, of which they are parabolas: (v - m)^2 / (2 variance)."""

import dataclasses
from functools import cache

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from quadratic import MATRIX, MIDDLE, Quadratic
from tvbjax import Interval
from tvbjax.inference import Fit, Profile, profile_likelihood, uncertainty
from tvbjax_inference.fitted import History

VARIANCES = np.diag(np.linalg.inv(MATRIX))


@cache
def best() -> Fit:
    position = {"b": jnp.asarray(MIDDLE[1:]), "a": jnp.asarray(MIDDLE[0])}
    starts = {name: x[None] for name, x in position.items()}
    return Fit(Quadratic(), position, 1.0, starts, np.ones(1), History(), "it is known")


def test_the_curvature_of_a_parabola_is_its_matrix():
    found = uncertainty(Quadratic(), best().position)
    order = [1, 2, 3, 0]  # b, a
    np.testing.assert_allclose(found.matrix, MATRIX[np.ix_(order, order)], atol=1e-12)
    np.testing.assert_allclose(found.unbounded_sds**2, VARIANCES[order], rtol=1e-10)
    assert found.labels == ("b[left]", "b[middle]", "b[right]", "a")
    assert found.sds[3] == pytest.approx(np.exp(MIDDLE[0]) * np.sqrt(VARIANCES[0]), rel=1e-5)


def test_a_saddle_and_a_flat_direction_are_told():
    saddle = np.diag([1.0, 2.0, -1.0, 3.0])
    with pytest.raises(ValueError, match=r"direction 1\.00 b\[middle\], .*falls along it in both"):
        uncertainty(Quadratic(saddle), best().position)
    # Only the sum of the first two matters.
    flat = np.eye(4)
    flat[0, 1] = flat[1, 0] = 1.0
    with pytest.raises(ValueError, match=r"0\.71 b\[left\] - 0\.71 a, .*the loss is flat along it"):
        uncertainty(Quadratic(flat), best().position)
    with pytest.raises(ValueError, match="factor is 0"):
        uncertainty(Quadratic(), best().position, factor=0)


def test_the_profile_of_a_parabola_is_one():
    values = MIDDLE[2] + np.linspace(-2.0, 2.0, 6)
    found = profile_likelihood(best(), "b", values[::-1], index=1)
    np.testing.assert_allclose(found.values, values)
    exact = 1 + (values - MIDDLE[2]) ** 2 / 2 / VARIANCES[2]
    np.testing.assert_allclose(found.losses, exact, atol=1e-8)
    assert found.label == "b[middle]" and found.best == pytest.approx(MIDDLE[2], abs=1e-5)
    np.testing.assert_allclose(found.positions["b"][:, 1], values)
    # The others go where they are expected: m + C_ij / C_jj (v - m).
    inverse = np.linalg.inv(MATRIX)
    moved = MIDDLE[0] + inverse[0, 2] / inverse[2, 2] * (values - MIDDLE[2])
    np.testing.assert_allclose(found.positions["a"], moved, atol=1e-4)

    half = 1.959964 * np.sqrt(VARIANCES[2])
    assert found.interval(1.0) == pytest.approx((MIDDLE[2] - half, MIDDLE[2] + half), abs=1e-4)
    one = np.sqrt(VARIANCES[2]) / 2
    inside = found.interval(4.0, 0.6826895)
    assert inside == pytest.approx((MIDDLE[2] - one, MIDDLE[2] + one), abs=1e-4)
    assert found.to_xarray()["loss"].values == pytest.approx(found.losses)
    assert "b[middle]" in repr(found)


def test_a_profile_that_does_not_cross_has_no_bound():
    found = profile_likelihood(best(), "a", np.exp(MIDDLE[0] + np.array([-0.1, 0.0, 2.0])))
    np.testing.assert_allclose(
        found.losses, 1 + np.array([-0.1, 0.0, 2.0]) ** 2 / 2 / VARIANCES[0], atol=1e-8
    )
    low, high = found.interval(1.0)
    assert low == -np.inf and np.exp(MIDDLE[0]) < high < np.exp(MIDDLE[0] + 2.0)


def test_the_end_of_an_interval_is_the_value_that_was_tried():
    class Bounded(Quadratic):
        def supports(self):
            return super().supports() | {"a": Interval(0.0, 10.0)}

    fitted = dataclasses.replace(best(), problem=Bounded())
    found = profile_likelihood(fitted, "a", np.array([0.0, 2.0, 10.0]))
    np.testing.assert_allclose(found.values, [0.01, 2.0, 9.99], rtol=1e-9)
    numbers = scipy.special.logit(found.values / 10.0)
    exact = 1 + (numbers - MIDDLE[0]) ** 2 / 2 / VARIANCES[0]
    np.testing.assert_allclose(found.losses, exact, rtol=1e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(name="c"), "'c' is not free; there are b, a"),
        (dict(index=None), r"'b' is 3 numbers; give index=.*left, middle, right"),
        (dict(index=3), "one of 0 to 2"),
        (dict(index="left"), "index is 'left'; give a whole number of 0 or more"),
        (dict(name=["b"]), r"\['b'\] is not free; there are b, a"),
        (dict(values="abc"), "'abc' is no number and no array"),
        (dict(name="a", index=None, values=np.array([-1.0])), "-1 of 'a' is outside of Positive"),
        (dict(values=np.array([])), "one or more different numbers"),
        (dict(values=np.array([1.0, 1.0])), "one or more different numbers"),
    ],
)
def test_what_does_not_fit_is_told(change, message, without_type_checks):
    arguments = dict(name="b", index=0, values=np.array([0.0])) | change
    with pytest.raises((TypeError, ValueError), match=message):
        profile_likelihood(best(), **arguments)


def test_intervals_of_what_is_no_likelihood_are_refused():
    found = Profile("b", np.array([0.4, 0.6]), np.array([1.0, 2.0]), {}, 0.4, 1.0)
    with pytest.raises(ValueError, match="factor is 0"):
        found.interval(0.0)
    with pytest.raises(ValueError, match="level is 1.5"):
        found.interval(1.0, 1.5)
