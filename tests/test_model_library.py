"""What holds for every built-in model: described, sound in its dimensions, finite slopes."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from tvbjax import coupling, integrators, lems, monitors

MODELS = lems.models()
STEPS = dict.fromkeys(("CoombesByrne", "GastSchmidtKnosche_SF", "KIonEx"), 0.05)  # ms, not 0.1


def random_states(model: lems.Model, count: int, seed: int = 1) -> np.ndarray:
    """States in the initial range, (state, count); the first is its middle, then its ends."""
    low, high = np.array(model.initial_range).T[:, :, None]
    shares = np.random.default_rng(seed).uniform(size=(len(model.state_variables), count))
    shares[:, :3] = 0.5, 0.0, 1.0
    return low + shares * (high - low)


@pytest.mark.parametrize("name", MODELS)
def test_it_loads_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = lems.load(name)
    assert model.name == name
    assert lems.check(name, dimensions=lems.DimensionCheck.STRICT) == []


@pytest.mark.parametrize("name", MODELS)
def test_everything_is_described_and_has_a_range(name):
    spec = lems.load(name).spec
    assert spec.description
    for one in (*spec.parameters, *spec.states, *spec.inputs, *spec.observables):
        assert one.description, one.name
    for parameter in spec.parameters:
        assert parameter.domain is not None, parameter.name
        low, high = parameter.domain
        assert low <= parameter.value <= high and low < high, parameter.name
    for state in spec.states:
        low, high = state.initial
        assert state.bounds[0] <= low <= high <= state.bounds[1], state.name


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("name", MODELS)
def test_derivatives_and_gradients_are_finite_where_a_simulation_starts(name, dtype):
    model = lems.load(name)
    state = jnp.asarray(random_states(model, 200), dtype)
    inputs = 0.1 * jax.random.normal(jax.random.key(2), (len(model.inputs), 200), dtype)
    params = {key: jnp.full(200, value, dtype) for key, value in model.params.items()}
    # Not jitted: each runs once, and to compile the largest would take minutes.
    out, pull = jax.vjp(model.dfun, state, inputs, params)
    assert out.dtype == dtype and bool(jnp.isfinite(out).all())
    gradients = pull(jnp.ones_like(out))
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert bool(jnp.isfinite(leaf).all()), path


@pytest.mark.slow
@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", MODELS)
def test_a_second_of_a_network_with_the_defaults_stays_finite(name, double):
    with jax.enable_x64(double):
        model = lems.load(name)
        simulator = tvbjax.Simulator(
            model=model,
            connectome=tvbjax.datasets.connectome("tvb76").normalise(),
            coupling=coupling.Linear() if model.inputs else None,
            integrator=integrators.Heun(dt=STEPS.get(name, 0.1)),
            monitors=monitors.TemporalAverage(10.0, variables=model.state_variables),
        )
        result = tvbjax.simulate(simulator, 1000.0, initial=random_states(model, 76))
        values = result.samples["temporal_average"].values
        assert values.dtype == (np.float64 if double else np.float32)
        assert np.isfinite(values).all()
