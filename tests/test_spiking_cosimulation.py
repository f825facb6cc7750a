"""Brains with spiking regions: windows, what is handed over, and what is refused."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.integrate import solve_ivp

import tvbjax
from spiking_brains import LABELS, brain, column, outputs
from tvbjax import engine, lems, spiking
from tvbjax.spiking.cosimulating import told

KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def per_step():
    """A run that exchanges in every step."""
    return cosimulated(window=0.1)


def cosimulated(network=None, duration=30.0, simulator=None, **options):
    simulator = brain(noise=tvbjax.noise.Additive(1e-4)) if simulator is None else simulator
    region = spiking.SpikingRegion(column() if network is None else network, outputs())
    cosimulator = spiking.CoSimulator(simulator, {"spiking": region}, **options)
    return spiking.cosimulate(cosimulator, duration, key=KEY)


def same(one, other):
    trains, theirs = one.regions["spiking"].spikes["E"], other.regions["spiking"].spikes["E"]
    assert len(trains) > 20
    np.testing.assert_array_equal(trains.times, theirs.times)
    np.testing.assert_array_equal(trains.cells, theirs.cells)
    for name in one.brain.samples:
        # Not bit for bit: the brain sums in another order when it takes more steps together.
        np.testing.assert_allclose(one.brain[name], other.brain[name], rtol=0, atol=1e-14)


@pytest.mark.parametrize("window", [0.6, 3.0, None])
def test_every_window_gives_what_exchange_in_every_step_gives(per_step, window):
    same(cosimulated(window=window), per_step)


def test_a_window_that_does_not_divide_the_run_gives_the_same(per_step):
    same(cosimulated(window=1.7), per_step)


@pytest.mark.parametrize("interleaved", [False, True])
def test_the_protocol_of_other_simulators_gives_the_same(per_step, interleaved):
    same(cosimulated(spiking.InJax(column()), interleaved=interleaved, window=1.0), per_step)


def test_what_is_told_beforehand_is_what_the_brain_hears():
    monitors = [tvbjax.monitors.AfferentCoupling(tvbjax.monitors.Raw())]
    simulator = brain(monitors=monitors)
    region = spiking.SpikingRegion(column(), outputs())
    cosimulator = spiking.CoSimulator(simulator, {"spiking": region})
    first = tvbjax.simulate(brain(), 20.0)
    heard = told(cosimulator, first.final, 0, cosimulator.longest)["spiking"]["c_0"]
    both = tvbjax.simulate(simulator, 20.0 + cosimulator.longest * 0.1)
    (samples,) = both.samples.values()
    later = np.asarray(samples.values)[-cosimulator.longest :, 0, 3]
    np.testing.assert_allclose(heard, later, rtol=1e-13)
    assert np.ptp(later) > 1e-6


def test_what_is_said_of_a_region_is_what_others_hear():
    simulator = brain(monitors=[tvbjax.monitors.Raw()])
    start = tvbjax.simulate(simulator, 1.0)
    steps = 400
    course = 0.5 + 0.4 * np.sin(np.arange(steps) / 20.0)
    told = np.zeros((2, 4), bool)
    told[0, 3] = True
    values = np.zeros((steps, 2, 4))
    values[:, 0, 3] = course
    outside = engine.Outside(jnp.asarray(told), jnp.asarray(values), jnp.zeros((steps, 2, 4)))
    phases, derivatives = (jnp.zeros((), jnp.int32),), engine.Forward()
    advanced = eqx.filter_jit(engine.advance)
    _, (samples,) = advanced(simulator, start.final, None, steps, phases, derivatives, outside)
    np.testing.assert_array_equal(samples[:, 0, 3], course)
    # Region 0 by itself, with what it hears from the others written out.
    model, weights = simulator.model, np.asarray(simulator.connectome.weights)
    delays = np.rint(np.asarray(simulator.connectome.tract_lengths) / 3.0 / 0.1).astype(int)
    past = np.concatenate([np.asarray(start["raw"].values)[:, 0], np.asarray(samples)[:, 0]])
    now, x = 10, np.asarray(start["raw"].values)[-1, :, 0]
    for step in range(30):
        rows = np.maximum(now + step - 1 - delays[0], 0)
        if (now + step - 1 - delays[0] < 0).any():
            rows = np.where(now + step - 1 - delays[0] < 0, 0, rows)
        heard = 0.05 * sum(weights[0, j] * past[rows[j], j] for j in range(4))
        first = np.asarray(model.dfun(jnp.asarray(x)[:, None], jnp.full((1, 1), heard)))[:, 0]
        ahead = np.clip(x + 0.1 * first, 0.0, 1.0)
        second = np.asarray(model.dfun(jnp.asarray(ahead)[:, None], jnp.full((1, 1), heard)))[:, 0]
        x = np.clip(x + 0.05 * (first + second), 0.0, 1.0)
        if step == 0 and delays[0].max() > now:
            break  # the history before the run would be needed, too
    np.testing.assert_allclose(np.asarray(samples)[0, :, 0], x, rtol=1e-6)


def test_an_output_that_is_added_is_a_push():
    """S_e of a region whose network adds a constant rate, against SciPy."""
    simulator = brain(monitors=[tvbjax.monitors.Raw()])
    cell = lems.load_cell("LifDelta").with_params(I_e=0.003, t_ref=0.5)
    network = spiking.Network(
        {"E": spiking.Population(cell, 5, initial={"v": 10.0}, method=lems.Exact())},
        dt=0.1,
        monitors=[],
    )
    push = spiking.Output("S_e", "E", spiking.Mean(gain=0.01), replaces=False)
    region = spiking.SpikingRegion(network, push)
    alone = eqx.tree_at(
        lambda s: s.connectome.weights, simulator, simulator.connectome.weights * 1e-9
    )
    result = spiking.cosimulate(spiking.CoSimulator(alone, {"spiking": region}), 60.0)
    rate = 1.0 / (0.5 + np.ceil(20.0 * np.log((60.0 - 10.0) / (60.0 - 20.0)) / 0.1 - 1e-9) * 0.1)
    model = simulator.model

    def slopes(t, x):
        slope = model.dfun(jnp.asarray(x)[:, None], jnp.zeros((1, 1)))[:, 0]
        return np.asarray(slope) + np.array([0.01 * rate, 0.0])

    start = [0.5 * (low + high) for low, high in model.initial_range]
    solved = solve_ivp(slopes, (0.0, 60.0), start, rtol=1e-8, atol=1e-10)
    found = result.brain["raw"].sel(region="spiking").values[-1]
    np.testing.assert_allclose(found, solved.y[:, -1], rtol=0.005)
    without = tvbjax.simulate(alone, 60.0)["raw"].sel(region="spiking").values[-1]
    assert found[0] > without[0] + 0.02


@pytest.mark.parametrize(
    "converter, slope, read",
    [
        (spiking.LowPass(tau=7.0, gain=3.0), lambda x, r: (3.0 * r - x) / 7.0, 0),
        (
            spiking.WongWangExcitatory(tau_rate=0.0),
            lambda s, r: -s / 100.0 + (1.0 - s) * 0.641 * r,
            0,
        ),
        (spiking.WongWangInhibitory(tau_rate=0.0), lambda s, r: -s / 10.0 + r, 0),
    ],
)
def test_converters_solve_their_equations(converter, slope, read):
    rates = np.repeat([0.02, 0.07, 0.0], 40)
    carried, values = converter.begin(0.5), []
    for rate in rates:
        carried, value = converter.step(carried, jnp.asarray(rate), 0.5)
        values.append(float(value))
    state, expected = 0.0, []
    for rate in rates:
        solved = solve_ivp(lambda t, x, r: slope(x, r), (0, 0.5), [state], args=(rate,), rtol=1e-9)
        state = solved.y[read, -1]
        expected.append(state)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-9)


def test_a_gaussian_kernel_knows_no_spike_before_it_comes():
    converter = spiking.GaussianKernel(sigma=2.0)
    carried, values = converter.begin(0.5), []
    for rate in np.r_[np.zeros(20), 1.0, np.zeros(40)]:
        carried, value = converter.step(carried, jnp.asarray(rate), 0.5)
        values.append(float(value))
    lags = 0.5 * np.arange(17)
    shape = np.exp(-0.5 * (lags / 2.0) ** 2)
    np.testing.assert_allclose(values[20:37], shape / shape.sum(), rtol=1e-12)
    assert max(values[:20]) == 0.0 and sum(values) == pytest.approx(1.0)


def test_an_inverse_sigmoid_gives_back_the_potential():
    converter = spiking.InverseSigmoid(tau=0.0)
    for v in (3.0, 5.52, 8.0):
        rate = 0.005 / (1.0 + np.exp(0.56 * (5.52 - v)))
        _, value = converter.step(converter.begin(0.1), jnp.asarray(rate), 0.1)
        assert float(value) == pytest.approx(v, rel=1e-9)


def test_each_region_as_a_proxy_of_its_own_has_the_mean_of_the_sum():
    """Expected input is the same; spikes of the many have the weights of their connections."""
    counts = []
    for heard in (spiking.Heard("c_0", gain=20.0), spiking.HeardEach("c_0", gain=20.0 * 0.05)):
        cell = lems.load_cell("LifDelta").with_params(V_th=1e9)
        network = spiking.Network(
            {"E": spiking.Population(cell, 400, method=lems.Exact())},
            drives={"brain": spiking.Poisson("E", heard, weight=0.4)},
            dt=0.1,
            monitors=[spiking.Means("E", ("v",))],
        )
        region = spiking.SpikingRegion(network)
        cosimulator = spiking.CoSimulator(brain(), {"spiking": region})
        result = spiking.cosimulate(cosimulator, 100.0, key=KEY)
        counts.append(float(result.regions["spiking"]["means of E"].values[-300:].mean()))
    assert counts[0] > 1.0
    assert counts[1] == pytest.approx(counts[0], rel=0.03)


def test_a_mean_of_a_state_can_be_what_a_region_is():
    monitors = [spiking.Means("E", ("v",))]
    output = spiking.Output("S_e", "E", spiking.Mean(gain=0.05, unit=""), quantity="v")
    region = spiking.SpikingRegion(column(monitors=monitors), output)
    simulator = brain(monitors=[tvbjax.monitors.Raw()])
    result = spiking.cosimulate(spiking.CoSimulator(simulator, {"spiking": region}), 10.0, key=KEY)
    means = result.regions["spiking"]["means of E"].sel(variable="v").values
    found = result.brain["raw"].sel(region="spiking", variable="S_e").values
    np.testing.assert_allclose(found, 0.05 * means, rtol=1e-12)


def test_finer_steps_of_the_network_divide_the_brains():
    result = cosimulated(column(dt=0.05), duration=10.0, window=1.0)
    assert len(result.regions["spiking"].spikes["E"]) > 5
    assert result.regions["spiking"]["rates"].sizes["time"] == 10


WRONG = [
    (lambda: {"nowhere": spiking.SpikingRegion(column(), outputs())}, {}, "no region 'nowhere'"),
    (lambda: {"spiking": column()}, {}, "SpikingRegion"),
    (lambda: {}, {}, "give a mapping"),
    (lambda: ordinary(), {"window": 3.1}, "least delay to or from a spiking region is 3 ms"),
    (lambda: ordinary(), {"window": 0.25}, "no multiple of dt"),
    (lambda: ordinary(), {"interleaved": True}, "outside of it"),
    (lambda: with_output("S_x", "E"), {}, "no state variable"),
    (lambda: with_output("S_e", "P"), {}, "the population 'P'"),
    (
        lambda: with_output("S_e", "E", spiking.LowPass()),
        {},
        "S_e' is in 1, and LowPass gives 1/ms",
    ),
    (lambda: with_output("S_e", "E", quantity="v"), {}, "does not record"),
    (
        lambda: with_output("S_e", "E", spiking.WongWangExcitatory(), quantity="v"),
        {},
        "does not record",
    ),
    (lambda: measured("v"), {}, "makes 'S_e' of a rate, and not of the mean of 'v'"),
    (
        lambda: with_output("S_e", "E", spiking.InverseSigmoid(), replaces=False),
        {},
        "derivative of 'S_e' is in 1/ms, and InverseSigmoid gives mV",
    ),
    (lambda: hearing(spiking.Heard("c_9")), {}, "hears 'c_9'"),
    (
        lambda: hearing(spiking.Heard("c_0", unit="banana")),
        {},
        "what it hears is said to be in ban",
    ),
    (lambda: {"spiking": spiking.SpikingRegion(column(dt=0.2), outputs())}, {}, "longer than"),
    (lambda: {"spiking": spiking.SpikingRegion(column(dt=0.04), outputs())}, {}, "multiple"),
]


def ordinary():
    return {"spiking": spiking.SpikingRegion(column(), outputs())}


def with_output(*arguments, **options):
    return {"spiking": spiking.SpikingRegion(column(), spiking.Output(*arguments, **options))}


def measured(quantity):
    network = column(monitors=[spiking.Means("E", (quantity,))])
    output = spiking.Output("S_e", "E", spiking.WongWangExcitatory(), quantity=quantity)
    return {"spiking": spiking.SpikingRegion(network, output)}


def hearing(heard):
    return {"spiking": spiking.SpikingRegion(column(heard=heard), outputs())}


@pytest.mark.parametrize("regions, options, message", WRONG)
def test_what_does_not_fit_is_refused(regions, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        spiking.CoSimulator(brain(), regions(), **options)


def test_couplings_that_look_at_the_region_itself_are_refused():
    for coupling, message in (
        (tvbjax.coupling.Difference(a=0.01), "own state"),
        (tvbjax.coupling.Instant(tvbjax.coupling.Linear(a=0.01)), "no delay"),
    ):
        with pytest.raises(ValueError, match=message):
            spiking.CoSimulator(brain(coupling=coupling), ordinary())


def test_a_connection_without_delay_is_named():
    with pytest.raises(ValueError, match="from 'middle' to 'spiking' has a delay of 0 steps"):
        spiking.CoSimulator(brain(shortest=0.1), ordinary())
    simulator = brain(shortest=0.1)
    weights = np.array(simulator.connectome.weights)
    weights[3, 1] = 0.0  # what has no weight does not limit the window
    connectome = tvbjax.Connectome(
        weights, simulator.connectome.tract_lengths, speed=3.0, labels=LABELS
    )
    free = tvbjax.Simulator(
        simulator.model, connectome, tvbjax.coupling.Linear(a=0.05), simulator.integrator
    )
    assert spiking.CoSimulator(free, ordinary()).longest > 1


def test_a_missing_key_and_a_diverging_network_are_told():
    with pytest.raises(ValueError, match="region 'spiking'.*key=jax.random.key"):
        spiking.cosimulate(spiking.CoSimulator(brain(), ordinary()), 10.0)
    cell = lems.load_cell("Izhikevich").with_params(I_e=1e300)
    network = spiking.Network({"E": spiking.Population(cell, 2, method=lems.RungeKutta4())}, dt=0.1)
    region = spiking.SpikingRegion(network, spiking.Output("S_e", "E", spiking.Mean(unit="")))
    with pytest.raises(spiking.DivergenceError, match="of 'E'"):
        spiking.cosimulate(spiking.CoSimulator(brain(), {"spiking": region}), 10.0)


@pytest.mark.slow
def test_every_window_whatsoever_gives_the_same():
    simulator = brain(noise=tvbjax.noise.Additive(1e-4), shortest=3.0)
    results = [
        cosimulated(simulator=simulator, duration=30.0, window=0.1 * steps)
        for steps in range(1, 11)
    ]
    with pytest.raises(ValueError, match="least delay"):
        cosimulated(simulator=simulator, window=1.1)
    for one in results[1:]:
        same(one, results[0])


def cosimulated_within(network, output, simulator=None):
    region = spiking.SpikingRegion(network, output)
    simulator = brain(monitors=[tvbjax.monitors.SubSample(0.7)]) if simulator is None else simulator
    return spiking.CoSimulator(simulator, {"spiking": region}, window=1.7)


def test_rates_within_jit_are_those_of_a_run():
    cosimulator = cosimulated_within(column(), outputs())
    brain_result, rates = spiking.cosimulated_rates(cosimulator, 20.0, key=KEY)
    result = spiking.cosimulate(cosimulator, 20.0, key=KEY)
    found = result.regions["spiking"]["rates"]
    for name in ("E", "I"):
        np.testing.assert_allclose(rates["spiking"][name], found.sel(population=name), rtol=1e-12)
    np.testing.assert_allclose(
        brain_result.samples["subsample"].values, result.brain["subsample"].values, rtol=1e-12
    )


def test_gradients_from_the_brain_to_the_network_are_those_of_differences():
    """By a converter's gain, which changes no spike where the network does not hear the brain."""
    cell = lems.load_cell("LifDelta")
    network = spiking.Network(
        {"E": spiking.Population(cell, 20, method=lems.Exact())},
        drives={"noise": spiking.Poisson("E", 8.0, weight=0.3)},
        dt=0.1,
        surrogate=spiking.FastSigmoid(),
    )
    cosimulator = cosimulated_within(network, spiking.Output("S_e", "E", spiking.Mean(unit="")))

    def others(gain):
        changed = eqx.tree_at(
            lambda c: c.regions["spiking"].outputs[0].converter.gain, cosimulator, gain
        )
        result, _ = spiking.cosimulated_rates(changed, 40.0, key=KEY)
        return result.samples["subsample"].values[-10:, 0, 1].mean()

    compiled = jax.jit(jax.value_and_grad(others))
    _, slope = compiled(jnp.asarray(2.0))
    ahead, behind = (compiled(jnp.asarray(2.0 + h))[0] for h in (1e-4, -1e-4))
    assert abs(float(slope)) > 1e-4
    assert float(slope) == pytest.approx(float(ahead - behind) / 2e-4, rel=1e-5)


