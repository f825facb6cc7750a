"""Couplings that are pairs, formulas, sums, instant or a region's own: against double loops.

The network is `dx/dt = c - x` on a few regions with delays, Euler's method: x(n + 1) is
x(n) + dt (c - x(n)), and c is worked out here region by region and connection by connection.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import tvbjax
from networks import linear_model, ring_connectome
from tvbjax import coupling, integrators, monitors

DT, STEPS, REGIONS = 0.1, 40, 5
XJ, XI, TOTAL, K = sympy.symbols("x_j x_i total k")


def simulator(folder, rule, delayed=True, **changes) -> tvbjax.Simulator:
    return tvbjax.Simulator(
        model=linear_model(folder),
        connectome=ring_connectome(REGIONS, speed=2.0 if delayed else 1e9),
        coupling=rule,
        integrator=integrators.Euler(dt=DT),
        monitors=monitors.Raw(),
        **changes,
    )


def simulated(built, past) -> np.ndarray:
    result = tvbjax.simulate(built, STEPS * DT, initial=past, progress=False)
    return np.asarray(result.samples["raw"].values)[:, 0]


def past_of(built) -> np.ndarray:
    return np.random.default_rng(3).uniform(0.0, 2.0, (built.horizon, 1, REGIONS))


Pair = Callable[[float, float], float]


def by_hand(built, past, pair: Pair, post=lambda s, x: s, weights=None, delayed=True) -> np.ndarray:
    """The input of each region as a loop over connections; `weights` in place of the network's."""
    return stepped(built, past, [(pair, post, weights, delayed)])


def stepped(built, past, terms) -> np.ndarray:
    network = np.asarray(built.connectome.weights)
    lengths = np.asarray(built.connectome.tract_lengths)
    delays = np.rint(lengths / float(built.connectome.speed) / DT).astype(int)
    states = [row[0] for row in past]
    for _ in range(STEPS):
        x, now = states[-1], len(states) - 1
        inputs = np.zeros(REGIONS)
        for pair, post, weights, delayed in terms:
            w = network if weights is None else weights
            for i in range(REGIONS):
                total = 0.0
                for j in range(REGIONS):
                    if w[i, j] != 0:
                        sent = states[max(0, now - (delays[i, j] if delayed else 0))][j]
                        total += w[i, j] * pair(sent, x[i])
                inputs[i] += post(total, x[i])
        states.append(x + DT * (inputs - x))
    return np.array(states[len(past) :])


def bounded(sent, own):
    """exp(-(x_j - x_i)^2): no sum of products."""
    return np.exp(-((sent - own) ** 2))


RULES = {
    "pairs of JAX functions": coupling.Pairwise(
        lambda sent, own, p: p["k"] * jnp.exp(-((sent[0] - own[0]) ** 2)),
        lambda total, own, p: jnp.tanh(total) + 0.1 * own[0],
        {"k": 0.3},
    ),
    "a formula for pairs": coupling.formula(
        K * sympy.exp(-((XJ - XI) ** 2)), sympy.tanh(TOTAL) + XI / 10, {"k": 0.3}
    ),
}


@pytest.mark.parametrize("delayed", [True, False])
@pytest.mark.parametrize("name", RULES)
def test_what_cannot_be_split_is_evaluated_for_every_connection(tmp_path, name, delayed):
    built = simulator(tmp_path, RULES[name], delayed)
    assert (built.horizon > 1) == delayed
    assert isinstance(RULES[name], coupling.AbstractPairwise)
    past = past_of(built)
    expected = by_hand(
        built, past, lambda s, x: 0.3 * bounded(s, x), lambda t, x: np.tanh(t) + 0.1 * x
    )
    np.testing.assert_allclose(simulated(built, past), expected, rtol=1e-12)


def test_a_formula_that_can_be_split_is_channels(tmp_path):
    rule = coupling.formula(sympy.sin(XJ - XI), K * TOTAL, {"k": 0.3})
    assert isinstance(rule, coupling.Formula) and len(rule.terms) == 2
    built = simulator(tmp_path, rule)
    past = past_of(built)
    expected = by_hand(built, past, lambda s, x: np.sin(s - x), lambda t, x: 0.3 * t)
    np.testing.assert_allclose(simulated(built, past), expected, rtol=1e-12)


