"""NeuroML's Hindmarsh-Rose cell, which no example of NeuroML's runs, against SciPy."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from conformance import corpora, ours
from conformance.recorded import up_crossings
from tvbjax import lems

FILE = Path(__file__).parent / "hindmarsh_rose.xml"
ONSET, END = 100.0, 400.0  # ms


def network():
    try:
        return ours.load(FILE, lems.NEURAL)
    except corpora.Absent as absent:
        pytest.skip(str(absent))


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """Times at which x rises through 0, ms: Hindmarsh and Rose's equations, a current of 3."""

    def slope(t, state, current):
        x, y, z = state
        return [
            y - x**3 + 3.0 * x**2 - z + current,
            1.0 - 5.0 * x**2 - y,
            0.005 * (4.0 * (x + 1.6) - z),
        ]

    def rise(t, state, current):
        return state[0]

    rise.direction = 1.0
    options = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-11}
    rest = solve_ivp(slope, (0.0, ONSET), [-1.6, -11.8, 0.2], args=(0.0,), **options)
    burst = solve_ivp(
        slope, (ONSET, END), rest.y[:, -1], args=(3.0,), events=rise, max_step=0.05, **options
    )
    return burst.t_events[0]


@pytest.mark.reference
def test_spike_times_are_those_of_the_published_equations(expected: np.ndarray):
    recording = lems.run(network(), method=lems.RungeKutta4(), step=0.01)
    x = np.asarray(recording["cells[0]/x"])
    found = np.asarray(recording.t)[up_crossings(x, 0.0)]
    assert len(expected) == 30
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=0.02)


@pytest.mark.reference
def test_eulers_spike_times_converge_with_the_first_order(expected: np.ndarray):
    cell = network()
    errors = []
    for step in (0.002, 0.001):
        recording = lems.run(cell, method=lems.Euler(), step=step, duration=200.0)
        x = np.asarray(recording["cells[0]/x"])
        found = np.asarray(recording.t)[up_crossings(x, 0.0)]
        assert len(found) == np.count_nonzero(expected < 200.0)
        errors.append(np.abs(found - expected[: len(found)]).max())
    assert errors[1] == pytest.approx(errors[0] / 2.0, rel=0.1)
