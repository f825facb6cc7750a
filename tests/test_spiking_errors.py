"""Bad input is refused at once, in words that say what is wrong, where, and how to mend it."""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiking_cells import probe
from tvbjax import lems, spiking as sp

pytestmark = pytest.mark.usefixtures("without_type_checks")  # which users do not have
CELL = lems.load_cell("LifDelta")
KEY = jax.random.key(0)


def population(size: Any = 4, **more: Any):
    return sp.Population(CELL, size, **more)


def projection(source: Any = "E", target="E", rule: Any = None, weight=1.0, delay=1.0, **more: Any):
    rule = sp.FixedInDegree(2) if rule is None else rule
    return sp.Projection(source, target, rule, weight=weight, delay=delay, **more)


def network(
    populations: Any = None,
    projections=None,
    drives=None,
    dt: Any = 0.1,
    key: Any = KEY,
    **more: Any,
):
    populations = {"E": population()} if populations is None else populations
    return sp.Network(populations, projections, drives, dt=dt, key=key, **more)


def other(value: Any) -> Any:
    """A value of another type than it should be."""
    return value


def refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# Populations.


def test_populations():
    refused(
        lambda: sp.Population(other("LifDelta"), 3),
        TypeError,
        "Population: cell is 'LifDelta'; give e.g. lems.load_cell",
    )
    refused(lambda: population(0), ValueError, "Population: size is 0; give a whole number of 1")
    refused(lambda: population(2.5), ValueError, "Population: size is 2.5; give a whole")
    refused(
        lambda: population(method=lems.Euler()),
        TypeError,
        "Population: method is Euler.*give e.g. tvbjax.lems.Exact",
    )
    refused(
        lambda: population(initial={"u": 1.0}), ValueError, "LifDelta has no state 'u'; it has v, "
    )
    refused(
        lambda: population(initial={"v": np.zeros(3)}),
        ValueError,
        "initial 'v' has the shape \\(3,\\); .* one for each of 4",
    )
    refused(
        lambda: population(initial={"v": float("nan")}),
        ValueError,
        "initial 'v' is nan; give finite",
    )
    refused(lambda: population(initial=3), TypeError, "Population: initial is 3; give a mapping")
    cell = CELL.with_params(tau=np.ones(3))
    refused(
        lambda: sp.Population(cell, 4),
        ValueError,
        "parameter 'tau' of 'LifDelta' has the shape \\(3,\\)",
    )


def test_names():
    refused(lambda: network({}), ValueError, "there is no population; give one")
    refused(lambda: network(["E"]), TypeError, "populations is \\[.*give a mapping from names")
    refused(
        lambda: network({3: population()}), TypeError, "populations has the name 3; give a text"
    )
    refused(
        lambda: network({"E": 100}),
        TypeError,
        "populations 'E' is 100; give e.g. Population\\(cell, 100\\)",
    )
    for name in ("rates", "lfp"):
        refused(
            lambda name=name: network({name: population()}),
            ValueError,
            f"a population is called '{name}', under which results keep",
        )
    refused(lambda: network(dt=0), ValueError, "Network: dt is 0; give a number above 0")
    refused(lambda: network(dt="0.1"), TypeError, "Network: dt is '0.1'; give a number")


# Projections.


def test_ends_and_receptors(tmp_path):
    refused(
        lambda: network(projections={"a": projection("X")}),
        ValueError,
        "'a': there is no population 'X'; there are E",
    )
    refused(
        lambda: network(projections={"a": projection(target="X")}),
        ValueError,
        "'a': there is no population 'X'; there are E",
    )
    refused(
        lambda: projection(population()),
        TypeError,
        "(?s)Projection: source is .*; give e.g. a population's name",
    )
    refused(
        lambda: projection(rule="all"),
        TypeError,
        "Projection: connectivity is 'all'; give e.g. FixedInDegree",
    )
    refused(
        lambda: projection(rule=sp.FixedInDegree),
        TypeError,
        "FixedInDegree; give an instance: FixedInDegree\\(",
    )
    refused(
        lambda: network(projections={"a": "E"}),
        TypeError,
        "projections 'a' is 'E'; give e.g. Projection\\(",
    )
    refused(
        lambda: network(projections={"a": projection(receptor="x")}),
        ValueError,
        "'a': there is no receptor 'x', and LifDelta has in; give",
    )
    several = sp.Population(probe(tmp_path, ["exponential_current"]), 4)
    refused(
        lambda: network({"E": several}, {"a": projection()}),
        ValueError,
        "no receptor is named, and Probe has in, exponential_current",
    )


