"""Integrators: measured orders, deterministic and stochastic, of Ito and Stratonovich, stiff.

An order is the slope of log error over log step. Strong errors are against exact solutions on the
same Wiener path; weak ones are free of statistics: a step of a linear equation multiplies E X^2 by
a number, which Gauss-Hermite quadrature over the step's one random number gives exactly.
"""

from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

import tvbjax
from networks import linear_model, ring_connectome
from tvbjax import coupling, integrators, monitors, noise

LOCAL = """
<Lems xmlns:tvbjax="urn:tvbjax:lems:1">
  <Include file="units.xml"/>
  <ComponentType name="Local">
    <Parameter name="k" dimension="none"/>
    <Constant name="ms" dimension="time" value="1 ms"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" tvbjax:initial="1, 1"/>
      <StateVariable name="y" dimension="none" tvbjax:initial="0, 0"/>
      <TimeDerivative variable="x" value="({x}) / ms"/>
      <TimeDerivative variable="y" value="({y}) / ms"/>
    </Dynamics>
  </ComponentType>
  <Component id="local" type="Local" k="{k}"/>
</Lems>"""


def local_model(folder: Path, x: str, y: str = "0", k: float = 1.0):
    path = folder / "local.xml"
    path.write_text(LOCAL.format(x=x, y=y, k=k))
    return tvbjax.lems.load(path)


def alone(model, integrator, nodes=1, **changes) -> tvbjax.Simulator:
    return tvbjax.Simulator(
        model,
        tvbjax.Connectome(np.zeros((nodes, nodes))),
        coupling.Linear(a=0.0) if model.inputs else None,
        integrator,
        monitors=monitors.Raw(variables=model.state_variables),
        **changes,
    )


def final(simulator, duration: float, **options) -> np.ndarray:
    result = tvbjax.simulate(simulator, duration, progress=False, **options)
    return np.asarray(result.samples["raw"].values)[-1]


# Oscillation that decays and stiffens: x' = y - x^3 / 3, y' = -x - 0.2 y.
NONLINEAR = ("y - x^3 / 3", "-x - 0.2 * y")


@pytest.mark.parametrize(
    "integrator, order",
    [
        (integrators.Euler, 1),
        (integrators.Heun, 2),
        (integrators.RecoupledHeun, 2),
        (integrators.StratonovichHeun, 2),
        (integrators.RK4, 4),
        (integrators.SemiImplicitEuler, 1),
        (integrators.ExponentialEuler, 2),
    ],
)
def test_the_global_error_falls_with_the_stated_order(tmp_path, integrator, order):
    model = local_model(tmp_path, *NONLINEAR)
    exact = scipy.integrate.solve_ivp(
        lambda t, v: [v[1] - v[0] ** 3 / 3, -v[0] - 0.2 * v[1]],
        (0, 4), [1.0, 0.0], rtol=1e-12, atol=1e-13, method="DOP853",
    ).y[:, -1]  # fmt: skip
    errors = [
        np.abs(final(alone(model, integrator(dt=dt)), 4.0)[:, 0] - exact).max()
        for dt in (0.1, 0.05)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)


def test_exponential_euler_is_exact_for_linear_dynamics(tmp_path):
    """x' = -k x + y, y' = -x with k = 1000: of any step."""
    model = local_model(tmp_path, "-k * x + y", "-x", k=1000.0)
    found = final(alone(model, integrators.ExponentialEuler(dt=0.5)), 2.0)[:, 0]
    matrix = np.array([[-1000.0, 1.0], [-1.0, 0.0]])
    exact = scipy.linalg.expm(2.0 * matrix) @ [1.0, 0.0]
    np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-12)


def test_the_semi_implicit_method_is_stable_where_euler_is_not(tmp_path):
    model = local_model(tmp_path, "-k * (x - y)", "1", k=1000.0)
    found = final(alone(model, integrators.SemiImplicitEuler(dt=0.1)), 2.0)[:, 0]
    assert found == pytest.approx([2.0 - 1e-3, 2.0], abs=2e-4)  # x follows y with lag 1/k
    with pytest.raises(tvbjax.DivergenceError):
        final(alone(model, integrators.Euler(dt=0.1)), 20.0)


# Stochastic: dX = -A X dt + B X dW, whose solution on a path W is known.

A, B = 0.5, 0.8


class Given(noise.Recorded):
    """Increments that are multiplied by the state."""

    def gain(self, x):
        return x


def driven(integrator, model, dt: float, increments: np.ndarray) -> np.ndarray:
    """X at the end, per node, from 1; `increments` of W: (step, node)."""
    kicks = np.zeros((len(increments), 2, increments.shape[1]))
    kicks[:, 0] = B * increments
    simulator = alone(model, integrator(dt=dt), increments.shape[1], noise=Given(kicks))
    return final(simulator, dt * len(increments))[0]


def ito(w: np.ndarray) -> np.ndarray:
    return np.exp(-A - 0.5 * B**2 + B * w)


def stratonovich(w: np.ndarray) -> np.ndarray:
    return np.exp(-A + B * w)


