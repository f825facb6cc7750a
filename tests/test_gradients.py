"""Gradients of everything: of one network of each kind, and of any network."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tvbjax
from differences import (
    DT,
    KEY,
    H,
    brain,
    built,
    check,
    compared,
    direction,
    history_of,
    leaves_of,
    objective,
    quick,
    sized,
)
from networks import linear_model
from tvbjax import Forward, coupling, integrators, monitors, noise
from tvbjax.delays import Linear, Nearest
from tvbjax.engine import _derivatives
from tvbjax.equations import Gaussian, Sinusoid

# One network of each kind. Together they have every kind of leaf.


def regional(model, name: str, nodes: int = 4):
    """With a value of each region for one parameter, the others the same everywhere."""
    value = model.params[name] * jnp.linspace(0.9, 1.1, nodes)
    return eqx.tree_at(lambda m: m.params[name], model, value)


def oscillator():
    return tvbjax.lems.load("Generic2dOscillator")


class Crowd(coupling.AbstractCoupling):
    """A user's rule in which a region hears the mean of all sums, too: regions meet outside of the
    connections, and the engine must not take a step's Jacobian for one of single regions."""

    a: jax.Array = eqx.field(converter=jnp.asarray)
    arity: int = eqx.field(static=True, default=1)

    def source(self, x):
        return jnp.tanh(x)

    def target(self, sums, x, strength):
        return self.a * (sums[0] + 0.5 * jnp.mean(sums[0]) * x[0] - 0.1 * strength * x[0])


PAIRED = coupling.Pairwise(
    lambda sent, own, p: jnp.sin(p["k"] * sent[0]) * jnp.cos(own[0]), params={"k": 0.7}
)


def montbrio():
    """Regional noise, a stimulus, delays shorter and longer than blocks, a full history."""
    model = regional(tvbjax.lems.load("MontbrioPazoRoxin"), "eta")
    return built(
        model,
        {name: coupling.Linear(a=0.1, b=0.01) for name in model.inputs},
        noise=noise.Additive({"r": 1e-5, "V": np.full(4, 1e-3)}),
        stimulus=tvbjax.Stimulus(
            Gaussian(amp=0.3, sigma=1.0, midpoint=2.0), np.array([1.0, 0.0, 0.5, -0.2]), "V"
        ),
        monitors=(monitors.Raw(), monitors.TemporalAverage(0.5)),
        block=(4, 8),
    )


def jansen_rit():
    return built(
        regional(tvbjax.lems.load("JansenRit"), "mu"),
        coupling.SigmoidalJansenRit(a=10.0),
        connectome=brain(longest=40, symmetric=True),
        noise=noise.Multiplicative(1e-5),
        integrator=integrators.StratonovichHeun,
        block=8,
    )


def kuramoto():
    return built(
        tvbjax.lems.load("Kuramoto"),
        coupling.Kuramoto(a=3.0),
        integrators.RK4,
        brain(longest=30, selves=False),
        monitors=monitors.GlobalAverage(monitors.SubSample(0.3)),
        block=32,
        delays=Linear(midstep=False),
    )


def several_rules():
    """Rules that are added, an integrator that looks ahead, and noise that remembers."""
    rules = (
        coupling.Difference(a=0.1),
        coupling.Instant(coupling.Difference(a=0.2)),
        coupling.Instant(coupling.Linear(a=0.1), weights=np.eye(4) + 0.1),
        coupling.Own(coupling.Kuramoto(a=0.2)),
        coupling.HyperbolicTangent(a=0.1, b=1.5, midpoint=0.3, sigma=0.7),
    )
    return built(
        oscillator(), rules, integrators.RecoupledHeun, noise=noise.Additive(1e-3, tau=2.0), block=4
    )