def test_weights_and_delays():

    def made(**values):
        return lambda: network(projections={"a": projection(**values)})

    refused(made(weight=float("nan")), ValueError, "weight of 'a' is nan; give finite")
    refused(
        made(weight=np.array([1.0] * 7 + [np.inf])),
        ValueError,
        "weight of 'a' is NaN or infinite somewhere",
    )
    refused(
        made(weight=np.ones(3)),
        ValueError,
        "weight of 'a' has the shape \\(3,\\); .* each of 8 connections",
    )
    refused(
        made(weight=lambda rng, count: rng.random(2)),
        ValueError,
        "weight of 'a' has the shape \\(2,\\)",
    )
    refused(made(weight="heavy"), TypeError, "'heavy' is no number")
    refused(made(delay=0.04), ValueError, "delay of 'a' is 0.04 ms, less than a step of 0.1")
    refused(made(delay=-1.0), ValueError, "delay of 'a' is -1 ms")
    refused(made(delay=float("nan")), ValueError, "delay of 'a' is nan; give finite")
    refused(made(delay=np.ones(3)), ValueError, "delay of 'a' has the shape \\(3,\\)")
    refused(made(delay=2000000.0), ValueError, "delay of 'a' is 2e[+]06 ms: too long to keep")


def test_rules():
    refused(lambda: sp.FixedInDegree(-1), ValueError, "FixedInDegree: degree is -1; give a whole")
    refused(
        lambda: sp.FixedInDegree(other(2.5)),
        ValueError,
        "FixedInDegree: degree is 2.5; give a whole",
    )
    refused(
        lambda: sp.Bernoulli(1.2), ValueError, "Bernoulli: probability is 1.2; give one from 0 to 1"
    )
    refused(lambda: sp.Bernoulli(float("nan")), ValueError, "Bernoulli: probability is nan")
    refused(
        lambda: network(projections={"a": projection(rule=sp.FixedInDegree(5, multapses=False))}),
        ValueError,
        "5 different senders of 4; lower the degree, or",
    )
    refused(
        lambda: network(
            {"E": population(), "I": population(3)}, {"a": projection("E", "I", sp.OneToOne())}
        ),
        ValueError,
        "OneToOne: the populations have 4 and 3 cells",
    )
    refused(
        lambda: sp.Explicit([0, 1], [0]),
        ValueError,
        "Explicit: there are 2 senders and 1 receivers",
    )
    refused(lambda: sp.Explicit([0.5], [0]), ValueError, "Explicit: cells are .* whole numbers")
    for wrong in (4, -1, 2**32):
        refused(
            lambda wrong=wrong: network(
                projections={"a": projection(rule=sp.Explicit([wrong], [0]))}
            ),
            ValueError,
            f"the sender {wrong} is not in a population of 4 cells",
        )


def test_keys_of_networks():
    refused(
        lambda: network(projections={"a": projection()}, key=None),
        ValueError,
        "connections of 'a' are drawn .* key=jax.random.key",
    )
    refused(
        lambda: network(projections={"a": projection()}, key=3),
        TypeError,
        "Network: key is 3; give a key of JAX",
    )
    refused(
        lambda: network(projections={"a": projection()}, key=jax.random.split(KEY)),
        TypeError,
        "Network: key is 2 keys",
    )


