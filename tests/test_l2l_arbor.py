"""The single cell in Arbor: against SciPy, and conductances found again."""

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from apart import apart
from tvbjax import l2l
from tvbjax.l2l import examples

pytest.importorskip("arbor", reason="needs pip install 'tvbjax[arbor]'")
single_cell = examples.single_cell


@pytest.fixture(scope="module")
def call():
    with apart() as made:
        yield made


def _voltage(cell, values):
    return cell.voltage(values).tolist()


def compartments(values, down, up, parts=10):
    """Hodgkin's and Huxley's soma and a passive dendrite in `parts`, by SciPy; mV every 0.1 ms.

    Units: mV, ms, nA, uS, nF. Areas in cm2.
    """
    soma, each = np.pi * 12e-4 * 12e-4, np.pi * 2e-4 * (200e-4 / parts)
    area = np.array([soma] + [each] * parts)
    capacity = 1e3 * area  # 1 uF/cm2

    def resistance(length, radius):  # of 100 Ohm cm, in MOhm
        return 100.0 * length * 1e-4 / (np.pi * (radius * 1e-4) ** 2) * 1e-6

    half = 0.5 * 200.0 / parts
    first = resistance(6.0, 6.0) + resistance(half, 1.0)
    between = np.array([first] + [resistance(2 * half, 1.0)] * (parts - 1))

    def slope(t, y):
        m, h, n, v = y[0], y[1], y[2], y[3:]
        x = v[0] + 65.0
        rates = [
            (0.1 * _ratio(25.0 - x, 10.0), 4.0 * np.exp(-x / 18.0)),
            (0.07 * np.exp(-x / 20.0), 1.0 / (np.exp((30.0 - x) / 10.0) + 1.0)),
            (0.01 * _ratio(10.0 - x, 10.0), 0.125 * np.exp(-x / 80.0)),
        ]
        gates = [a * (1.0 - g) - b * g for (a, b), g in zip(rates, (m, h, n), strict=True)]
        density = values["dendrite"] * (v + 65.0)
        density[0] = (
            values["sodium"] * m**3 * h * (v[0] - 50.0)
            + values["potassium"] * n**4 * (v[0] + 77.0)
            + values["leak"] * (v[0] + 54.3)
        )
        current = -1e6 * area * density  # S mV is mA
        along = (v[1:] - v[:-1]) / between
        current[:-1] += along
        current[1:] -= along
        current[0] += down * (5.0 <= t < 25.0) + up * (30.0 <= t < 70.0)
        return np.concatenate([gates, current / capacity])

    x = 0.0
    am, bm = 0.1 * _ratio(25.0 - x, 10.0), 4.0
    ah, bh = 0.07, 1.0 / (np.exp(3.0) + 1.0)
    an, bn = 0.01 * _ratio(10.0, 10.0), 0.125
    start = [am / (am + bm), ah / (ah + bh), an / (an + bn)] + [-65.0] * (parts + 1)
    times = 0.1 * np.arange(800)
    run = solve_ivp(slope, (0.0, 80.0), start, "LSODA", times, rtol=1e-7, atol=1e-9, max_step=0.2)
    return run.y[3]


def _ratio(x, scale):
    """x / (exp(x / scale) - 1), which is `scale` at 0."""
    return x / np.expm1(x / scale) if abs(x) > 1e-9 else scale


def spikes(voltage):
    """When it rises through -10 mV, ms, between samples by a line."""
    at = np.flatnonzero((voltage[1:] >= -10.0) & (voltage[:-1] < -10.0))
    share = (-10.0 - voltage[at]) / (voltage[at + 1] - voltage[at])
    return 0.1 * (at + share)


@pytest.mark.parametrize(
    "values", [single_cell.TRUE, single_cell.TRUE | {"dendrite": 0.001, "sodium": 0.15}]
)
def test_the_cells_voltage_is_scipys(call, values):
    cell = single_cell.Cell(up=0.3)
    found = np.array(call(_voltage, cell, values))
    expected = compartments(values, cell.down, cell.up)
    assert found.shape == expected.shape
    assert len(spikes(expected)) >= 1
    # Arbor's steps of 0.01 ms are of first order: what they cost adds up from spike to spike.
    np.testing.assert_allclose(spikes(found), spikes(expected), atol=0.2)
    before = slice(0, 300)  # it is driven, 1.1 ms before the first spike
    np.testing.assert_allclose(found[before], expected[before], atol=0.02)


def test_features_are_those_of_a_drawn_trace():
    """Two triangles of 2 ms from 35 and 50 ms on, to 20 mV, over steps of -65, -75 and -60 mV."""
    times = 0.1 * np.arange(800)
    voltage = np.full(800, -65.0)
    voltage[(times >= 5.0) & (times < 25.0)] = -75.0
    voltage[(times >= 30.0) & (times < 70.0)] = -60.0
    for start in (35.0, 50.0):
        place = int(start / 0.1)
        voltage[place : place + 21] = -60.0 + 80.0 * (1.0 - abs(np.arange(21) - 10) / 10.0)
    found = single_cell.Cell().features(voltage)
    assert found["spikes"] == 2.0
    assert found["latency"] == pytest.approx(5.7)  # -10 mV is passed between 0.6 and 0.7 ms
    assert found["interval"] == pytest.approx(15.0)
    assert (found["peak"], found["lowest"]) == (20.0, -60.0)
    assert (found["rest"], found["held"], found["end"]) == (-65.0, -75.0, -65.0)
    silent = single_cell.Cell().features(np.full(800, -65.0))
    assert (silent["spikes"], silent["latency"], silent["interval"]) == (0.0, 40.0, 40.0)


def test_conductances_are_found_again():
    """From values that are two to three times off, by CMA-ES: each within a tenth of itself."""
    task = single_cell.SingleCell()
    study = l2l.Study(
        l2l.Python(task, task.space, timeout=30.0),
        l2l.Cma(12),
        jax.random.key(1),
        l2l.MaxEvaluations(720),
        start={"sodium": 0.06, "potassium": 0.1, "leak": 0.0007, "dendrite": 0.0003},
        engine=l2l.Processes(1),
    )
    found = study.run(progress=False)
    assert not found.failures
    assert found.loss < 0.02 * np.median(found.losses[:12])
    for name, known in single_cell.TRUE.items():
        assert found.values[name] == pytest.approx(known, rel=0.1)


def _of_known(task):
    found = task(single_cell.TRUE, 0)
    return [found["loss"], found["more"]["distance"], found["outputs"]]


def test_the_known_conductances_have_no_loss(call):
    loss, distance, outputs = call(_of_known, single_cell.SingleCell())
    assert loss == 0.0 and distance == 0.0 and len(outputs) == 8
