"""What may vary: supports, ties, and what `where` selects."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import xarray as xr

import tvbjax
from tvbjax import Free, Interval, Positive, Real, Simplex, Weights, coupling, integrators, ties

LABELS = ["a", "b", "c", "d"]
WEIGHTS = np.array([[0.0, 2.0, 0, 1], [2, 0, 3, 0], [0, 3, 0, 0.5], [1, 0, 0.5, 0]])


@pytest.fixture(scope="module")
def simulator():
    return tvbjax.Simulator(
        tvbjax.lems.load("ReducedWongWang"),
        tvbjax.Connectome(WEIGHTS, np.zeros((4, 4)), 3.0, LABELS),
        coupling.Linear(a=0.5),
        integrators.Heun(dt=1.0),
    )


def input_current(simulator):
    return simulator.model.params["I_o"]


@pytest.mark.parametrize(
    ("support", "numbers", "expected"),
    [
        (Real(0.1), [-2.0, 3.0], [-0.2, 0.3]),
        (Positive(), [-1.0, 2.0], np.exp([-1.0, 2.0])),
        (Interval(-1.0, 3.0), [-2.0, 0.0, 5.0], -1 + 4 * scipy.special.expit([-2.0, 0.0, 5.0])),
        (Simplex(), [0.3, -1.0], scipy.special.softmax([0.3, -1.0, 0.0])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_supports_make_allowed_values_of_all_numbers_and_back(support, numbers, expected):
    values = support.constrain(jnp.asarray(numbers))
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert support.contains(np.asarray(values)).all()
    np.testing.assert_allclose(support.unconstrain(values), numbers, rtol=1e-9)


def test_symmetric_weights_keep_their_connections():
    support = Weights(WEIGHTS)
    numbers = jnp.log(jnp.asarray([5.0, 6.0, 7.0, 8.0]))
    values = np.asarray(support.constrain(numbers))
    assert (values == values.T).all() and ((values != 0) == (WEIGHTS != 0)).all()
    np.testing.assert_allclose(values[0, [1, 3]], [5.0, 6.0])
    np.testing.assert_allclose(support.unconstrain(jnp.asarray(values)), numbers)
    assert support.contains(values).all()
    assert not support.contains(values + np.eye(4)).all()
    directed = Weights(WEIGHTS, symmetric=False)
    assert directed.unconstrain(jnp.asarray(WEIGHTS)).shape == (8,)


@pytest.mark.parametrize("end", [0.2, 0.5])
def test_a_start_at_an_end_of_an_interval_is_moved_in(end):
    support = Interval(0.2, 0.5)
    moved = float(support.constrain(support.unconstrain(jnp.asarray(end))))
    assert abs(moved - end) == pytest.approx(0.3e-3, rel=1e-6)


def test_ties_make_values_of_every_region(simulator):
    regional = Free(input_current, Interval(0.2, 0.4), tie=ties.Regional())
    start = regional.start(simulator)
    assert start.shape == (4,)
    changed = regional.put(simulator, start.at[2].add(1.0))
    np.testing.assert_allclose(changed.model.params["I_o"][jnp.array([0, 1, 3])], 0.33, rtol=1e-6)
    assert changed.model.params["I_o"][2] > 0.34

    shared = Free(lambda s: s.model.params["I_o"], Positive(), tie=ties.Shared())
    assert shared.start(changed).shape == ()
    np.testing.assert_allclose(shared.values(changed, jnp.asarray(0.0)), np.ones(4))

    grouped = Free(input_current, Positive(), tie=ties.Grouped(["x", "y", "x", "y"]))
    np.testing.assert_allclose(
        grouped.values(simulator, jnp.log(jnp.asarray([1.0, 2.0]))), [1, 2, 1, 2]
    )


def test_a_line_in_maps_is_linear_where_numbers_are_unbounded(simulator):
    maps = {"T1w/T2w": [0.0, 1.0, 2.0, 3.0], "receptor": [1.0, -1.0, 1.0, -1.0]}
    numbers = jnp.asarray([0.3, 0.01, 0.02])
    line = 0.3 + 0.01 * np.arange(4) + 0.02 * np.array([1, -1, 1, -1])
    tied = Free(input_current, Real(), tie=ties.Linear(maps))
    np.testing.assert_allclose(tied.values(simulator, numbers), line, rtol=1e-12)
    # Least squares find the line again, and a map that says nothing has no slope.
    np.testing.assert_allclose(tied.start(tied.put(simulator, numbers)), numbers, rtol=1e-9)
    np.testing.assert_allclose(tied.start(simulator), [0.33, 0, 0], atol=1e-12)
    within = Free(input_current, Positive(), tie=ties.Linear(maps))
    np.testing.assert_allclose(within.values(simulator, numbers), np.exp(line), rtol=1e-12)
    assert tied.tie.names((3,)) == ("intercept", "T1w/T2w", "receptor")


def test_gradients_go_through_supports_and_ties(simulator):
    free = Free(input_current, Interval(0.0, 1.0), tie=ties.Linear({"map": [0.0, 1, 2, 3]}))
    numbers = jnp.asarray([0.1, -0.2])

    def total(numbers):
        return (free.values(simulator, numbers) ** 2).sum()

    def by_hand(numbers):
        return (scipy.special.expit(numbers[0] + numbers[1] * np.arange(4)) ** 2).sum()

    step = 1e-6 * np.eye(2)
    at = np.asarray(numbers)
    expected = [(by_hand(at + h) - by_hand(at - h)) / 2e-6 for h in step]
    np.testing.assert_allclose(jax.grad(total)(numbers), expected, rtol=1e-7)


def labelled(values) -> Any:
    return xr.DataArray(values, dims="region", coords={"region": ["b", "a"]})


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Interval(1.0, 1.0), ValueError, "low 1.0 is not below high 1.0"),
        (lambda: Interval(0.0, np.inf), ValueError, r"high is inf; give finite ends, or Positive"),
        (lambda: Interval("a", 1.0), TypeError, "low is 'a'; give a finite number"),  # type: ignore
        (lambda: Real(scale=0.0), ValueError, "scale is 0.0; give a number above 0"),
        (lambda: Weights(np.zeros((3, 3))), ValueError, "0 connections"),
        (lambda: Weights(np.triu(np.ones((3, 3)))), ValueError, r"not symmetric at \[0, 1\]"),
        (lambda: ties.Linear({}), ValueError, "give maps by name"),
        (lambda: ties.Linear({"m": [1.0, np.nan]}), ValueError, "'m' is nan in region 1"),
        (lambda: ties.Linear({"m": labelled([1.0, 2.0])}), TypeError, r"'m' has labels \(b, "),
        (
            lambda: ties.Linear({"m": labelled([1.0, 2.0]).to_pandas()}),
            TypeError,
            r"'m' has labels \(b, .*maps.loc\[list\(connectome.labels",
        ),
        (lambda: ties.Linear({"m": [1.0, 1.0]}), ValueError, "the same in all regions"),
        (lambda: ties.Linear({"m": []}), ValueError, "has the shape .0,.; give a value for each"),
        (
            lambda: ties.Linear({"m": [0.0, 1.0, 5.0], "n": [1.0, 3.0, 11.0]}),
            ValueError,
            "maps m, n one is a line in the others",
        ),
        (lambda: ties.Grouped(cast(Any, None)), TypeError, "groups is None; give the group"),
        (lambda: Real(cast(Any, None)), TypeError, "scale is None; give a number above 0"),
        (lambda: Interval(cast(Any, {}), 1.0), TypeError, "low is {}; give a finite number"),
        (lambda: Weights(np.diag([1.0, np.nan])), ValueError, r"the mask is nan at \[1, 1\]"),
        (lambda: Free(cast(Any, "speed")), TypeError, "where is 'speed'; give a function"),
        (lambda: Free(input_current, cast(Any, (0, 1))), TypeError, "the support is"),
        (
            lambda: Free(input_current, tie=cast(Any, "regional")),
            TypeError,
            "the tie is 'regional'",
        ),
        (
            lambda: Free(input_current, Simplex(), tie=ties.Shared()),
            ValueError,
            "leave out the tie",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_when_it_is_built(make, error, match, without_type_checks):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(
    ("free", "match"),
    [
        (Free(lambda s: s.model.params["eta"]), "where finds nothing in the simulator"),
        (Free(lambda s: s.model), "selects a"),
        (Free(lambda s: s.integrator.dt), "1.0, which shapes the computation and is fixed"),
        (Free(lambda s: s.edges.sources), "'sources': where selects an array of int32"),
        (Free(input_current, Interval(0.5, 1.0)), r"has 0.33, which is outside of Interval"),
        (
            Free(lambda s: s.connectome.weights, Positive()),
            r"'weights': the simulator has 0 at \[0, 0\], which is outside",
        ),
        (
            Free(lambda s: s.connectome.weights, tie=ties.Regional()),
            r"the leaf has the shape \(4, 4\), which is not one number or one for each of 4",
        ),
        (
            Free(input_current, tie=ties.Linear({"m": [1.0, 2.0]})),
            "the map 'm' has 2 values, and there are 4 regions",
        ),
        (Free(input_current, tie=ties.Grouped(["x"])), "1 groups are given for 4 regions"),
    ],
)
def test_what_cannot_vary_is_named(simulator, free, match):
    with pytest.raises(ValueError, match=match):
        free.start(simulator)


def test_a_leaf_is_set_to_a_number_or_to_what_its_tie_makes_of_it(simulator):
    alone, regional = Free(input_current), Free(input_current, tie=ties.Regional())
    assert input_current(alone.replace(simulator, 0.3)) == 0.3
    values = np.array([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(input_current(regional.replace(simulator, values)), values)
    np.testing.assert_array_equal(input_current(regional.replace(simulator, 0.3)), np.full(4, 0.3))
    for free, value in ((alone, values), (regional, values[:3])):
        with pytest.raises(ValueError, match="Free 'I_o': the value has the shape .*; give a num"):
            free.replace(simulator, value)


def test_sweeps_take_the_values_of_leaves(simulator):
    tied = Free(input_current, tie=ties.Regional())
    with pytest.raises(ValueError, match="a sweep gives the leaf's values themselves"):
        tied.checked(simulator, [0.3])