@pytest.mark.parametrize(
    "rule, size, message",
    [
        (sp.Bernoulli(0.5), 10**6, "'big' would have 5e[+]11 connections, and at most 2"),
        (
            sp.FixedInDegree(10**4),
            2 * 10**5,
            "2e[+]09 connections need .* GB .* in 'big' .* sparser",
        ),
    ],
)
def test_what_does_not_fit_into_memory_is_told_before_it_is_built(rule, size, message):
    made = {"big": projection(rule=rule), "small": projection()}
    start = time.perf_counter()
    refused(lambda: network({"E": population(size)}, made), MemoryError, message)
    assert time.perf_counter() - start < 2.0


def test_cells_that_are_all_connected_alike_take_no_memory():
    many = network({"E": population(10**5)}, {"a": projection(rule=sp.AllToAll(), weight=1e-05)})
    assert many.block == 10


def test_a_past_too_long_for_memory():
    made = {"late": projection(delay=900000.0)}
    refused(
        lambda: network({"E": population(10**5)}, made),
        MemoryError,
        "a delay of 'late' is 900000 ms, .* needs 720.* GB.* Shorten",
    )


# Drives.


def test_drives(tmp_path):

    def made(drive, cells=None):
        return lambda: network({"E": population() if cells is None else cells}, {}, {"d": drive})

    refused(
        made(sp.Poisson("X", 1.0, weight=1.0)),
        ValueError,
        "drive 'd': there is no population 'X'; there are E",
    )
    refused(made(3.0), TypeError, "drives 'd' is 3.0; give e.g. Poisson\\(")
    refused(
        made(sp.Poisson("E", 1.0, weight=1.0, receptor="x")),
        ValueError,
        "drive 'd': there is no receptor 'x', and LifDelta has in",
    )
    refused(
        made(sp.Poisson("E", 1.0, weight=np.ones(3))),
        ValueError,
        "'d': weight has the shape \\(3,\\); .* each of 4",
    )
    refused(made(sp.Poisson("E", 1.0, weight=float("nan"))), ValueError, "'d': weight is nan")
    refused(
        made(sp.Poisson("E", -2.0, weight=1.0)), ValueError, "'d': a rate is -2 kHz; give 0 or more"
    )
    refused(
        made(sp.Poisson("E", np.ones(3), weight=1.0)),
        ValueError,
        "'d': rate has the shape \\(3,\\); .* Heard",
    )
    refused(made(sp.Poisson("E", float("inf"), weight=1.0)), ValueError, "'d': rate is inf")
    refused(
        made(sp.Poisson("E", 700.0, weight=1.0)),
        ValueError,
        "'d' draws from a rate of 700 kHz, over 60 spikes a step; use",
    )
    few = sp.MultipleInteraction(0.01)
    refused(
        made(sp.Poisson("E", 10.0, weight=1.0, correlation=few)),
        ValueError,
        "'d' draws from a rate of 1000 kHz, .* higher correlation",
    )
    refused(
        made(sp.Poisson("E", np.ones(4), weight=1.0, correlation=few)),
        ValueError,
        "'d': rate has the shape \\(4,\\), and correlated .* give one number",
    )
    refused(
        made(sp.SpikeTimes("E", [1.0, 2.0], [0], weight=1.0)),
        ValueError,
        "'d': there are times of shape \\(2,\\) and cells of shape \\(1,\\)",
    )
    refused(
        made(sp.SpikeTimes("E", [-1.0], [0], weight=1.0)),
        ValueError,
        "'d': a time is -1 ms; give times after 0",
    )
    refused(
        made(sp.SpikeTimes("E", [1.0], [4], weight=1.0)),
        ValueError,
        "'d': there is no cell 4 among 4",
    )
    refused(
        lambda: sp.SpikeTimes("E", [1.0], [0.5], weight=1.0),
        ValueError,
        "SpikeTimes: cells are .*whole numbers",
    )
    refused(
        made(sp.Current("E", 1.0, state="v")),
        ValueError,
        "sets the state 'v', which LifDelta does not leave alone",
    )
    cell = probe(tmp_path, ["stdp_current"])
    refused(
        made(sp.Current("E", 1.0, state="v"), sp.Population(cell, 4)),
        ValueError,
        "sets the state 'v', which Probe does not leave alone; it has I_in",
    )
    refused(
        made(sp.Poisson("E", 1.0, weight=1.0, receptor="stdp_current"), sp.Population(cell, 4)),
        ValueError,
        "comes to 'stdp_current', whose connections remember",
    )
    both = {"a": sp.Current("E", 1.0), "b": sp.Current("E", 2.0)}
    refused(
        lambda: network({"E": sp.Population(cell, 4)}, {}, both),
        ValueError,
        "drives 'a' and 'b' both set the state 'I_in' of 'E'; give their sum",
    )