def held_rules():
    """The same kinds where regions meet in their coupling alone, step by step."""
    rules = (coupling.Difference(a=0.1), coupling.Own(coupling.Linear(a=0.1)))
    return built(
        oscillator(),
        rules,
        connectome=brain(longest=6),
        noise=noise.Multiplicative(1e-4, tau=1.0),
        stimulus=tvbjax.Stimulus(Sinusoid(amp=0.2, frequency=0.1), np.full(4, 0.5), "V"),
        block=1,
    )


def pairs():
    return built(oscillator(), PAIRED, integrators.Euler, block=4)


def crowd():
    return built(tvbjax.lems.load("Kuramoto"), Crowd(a=0.1), block=8)


def nearest():
    return built(
        oscillator(),
        coupling.Sigmoidal(),
        integrators.ExponentialEuler,
        delays=Nearest(),
        block=(2, 4),
    )


def observed():
    """Without delays, as a product of matrices; what is seen of it by all other monitors."""
    inner = monitors.SubSample(0.2)
    watch = (
        monitors.BalloonWindkessel(
            2.0, haemodynamics=monitors.Haemodynamics(tau_s=np.full(4, 1.5))
        ),
        monitors.Bold(4.0, kernel=monitors.Gamma(length=1.0), name="convolved"),
        monitors.FunctionalConnectivity(inner, 20),
        monitors.PowerSpectrum(inner, 16, 2),
        monitors.AfferentCoupling(monitors.TemporalAverage(1.0)),
        monitors.Projection(monitors.SubSample(1.0), _gain(), name="sensed"),
    )
    return built(
        tvbjax.lems.load("ReducedWongWang"),
        coupling.Linear(a=0.3),
        integrators.SemiImplicitEuler,
        brain(longest=0),
        monitors=watch,
    )


def _gain():
    return tvbjax.forward.Gain(np.random.default_rng(0).normal(size=(3, 4)), ("a", "b", "c"))


def mixed():
    populations = {
        "visual": tvbjax.Population(oscillator(), [0, 2], {"v": "V"}, {"c_0": ("v", "r")}),
        "others": tvbjax.Population(
            tvbjax.lems.load("MontbrioPazoRoxin"), [1, 3], {"r": "r"}, {"c_r": ("v",), "c_V": ()}
        ),
    }
    rules = {"v": coupling.Linear(a=0.02), "r": coupling.Scaling(a=0.1)}
    return built(tvbjax.Mixed(populations), rules, monitors=monitors.SubSample(0.1), block=4)


CASES = {
    "Montbrio": (montbrio, 6.0),
    "Jansen and Rit": (jansen_rit, 6.0),
    "Kuramoto": (kuramoto, 6.0),
    "several rules": (several_rules, 4.0),
    "held rules": (held_rules, 4.0),
    "pairs": (pairs, 4.0),
    "a user's rule": (crowd, 4.0),
    "nearest": (nearest, 4.0),
    "observed": (observed, 8.0),
    "mixed": (mixed, 3.0),
}


SLOW = ("Jansen and Rit", "mixed", "several rules", "held rules", "nearest")


def cases(*names: str, slow: tuple[str, ...] = SLOW) -> list:
    return [pytest.param(n, marks=[pytest.mark.slow] if n in slow else []) for n in names]


def made(name: str):
    make, duration = CASES[name]
    simulator = make()
    return simulator, duration, None if simulator.noise is None else KEY


@pytest.mark.parametrize("name", cases(*CASES))
def test_every_leaf_has_the_gradient_that_differences_give(name):
    simulator, duration, key = made(name)
    low, high = np.asarray(simulator.model.initial_range).T[:, :, None]
    shape = (simulator.horizon + 2, len(low), simulator.nodes)
    drawn = np.random.default_rng(5).uniform(0.3, 0.7, shape)
    past = jnp.asarray(low + (high - low) * drawn)
    check(simulator, duration, past, key)