def test_parameters_of_formulas_may_vary_by_receiving_region(tmp_path):
    values = jnp.linspace(0.1, 0.5, REGIONS)
    rule = coupling.formula(K * sympy.exp(-((XJ - XI) ** 2)), params={"k": values})
    built = simulator(tmp_path, rule)
    past = past_of(built)
    plain = simulator(tmp_path, coupling.formula(sympy.exp(-((XJ - XI) ** 2)), K * TOTAL,
                                                 {"k": values}))  # fmt: skip
    np.testing.assert_allclose(simulated(built, past), simulated(plain, past), rtol=1e-12)


def test_several_rules_of_an_input_are_added_and_travel_as_they_say(tmp_path):
    local = np.random.default_rng(5).uniform(0.0, 0.4, (REGIONS, REGIONS))
    rules = (
        coupling.Linear(a=0.1, b=0.2),
        coupling.Instant(coupling.Difference(a=0.3), weights=local),
        coupling.Instant(RULES["a formula for pairs"]),
        coupling.Own(coupling.PreSigmoidal(G=2.0)),
        coupling.Own(coupling.formula(XI * sympy.exp(-((XJ + XI) ** 2)))),
    )
    built = simulator(tmp_path, rules)
    past = past_of(built)

    def sigmoid(x):
        return 0.5 * (1 + np.tanh(2.0 * (x - 0.5)))

    terms = [
        (lambda s, x: s, lambda t, x: 0.1 * t + 0.2, None, True),
        (lambda s, x: s - x, lambda t, x: 0.3 * t, local, False),
        (lambda s, x: 0.3 * bounded(s, x), lambda t, x: np.tanh(t) + 0.1 * x, None, False),
        (lambda s, x: 0.0, lambda t, x: sigmoid(x), None, False),
        (lambda s, x: 0.0, lambda t, x: x * np.exp(-4.0 * x**2), None, False),
    ]
    np.testing.assert_allclose(simulated(built, past), stepped(built, past, terms), rtol=1e-12)


def test_pre_sigmoidal(tmp_path):
    rule = coupling.PreSigmoidal(H=0.4, Q=0.9, G=3.0, P=1.1, theta=0.6)
    built = simulator(tmp_path, rule)
    past = past_of(built)
    expected = by_hand(built, past, lambda s, x: 0.4 * (0.9 + np.tanh(3.0 * (1.1 * s - 0.6))))
    np.testing.assert_allclose(simulated(built, past), expected, rtol=1e-12)


def test_gradients_go_through_pairs(tmp_path):
    built = simulator(tmp_path, RULES["pairs of JAX functions"])
    past = jnp.asarray(past_of(built))

    def last(k):
        changed = eqx.tree_at(lambda s: s.coupling.params["k"], built, k)
        run = tvbjax.simulate(changed, STEPS * DT, initial=past, progress=False)
        return run.samples["raw"].values[-1].sum()

    at, h = jnp.asarray(0.3), 1e-5
    slope = (last(at + h) - last(at - h)) / (2 * h)
    assert float(jax.grad(last)(at)) == pytest.approx(float(slope), rel=1e-6)


DERIVED = """
<Lems xmlns:tvbjax="urn:tvbjax:lems:1">
  <Include file="units.xml"/>
  <ComponentType name="Two">
    <Parameter name="k" dimension="none"/>
    <Constant name="ms" dimension="time" value="1 ms"/>
    <Requirement name="c" dimension="none" tvbjax:source="{source}"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" tvbjax:initial="0, 2"/>
      <StateVariable name="y" dimension="none" tvbjax:initial="0, 2"/>
      <DerivedVariable name="sum" dimension="none" value="x + k * y^2"/>
      <DerivedVariable name="heard" dimension="none" value="c + x"/>
      <TimeDerivative variable="x" value="(c - x) / ms"/>
      <TimeDerivative variable="y" value="-heard / ms"/>
    </Dynamics>
  </ComponentType>
  <Component id="two" type="Two" k="0.3"/>
</Lems>"""