def test_correlations():
    refused(
        lambda: sp.SingleInteraction(1.5),
        ValueError,
        "SingleInteraction: correlation is 1.5; give one",
    )
    refused(
        lambda: sp.MultipleInteraction(0.0),
        ValueError,
        "MultipleInteraction: correlation is 0; give one above 0",
    )
    refused(
        lambda: sp.SingleInteraction([0.1, 0.2]),
        ValueError,
        "SingleInteraction: correlation has the shape \\(2,\\)",
    )


def test_what_is_heard_from_nobody():
    net = network(drives={"d": sp.Poisson("E", sp.Heard("brain"), weight=1.0)})
    refused(
        lambda: sp.simulate(net, 1.0, key=KEY),
        ValueError,
        "nobody sends 'brain'; what is sent is nothing",
    )
    refused(lambda: sp.Heard("brain", gain=float("nan")), ValueError, "Heard: gain is nan")


# Monitors.


def test_monitors():

    def made(*monitors):
        return lambda: network({"E": population(), "I": population()}, monitors=monitors)

    refused(made("rates"), TypeError, "Network: monitors is 'rates'; give e.g. spiking.Rates")
    refused(lambda: sp.Rates("E"), TypeError, "Rates: populations is 'E'; give a list of names")
    refused(lambda: sp.Rates(("E", "E")), ValueError, "Rates: populations names 'E' twice")
    for monitor in (
        sp.Spikes("X"),
        sp.Rates(("E", "X")),
        sp.States("X", ("v",)),
        sp.Means("X", ("v",)),
        sp.LocalField("X", "v", "v"),
    ):
        refused(made(monitor), ValueError, "there is no population 'X'; there are E, I")
    for monitor in (sp.States("E", ("w",)), sp.Means("E", ("w",)), sp.LocalField("E", "w", "v")):
        refused(made(monitor), ValueError, "'w' cannot be observed of LifDelta")
    refused(
        made(sp.States("E", ("v",), cells=[0, 4])),
        ValueError,
        "States: there is no cell 4 in 'E', which has 4",
    )
    refused(
        lambda: sp.States("E", ("v",), cells=other([0.5])),
        ValueError,
        "States: cells are .*whole numbers",
    )
    refused(
        made(sp.States("E", ("v",), period=0.25)),
        ValueError,
        "States: the period 0.25 ms is no multiple of dt",
    )
    refused(made(sp.Rates(("E",), 0.25)), ValueError, "Rates: the period 0.25 ms is no multiple")
    refused(
        made(sp.LocalField("E", "v", "v", delay=-1.0)),
        ValueError,
        "LocalField: the delay is -1.0 ms; give a positive multiple",
    )
    refused(
        made(sp.Spikes("E"), sp.Spikes("E")),
        ValueError,
        "two monitors Spikes of 'E', and a result has room for one",
    )
    refused(made(sp.Rates(("E",)), sp.Rates(("I",))), ValueError, "two monitors Rates, and")
    refused(
        made(sp.LocalField("E", "v", "v"), sp.LocalField("I", "v", "v")),
        ValueError,
        "two monitors LocalField, and",
    )
    made(sp.Spikes("E"), sp.Spikes("I"), sp.Means("E", ("v",)), sp.Means("I", ("v",)))()


