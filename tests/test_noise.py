"""Noise: moments, keys, shapes, and increments given by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tvbjax
from networks import linear_model, network, plain_run
from tvbjax import coupling, integrators, monitors, noise


def alone(folder, source, nodes=50, gamma=0.0):
    return tvbjax.Simulator(
        linear_model(folder, gamma),
        tvbjax.Connectome(np.zeros((nodes, nodes))),
        coupling.Linear(a=0.0),
        integrators.Euler(dt=0.1),
        noise=source,
        monitors=monitors.Raw(),
    )


def test_increments_are_normal_with_variance_two_d_dt(tmp_path):
    """A free walk: increments are independent N(0, 2 D dt); Kolmogorov-Smirnov, p > 1e-4."""
    simulator = alone(tmp_path, noise.Additive(0.7))
    result = tvbjax.simulate(simulator, 200.0, initial=np.zeros((1, 50)), key=jax.random.key(1))
    path = np.concatenate([np.zeros((1, 1, 50)), result.samples["raw"].values])
    unit = np.diff(path, axis=0).ravel() / np.sqrt(2 * 0.7 * 0.1)
    assert stats.kstest(unit, "norm").pvalue > 1e-4
    correlation = np.corrcoef(unit[:-50], unit[50:])[0, 1]  # successive steps of one region
    assert abs(correlation) < 5 / np.sqrt(unit.size)


def test_keys_decide(tmp_path):
    simulator = alone(tmp_path, noise.Additive(0.7))
    runs = [
        tvbjax.simulate(simulator, 5.0, key=jax.random.key(k)).samples["raw"].values
        for k in (0, 0, 1)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 0.1


def test_a_missing_key_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="the simulator has noise; give a key"):
        tvbjax.simulate(alone(tmp_path, noise.Additive(0.1)), 1.0)


def test_given_increments_are_added_as_they_are(tmp_path):
    kicks = np.random.default_rng(0).normal(size=(80, 1, 5))
    simulator = network(tmp_path, noise=noise.Recorded(kicks))
    history = np.random.default_rng(1).random((simulator.horizon, 1, 5))
    result = tvbjax.simulate(simulator, 8.0, initial=history)
    expected = plain_run(simulator, history, 80, kicks)
    np.testing.assert_allclose(result.samples["raw"].values, expected, atol=1e-12)
    with pytest.raises(RuntimeError, match="the path holds 80 steps and the simulation is longer"):
        tvbjax.simulate(simulator, 8.1)
    with pytest.raises(ValueError, match=r"the path has shape \(80, 5\)"):
        network(tmp_path, noise=noise.Recorded(kicks[:, 0]))


def test_intensity_by_name_region_or_array():
    def spread(nsig):
        simulator = tvbjax.Simulator(
            tvbjax.lems.load("MontbrioPazoRoxin"),
            tvbjax.Connectome(np.zeros((3, 3))),
            coupling.Linear(a=0.0),
            integrators.Heun(dt=0.1),
            noise=noise.Additive(nsig),
        )
        source = simulator.noise
        assert source is not None
        first = jnp.zeros((), jnp.int32)
        none = jnp.zeros((0, 3))
        normal = jax.random.normal(jax.random.key(0), (4000, 2, 3))
        drawn = jax.vmap(lambda z: source.increment(z, None, first, 0.1, none)[0])(normal)
        return np.asarray(drawn).std(axis=0)

    np.testing.assert_allclose(spread(0.5), np.sqrt(0.1), rtol=0.05)
    np.testing.assert_allclose(spread({"V": 0.5})[1], np.sqrt(0.1), rtol=0.05)
    assert (spread({"V": 0.5})[0] == 0.0).all()
    by_region = spread({"V": np.array([0.0, 0.5, 2.0])})
    np.testing.assert_allclose(by_region[1], np.sqrt([0.0, 0.1, 0.4]), rtol=0.05)
    np.testing.assert_allclose(spread(np.full((2, 1), 0.5)), np.sqrt(0.1), rtol=0.05)


@pytest.mark.parametrize(
    "nsig, message",
    [
        ({"Q": 0.1}, "nsig names 'Q', which is no state variable; the model has x"),
        (np.ones(5), "A plain vector could mean variables or regions"),
        ({"x": np.ones(3)}, "nsig of 'x' has shape"),
        (-0.1, "nsig of 'x' is -0.1"),
        (float("nan"), "nsig of 'x' is nan"),
    ],
)
def test_a_wrong_intensity_is_an_error(tmp_path, nsig, message):
    with pytest.raises(ValueError, match=message):
        network(tmp_path, noise=noise.Additive(nsig))


def test_the_gain_of_multiplicative_noise_is_a_function_of_the_state(tmp_path):
    with pytest.raises(TypeError):
        noise.Multiplicative(0.1, g=2.0)  # pyright: ignore[reportArgumentType]
    for g, said in ((lambda x: x[:, :2], "gives the shape"), (lambda x: x @ x, "fails on a state")):
        with pytest.raises(ValueError, match=f"Multiplicative: g {said}"):
            alone(tmp_path, noise.Multiplicative(0.1, g=g))