@pytest.mark.slow
def test_a_spiking_region_is_fitted_within_its_brain():
    """Its drive and how strongly it hears, until its cells and its neighbour are as wanted."""
    network = column(heard=spiking.Heard("c_0", gain=20.0, offset=5.0))
    soft = spiking.Network(
        network.populations,
        {
            "E to I": spiking.Projection("E", "I", spiking.FixedInDegree(8), weight=0.4, delay=1.5),
            "I to E": spiking.Projection(
                "I", "E", spiking.FixedInDegree(2), weight=-1.5, delay=1.0
            ),
        },
        network.drives,
        dt=0.1,
        key=KEY,
        surrogate=spiking.FastSigmoid(width=2.0),
    )
    cosimulator = cosimulated_within(soft, outputs())

    def where(c):
        return c.regions["spiking"].network.drives["brain"].rate.offset

    @jax.jit
    @jax.value_and_grad
    def loss(offset, key):
        changed = eqx.tree_at(where, cosimulator, offset)
        _, rates = spiking.cosimulated_rates(changed, 100.0, key=key, period=10.0)
        return jnp.square(1e3 * rates["spiking"]["E"][3:].mean() / 60.0 - 1.0)

    offset, rule = where(cosimulator), optax.adam(0.2)
    state, losses = rule.init(offset), []
    for step in range(40):
        value, slope = loss(offset, jax.random.key(step))
        with jax.numpy_dtype_promotion("standard"):  # optax counts steps in whole numbers
            change, state = rule.update(slope, state)
        offset = optax.apply_updates(offset, change)
        losses.append(float(value))
    assert np.mean(losses[-5:]) < 0.1 * losses[0]
    assert np.mean(losses[-5:]) < 0.02


