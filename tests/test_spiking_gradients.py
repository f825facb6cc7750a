"""Gradients: exact ones of potentials, the slopes that stand for spikes, and batches by vmap."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from spiking_cells import probe
from tvbjax import lems, spiking as sp
from tvbjax.spiking import program
from tvbjax_lems.runtime.cell import find

DT = 0.1
CELL = lems.load_cell("LifDelta")
KEY = jax.random.key(3)
FORMS = {
    "dense": lambda pairs, delays, sizes, block: sp.Dense.of(pairs, delays, sizes, block),
    "in-edges": lambda pairs, delays, sizes, block: sp.InEdges.of(pairs, delays, sizes),
}


@eqx.filter_jit
def potentials(net, duration, key=None, population="E"):
    """v of all cells at the end."""
    steps = round(duration / net.dt)
    carry, _ = program.advance(net, program.start(net, key), key, steps)
    place = find(net.populations[population].cell.plan, "v")
    return carry.cells[population].states[place]


def recurrent(surrogate=None, weight: Any = 0.3, cells=24, form=None, rate=8.0):
    return sp.Network(
        {
            "E": sp.Population(
                CELL, cells, method=lems.Exact(), initial={"v": np.linspace(0, 19, cells)}
            )
        },
        {"EE": sp.Projection("E", "E", sp.FixedInDegree(6), weight=weight, delay=1.5)},
        {"in": sp.Poisson("E", rate, weight=0.2)},
        dt=DT,
        key=jax.random.key(0),
        surrogate=surrogate,
        form=form,
    )


def with_weights(net, inside, outside):
    where = lambda n: (n.projections["EE"].weight, n.drives["in"].weight)  # noqa: E731
    return eqx.tree_at(where, net, (jnp.asarray(inside), jnp.asarray(outside)))


@pytest.mark.parametrize("surrogate", [sp.FastSigmoid(), sp.Triangle()], ids=["fast", "triangle"])
def test_surrogates_change_no_spike(surrogate):
    hard = recurrent()
    soft = recurrent(surrogate)
    one, two = (sp.rates(net, 40.0, key=KEY)["E"] for net in (hard, soft))
    assert one.sum() > 1
    np.testing.assert_array_equal(one, two)
    found, wanted = (potentials(net, 40.0, KEY) for net in (soft, hard))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def below_threshold(form):
    """Cells that spikes of others reach, by connections of several delays, and do not spike."""
    times = [1.0, 2.0, 4.0, 4.5]
    return sp.Network(
        {
            "pre": sp.Population(CELL, 2, method=lems.Exact()),
            "E": sp.Population(CELL, 3, method=lems.Exact()),
        },
        {
            "a": sp.Projection(
                "pre",
                "E",
                sp.Explicit([0, 0, 1, 1], [0, 1, 1, 2]),
                weight=[1.0, 2.0, -1.5, 0.5],
                delay=[0.5, 1.5, 2.0, 3.0],
            )
        },
        {"in": sp.SpikeTimes("pre", times, [0, 1, 0, 1], weight=30.0)},
        dt=DT,
        surrogate=sp.FastSigmoid(),
        form=form,
    )


@pytest.mark.parametrize("form", FORMS)
def test_potentials_below_the_threshold_have_exact_derivatives(form):
    """v is the sum of weights that have decayed since they came."""
    net = below_threshold(FORMS[form])

    @jax.jit
    def final(weight):
        made = eqx.tree_at(lambda n: n.projections["a"].weight, net, weight)
        return potentials(made, 10.0)

    weight = net.projections["a"].weight
    slopes = jax.jit(jax.jacrev(final))(weight)
    expected = np.zeros((3, 4))
    for number, (sender, receiver, delay) in enumerate(
        [(0, 0, 0.5), (0, 1, 1.5), (1, 1, 2.0), (1, 2, 3.0)]
    ):
        sent = {0: [1.0, 4.0], 1: [2.0, 4.5]}[sender]
        expected[receiver, number] = sum(np.exp(-(10.0 - t - delay) / 20.0) for t in sent)
    np.testing.assert_allclose(slopes, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(final(weight), expected @ np.asarray(weight), rtol=1e-10)


def test_derivatives_by_parameters_drives_and_currents(tmp_path):
    cell = probe(tmp_path, ["exponential_current"])

    def final(values):
        one = cell.with_params(tau=values["tau"]).with_params(
            "exponential_current", tau=values["tau_s"]
        )
        net = sp.Network(
            {"E": sp.Population(one, 2, method=lems.Exact(), initial={"v": values["v"]})},
            {},
            {
                "spikes": sp.SpikeTimes(
                    "E", [1.0, 3.0], [0, 1], weight=values["w"], receptor="exponential_current"
                ),
                "current": sp.Current("E", values["i"]),
            },
            dt=DT,
        )
        return jnp.sum(potentials(net, 8.0) * jnp.array([1.0, -2.0]))

    values = {"tau": 9.0, "tau_s": 2.5, "v": jnp.array([1.0, 2.0]), "w": 1.5, "i": 0.3}
    values = jax.tree.map(lambda x: jnp.asarray(x, float), values)
    evaluate = jax.jit(final)
    slopes = jax.jit(jax.grad(final))(values)
    for name, value in values.items():
        direction = jnp.ones_like(value)
        high, low = (
            evaluate({**values, name: value + sign * 1e-5 * direction}) for sign in (1, -1)
        )
        expected = (high - low) / 2e-5
        assert slopes[name].sum() == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("surrogate", [sp.FastSigmoid(2.0), sp.Triangle(3.0, passage=8.0)])
def test_the_slope_of_a_spike_is_the_surrogates(surrogate):
    """Of one cell in one step, a little below and above the threshold."""
    start = jnp.array([5.0, 18.5, 19.9, 20.5, 24.0])
    net = sp.Network({"E": sp.Population(CELL, 5, method=lems.Exact())}, dt=DT, surrogate=surrogate)

    def spikes(v):
        made = eqx.tree_at(lambda n: n.populations["E"].initial, net, {"v": v})
        _, seen = program.advance(made, program.start(made, None), None, 1)
        return seen["E"].spikes[0]

    made = sp.Population(CELL, 5, method=lems.Exact(), initial={"v": start})
    net = eqx.tree_at(lambda n: n.populations["E"], net, made)
    slopes = np.diag(jax.jit(jax.jacrev(spikes))(start))
    kept = np.exp(-DT / 20.0)
    margin = np.asarray(start) * kept - 20.0
    width, passage = float(surrogate.width), float(surrogate.passage)
    shape = (
        0.5 / (width * (1 + np.abs(margin) / width) ** 2)
        if isinstance(surrogate, sp.FastSigmoid)
        else np.maximum(0, 1 - np.abs(margin) / width) / width
    )
    np.testing.assert_allclose(slopes, shape * DT / passage * kept, rtol=1e-12)


@pytest.mark.parametrize("surrogate", [sp.FastSigmoid(2.0), sp.Triangle(2.0)])
def test_the_area_below_a_surrogate_is_one(surrogate):
    margin = jnp.linspace(-4000.0, 4000.0, 4_000_001)
    assert jnp.trapezoid(surrogate.slope(margin), margin) == pytest.approx(1.0, abs=2e-3)


def test_a_reset_forgets():
    """After its spike a cell's potential depends on nothing before, whatever the surrogate."""
    net = sp.Network(
        {"E": sp.Population(CELL, 2, method=lems.Exact(), initial={"v": [19.0, 5.0]})},
        {},
        {"in": sp.SpikeTimes("E", [1.0], [0], weight=5.0)},
        dt=DT,
        surrogate=sp.FastSigmoid(),
    )

    def final(v):
        made = eqx.tree_at(lambda n: n.populations["E"].initial["v"], net, v)
        return potentials(made, 6.0)

    slopes = jax.jit(jax.jacrev(final))(net.populations["E"].initial["v"])
    np.testing.assert_allclose(slopes, [[0, 0], [0, np.exp(-6.0 / 20.0)]], atol=1e-12)