MULTIPLICATIVE = [
    (integrators.Euler, ito, 0.5),
    (integrators.Heun, ito, 0.5),
    (integrators.StratonovichHeun, stratonovich, 1.0),
    (integrators.SemiImplicitEuler, ito, 0.5),
    (integrators.ExponentialEuler, ito, 0.5),
    (integrators.RK4, ito, 0.5),
]


@pytest.mark.parametrize("integrator, solution, order", MULTIPLICATIVE)
def test_strong_order_with_multiplicative_noise(tmp_path, integrator, solution, order):
    model = local_model(tmp_path, "-k * x", k=A)
    fine, nodes = 256, 4000
    path = np.random.default_rng(1).normal(size=(fine, nodes)) / np.sqrt(fine)
    errors = []
    for every in (4, 32):
        coarse = path.reshape(fine // every, every, nodes).sum(axis=1)
        found = driven(integrator, model, every / fine, coarse)
        errors.append(np.abs(found - solution(path.sum(axis=0))).mean())
    assert np.log2(errors[1] / errors[0]) / 3 == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("integrator, solution, _", MULTIPLICATIVE)
def test_weak_order_one_with_multiplicative_noise(tmp_path, integrator, solution, _):
    model = local_model(tmp_path, "-k * x", k=A)
    points, weights = np.polynomial.hermite_e.hermegauss(24)
    weights = weights / weights.sum()
    correction = B**2 if solution is stratonovich else 0.0
    errors = []
    for dt in (0.02, 0.01):
        one = driven(integrator, model, dt, np.sqrt(dt) * points[None])
        moment = (weights * one**2).sum() ** (1.0 / dt)  # E X(1)^2
        errors.append(abs(moment - np.exp(-2 * A + B**2 + correction)))
    assert np.log2(errors[0] / errors[1]) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("integrator", [integrators.Euler, integrators.Heun, integrators.RK4])
def test_strong_order_one_with_additive_noise(tmp_path, integrator):
    """dX = -X^3 dt + 0.5 dW against Euler-Maruyama with far finer steps on the same path."""
    model = local_model(tmp_path, "-x^3")
    nodes, fine = 500, 4096
    path = np.random.default_rng(2).normal(size=(fine, nodes)) * np.sqrt(1.0 / fine)
    exact = np.ones(nodes)
    for increment in path:
        exact = exact - exact**3 / fine + 0.5 * increment
    errors = []
    for steps in (64, 256):
        kicks = np.zeros((fine // steps, 2, nodes))
        kicks[:, 0] = 0.5 * path.reshape(-1, steps, nodes).sum(axis=1)
        simulator = alone(model, integrator(dt=steps / fine), nodes, noise=noise.Recorded(kicks))
        errors.append(np.abs(final(simulator, 1.0)[0] - exact).mean())
    assert np.log2(errors[1] / errors[0]) / 2 == pytest.approx(1.0, abs=0.2)


def test_the_two_senses_have_their_means(tmp_path):
    """E X(1) is exp(-a) in Ito's sense, exp(-a + b^2/2) in Stratonovich's; with a key."""
    model = local_model(tmp_path, "-k * x", k=A)
    nodes = 5_000
    for integrator, mean in (
        (integrators.Heun(dt=0.02), np.exp(-A)),
        (integrators.StratonovichHeun(dt=0.02), np.exp(-A + B**2 / 2)),
    ):
        source = noise.Multiplicative({"x": B**2 / 2})
        simulator = alone(model, integrator, nodes, noise=source)
        x = final(simulator, 1.0, key=jax.random.key(3))[0]
        assert x.mean() == pytest.approx(mean, abs=5 * x.std() / np.sqrt(nodes))


def test_coloured_noise_has_its_correlation_and_variance(tmp_path):
    """dx/dt = eta sqrt(2 D / tau): their variance is 2 D dt^2 / tau, at lag k exp(-k dt / tau)."""
    tau, intensity, dt, nodes = 2.0, 0.3, 0.1, 1000
    model = local_model(tmp_path, "0")
    source = noise.Additive({"x": intensity}, tau=tau)
    simulator = alone(model, integrators.Euler(dt=dt), nodes, noise=source)
    result = tvbjax.simulate(simulator, 4.0, key=jax.random.key(4), progress=False)
    x = np.concatenate([np.ones((1, nodes)), np.asarray(result.samples["raw"].values)[:, 0]])
    unit = np.diff(x, axis=0) / (dt * np.sqrt(2 * intensity / tau))
    error = 5 * np.sqrt(2 / nodes)  # of a variance, at one time
    assert unit[0].var() == pytest.approx(1.0, abs=error)  # in equilibrium from the start
    for lag in (1, 5, 20):
        found = (unit[lag:] * unit[:-lag]).mean(axis=1)[0]
        assert found == pytest.approx(np.exp(-lag * dt / tau), abs=error)


def test_coloured_noise_does_not_depend_on_how_a_run_is_cut(tmp_path):
    model = local_model(tmp_path, "-x")
    source = noise.Additive(0.1, tau=3.0)
    simulator = alone(model, integrators.Heun(dt=0.1), 3, noise=source)
    whole = final(simulator, 10.0, key=jax.random.key(5))
    first = tvbjax.simulate(simulator, 3.7, key=jax.random.key(5), progress=False)
    second = tvbjax.simulate(simulator, 6.3, initial=first, key=jax.random.key(5), progress=False)
    # The memory's recursion may round differently in blocks of other lengths.
    np.testing.assert_allclose(np.asarray(second.samples["raw"].values)[-1], whole, rtol=1e-13)


def test_recoupled_heun_is_of_second_order_in_the_coupling_with_delays(tmp_path):
    """A delayed linear network; Heun, which holds the coupling, is of first order in it."""

    def end(integrator, dt):
        brain = ring_connectome(4, speed=2.0)
        lengths = np.rint(np.asarray(brain.tract_lengths))  # delays are multiples of 0.5 ms
        simulator = tvbjax.Simulator(
            linear_model(tmp_path),
            tvbjax.Connectome(brain.weights, lengths, speed=2.0),
            coupling.Linear(a=0.5),
            integrator(dt=dt),
            monitors=monitors.Raw(),
        )
        x0 = np.linspace(0.5, 1.5, 4)[None]
        return final(simulator, 3.0, initial=x0)

    reference = end(integrators.RecoupledHeun, 0.0625 / 32)
    for integrator, order in ((integrators.Heun, 1), (integrators.RecoupledHeun, 2)):
        errors = [np.abs(end(integrator, dt) - reference).max() for dt in (0.0625, 0.03125)]
        assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("solver", [diffrax.Tsit5(), diffrax.Kvaerno3()])
def test_adaptive_steps_solve_a_network_without_delays(tmp_path, solver):
    weights = np.random.default_rng(6).uniform(0, 0.5, (4, 4))
    simulator = tvbjax.Simulator(
        linear_model(tmp_path),
        tvbjax.Connectome(weights),
        coupling.Linear(a=0.5),
        integrators.Diffrax(0.5, solver, rtol=1e-9, atol=1e-10),
        monitors=monitors.Raw(),
    )
    x0 = np.linspace(0.5, 1.5, 4)[None]
    exact = scipy.linalg.expm(3.0 * (0.5 * weights - np.eye(4))) @ x0[0]
    np.testing.assert_allclose(final(simulator, 3.0, initial=x0)[0], exact, rtol=1e-7)


def test_what_a_method_is_not_for_is_refused(tmp_path):
    model = linear_model(tmp_path)
    adaptive = integrators.Diffrax(0.1, diffrax.Tsit5())
    with pytest.raises(ValueError, match="Diffrax is for networks without delays"):
        tvbjax.Simulator(model, ring_connectome(), coupling.Linear(), adaptive)
    brain = tvbjax.Connectome(np.ones((2, 2)))
    with pytest.raises(ValueError, match="Diffrax is for equations without noise"):
        tvbjax.Simulator(model, brain, coupling.Linear(), adaptive, noise.Additive(0.1))
    with pytest.raises(TypeError, match="pass one that adapts its steps"):
        integrators.Diffrax(0.1, diffrax.Euler())
    with pytest.raises(ValueError, match="give a positive time in ms"):
        noise.Additive(0.1, tau=-1.0)


@pytest.mark.slow
def test_gradients_go_through_the_stiff_methods(tmp_path):
    model = local_model(tmp_path, "-k * x^3 + y", "-x", k=3.0)

    def end(method, k):
        simulator = alone(model, method(dt=0.1))
        changed = eqx.tree_at(lambda s: s.model.params["k"], simulator, k)
        run = tvbjax.simulate(changed, 1.0, progress=False)
        return run.samples["raw"].values[-1, 0, 0]

    for method in (integrators.SemiImplicitEuler, integrators.ExponentialEuler):
        at, h = jnp.asarray(3.0), 1e-5
        slope = (end(method, at + h) - end(method, at - h)) / (2 * h)
        found = jax.grad(lambda k, m=method: end(m, k))(at)
        assert float(found) == pytest.approx(float(slope), rel=1e-5)


@pytest.mark.parametrize("dt", [0.0, -0.1, float("nan"), float("inf")])
def test_a_step_that_is_not_positive_is_an_error(dt):
    with pytest.raises(ValueError, match="give a positive step"):
        integrators.Heun(dt=dt)


def test_tolerances_of_diffrax_must_be_above_0():
    for rtol, atol in ((-1e-3, 1e-6), (0.0, 0.0), (np.nan, 1e-6)):
        with pytest.raises(ValueError, match="tolerances of 0 or more"):
            integrators.Diffrax(0.1, diffrax.Tsit5(), rtol=rtol, atol=atol)


def test_a_solver_that_gets_nowhere_says_so():
    method = integrators.Diffrax(10.0, diffrax.Tsit5(), rtol=1e-12, atol=1e-12, max_steps=3)
    built = alone(tvbjax.lems.load("HindmarshRose"), method)
    with pytest.raises(RuntimeError, match="Tsit5 could not cross 10 ms in 3 steps"):
        tvbjax.simulate(built, 10.0)