# Runs.


def test_runs(tmp_path):
    net = network(drives={"d": sp.Poisson("E", 1.0, weight=1.0)})
    refused(
        lambda: sp.simulate(other(3), 1.0),
        TypeError,
        "simulate: network is 3; give e.g. spiking.Network",
    )
    refused(
        lambda: sp.simulate(net, 1.25, key=KEY),
        ValueError,
        "simulate: the duration 1.25 ms is no multiple of dt = 0.1 ms",
    )
    refused(lambda: sp.simulate(net, 0, key=KEY), ValueError, "simulate: the duration is 0.0 ms")
    refused(
        lambda: sp.simulate(net, 1.0),
        ValueError,
        "simulate: the network draws random numbers, so a key",
    )
    refused(
        lambda: sp.simulate(net, 1.0, key=other(3)), TypeError, "simulate: key is 3; give a key"
    )
    refused(lambda: sp.rates(net, 1.0), ValueError, "rates: the network draws random numbers")
    refused(
        lambda: sp.rates(net, 1.0, key=KEY, period=0.25),
        ValueError,
        "rates: the period 0.25 ms is no multiple",
    )
    refused(
        lambda: sp.rates(net, 1.0, key=KEY, period=2.0),
        ValueError,
        "rates: a period of 2 ms is longer than 1 ms",
    )
    refused(
        lambda: jax.jit(lambda x: sp.simulate(net, 1.0, key=KEY) and x)(1.0),
        TypeError,
        "within jit, grad or vmap use tvbjax.spiking.rates",
    )
    refused(
        lambda: sp.simulate(network(), 200000000.0 * 1.2, key=KEY),
        ValueError,
        "more steps than can be counted",
    )
    smaller = sp.simulate(network({"E": population(3)}), 1.0)
    refused(
        lambda: sp.simulate(net, 1.0, key=KEY, initial=smaller),
        ValueError,
        "initial is the result of another network",
    )
    refused(
        lambda: sp.simulate(net, 1.0, key=KEY, initial=other(3)),
        TypeError,
        "simulate: initial is 3; give e.g. an earlier result",
    )
    synapses = {"g": "excitatory_conductance"}
    nonlinear = sp.Population(
        lems.load_cell("LifConductance", synapses=synapses), 2, method=lems.Exact()
    )
    refused(
        lambda: sp.simulate(network({"E": nonlinear}), 1.0),
        ValueError,
        "Exact: .* is not linear .* use",
    )


def test_weights_may_be_traced():
    """What is not known yet is not checked: networks are built within jit and vmap, too."""

    def total(weight):
        made = {"a": projection(weight=weight)}
        net = network(None, made, {"d": sp.Poisson("E", 9.0 * weight, weight=weight)})
        return sp.rates(net, 5.0, key=KEY)["E"].sum()

    found = jax.jit(jax.vmap(total))(jnp.array([0.5, 3.0]))
    assert found[0] < found[1]


# What would be silence.


def test_nan_that_gets_into_a_network_is_named_before_the_run_and_is_nan_within_jit():
    drive = {"d": sp.Poisson("E", 1.0, weight=5.0)}
    net = network(drives=drive)
    cases = (
        (lambda n: n.drives["d"].rate, "drives\\['d'\\].rate is NaN"),
        (lambda n: n.populations["E"].cell.params["LifDelta"]["V_th"], "V_th.* is NaN"),
    )
    for where, message in cases:
        broken = eqx.tree_at(where, net, jnp.asarray(jnp.nan))
        refused(lambda one=broken: sp.simulate(one, 1.0, key=KEY), ValueError, message)
        found = jax.jit(lambda one: sp.rates(one, 2.0, key=KEY)["E"])(broken)
        assert np.isnan(found).all()
    weights = projection(weight=other(np.ones(8)))
    holes = eqx.tree_at(
        lambda n: n.projections["a"].weight,
        network(projections={"a": weights}),
        jnp.full(8, jnp.nan),
    )
    refused(lambda: sp.simulate(holes, 1.0), ValueError, "weight is NaN in 8 of 8 places")