def test_weights_of_plastic_connections_have_derivatives(tmp_path):
    """What each adds is proportional to its weight; here by depressing synapses."""
    cell = probe(tmp_path, ["short_term_current"])
    net = sp.Network(
        {"pre": sp.Population(CELL, 2), "E": sp.Population(cell, 2, method=lems.Exact())},
        {
            "a": sp.Projection(
                "pre", "E", sp.AllToAll(), weight=[1.0, 2.0, 3.0, 4.0],
                delay=1.0, receptor="short_term_current",
            )
        },
        {"in": sp.SpikeTimes("pre", [1.0, 5.0, 9.0], [0, 1, 0], weight=30.0)},
        dt=DT,
        surrogate=sp.FastSigmoid(),
    )  # fmt: skip
    weight = net.projections["a"].weight

    @jax.jit
    def final(weight):
        return potentials(eqx.tree_at(lambda n: n.projections["a"].weight, net, weight), 15.0)

    slopes = jax.jit(jax.jacrev(final))(weight)
    np.testing.assert_allclose(slopes @ weight, final(weight), rtol=1e-10)
    assert slopes[0, 0] == pytest.approx(float(slopes[1, 1]))  # of one sender, to either receiver
    assert slopes[0, 1] == slopes[1, 0] == 0


def mean_rate(net, duration, key):
    return sp.rates(net, duration, key=key)["E"].mean() * 1000.0


