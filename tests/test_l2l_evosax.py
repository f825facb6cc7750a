"""evosax's algorithms behind ask and tell, both kinds of them, where evosax is installed."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from tvbjax_inference.l2l import Evosax, Real, Space, Unbounded, minimise

SPACE = Space(x=Real(-5.0, 5.0, shape=(2,)), y=Unbounded(1.0, 2.0))


def sphere(values, key):
    return ((values["x"] - 0.7) ** 2).sum() + (values["y"] + 1.0) ** 2


def test_what_is_no_algorithm_is_said():
    with pytest.raises(TypeError, match="class of evosax.algorithms"):
        Evosax(dict)


@pytest.fixture(scope="module")
def algorithms():
    return pytest.importorskip("evosax.algorithms")


@pytest.mark.parametrize(
    "name, gate", [("CMA_ES", 1e-8), ("SNES", 1e-3), ("DifferentialEvolution", 1e-4)]
)
def test_spheres_are_found(algorithms, name, gate):
    optimiser = Evosax(getattr(algorithms, name), size=16)

    def loss(values, key):
        return jnp.where(jr.uniform(key) < 0.05, jnp.nan, sphere(values, key))

    found = jax.jit(
        jax.vmap(lambda key: minimise(loss, SPACE, optimiser, key, generations=120)[0])
    )(jr.split(jr.key(0), 3))
    assert (np.asarray(found.least) < gate).all()


def test_it_is_evosaxs_own_loop(algorithms):
    """Told the same losses for the same keys, CMA_ES goes the same way in its own units."""
    optimiser = Evosax(algorithms.CMA_ES, size=8)
    from tvbjax_inference.l2l import Evaluations

    key = jr.key(2)
    search = optimiser.init(SPACE, key)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        own = algorithms.CMA_ES(population_size=8, solution=jnp.zeros(3))
        state = own.init(jr.fold_in(key, 2**31 - 1), jnp.zeros(3), own.default_params)
    for generation in range(4):
        candidates, search = optimiser.ask(search)
        asked = jr.split(jr.fold_in(key, 2 * generation))[1]
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            points, state = own.ask(asked, state, own.default_params)
        scaled = (np.asarray(candidates) - SPACE.middle) / SPACE.deviations
        np.testing.assert_allclose(scaled, points, rtol=1e-9, atol=1e-12)
        losses = (points**2).sum(axis=1)
        told = jr.fold_in(key, 2 * generation + 1)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            state, _ = own.tell(told, points, losses, state, own.default_params)
        search = optimiser.tell(search, candidates, Evaluations(losses))


def test_beyond_convergence_it_ends_and_stays_a_number(algorithms):
    """Where CMA_ES by itself gives NaN: a small population stepped on."""
    optimiser = Evosax(algorithms.CMA_ES, size=6)
    space = Space(x=Unbounded(shape=(2,)))

    def loss(values, key):
        return (values["x"] ** 2).sum()

    search, trace = jax.jit(lambda key: minimise(loss, space, optimiser, key, generations=3000))(
        jr.key(0)
    )
    seen = np.asarray(trace.losses)[: int(search.generation)]
    assert np.isfinite(seen).all() and float(search.least) < 1e-12


def test_parameters_may_be_given(algorithms):
    defaults = Evosax.defaults(algorithms.SNES, 8, SPACE)
    narrow = Evosax(algorithms.SNES, 8, defaults.replace(std_init=1e-3))
    candidates, _ = narrow.ask(narrow.init(SPACE, jr.key(0)))
    spread = ((np.asarray(candidates) - SPACE.middle) / SPACE.deviations).std()
    assert 3e-4 < spread < 3e-3
