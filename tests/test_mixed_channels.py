"""Channels on which some regions send and others do not: who is silent is not connected."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from networks import ring_connectome
from tvbjax import Free, Mixed, Points, Population, coupling, integrators, lems, monitors

SENDERS, SILENT = [0, 3], [1, 2, 4]
DT, STEPS = 0.1, 40

RULES = {  # a rule, and its sum over what is sent (x_j, x_i, w_ij)
    "HyperbolicTangent": (
        coupling.HyperbolicTangent(a=0.4, midpoint=0.3, sigma=0.7),
        lambda xj, xi, w: (w * 0.4 * (1 + np.tanh((xj - 0.3) / 0.7))).sum(),
    ),
    "Pairwise": (
        coupling.Pairwise(lambda sent, own, p: 1.0 / sent[0]),
        lambda xj, xi, w: (w / xj).sum(),
    ),
    "Instant": (
        coupling.Instant(coupling.HyperbolicTangent(a=0.4, midpoint=0.3, sigma=0.7)),
        lambda xj, xi, w: (w * 0.4 * (1 + np.tanh((xj - 0.3) / 0.7))).sum(),
    ),
    "own in-strength": (
        coupling.Difference(a=0.3),
        lambda xj, xi, w: 0.3 * (w * (xj - xi)).sum(),
    ),
}


def populations(hearers: bool) -> Mixed:
    """Means that return; both hear what the first alone sends, or only the first does."""
    model = lems.load("OrnsteinUhlenbeck")
    return Mixed(
        {
            "loud": Population(model, SENDERS, {"x": "x"}, {"c_x": "x"}),
            "mute": Population(model, SILENT, {}, {"c_x": "x" if hearers else ()}),
        }
    )


@pytest.mark.parametrize("name", RULES)
def test_the_sum_is_over_those_that_send(name):
    rule, plainly = RULES[name]
    mixed = populations(hearers=name != "own in-strength")
    built = tvbjax.Simulator(
        mixed, ring_connectome(5, speed=2.0), {"x": rule}, integrators.Euler(dt=DT),
        monitors=monitors.Raw(variables=mixed.state_variables),
    )  # fmt: skip
    past = np.random.default_rng(0).uniform(0.5, 1.5, (built.horizon, 2, 5))
    weights = np.asarray(built.connectome.weights)
    delays = np.rint(np.asarray(built.connectome.tract_lengths) / 2.0 / DT).astype(int)
    delays = delays * 0 if name == "Instant" else delays
    states = [np.where(mixed.members, row, 0.0).sum(axis=0) for row in past]
    for _ in range(STEPS):
        x, now = states[-1], len(states) - 1
        heard = np.zeros(5)
        for i in range(5) if name != "own in-strength" else SENDERS:
            then = np.array([states[now - delays[i, j]][j] for j in SENDERS])
            heard[i] = plainly(then, x[i], weights[i, SENDERS])
        states.append(x + DT * (heard - x) / 20.0)
    result = tvbjax.simulate(built, STEPS * DT, initial=past, progress=False)
    found = np.asarray(result.samples["raw"].values).sum(axis=1)
    np.testing.assert_allclose(found, states[len(past) :], rtol=1e-12)

    def end(tau):
        changed = eqx.tree_at(lambda s: s.model.populations["mute"].model.params["tau"], built, tau)
        return tvbjax.simulate(changed, 2.0, initial=past).samples["raw"].values.sum()

    slope = jax.grad(end)(jnp.asarray(20.0))
    assert float(slope) == pytest.approx(float(end(20.001) - end(19.999)) / 0.002, rel=1e-5)


def built(mixed, rule) -> tvbjax.Simulator:
    rules = {name: rule for name in mixed.inputs}
    return tvbjax.Simulator(mixed, ring_connectome(5), rules, integrators.Heun(dt=DT))


def test_a_rule_of_x_i_needs_hearers_that_have_it():
    for rule in (coupling.Difference(a=0.1), coupling.Pairwise(lambda s, o, p: s[0] * o[0])):
        with pytest.raises(ValueError, match="reads x_i of the region that hears it, and region"):
            built(populations(hearers=True), rule)
    built(populations(hearers=False), coupling.Difference(a=0.1))
    built(populations(hearers=True), coupling.Linear(a=np.linspace(0.1, 0.5, 5)))


def test_a_population_sends_all_that_a_rule_reads():
    column, other = lems.load("JansenRit"), lems.load("JansenRit")
    mixed = Mixed(
        {
            "two": Population(column, SENDERS, {"v": ("y1", "y2")}, {"c_0": "v"}),
            "one": Population(other, SILENT, {"v": "y1"}, {"c_0": "v"}),
        }
    )
    with pytest.raises(ValueError, match=r"reads v, v\[1\], and 'one' sends 1 of these"):
        built(mixed, coupling.SigmoidalJansenRit())
    built(mixed, coupling.Linear(a=0.1))


def test_unlike_units_do_not_share_a_channel():
    with pytest.raises(ValueError, match="'a' sends y1 in mV and 'b' sends r in"):
        Mixed(
            {
                "a": Population(lems.load("JansenRit"), SENDERS, {"v": "y1"}, {"c_0": "v"}),
                "b": Population(
                    lems.load("MontbrioPazoRoxin"), SILENT, {"v": "r"}, {"c_r": "v", "c_V": ()}
                ),
            }
        )


def test_names_are_names():
    model = lems.load("OrnsteinUhlenbeck")
    for channel in ("v[1]", "a.x", "", "x y"):
        with pytest.raises(ValueError, match="a channel cannot be called"):
            Population(model, SENDERS, {channel: "x"}, {"c_x": ()})
    one = Population(model, SENDERS, {"x": "x"}, {"c_x": "x"})
    for name in ("a.b", 1):
        with pytest.raises(ValueError, match="a population cannot be called"):
            Mixed({name: one})  # pyright: ignore[reportArgumentType]
    for given in ({}, [one], {"a": model}):
        with pytest.raises(TypeError, match="Mixed: "):
            Mixed(given)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError):
        Population("JansenRit", SENDERS, {}, {})  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="Population: sends or hears"):
        Population(model, SENDERS, {}, {"c_x": None})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="name each channel once"):
        Population(model, SENDERS, {"x": "x"}, {"c_x": ("x", "x")})


def test_a_sweep_has_nan_where_a_region_lacks_a_variable():
    mixed = populations(hearers=True)
    simulator = tvbjax.Simulator(
        mixed, ring_connectome(5), {"x": coupling.Linear(a=0.1)}, integrators.Heun(dt=DT),
        monitors=monitors.Raw(variables=mixed.state_variables),
    )  # fmt: skip
    gain = Free(lambda s: s.coupling["x"].a)
    raw = tvbjax.sweep(simulator, Points({gain: [0.1, 0.2]}), 0.5)["raw"]
    loud, mute = (~np.isnan(raw.values[..., i, :]) for i in (0, 1))
    assert loud[..., SENDERS].all() and not loud[..., SILENT].any()
    assert mute[..., SILENT].all() and not mute[..., SENDERS].any()