def test_surrogate_gradients_are_near_those_of_the_mean_over_noise():
    """Finite differences of the mean of many runs with the same random numbers, which is smooth."""
    keys = jax.random.split(KEY, 150)
    soft = recurrent(sp.Triangle())

    @jax.jit
    def mean(values):
        made = with_weights(soft, *values)
        return jax.vmap(lambda key: mean_rate(made, 40.0, key))(keys).mean()

    @jax.jit
    def slope(values):
        one = jax.grad(lambda v, key: mean_rate(with_weights(soft, *v), 40.0, key))
        found = jax.vmap(lambda key: jnp.stack(one(values, key)))(keys[:30])
        return found.mean(axis=0)

    start = (jnp.asarray(0.2), jnp.asarray(0.2))
    found = np.asarray(slope(start))
    for place, name in enumerate(["inside", "outside"]):
        high, low = (
            mean(tuple(x + sign * 0.01 * (n == place) for n, x in enumerate(start)))
            for sign in (1, -1)
        )
        expected = float(high - low) / 0.02
        assert expected > 0, name
        assert 0.5 < found[place] / expected < 2.0, name


def test_gradients_do_not_grow_without_bound():
    net = recurrent(sp.FastSigmoid(), weight=0.3)
    loss = eqx.filter_jit(eqx.filter_grad(lambda n: mean_rate(n, 400.0, KEY)))
    found = loss(net)
    weight = float(found.projections["EE"].weight)
    assert 0.1 < weight < 1e4
    assert float(found.surrogate.width) == 0.0


def test_a_rate_is_fitted():
    """By Adam, all weights at once: each connection's, and that of the drive."""
    net = recurrent(sp.FastSigmoid(), weight=lambda rng, count: rng.uniform(0.0, 0.3, count))
    where = lambda n: (n.projections["EE"].weight, n.drives["in"].weight)  # noqa: E731
    mask = eqx.tree_at(where, jax.tree.map(lambda _: False, net), (True, True))
    free, rest = eqx.partition(net, mask)
    optimiser = optax.adam(0.02)

    @eqx.filter_jit
    def step(free, state):
        def loss(free):
            return jnp.square(mean_rate(eqx.combine(free, rest), 60.0, KEY) - 40.0)

        value, slope = eqx.filter_value_and_grad(loss)(free)
        with jax.numpy_dtype_promotion("standard"):
            change, state = optimiser.update(slope, state)
        return eqx.apply_updates(free, change), state, value

    state, losses = optimiser.init(free), []
    for _ in range(15):
        free, state, value = step(free, state)
        losses.append(float(value))
    assert losses[0] > 100
    assert min(losses[5:]) < 0.05 * losses[0]


def test_batches_over_weights_rates_and_keys_are_single_runs():
    net = recurrent()

    def run(weight, rate, key):
        where = lambda n: (n.projections["EE"].weight, n.drives["in"].rate)  # noqa: E731
        return sp.rates(eqx.tree_at(where, net, (weight, rate)), 30.0, key=key)["E"]

    weights, rates = jnp.array([0.0, 0.2, 0.4]), jnp.array([7.0, 9.0, 12.0])
    keys = jax.random.split(KEY, 3)
    whole = jax.jit(jax.vmap(run))(weights, rates, keys)
    single = jax.jit(run)
    for number in range(3):
        alone = single(weights[number], rates[number], keys[number])
        np.testing.assert_allclose(whole[number], alone, rtol=1e-12)
    assert whole.shape == (3, 30)
    assert len({float(x) for x in whole.sum(axis=1)}) == 3


def test_batches_of_dense_networks_have_gradients():
    net = recurrent(sp.FastSigmoid())

    def loss(weight, key):
        return mean_rate(with_weights(net, weight, 0.25), 20.0, key)

    weights, keys = jnp.array([0.1, 0.3]), jax.random.split(KEY, 2)
    whole = jax.jit(jax.vmap(jax.grad(loss)))(weights, keys)
    single = jax.jit(jax.grad(loss))
    for number in range(2):
        assert whole[number] == pytest.approx(float(single(weights[number], keys[number])))
