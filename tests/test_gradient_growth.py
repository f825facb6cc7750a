"""Growth of changes against Heun's factor in a linear system, and Lyapunov exponents in chaos."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from quadratic import Quadratic
from tvbjax import features, integrators, lems, monitors
from tvbjax.inference import Growth, Problem, gradient_growth, objectives


def problem_of(model, duration: float, dt: float, name: str, coupling=None) -> Problem:
    simulator = tvbjax.Simulator(
        model,
        tvbjax.Connectome(np.zeros((2, 2)), np.zeros((2, 2))),
        tvbjax.coupling.Silent() if coupling is None else coupling,
        integrators.Heun(dt=dt),
        monitors=monitors.TemporalAverage(10.0),
    )
    free = {name: tvbjax.Free(lambda s: s.model.params[name])}
    return Problem(simulator, free, objectives.Feature(features.Mean(), 0.0), duration)


def test_in_a_linear_system_changes_shrink_as_heuns_factor_says():
    problem = problem_of(lems.load("OrnsteinUhlenbeck"), 500.0, 1.0, "mu")
    found = gradient_growth(problem, problem.start)
    exact = math.log(1 - 1 / 20 + 1 / 800)
    assert found.rate == pytest.approx(exact, rel=1e-9) and found.error < 1e-9
    np.testing.assert_allclose(found.logs, exact * found.times, rtol=1e-9)
    back, logs = found.back
    np.testing.assert_allclose(logs, exact * back, rtol=1e-9, atol=1e-12)
    assert not found.explodes and found.horizon is None
    assert "Exact gradients are of use" in str(found) and "shrinks" in str(found)


@pytest.fixture(scope="module")
def chaos() -> tuple[Problem, Growth]:
    """Hindmarsh and Rose's neuron where it bursts without a rhythm."""
    model = eqx.tree_at(lambda m: m.params["I"], lems.load("HindmarshRose"), jnp.asarray(3.25))
    problem = problem_of(model, 20_000.0, 0.05, "I")
    return problem, gradient_growth(problem, problem.start)


def test_in_chaos_changes_grow_at_the_lyapunov_exponent(chaos):
    """Within three standard errors of both, and 40 %."""
    problem, found = chaos
    exact = lems.lyapunov_spectrum(problem.simulator.model, 20_000.0, dt=0.05, exponents=1)
    error = math.hypot(found.error, float(exact.errors[0]))
    assert abs(found.rate - exact.exponents[0]) < 3 * error
    assert found.rate == pytest.approx(float(exact.exponents[0]), rel=0.4)


def test_what_explodes_is_told_with_the_remedy(chaos):
    _, found = chaos
    assert found.explodes
    assert found.horizon == pytest.approx(math.log(20.0) / found.rate)
    text = str(found)
    for said in ("Gradients explode", "gradients.Reverse(horizon=", "EvolutionStrategy()"):
        assert said in text
    assert "per ms over 20000 ms" in repr(found)


def test_a_short_horizon_tames_the_gradient(chaos):
    """Of a shorter run, in which a change of state grows by some orders of magnitude."""
    problem = problem_of(chaos[0].simulator.model, 1_500.0, 0.05, "I")
    found = gradient_growth(problem, problem.start, horizons=[100.0, 1_500.0])
    assert found.gradients[1_500.0] > 1e3 * found.gradients[100.0]
    assert "over 100 ms" in str(found)


def test_what_does_not_fit_is_told(without_type_checks):
    problem = problem_of(lems.load("OrnsteinUhlenbeck"), 40.0, 1.0, "mu")
    with pytest.raises(ValueError, match="40 steps is too short to tell"):
        gradient_growth(problem, problem.start)
    for wrong, error, match in (
        (10.0, TypeError, "horizons is 10.0; give a list of ms"),
        ("10", TypeError, "horizons is '10'; give a list"),
        ([0.0], ValueError, "a horizon, in ms, is 0.0; give a number above 0"),
    ):
        with pytest.raises(error, match=match):
            gradient_growth(problem, problem.start, horizons=wrong)  # type: ignore
    with pytest.raises(TypeError, match="of several subjects"):
        gradient_growth(Quadratic(), Quadratic().start)
    with pytest.raises(TypeError, match="by name for each of mu"):
        gradient_growth(problem, {"tau": 0.0})
