"""Mixed networks: each region follows its own model, coupled by channels, delays included."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import tvbjax
from networks import linear_model, ring_connectome
from tvbjax import Mixed, Population, coupling, integrators, lems, monitors, noise

DT, STEPS = 0.1, 60
FAST, SLOW = (0, 3), (1, 2, 4)


def oscillators(folder) -> Mixed:
    """Linear decays in regions 0 and 3, generic oscillators in 1, 2, 4."""
    return Mixed(
        {
            "fast": Population(linear_model(folder), FAST, {"a": "x"}, {"c": ("a", "b")}),
            "slow": Population(lems.load("Generic2dOscillator"), SLOW, {"b": "V"}, {"c_0": "a"}),
        }
    )


def simulator(model, rules=None, **changes) -> tvbjax.Simulator:
    return tvbjax.Simulator(
        model,
        ring_connectome(5, speed=2.0),
        {"a": coupling.Linear(a=0.2, b=0.1), "b": coupling.Scaling(a=0.05)} if rules is None
        else rules,
        integrators.Heun(dt=DT),
        monitors=monitors.Raw(variables=(*model.state_variables, "a")),
        **changes,
    )  # fmt: skip


def history(built) -> np.ndarray:
    return np.random.default_rng(2).uniform(-0.5, 1.0, (built.horizon, 3, 5))


def test_every_region_follows_its_own_model(tmp_path):
    """Against a loop over regions that calls the two models by themselves."""
    mixed = oscillators(tmp_path)
    built = simulator(mixed)
    past = history(built)
    decay, generic = (mixed.populations[name].model for name in ("fast", "slow"))
    weights = np.asarray(built.connectome.weights)
    delays = np.rint(np.asarray(built.connectome.tract_lengths) / 2.0 / DT).astype(int)
    states = [np.where(mixed.members, row, 0.0) for row in past]

    def slope(x, c):
        found = np.zeros((3, 5))
        for i in FAST:
            found[:1, i] = decay.dfun(jnp.asarray(x[:1, i]), jnp.asarray([c["a"][i] + c["b"][i]]))
        for i in SLOW:
            found[1:, i] = generic.dfun(jnp.asarray(x[1:, i]), jnp.asarray([c["a"][i]]))
        return found

    for _ in range(STEPS):
        now = len(states) - 1
        sums = {"a": np.zeros(5), "b": np.zeros(5)}
        for i in range(5):
            for j in range(5):
                then = states[max(0, now - delays[i, j])]
                if j in FAST:
                    sums["a"][i] += weights[i, j] * then[0, j]
                else:
                    sums["b"][i] += weights[i, j] * then[1, j]
        c = {"a": 0.2 * sums["a"] + 0.1, "b": 0.05 * sums["b"]}
        x = states[-1]
        first = slope(x, c)
        second = slope(x + DT * first, c)
        states.append(x + DT / 2 * (first + second))
    result = tvbjax.simulate(built, STEPS * DT, initial=past, progress=False)
    found = np.asarray(result.samples["raw"].values)
    expected = np.array(states[len(past) :])
    np.testing.assert_allclose(found[:, :3], expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found[:, 3], np.where(np.isin(range(5), FAST), expected[:, 0], 0.0),
                               rtol=1e-11)  # fmt: skip


def test_one_population_is_the_model_alone(tmp_path):
    model = lems.load("JansenRit")
    brain = ring_connectome(5, speed=2.0)
    one = Mixed({"all": Population(model, range(5), {"rate": ("y1", "y2")}, {"c_0": "rate"})})
    rule = coupling.SigmoidalJansenRit()
    runs = []
    for chosen, rules in ((model, rule), (one, {"rate": rule})):
        built = tvbjax.Simulator(
            chosen, brain, rules, integrators.Heun(dt=DT), noise.Additive(1e-4), monitors.Raw()
        )
        run = tvbjax.simulate(built, 20.0, key=jax.random.key(1), progress=False)
        runs.append(np.asarray(run.samples["raw"].values))
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-12, atol=1e-14)


def test_what_a_region_does_not_have_is_missing(tmp_path):
    mixed = oscillators(tmp_path)
    built = simulator(mixed, noise=noise.Additive({"fast.x": 0.01, "slow.W": 0.02}))
    result = tvbjax.simulate(built, 2.0, key=jax.random.key(0), progress=False)
    raw = result["raw"]
    assert list(raw["variable"].values) == ["fast.x", "slow.V", "slow.W", "a"]
    present = ~np.isnan(raw.isel(time=0).values)
    assert present[0].tolist() == [True, False, False, True, False]
    assert present[1].tolist() == [False, True, True, False, True]
    assert present[3].tolist() == present[0].tolist()
    path = result.save(tmp_path / "mixed.nc")
    again = tvbjax.load_result(path)
    xr.testing.assert_identical(again["raw"], raw)
    more = tvbjax.simulate(built, 1.0, initial=again, key=jax.random.key(0), progress=False)
    whole = tvbjax.simulate(built, 3.0, key=jax.random.key(0), progress=False)
    np.testing.assert_array_equal(more.samples["raw"].values[-1], whole.samples["raw"].values[-1])


def test_what_is_absent_is_in_no_mean(tmp_path):
    """Zeros in its place would be counted."""
    model = oscillators(tmp_path)
    partial = next(n for n in model.observables if model.absent((n,))[0])
    inner = monitors.SubSample(1.0, variables=partial)
    for watch in (monitors.GlobalAverage(inner), monitors.Covariance(inner, 5)):
        with pytest.raises(ValueError, match="is not in all regions"):
            dataclasses.replace(simulator(model), monitors=watch)


def test_gradients_reach_the_parameters_of_populations(tmp_path):
    built = simulator(oscillators(tmp_path))
    past = jnp.asarray(history(built))

    def end(gamma):
        changed = eqx.tree_at(
            lambda s: s.model.populations["fast"].model.params["gamma"], built, gamma
        )
        return tvbjax.simulate(changed, 3.0, initial=past).samples["raw"].values[-1].sum()

    at, h = jnp.asarray([1.0, 0.8]), 1e-5
    found = jax.grad(end)(at)
    for i in range(2):
        step = h * jnp.eye(2)[i]
        slope = (end(at + step) - end(at - step)) / (2 * h)
        assert float(found[i]) == pytest.approx(float(slope), rel=1e-6)


def test_what_does_not_fit_is_refused(tmp_path):
    decay = linear_model(tmp_path)
    fits = Population(decay, (0, 1), {"a": "x"}, {"c": "a"})
    with pytest.raises(ValueError, match="'y', sent on 'a', is nothing that Decay can send"):
        Population(decay, (0,), {"a": "y"}, {"c": "a"})
    with pytest.raises(ValueError, match=r"hears is about \[\], and Decay has the inputs \['c'\]"):
        Population(decay, (0,), {"a": "x"}, {})
    with pytest.raises(ValueError, match="region 1 is in 'one' and in 'two'"):
        Mixed({"one": fits, "two": Population(decay, (1, 2), {}, {"c": ()})})
    with pytest.raises(ValueError, match="region 2 is in no population"):
        Mixed({"one": fits, "two": Population(decay, (3,), {}, {"c": ()})})
    with pytest.raises(ValueError, match="'two' hears the channel 'b', on which nobody sends"):
        Mixed({"one": fits, "two": Population(decay, (2,), {}, {"c": "b"})})
    with pytest.raises(ValueError, match="have 2 regions and the connectome has 5"):
        simulator(Mixed({"one": fits}), coupling.Linear())
    with pytest.raises(ValueError, match="give each once"):
        Population(decay, (0, 0), {}, {"c": ()})