def test_conductances_are_not_negative():
    cell = lems.load_cell("LifConductance", synapses={"inh": "inhibitory_conductance"})
    cells = {"E": sp.Population(cell, 4)}
    refused(
        lambda: network(cells, drives={"d": sp.Poisson("E", 1.0, weight=-0.01)}),
        ValueError,
        "the drive 'd' has a weight of -0.01 uS, and conductances are not negative",
    )
    refused(
        lambda: network(cells, {"a": projection(weight=other(lambda rng, n: rng.normal(size=n)))}),
        ValueError,
        "'a' has a weight of -.* uS",
    )


def test_surrogates():
    for kind in (sp.FastSigmoid, sp.Triangle):
        refused(lambda k=kind: k(width=0.0), ValueError, "width is 0; give one above 0")
        refused(lambda k=kind: k(passage=-1.0), ValueError, "passage is -1; give one above 0")
        refused(lambda k=kind: k(width=float("nan")), ValueError, "width is nan")
    refused(lambda: network(surrogate="fast"), TypeError, "surrogate is 'fast'; give e.g. Fast")


def test_what_drives_cannot_do_is_said_when_they_are_put_together():
    each = sp.HeardEach("c_0", unit="1/ms")
    refused(
        lambda: network(
            drives={"d": sp.Poisson("E", each, 1.0, correlation=sp.SingleInteraction(0.5))}
        ),
        ValueError,
        "proxies of regions, HeardEach, have independent spikes",
    )
    refused(
        lambda: network(drives={"d": sp.Poisson("E", 1.0, 1.0, correlation=other(0.3))}),
        TypeError,
        "correlation is 0.3; give e.g. SingleInteraction",
    )
    refused(
        lambda: network(drives={"d": sp.Current("E", each)}),
        TypeError,
        "is for the rate of Poisson",
    )


def test_texts_are_no_numbers():
    refused(lambda: projection(weight=other("0.5")), TypeError, "'0.5' is no number")
    refused(
        lambda: projection(delay=other("1.5 ms")),
        TypeError,
        "delay is '1.5 ms'; give a number of ms",
    )
    refused(lambda: sp.Bernoulli(other("0.1")), TypeError, "probability is '0.1'")
    refused(lambda: sp.simulate(network(), other("100")), TypeError, "duration .ms. is '100'")
    refused(lambda: sp.Rates(()), ValueError, "populations is empty")
    refused(lambda: sp.Rates(("E",), other("5")), TypeError, "period .ms. is '5'")
    refused(lambda: sp.GaussianKernel(sigma=float("inf")), ValueError, "sigma .ms. is inf")
    refused(lambda: network(form="dense"), TypeError, "form is 'dense'; give a function")
    refused(lambda: sp.rates(other("net"), 1.0), TypeError, "rates: network is 'net'")


def test_cells_and_recordings_that_would_not_fit_are_said_before():
    refused(lambda: network({"E": population(10**12)}), MemoryError, "most are of 'E' .1e.12 cells")
    cells = population(10**5)
    net = network({"E": cells}, monitors=[sp.States("E", ("v",))])
    refused(
        lambda: sp.simulate(net, 1e7), MemoryError, "needs about .* GB, most of it States of 'E'"
    )


def test_a_state_that_diverges_is_told_by_name():
    cell = CELL.with_params(tau=0.0)
    net = network({"E": sp.Population(cell, 2, method=lems.Exact())})
    refused(lambda: sp.simulate(net, 1.0), sp.DivergenceError, "v, .* of 'E' were no finite number")


def test_stimulation_has_a_frequency():
    refused(lambda: sp.examples.suppressing_pulses(-130.0), ValueError, "frequency .Hz. is -130.0")