class Wrong(spiking.AbstractSpikingSimulator):
    """Our own network, whose windows are changed on their way."""

    network: spiking.Network
    change: Callable[[spiking.Window], object] = eqx.field(static=True)

    def open(self, key):
        session: Any = spiking.InJax(self.network).open(key)
        finish, change = session.finish, self.change
        session.finish = lambda: change(finish())
        return session


def first_half(window):
    return spiking.Window({n: x[: len(x) // 2] for n, x in window.counts.items()}, window.means)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda window: None, "finish.. is None; give e.g. Window"),
        (first_half, r"region 'spiking': .* counts of 'E' have the shape \(15,\); a window of 30"),
        (lambda w: w._replace(counts={"E": w.counts["E"]}), "counts of 'I' have nothing"),
        (lambda w: w._replace(means={}), "means of 'E' have nothing"),
        (
            lambda w: w._replace(counts={n: -1.0 - x for n, x in w.counts.items()}),
            "counts of 'E' are not all numbers of 0 or more",
        ),
    ],
)
def test_windows_that_another_simulator_gets_wrong_are_told(change, message):
    region = spiking.SpikingRegion(Wrong(column(), change), outputs())
    cosimulator = spiking.CoSimulator(brain(), {"spiking": region})
    with pytest.raises((ValueError, TypeError), match=message):
        spiking.cosimulate(cosimulator, 9.0, key=KEY)


@pytest.mark.usefixtures("without_type_checks")
def test_a_cosimulation_is_called_rightly_or_says_how():
    cosimulator = spiking.CoSimulator(brain(), ordinary())
    wrong: Any = "brain"
    text: Any = "1"
    for call, message in (
        (lambda: spiking.cosimulate(wrong, 1.0), "cosimulator is 'brain'"),
        (lambda: spiking.cosimulated_rates(wrong, 1.0), "cosimulator is 'brain'"),
        (lambda: spiking.cosimulate(cosimulator, text), "cosimulate: the duration is '1'"),
        (
            lambda: spiking.cosimulated_rates(cosimulator, 5.0),
            "cosimulated_rates: .*key=jax.random",
        ),
        (
            lambda: spiking.cosimulated_rates(cosimulator, 5.0, key=KEY, period=50.0),
            "a period of 50 ms is longer than 5 ms",
        ),
        (
            lambda: jax.jit(lambda key: spiking.cosimulate(cosimulator, 1.0, key=key))(KEY),
            "within jit, grad or vmap use",
        ),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            call()
    broken = eqx.tree_at(
        lambda c: c.regions["spiking"].outputs[0].converter.tau, cosimulator, jnp.asarray(jnp.nan)
    )
    with pytest.raises(ValueError, match="'spiking'.*tau is NaN"):
        spiking.cosimulate(broken, 1.0, key=KEY)
    result, rates = spiking.cosimulated_rates(broken, 6.0, key=KEY)
    assert int(result.final.trouble[0]) >= 0
    assert all(np.isnan(one).all() for one in rates["spiking"].values())