@pytest.mark.parametrize(
    "name",
    cases(
        "Kuramoto",
        "pairs",
        "several rules",
        "Jansen and Rit",
        "a user's rule",
        slow=(*SLOW, "pairs", "a user's rule"),
    ),
)
def test_forward_mode_gives_what_reverse_mode_gives(name):
    """Where the run was made ready for it, and where it was not."""
    simulator, _, key = made(name)
    loss, free = objective(simulator, 2.0, key=key)
    draw = np.random.default_rng(0)
    flat, structure = jax.tree.flatten(free)
    step = structure.unflatten(
        [jnp.asarray(direction(n, leaf, draw)) for n, leaf in leaves_of(free)]
    )
    gradient = quick(jax.grad(loss))(free)
    slopes = zip(jax.tree.leaves(gradient), jax.tree.leaves(step), strict=True)
    expected = sum(float(jnp.vdot(a, b)) for a, b in slopes)
    ready, _ = objective(simulator, 2.0, key=key, derivatives=Forward())
    for function in (loss, ready):
        found = quick(lambda at, along, f=function: jax.jvp(f, (at,), (along,))[1])(free, step)
        assert float(found) == pytest.approx(expected, rel=1e-9)


def small(**changes) -> tvbjax.Simulator:
    """As quick to compile as can be, and not linear."""
    model = tvbjax.lems.load("Kuramoto")
    return built(model, coupling.Kuramoto(a=2.0), **(dict(block=4) | changes))


def of_some(simulator, duration: float = 2.0):
    """A loss of a gain, of symmetric weights, told by their upper half, and of a parameter."""
    initial = history_of(simulator)

    def where(s):
        return s.coupling.a, s.connectome.weights, s.model.params["omega"]

    def loss(leaves):
        gain, half, parameter = leaves
        own = eqx.tree_at(where, simulator, (gain, half + half.T, parameter))
        run = tvbjax.simulate(own, duration, initial=initial)
        return sized(run.samples["raw"].values)

    gain, weights, parameter = where(simulator)
    return loss, (gain, jnp.triu(weights) * 0.6, parameter)


@pytest.mark.parametrize("delays", [Linear(), pytest.param(Nearest(), marks=pytest.mark.slow)])
def test_second_derivatives_and_batches_of_gradients(delays):
    """A product with the Hessian against differences of gradients; `vmap` against one by one."""
    simulator = small(connectome=brain(symmetric=True), delays=delays)
    assert simulator.layout.far.parts and simulator.layout.short.parts
    loss, at = of_some(simulator)
    single = quick(jax.value_and_grad(loss))
    compared(single, at)
    along = jax.tree.map(lambda x: 0.5 * x, at)
    places = jnp.asarray([0.0, H, -H, H / 2, -H / 2])
    many = quick(
        jax.vmap(lambda h: jax.grad(loss)(jax.tree.map(lambda x, d: x + h * d, at, along)))
    )(places)
    second = quick(lambda x, d: jax.jvp(jax.grad(loss), (x,), (d,))[1])(at, along)
    for alone, batch, found in zip(
        *map(jax.tree.leaves, (single(at)[1], many, second)), strict=True
    ):
        np.testing.assert_allclose(batch[0], alone, rtol=1e-9, atol=1e-14)
        coarse, fine = (batch[1] - batch[2]) / (2 * H), (batch[3] - batch[4]) / H
        np.testing.assert_allclose(found, (4 * fine - coarse) / 3, rtol=1e-6, atol=1e-9)


