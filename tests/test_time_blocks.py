"""Time blocks against the plain loop: one result for any network, delays and block."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tvbjax
from networks import linear_model, network, plain_run, ring_connectome
from tvbjax import coupling, integrators, monitors, noise
from tvbjax.engine import BLOCKS

STEPS = 53
EVERY = [*BLOCKS, (1, 32), (4, 8), (8, 32), (16, 32), (10, 40)]


@pytest.fixture(scope="module")
def decay(tmp_path_factory):
    return linear_model(tmp_path_factory.mktemp("model"))


@st.composite
def networks(draw) -> dict:
    """The arguments of `connectome`."""
    flag = st.booleans()
    return dict(
        regions=draw(st.integers(1, 9)),
        seed=draw(st.integers(0, 2**31)),
        density=draw(st.sampled_from([0.0, 0.1, 0.4, 1.0])),
        empty=draw(flag),
        hub=draw(flag),
        alone=draw(flag),
        at_once=draw(flag),
        longest=draw(st.sampled_from([0.5, 10.0, 60.0])),
        speed=draw(st.floats(1.0, 100.0)),
    )


def connectome(regions, seed, density, empty, hub, alone, at_once, longest, speed):
    """With empty rows, hubs, self-connections, tracts of no length, at speeds from 1 to 100."""
    made = np.random.default_rng(seed)
    weights = made.uniform(0.1, 1.0, (regions, regions)) * (made.random((regions,) * 2) < density)
    if empty:
        weights[made.integers(regions)] = 0.0
    if hub:
        weights[made.integers(regions)] = 0.5
    if alone:
        np.fill_diagonal(weights, 0.7)
    lengths = made.uniform(0.0, longest, (regions, regions))
    if at_once:
        np.fill_diagonal(lengths, 0.0)
    lengths[made.random(lengths.shape) < 0.1] = 0.0
    return tvbjax.Connectome(weights, lengths, speed=speed)


RULES = [
    coupling.Linear(a=0.2, b=0.1),
    coupling.Difference(a=0.3),
    coupling.Kuramoto(a=2.0),
    coupling.HyperbolicTangent(a=0.2, b=1.5, midpoint=0.3, sigma=0.7),
]


@settings(max_examples=15, deadline=None)
@given(networks(), st.sampled_from(EVERY), st.sampled_from(RULES))
def test_any_network_in_any_block_follows_the_plain_loop(decay, made, block, rule):
    simulator = tvbjax.Simulator(
        decay,
        connectome(**made),
        rule,
        integrators.Heun(dt=0.1),
        monitors=monitors.Raw(),
        block=block,
    )
    history = np.random.default_rng(0).uniform(0, 2, (simulator.horizon, 1, simulator.nodes))
    found = tvbjax.simulate(simulator, STEPS * 0.1, initial=history, progress=False)
    expected = plain_run(simulator, history, STEPS)
    np.testing.assert_allclose(found.samples["raw"].values, expected, rtol=0, atol=1e-11)


PAIRED = coupling.Pairwise(
    lambda sent, own, p: p["k"] * jnp.tanh(sent[0] * own[0]), params={"k": 0.3}
)


@pytest.mark.parametrize("block", [4, 32, (4, 12)])
@pytest.mark.parametrize(
    "changes",
    [
        dict(coupling=PAIRED),
        dict(coupling=(coupling.Linear(a=0.1), coupling.Instant(coupling.Difference(a=0.2)))),
        dict(integrator=integrators.RecoupledHeun(dt=0.1)),
        dict(integrator=integrators.RecoupledHeun(dt=0.1), coupling=PAIRED),
        dict(integrator=integrators.RK4(dt=0.1), noise=noise.Additive(0.1)),
        dict(noise=noise.Additive(0.1, tau=2.0)),
        dict(noise=noise.Multiplicative(0.1)),
    ],
    ids=["pairs", "several rules", "recoupled", "recoupled pairs", "noise", "coloured", "gain"],
)
def test_the_block_changes_no_result(tmp_path, block, changes):
    """Against steps taken one by one; delays from 0 to 30 steps: far, long and short ones."""
    key = jax.random.key(3) if "noise" in changes else None

    def values(block):
        simulator = network(tmp_path, block=block, **changes)
        history = np.random.default_rng(1).uniform(
            0.0, 2.0, (simulator.horizon, 1, simulator.nodes)
        )
        run = tvbjax.simulate(simulator, STEPS * 0.1, initial=history, key=key, progress=False)
        return run.samples["raw"].values

    np.testing.assert_allclose(values(block), values(1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("block", [1, 8, (8, 32)])
def test_monitors_see_the_same_whatever_the_block(tmp_path, block):
    watch = (
        monitors.Raw(),
        monitors.TemporalAverage(0.7),
        monitors.TemporalAverage(1.6, name="slow"),
        monitors.SubSample(1.1),
        monitors.Bold(12.0),
    )
    simulator = network(tmp_path, block=block, monitors=watch, noise=noise.Additive(0.1))
    run = tvbjax.simulate(simulator, 60.0, key=jax.random.key(1), progress=False)
    raw = np.asarray(run.samples["raw"].values)
    for name, steps in (("temporal_average", 7), ("slow", 16)):
        whole = len(raw) // steps * steps
        means = raw[:whole].reshape(-1, steps, *raw.shape[1:]).mean(axis=1)
        np.testing.assert_allclose(run.samples[name].values, means, rtol=1e-12)
    np.testing.assert_array_equal(run.samples["subsample"].values, raw[10::11])


def test_a_network_of_hubs_is_bundled_by_degree(tmp_path):
    """A few regions that hear all, many that hear one: no padding to the greatest degree."""
    regions = 60
    weights = np.zeros((regions, regions))
    weights[:3] = 1.0
    weights[np.arange(3, regions), 0] = 1.0
    lengths = np.random.default_rng(0).uniform(20.0, 40.0, weights.shape)
    brain = tvbjax.Connectome(weights / regions, lengths, speed=2.0)
    simulator = network(tmp_path, connectome=brain)
    parts = (*simulator.layout.far.parts, *simulator.layout.long.parts)
    slots = sum(part.edges.size for part in parts)
    assert len(parts) > 1 and slots < 300 < regions * regions
    history = np.random.default_rng(1).uniform(0.0, 2.0, (simulator.horizon, 1, regions))
    run = tvbjax.simulate(simulator, 5.0, initial=history, progress=False)
    np.testing.assert_allclose(
        run.samples["raw"].values, plain_run(simulator, history, 50), atol=1e-12
    )


def test_a_gpu_s_way_gives_the_same(tmp_path, monkeypatch):
    """Sums of 32 slices at once and of the rest, steps written out by four: run on the CPU here."""
    draws = np.random.default_rng(2)
    weights, lengths = draws.uniform(0.0, 0.02, (41, 41)), draws.uniform(5.0, 9.0, (41, 41))
    brain = tvbjax.Connectome(weights, lengths, speed=2.0)
    simulators = [network(tmp_path, connectome=brain, block=block) for block in (1, (8, 16))]
    shape = (simulators[0].horizon, 1, 41)
    history = draws.uniform(0.0, 2.0, shape)

    def values(simulator):
        run = tvbjax.simulate(simulator, STEPS * 0.1, initial=history, progress=False)
        return run.samples["raw"].values

    expected = values(simulators[0])
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_allclose(values(simulators[1]), expected, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [jax.jacrev, jax.jacfwd])
def test_derivatives_do_not_depend_on_the_block(tmp_path, mode):
    """With respect to the weights, the coupling and the past, in both modes, batched."""
    lengths = np.random.default_rng(3).uniform(0.0, 12.0, (5, 5))
    brain = tvbjax.Connectome(ring_connectome().weights, lengths, speed=2.0)
    rule = coupling.Linear(a=0.2)

    def where(simulator: Any):
        return simulator.connectome.weights, simulator.coupling.a

    def derivatives(block):
        simulator = network(tmp_path, connectome=brain, coupling=rule, block=block)
        history = np.random.default_rng(1).uniform(0.0, 2.0, (simulator.horizon, 1, 5))

        def last(free):
            own = eqx.tree_at(where, simulator, free[:2])
            return tvbjax.simulate(own, STEPS * 0.1, initial=free[2]).final.state[0]

        free = (*where(simulator), jnp.asarray(history))
        twice = jax.tree.map(lambda x: jnp.stack([x, 1.1 * x]), free)
        return jax.vmap(mode(last))(twice)

    expected = derivatives(1)
    assert float(jnp.abs(expected[0]).max()) > 1e-3
    for block in (32, (4, 32)):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-11),
            derivatives(block),
            expected,
        )


def test_delays_that_are_replaced_are_laid_out_anew_or_refused(tmp_path):
    """Outside of jit the layout follows; inside the engine says what to do."""
    long = ring_connectome(speed=1.0)
    simulator = network(tmp_path, connectome=long, horizon=80)
    fast = eqx.tree_at(lambda s: s.connectome.speed, simulator, jnp.asarray(6.0))
    built = network(tmp_path, connectome=ring_connectome(speed=6.0), horizon=80)
    one = tvbjax.simulate(fast, 5.0, progress=False).samples["raw"].values
    np.testing.assert_allclose(
        one, tvbjax.simulate(built, 5.0, progress=False).samples["raw"].values, rtol=1e-12
    )
    with pytest.raises(RuntimeError, match=r"with time blocks of \d+ steps.*block=1"):
        eqx.filter_jit(lambda s: tvbjax.simulate(s, 5.0).final.state)(fast)
    stepwise = network(tmp_path, connectome=long, horizon=80, block=1)
    slow_and_fast = jax.vmap(
        lambda v: (
            tvbjax.simulate(eqx.tree_at(lambda s: s.connectome.speed, stepwise, v), 5.0)
            .samples["raw"]
            .values
        )
    )(jnp.asarray([1.0, 3.0]))
    third = network(tmp_path, connectome=ring_connectome(speed=3.0), horizon=80)
    np.testing.assert_allclose(
        slow_and_fast[1],
        tvbjax.simulate(third, 5.0, progress=False).samples["raw"].values,
        rtol=1e-12,
    )


@pytest.mark.parametrize("block", [0, -3, True, 4096])
def test_a_wrong_block_is_an_error(tmp_path, block):
    with pytest.raises(ValueError, match="block is .*; give a number of steps, 1 to 1024"):
        network(tmp_path, block=block)