def test_a_derived_variable_may_be_sent(tmp_path):
    """The input is the delayed x + k y^2 of the others, k being each sender's own."""
    path = tmp_path / "two.xml"
    path.write_text(DERIVED.format(source="sum"))
    k = np.linspace(0.1, 0.5, REGIONS)
    model = eqx.tree_at(lambda m: m.params["k"], tvbjax.lems.load(path), jnp.asarray(k))
    built = tvbjax.Simulator(
        model=model,
        connectome=ring_connectome(REGIONS, speed=2.0),
        coupling=coupling.Scaling(a=0.2),
        integrator=integrators.Euler(dt=DT),
        monitors=monitors.Raw(variables=("x", "y")),
    )
    past = np.random.default_rng(4).uniform(0.0, 1.0, (built.horizon, 2, REGIONS))
    weights, lengths = (
        np.asarray(a) for a in (built.connectome.weights, built.connectome.tract_lengths)
    )
    delays = np.rint(lengths / 2.0 / DT).astype(int)
    states = list(past)
    for _ in range(STEPS):
        x, y = states[-1]
        now = len(states) - 1
        c = np.zeros(REGIONS)
        for i in range(REGIONS):
            for j in range(REGIONS):
                then = states[max(0, now - delays[i, j])] if weights[i, j] else states[-1]
                c[i] += 0.2 * weights[i, j] * (then[0, j] + k[j] * then[1, j] ** 2)
        states.append(np.array([x + DT * (c - x), y - DT * (c + x)]))
    result = tvbjax.simulate(built, STEPS * DT, initial=past, progress=False)
    found = np.asarray(result.samples["raw"].values)
    np.testing.assert_allclose(found, np.array(states[len(past) :]), rtol=1e-12)


def test_what_depends_on_inputs_cannot_be_sent(tmp_path):
    path = tmp_path / "two.xml"
    path.write_text(DERIVED.format(source="heard"))
    with pytest.raises(tvbjax.lems.LemsError, match=r"two.xml:\d+:\d+:.*'heard' is transmitted.*c"):
        tvbjax.lems.load(path)


def test_bad_couplings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="formula: 'gain' has no value"):
        coupling.formula(sympy.Symbol("gain") * XJ)
    with pytest.raises(ValueError, match="formula: 'total' has no value"):
        coupling.formula(TOTAL * XJ)
    with pytest.raises(ValueError, match="formula: 'gain' is in params, but in no formula"):
        coupling.formula(XJ, params={"gain": 1.0})
    with pytest.raises(ValueError, match="formula: a parameter cannot be called 'x_j'"):
        coupling.formula(XJ, params={"x_j": 1.0})
    with pytest.raises(ValueError, match="Simulator: coupling is empty"):
        simulator(tmp_path, ())
    with pytest.raises(ValueError, match="coupling Pairwise of the input 'c' fails on 1 variables"):
        simulator(tmp_path, coupling.Pairwise(lambda sent, own, p: p["lost"] * sent[0]))
    with pytest.raises(TypeError, match="no plain rule"):
        coupling.Own(coupling.Instant(coupling.Linear()))
    with pytest.raises(ValueError, match=r"weights of Instant have shape \(2, 2\)"):
        simulator(tmp_path, coupling.Instant(coupling.Linear(), weights=np.eye(2)))


def holed(rule, weights) -> tvbjax.Simulator:
    return tvbjax.Simulator(
        tvbjax.lems.load("OrnsteinUhlenbeck"),
        tvbjax.Connectome(weights),
        rule,
        integrators.Euler(dt=0.1),
        monitors=monitors.Raw(),
    )


