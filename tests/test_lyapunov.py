"""Lyapunov exponents against linear systems, Floquet exponents and the published Lorenz ones."""

import math

import numpy as np
import pytest

from test_continuation import varied, written
from tvbjax import lems

LORENZ = {"x": "sigma * (y - x)", "y": "x * (rho - z) - y", "z": "x * y - beta * z"}


def test_the_lorenz_attractor(tmp_path):
    """0.9056, 0, -14.5723 and a dimension of 2.062: Sprott 2003, Chaos and Time-Series Analysis.

    The sum is the divergence of the flow, which is constant.
    """
    model = written(tmp_path, LORENZ, {"sigma": 10.0, "rho": 28.0, "beta": 8 / 3})
    found = lems.lyapunov_spectrum(model, 3000.0, dt=0.01, start=[1.0, 1.0, 20.0])
    assert found.exponents.sum() == pytest.approx(-(10 + 1 + 8 / 3), abs=2e-4)
    assert (found.errors < 0.01).all() and (found.errors > 1e-4).all()
    np.testing.assert_allclose(found.exponents, [0.9056, 0.0, -14.5723], atol=0.012)
    assert (np.abs(found.exponents - [0.9056, 0.0, -14.5723]) < 3.5 * found.errors).all()
    assert found.dimension == pytest.approx(2.062, abs=2e-3)
    assert found.blocks.shape == (20, 3)
    first = lems.lyapunov_spectrum(model, 3000.0, exponents=1, start=[1.0, 1.0, 20.0])
    assert first.exponents == pytest.approx(found.exponents[:1], abs=1e-9 + 3 * found.errors[0])


def test_a_linear_systems_exponents_are_its_real_parts(tmp_path):
    matrix = np.array([[-0.3, 1.1, 0.0], [-1.1, -0.3, 0.4], [0.0, 0.2, -2.0]])
    rates = {
        name: " + ".join(f"({value}) * {other}" for value, other in zip(row, "xyz", strict=True))
        for name, row in zip("xyz", matrix, strict=True)
    }
    found = lems.lyapunov_spectrum(written(tmp_path, rates, {}), 4000.0, dt=0.02, transient=50.0)
    expected = np.sort(np.real(np.linalg.eigvals(matrix)))[::-1]
    np.testing.assert_allclose(found.exponents, expected, atol=1e-3)  # a rotating pair, per block
    assert found.exponents.sum() == pytest.approx(np.trace(matrix), abs=2e-7)
    assert found.dimension == 0.0


@pytest.mark.parametrize("a, omega", [(1.0, 1.0), (0.3, 2.0)])
def test_a_limit_cycle_has_0_and_its_floquet_exponent(a, omega):
    """r' = a r - r^3 at r = sqrt(a): -2 a."""
    model = lems.load("SupHopf")
    found = lems.lyapunov_spectrum(
        model, 300.0, params=varied(model, a=a, omega=omega), transient=100.0
    )
    np.testing.assert_allclose(found.exponents, [0.0, -2 * a], atol=1e-7)
    assert math.hypot(*found.state) == pytest.approx(math.sqrt(a), rel=1e-7)
    assert found.dimension == pytest.approx(1.0, abs=1e-6)


def test_a_stable_fixed_point_has_its_eigenvalues_under_inputs():
    model = lems.load("MontbrioPazoRoxin")
    (point,) = lems.fixed_points(model, [4.0, 0.0])
    found = lems.lyapunov_spectrum(model, 200.0, inputs=[4.0, 0.0], start=[1.0, 0.0])
    np.testing.assert_allclose(found.exponents, np.real(point.eigenvalues), rtol=0.02)
    assert found.exponents.sum() == pytest.approx(np.real(point.eigenvalues).sum(), rel=1e-5)
    np.testing.assert_allclose(found.state, point.state, rtol=1e-8)


def test_it_is_in_float64_whatever_jax_has(tmp_path):
    import jax

    model = written(tmp_path, {"x": "-0.5 * x"}, {})
    with jax.enable_x64(False):
        found = lems.lyapunov_spectrum(model, 10.0, dt=0.1)
    assert found.exponents == pytest.approx([-0.5], abs=1e-7)
    assert found.state.dtype == np.float64


@pytest.mark.parametrize(
    "options, message",
    [
        ({"dt": 0.0}, "pass dt > 0"),
        ({"blocks": 1}, "2 blocks"),
        ({"exponents": 3}, "exponents = 3; MontbrioPazoRoxin has 1 to 2"),
        ({"start": [1.0]}, r"start has the shape \(1,\)"),
        ({"inputs": [1.0]}, "one finite number for each of"),
        ({"dt": 20.0}, "diverged; lower dt = 20"),
    ],
)
def test_what_does_not_fit_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        lems.lyapunov_spectrum(lems.load("MontbrioPazoRoxin"), 2000.0, **options)


def test_a_clamped_state_has_no_exponents(tmp_path):
    usual = 'tvbjax:bounds="0, inf" tvbjax:initial="0, 1"'
    model = written(tmp_path, {"x": "-1 - x"}, {}, x=usual)
    with pytest.raises(ValueError, match="met its bounds"):
        lems.lyapunov_spectrum(model, 20.0)