def test_a_gradient_goes_through_a_result_that_is_continued():
    """In one function, against differences of the whole run."""
    simulator = small(noise=noise.Additive(1e-3))

    def final(leaf, pieces):
        own = eqx.tree_at(lambda s: s.connectome.weights, simulator, leaf)
        run, values = history_of(simulator), []
        for duration in pieces:
            run = tvbjax.simulate(own, duration, initial=run, key=KEY)
            values.append(run.samples["raw"].values)
        return sized(jnp.concatenate(values))

    weights = simulator.connectome.weights
    slope = quick(jax.grad(lambda w: final(w, (1.3, 1.7))))(weights)
    whole = quick(lambda w: final(w, (3.0,)))
    step = direction("connectome", weights, np.random.default_rng(0))
    coarse, fine = (
        (whole(weights + h * step) - whole(weights - h * step)) / (2 * h) for h in (H, H / 2)
    )
    assert float(jnp.vdot(slope, step)) == pytest.approx(float((4 * fine - coarse) / 3), rel=1e-6)


@pytest.mark.parametrize(
    "changes", [{}, pytest.param(dict(delays=Nearest(), block=(2, 8)), marks=pytest.mark.slow)]
)
def test_runs_in_groups_have_the_same_gradient(monkeypatch, changes):
    """Groups of spans are run again when reverse mode comes to them, and a rest that fills none."""
    simulator = small(noise=noise.Additive(1e-3), **changes)
    loss, free = objective(simulator, 13.0, key=KEY)
    whole = quick(jax.grad(loss))(free)
    monkeypatch.setattr(_derivatives, "_MOST_KEPT", 0)
    grouped = quick(jax.grad(lambda free: loss(free)))(free)
    for one, other in zip(jax.tree.leaves(grouped), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("steps", [2_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_long_run_has_a_gradient_as_exact(tmp_path, steps):
    """Of a stable network."""
    simulator = built(
        linear_model(tmp_path),
        coupling.Linear(a=0.2, b=0.1),
        monitors=monitors.TemporalAverage(5.0),
    )
    check(simulator, steps * DT)


# Any network.

EVERY = [
    integrators.Euler,
    integrators.Heun,
    integrators.RecoupledHeun,
    integrators.StratonovichHeun,
    integrators.RK4,
    integrators.SemiImplicitEuler,
    integrators.ExponentialEuler,
]
BLOCKS = [1, 4, (4, 8), 8, 32]
RULES = [
    coupling.Linear(a=0.1),
    coupling.Difference(a=0.1),
    coupling.PreSigmoidal(),
    (coupling.Linear(a=0.1), coupling.Own(coupling.Difference(a=0.1))),
    (coupling.Kuramoto(a=0.3), coupling.Instant(coupling.Linear(a=0.1))),
    PAIRED,
    Crowd(a=0.1),
]
NOISES = [None, noise.Additive(1e-3), noise.Multiplicative(1e-3), noise.Additive(1e-3, tau=2.0)]


def drawn(nodes, longest, seed, symmetric, selves, integrator, block, rule, kick, delays):
    simulator = built(
        oscillator(),
        rule,
        integrator,
        brain(nodes, longest, seed, symmetric=symmetric, selves=selves),
        block=block,
        noise=kick,
        delays=delays,
    )
    check(simulator, 4.0, key=None if kick is None else KEY)


NETWORKS = dict(
    nodes=st.integers(3, 5),
    longest=st.sampled_from([0, 3, 12, 40]),
    seed=st.integers(0, 1000),
    symmetric=st.booleans(),
    selves=st.booleans(),
    integrator=st.sampled_from(EVERY),
    block=st.sampled_from(BLOCKS),
    rule=st.sampled_from(RULES),
    kick=st.sampled_from(NOISES),
    delays=st.sampled_from([Linear(), Linear(midstep=False), Nearest()]),
)


@settings(max_examples=2, deadline=None, derandomize=True)
@given(**NETWORKS)
def test_any_network_has_the_gradient_that_differences_give(**network):
    drawn(**network)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(**NETWORKS)
def test_many_networks_have_the_gradients_that_differences_give(**network):
    drawn(**network)


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("integrator", EVERY)
def test_every_integrator_in_every_block(integrator, block):
    check(small(integrator=integrator, block=block, noise=noise.Additive(1e-3)), 4.0, key=KEY)