@pytest.mark.parametrize("way", ["connectome", "instant"])
def test_pairs_that_are_not_connected_do_not_count(way):
    """1 / (x_j - x_i) is infinite of a region and itself, and no region is connected to itself."""
    weights = np.ones((4, 4)) - np.eye(4)
    weights[0, 2] = 0.0
    weights[3] = 0.0
    pre = coupling.Pairwise(lambda s, o, p: p["k"] / (s[0] - o[0]), params={"k": 0.1})
    x = np.array([1.0, 1.5, 2.5, 4.0])
    gap = x[None] - x[:, None] + np.eye(4)
    expected = x + 0.1 * ((0.1 * weights / gap).sum(axis=1) - x) / 20.0
    rule = pre if way == "connectome" else coupling.Instant(pre, weights=weights)

    def end(k):
        def gain(s):
            return (s.coupling if way == "connectome" else s.coupling.rule).params["k"]

        built = eqx.tree_at(gain, holed(rule, weights), k)
        return tvbjax.simulate(built, 0.1, initial=x[None]).samples["raw"].values[0, 0]

    np.testing.assert_allclose(end(jnp.asarray(0.1)), expected, rtol=1e-13)
    slope = jax.jacrev(end)(jnp.asarray(0.1))
    np.testing.assert_allclose(slope, 0.1 / 20 * (weights / gap).sum(axis=1), rtol=1e-12)


def test_a_pairs_parameters_are_those_of_the_receiver():
    """Four regions with four connections each: the values are not one for each connection."""
    gains, x = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, -1.0, 2.0, 0.5])
    rule = coupling.Pairwise(lambda s, o, p: p["k"] * s[0], params={"k": gains})
    run = tvbjax.simulate(holed(rule, np.ones((4, 4))), 0.1, initial=x[None])
    np.testing.assert_allclose(
        run.samples["raw"].values[0, 0], x + 0.1 * (gains * x.sum() - x) / 20.0, rtol=1e-13
    )


def test_a_pair_that_reads_more_than_its_arity_is_told():
    rule = coupling.Pairwise(lambda s, o, p: s[0] - s[1])
    with pytest.raises(ValueError, match="fails on 1 variables"):
        holed(rule, np.ones((4, 4)))


def test_maxima_and_minima_in_formulas():
    x = np.array([0.3, -0.2, 0.8, 0.1])
    rule = coupling.formula(sympy.Max(XJ, XI, 0.2) - sympy.Min(XJ, XI))
    run = tvbjax.simulate(holed(rule, np.ones((4, 4))), 0.1, initial=x[None])
    largest = np.maximum(np.maximum(x[None], x[:, None]), 0.2)
    heard = (largest - np.minimum(x[None], x[:, None])).sum(axis=1)
    np.testing.assert_allclose(
        run.samples["raw"].values[0, 0], x + 0.1 * (heard - x) / 20.0, rtol=1e-13
    )
    for bad in (sympy.nan, sympy.oo):
        with pytest.raises(ValueError, match="is no finite number"):
            coupling.formula(bad)


def test_rules_that_are_missing_or_in_vain_are_told():
    with pytest.raises(ValueError, match="coupling gives no rule for 'c_x'"):
        holed({"c_x": []}, np.ones((2, 2)))
    with pytest.raises(ValueError, match="the weights of Instant have nan in row 0, column 1"):
        local = np.array([[0.0, np.nan], [1.0, 0.0]])
        holed(coupling.Instant(coupling.Linear(), weights=local), np.ones((2, 2)))


def test_a_silent_input_hears_nothing_and_nothing_is_sent_for_it():
    """As with a coupling of gain 0, but no channel is kept."""
    model = tvbjax.lems.load("MontbrioPazoRoxin")
    brain = ring_connectome()

    def run(second):
        simulator = tvbjax.Simulator(
            model,
            brain,
            dict(zip(model.inputs, (coupling.Linear(a=0.1), second), strict=True)),
            integrators.Heun(dt=0.1),
        )
        return tvbjax.simulate(simulator, 10.0, progress=False)

    silent, zero = run(coupling.Silent()), run(coupling.Linear(a=0.0))
    np.testing.assert_allclose(silent["temporal_average"], zero["temporal_average"], rtol=1e-12)
    assert silent.final.past.shape[2] == 1 and zero.final.past.shape[2] == 2
