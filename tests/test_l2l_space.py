"""Spaces: coordinates become allowed values and back, and values that are not allowed are told."""

import json

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from tvbjax.l2l import Categorical, Integer, Real, Space, Unbounded

MIXED = Space(
    gain=Real(0.0, 5.0),
    rate=Real(1e-4, 1.0, log=True),
    delay=Integer(1, 7, shape=(3,)),
    count=Integer(1, 1000, log=True),
    solver=Categorical(["heun", "rk4", 4, None, True]),
    offset=Unbounded([1.0, -2.0], scale=3.0),
    factor=Unbounded(2.0, scale=0.5, log=True),
)
# 4 does not equal True, and 1 does.
ALLOWED = {
    "gain": 2.5,
    "rate": 0.03,
    "delay": np.array([1, 7, 4]),
    "count": 37,
    "solver": "rk4",
    "offset": np.array([0.25, 8.0]),
    "factor": 3.0,
}


def test_values_come_back_from_their_coordinates():
    found = MIXED.plain(MIXED.decode(jnp.asarray(MIXED.encode(ALLOWED))))
    assert found.keys() == ALLOWED.keys()
    for name, value in ALLOWED.items():
        if isinstance(value, str | int) and not isinstance(value, float):
            assert found[name] == value and type(found[name]) is type(value)
        else:
            np.testing.assert_allclose(found[name], value, rtol=1e-14)


@pytest.mark.parametrize("low, high", [(-3, 4), (0, 1), (-1, 0)])
@pytest.mark.parametrize("log", [False, True])
def test_every_whole_number_comes_back(low, high, log):
    if log:
        low, high = 1, high - low + 300
    space = Space(n=Integer(low, high, log=log))
    for n in range(low, high + 1):
        assert int(space.decode(jnp.asarray(space.encode({"n": n})))["n"]) == n


@pytest.mark.parametrize("option", ["heun", "rk4", 4, None, True])
def test_every_option_comes_back_as_it_is(option):
    found = MIXED.plain(MIXED.decode(jnp.asarray(MIXED.encode(ALLOWED | {"solver": option}))))
    assert found["solver"] is option or found["solver"] == option


def test_any_coordinates_are_allowed_values():
    values = MIXED.decode(10.0 * jr.normal(jr.key(0), (1000, MIXED.width)))
    for number in range(0, 1000, 50):
        MIXED.check(MIXED.plain({name: part[number] for name, part in values.items()}))


def test_coordinates_are_mirrored_at_the_ends():
    space = Space(x=Real(0.0, 10.0))
    given = jnp.array([[-0.2], [0.2], [1.2], [2.2], [-1.3], [1.0], [0.0], [1e-20]])
    found = space.decode(given)["x"]
    np.testing.assert_allclose(found, [2, 2, 8, 2, 7, 10, 0, 1e-19], rtol=1e-12)


def test_draws_are_spread_as_each_dimension_says():
    """Evenly, evenly in the logarithm, equal shares, normal: by Kolmogorov and Smirnov's and by
    the chi-squared test, each at 0.001."""
    values = MIXED.decode(MIXED.draw(jr.key(1), 4000))
    assert stats.kstest(np.asarray(values["gain"]) / 5.0, "uniform").pvalue > 1e-3
    assert stats.kstest(1 + np.log10(values["rate"]) / 4.0, "uniform").pvalue > 1e-3
    normal = (np.asarray(values["offset"][:, 1]) + 2.0) / 3.0
    assert stats.kstest(normal, "norm").pvalue > 1e-3
    for name, count in (("solver", 5), ("delay", 7)):
        seen = np.unique(np.asarray(values[name]).ravel(), return_counts=True)[1]
        assert len(seen) == count
        assert stats.chisquare(seen).pvalue > 1e-3


