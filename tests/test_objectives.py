"""Objectives in general: sums, functions, which samples they see, under jit, grad and vmap."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import tvbjax
from networks import network
from signals import result_of
from slopes import check_slope
from tvbjax import features, monitors
from tvbjax.inference import objectives

RNG = np.random.default_rng(0)
SIGNALS = RNG.normal(size=(100, 3)) @ RNG.normal(size=(3, 3))
MEASURED = np.asarray(np.corrcoef(RNG.normal(size=(20, 3)).T))
FC = objectives.FunctionalConnectivity(MEASURED)
RATE = objectives.Feature(features.Mean(), 3.0, reduce=jnp.mean)


def energy(result):
    return jnp.mean(result.samples["bold"].values ** 2)


BOTH = objectives.Sum({"fc": FC, "rate": RATE, "energy": energy}, {"rate": 0.1, "energy": 2.0})


def test_a_sum_weighs_its_terms_and_tells_them():
    result = result_of(jnp.asarray(SIGNALS))
    terms = BOTH.terms(result)
    assert list(terms) == ["fc", "rate", "energy"]
    assert terms["energy"] == pytest.approx(np.mean(SIGNALS**2), rel=1e-12)
    expected = terms["fc"] + 0.1 * terms["rate"] + 2.0 * terms["energy"]
    assert BOTH(result) == pytest.approx(float(expected), rel=1e-14)
    assert BOTH.weighted(terms) == BOTH(result)
    check_slope(lambda x: BOTH(result_of(x)), SIGNALS)
    outer = objectives.Sum({"inner": BOTH, "fc": FC}, name="outer")
    assert outer(result) == pytest.approx(float(expected + terms["fc"]), rel=1e-14)


def test_what_is_compared_is_there_for_pictures():
    result = result_of(jnp.asarray(SIGNALS))
    found = objectives.comparisons(objectives.Sum({"all": BOTH, "again": FC}), result)
    assert list(found) == ["all.fc", "all.rate", "again"]
    assert found["all.fc"].kind is objectives.Kind.MATRIX
    np.testing.assert_allclose(found["again"].simulated, np.corrcoef(SIGNALS.T), atol=1e-12)
    np.testing.assert_array_equal(found["again"].empirical, MEASURED)
    assert [axis.name for axis in found["again"].axes] == ["region", "other_region"]
    compared = BOTH.compared(result)
    assert compared.axes[0].coordinate == ("fc", "rate", "energy")
    np.testing.assert_array_equal(compared.simulated, list(BOTH.terms(result).values()))
    for comparison in found.values():
        shape = tuple(len(axis) for axis in comparison.axes)
        assert comparison.simulated.shape == comparison.empirical.shape == shape
    assert objectives.comparisons(energy, result) == {}


def test_whether_values_count_is_told():
    weights = np.r_[np.zeros(5), np.ones(95)]
    series = objectives.TimeSeries(SIGNALS, weights=weights)
    given = objectives.Sum({"a": series, "b": FC, "c": FC}, weights={"c": 0.0})
    found = objectives.comparisons(given, result_of(SIGNALS))
    counts = {name: np.asarray(one.counts) for name, one in found.items()}
    np.testing.assert_array_equal(counts["a"], np.broadcast_to(weights[:, None] > 0, SIGNALS.shape))
    assert counts["b"].all() and not counts["c"].any()
    assert objectives.comparisons(FC, result_of(SIGNALS))["functional_connectivity"].counts is None


def test_a_function_is_an_objective(without_type_checks):
    objective = objectives.as_objective(energy)
    assert objective.name == "energy" and objectives.as_objective(FC) is FC
    objective.check(None, 0.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"<lambda>: the function gives float64 of shape \(100,"):
        objectives.as_objective(lambda r: r.samples["bold"].values)(result_of(SIGNALS))
    for wrong in (MEASURED, objectives.FunctionalConnectivity, "fc"):
        given: Any = wrong
        with pytest.raises(TypeError, match="give one such as objectives.FunctionalConnectivity"):
            objectives.as_objective(given)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (({"fc": FC}, {"rate": 1.0}), ValueError, "weight of 'rate' and no such .* there are fc"),
        (({"fc": FC}, {"fc": -1.0}), ValueError, "weight of 'fc' is -1.0; give a number, 0 or"),
        (({"fc": FC}, {"fc": 0.0}), ValueError, "all weights are 0; give one"),
        (({"fc": FC}, {"fc": [1.0, 2.0]}), ValueError, "weight of 'fc' is"),
        (({},), TypeError, "give a dict of one or more by name"),
        (([FC],), TypeError, "give a dict of one or more by name"),
    ],
)
def test_sums_that_make_no_sense_are_refused(arguments, error, says, without_type_checks):
    with pytest.raises(error, match=says):
        objectives.Sum(*arguments)


def test_a_sum_says_which_term_does_not_fit(tmp_path):
    simulator = network(tmp_path, regions=4)
    with pytest.raises(ValueError, match="sum: of 'fc': functional_connectivity: the target has 3"):
        BOTH.check(simulator, 10.0)


def test_objectives_are_trees_of_data_that_compile_once():
    leaves = jax.tree.leaves(BOTH)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert len(leaves) == 6  # two targets, a scale, three weights
    traced = []

    @jax.jit
    def loss(objective, values):
        traced.append(1)
        return objective(result_of(values))

    first = loss(BOTH, jnp.asarray(SIGNALS))
    other = objectives.Sum(
        {"fc": objectives.FunctionalConnectivity(MEASURED.T * 1.0), "rate": RATE, "energy": energy},
        {"rate": 0.3, "energy": 2.0},
    )
    second = loss(other, jnp.asarray(SIGNALS))
    rate = BOTH.terms(result_of(jnp.asarray(SIGNALS)))["rate"]
    assert second - first == pytest.approx(0.2 * float(rate), rel=1e-9)
    assert len(traced) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(FC, "skip", 1.0)  # noqa: B010


def test_batches_give_what_each_gives_alone():
    batch = jnp.asarray(np.stack([SIGNALS, SIGNALS[::-1] ** 2, 3.0 + SIGNALS]))
    together = jax.jit(jax.vmap(lambda x: BOTH(result_of(x))))(batch)
    alone = [float(BOTH(result_of(one))) for one in batch]
    np.testing.assert_allclose(together, alone, rtol=1e-11)
    # Subjects: one simulation, a target for each.
    targets = jnp.stack([jnp.asarray(MEASURED), jnp.eye(3) + 0.1])
    subjects = jax.vmap(objectives.FunctionalConnectivity)(targets)
    found = jax.vmap(lambda one: one(result_of(jnp.asarray(SIGNALS))))(subjects)
    assert found[0] == pytest.approx(float(FC(result_of(SIGNALS))), rel=1e-12)


def test_under_jit_of_a_result_times_are_not_known():
    result = result_of(jnp.asarray(SIGNALS))
    assert eqx.filter_jit(FC)(result) == pytest.approx(float(FC(result)), rel=1e-12)
    skipping = objectives.FunctionalConnectivity(MEASURED, skip=5.0)
    with pytest.raises(ValueError, match="the times of 'bold' are .* not known here, as where a"):
        jax.jit(lambda r: skipping(r))(result)


def test_monitors_and_variables_are_chosen_by_name(tmp_path):
    watch = (monitors.Raw(), monitors.TemporalAverage(1.0, name="slow"))
    simulator = network(tmp_path, regions=3, monitors=watch)
    result = tvbjax.simulate(simulator, 10.0)
    made = objectives.FunctionalConnectivity(MEASURED, monitor="slow", variable="x")
    made.check(simulator, 10.0)
    expected = 1 - np.corrcoef(
        np.corrcoef(result.samples["slow"].values[:, 0].T)[np.triu_indices(3, 1)],
        MEASURED[np.triu_indices(3, 1)],
    )
    assert made(result) == pytest.approx(expected[0, 1], abs=1e-10)
    for changes, says in [
        ({}, "functional_connectivity: there are several monitors; name one of raw, slow"),
        ({"monitor": "bold"}, "there is no 'bold'; name one of raw, slow"),
        ({"monitor": "raw", "variable": "y"}, "there is no 'y'; name one of x"),
    ]:
        wrong = objectives.FunctionalConnectivity(MEASURED, **changes)
        for ask in (lambda o: o.check(simulator, 10.0), lambda o: o(result)):
            with pytest.raises(ValueError, match=says):
                ask(wrong)
    with pytest.raises(ValueError, match="the duration 10.05 ms is no multiple of dt"):
        made.check(simulator, 10.05)


def test_what_some_regions_lack_is_no_data():
    result = result_of(SIGNALS, absent=((1,),))
    with pytest.raises(ValueError, match="'x' does not exist in region r1; choose a variable"):
        FC(result)


def test_labelled_data_are_checked_against_the_simulator(tmp_path):
    simulator = network(tmp_path, regions=3)
    labels = list(simulator.connectome.labels)
    wrong = [labels[0], labels[2], labels[1]]
    dims = ("region", "other")
    array = xr.DataArray(MEASURED, dims=dims, coords=dict.fromkeys(dims, wrong))
    both = r"target.sel\(region=list\(connectome.labels\), other=list\(connectome.labels\)\)"
    with pytest.raises(ValueError, match=both):
        objectives.FunctionalConnectivity(array).check(simulator, 10.0)
    mended = array.sel(region=labels, other=labels)
    objectives.FunctionalConnectivity(mended).check(simulator, 10.0)


def test_what_checks_pass_runs(tmp_path):
    """The shapes that `check` expects are those of the run, for every kind of monitor."""
    raw = monitors.Raw()
    watch = (
        raw,
        monitors.SubSample(0.3, name="sub"),
        monitors.GlobalAverage(raw),
        monitors.TemporalAverage(1.0),
    )
    simulator = network(tmp_path, regions=3, monitors=watch)
    result = tvbjax.simulate(simulator, 10.0)
    for name, samples in result.samples.items():
        for skip in (0.0, 0.45, 3.0):
            period = {"raw": 0.1, "global_average": 0.1, "sub": 0.3}.get(name, 1.0)
            left = len(samples.time) - int(np.ceil(skip / period - 1e-9))
            seen = []

            @dataclasses.dataclass(frozen=True)
            class Shape(features.Mean):
                def of(self, signals, time):
                    seen.append((signals.shape, len(time)))  # noqa: B023
                    return signals.mean(axis=0)

            objective = objectives.Feature(Shape(name), 1.0, skip=skip)
            objective.check(simulator, 10.0)
            objective(result)
            assert seen == [((left, len(samples.axes[0])), left)] * 2


def test_a_fit_finds_the_coupling_that_made_the_target(tmp_path):
    simulator = network(tmp_path, regions=3, monitors=monitors.TemporalAverage(1.0))

    def simulated(gain):
        return tvbjax.simulate(eqx.tree_at(lambda s: s.coupling.a, simulator, gain), 20.0)

    target = jax.jit(lambda a: simulated(a).samples["temporal_average"].values[:, 0])(0.2)
    objective = objectives.Sum({"series": objectives.TimeSeries(target)})
    objective.check(simulator, 20.0)
    slope = jax.jit(jax.grad(lambda a: objective(simulated(a))))
    before, gain = 0.26, 0.25
    for _ in range(8):  # where the slope is 0, by secants
        first, second = float(slope(before)), float(slope(gain))
        if first == second:
            break
        before, gain = gain, gain - second * (gain - before) / (second - first)
    assert gain == pytest.approx(0.2, rel=1e-9)
