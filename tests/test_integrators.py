"""The order of every integrator, by the error of a decay whose solution is known."""

import math

import pytest

import tvbjax
from networks import linear_model
from tvbjax import coupling, integrators, monitors


def decay_error(folder, integrator) -> float:
    simulator = tvbjax.Simulator(
        linear_model(folder),
        tvbjax.Connectome([[0.0]]),
        coupling.Linear(a=0.0),
        integrator,
        monitors=monitors.SubSample(1.0),
    )
    result = tvbjax.simulate(simulator, 1.0, initial=[[1.0]])
    return abs(float(result["subsample"].values[-1, 0, 0]) - math.exp(-1.0))


@pytest.mark.parametrize(
    "integrator, order", [(integrators.Euler, 1), (integrators.Heun, 2), (integrators.RK4, 4)]
)
def test_global_error_falls_with_the_stated_order(tmp_path, integrator, order):
    errors = [decay_error(tmp_path, integrator(dt=dt)) for dt in (0.05, 0.025)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("dt", [0.0, -0.1, float("nan"), float("inf")])
def test_a_step_that_is_not_positive_is_an_error(dt):
    with pytest.raises(ValueError, match="give a positive step"):
        integrators.Heun(dt=dt)