def test_designs_give_each_value_its_share():
    space = Space(c=Categorical(["a", "b", "c"]), n=Integer(1, 4), x=Unbounded())
    units = (np.arange(12)[:, None] + 0.5) / 12 * np.ones((1, 3))
    values = space.decode(jnp.asarray(space.spread(units)))
    assert np.unique(values["c"], return_counts=True)[1].tolist() == [4, 4, 4]
    assert np.unique(values["n"], return_counts=True)[1].tolist() == [3, 3, 3, 3]
    np.testing.assert_allclose(values["x"], stats.norm.ppf(units[:, 0]), atol=1e-12)


def test_a_space_is_told_and_made_again_as_json():
    again = Space.from_description(json.loads(json.dumps(MIXED.described())))
    assert again == MIXED and hash(again) == hash(MIXED)
    assert again != Space(gain=Real(0.0, 5.0))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"gain": 5.1}, "'gain' is 5.1, which is not from 0.0 to 5.0"),
        ({"gain": "high"}, "'gain' is 'high'; give numbers"),
        ({"gain": True}, "'gain' is True; give numbers"),
        ({"gain": float("nan")}, "give finite numbers"),
        ({"gain": [1.0, 2.0]}, r"'gain' has the shape \(2,\), not \(\)"),
        ({"delay": 2.5}, "give whole numbers"),
        ({"solver": "euler"}, "'euler', which is none of"),
        ({"solver": 1}, "which is none of"),
        ({"factor": -1.0}, "give numbers above zero"),
        ({"gian": 1.0}, "there is no 'gian'; did you mean 'gain'"),
    ],
)
def test_values_that_are_not_allowed_are_told(change, words):
    with pytest.raises(ValueError, match=words):
        MIXED.check(ALLOWED | change)


def test_missing_values_are_told():
    with pytest.raises(ValueError, match="'rate' is missing"):
        MIXED.check({"gain": 1.0})


@pytest.mark.parametrize(
    "make, kind, words",
    [
        (lambda: Space(), ValueError, "no dimension"),
        (lambda: Space(G=5.0), TypeError, "give Real"),  # type: ignore[arg-type]
        (lambda: Space({"G": Real(0, 1)}, G=Real(0, 1)), ValueError, "'G' is there twice"),
        (lambda: Real(1.0, 1.0), ValueError, "not below"),
        (lambda: Real(0.0, 1.0, log=True), ValueError, "above zero"),
        (lambda: Real(0.0, np.inf), ValueError, "finite"),
        (lambda: Integer(0, 2.5), TypeError, "whole number"),  # type: ignore[arg-type]
        (lambda: Integer(0, 2**40), ValueError, "32 bits"),
        (lambda: Real(-1e308, 1e308), ValueError, "beyond what float64 holds"),
        (lambda: Real(1e-320, 1.0, log=True), ValueError, "beyond what float64 holds"),
        (lambda: Categorical(["a"]), ValueError, "two or more"),
        (lambda: Categorical(["a", "a"]), ValueError, "twice"),
        (lambda: Categorical("ab"), TypeError, "give a list"),  # type: ignore[arg-type]
        (lambda: Categorical([print, len]), TypeError, "choose by them"),
        (lambda: Unbounded(0.0, scale=-1.0), ValueError, "above 0"),
        (lambda: Unbounded(0.0, log=True), ValueError, "above zero"),
        (lambda: Unbounded([1.0, 2.0], shape=(3,)), ValueError, "one for each element"),
        (lambda: Real(0, 1, shape=(0,)), ValueError, "whole number of 1 or more"),
    ],
)
def test_spaces_that_make_no_sense_are_told(make, kind, words):
    with pytest.raises(kind, match=words):
        make()


def test_ends_are_those_that_the_precision_tells_apart():
    with jax.enable_x64(False):
        assert Integer(0, 2**23 - 2).levels == 2**23 - 1
        with pytest.raises(ValueError, match=r"tell apart \(2\^23\)"):
            Integer(0, 2**27)
        with pytest.raises(ValueError, match="beyond what float32 holds"):
            Real(0.0, 1e39)
