"""The phase plane as drawn: what its artists hold, against the functions they stand for."""

from typing import Any

import numpy as np
import pytest

from tvbjax import lems

pytest.importorskip("matplotlib")
from tvbjax import plot  # noqa: E402


def lines_of(figure) -> dict[str, Any]:
    return {str(line.get_label()): line for line in figure.axes[0].get_lines()}


def test_the_phase_plane_has_nullclines_points_and_trajectories(tmp_path):
    model = lems.load("MontbrioPazoRoxin")
    starts = [[0.3, -1.0], [2.0, -2.5]]
    figure = plot.phase_plane(
        model, x_range=(0.0, 2.2), y_range=(-3.2, 1.6), starts=starts, duration=60.0
    )
    axes: Any = figure.axes[0]
    lines = lines_of(figure)
    assert axes.get_xlabel() == "r: Firing rate (1/ms)"
    assert axes.get_ylabel() == "V: Mean membrane potential"
    assert axes.get_xlim() == (0.0, 2.2) and axes.get_ylim() == (-3.2, 1.6)
    r, V = lines["dr/dt = 0"].get_data()
    np.testing.assert_allclose(V, -1.0 / (2 * np.pi * r), atol=1e-9)
    found = lems.fixed_points(model)
    for point in found:
        marks = [
            line
            for line in axes.get_lines()
            if len(line.get_xdata()) == 1 and np.allclose(line.get_xydata()[0], point.state)
        ]
        assert len(marks) == 1
        hollow = marks[0].get_markerfacecolor() == "white"
        assert hollow != point.stable
    path = lines["trajectory, 60 ms"].get_xydata()
    np.testing.assert_array_equal(path[0], [0.3, -1.0])
    np.testing.assert_allclose(path[-1], found[0].state, atol=1e-6)
    figure.savefig(tmp_path / "plane.png")
    assert (tmp_path / "plane.png").stat().st_size > 20_000


def test_a_trajectory_is_scipys():
    from scipy.integrate import solve_ivp

    model = lems.load("Generic2dOscillator")
    params = {name: float(value) for name, value in model.params.items()} | {"a": 0.5}
    figure = plot.phase_plane(model, params=params, starts=[[-1.0, 2.0]], duration=100.0)
    path = lines_of(figure)["trajectory, 100 ms"].get_xydata()

    def change(_, state):
        V, W = state
        return [0.02 * (W - V**3 + 3 * V**2), 0.02 * (0.5 - 10 * V - W)]

    whole = solve_ivp(change, (0, 100), [-1.0, 2.0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(path[-1], whole.y[:, -1], rtol=1e-7)


def test_a_larger_model_says_what_is_held():
    model = lems.load("JansenRit")
    held = {"y0": 0.1, "y2": 5.0, "y3": 0.0, "y5": 0.0}
    figure = plot.phase_plane(model, "y1", "y4", at=held, x_range=(-5, 30), y_range=(-3, 3))
    axes: Any = figure.axes[0]
    assert axes.get_ylabel() == "y4: Slope of y1 (mV/ms)"
    assert "y0 = 0.1 mV, y2 = 5 mV" in axes.texts[0].get_text()
    assert all(len(line.get_xdata()) > 1 for line in axes.get_lines())


def test_wrong_starts_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"pass \(trajectory, 2\)"):
        plot.phase_plane(lems.load("MontbrioPazoRoxin"), starts=[0.1, 0.2])


def test_a_trajectory_needs_a_time_and_a_start():
    model = lems.load("Generic2dOscillator")
    with pytest.raises(ValueError, match="phase_plane: duration is 0"):
        plot.phase_plane(model, starts=[[0.0, 0.0]], duration=0)
    with pytest.raises(ValueError, match="phase_plane: starts has"):
        plot.phase_plane(model, starts=[[np.nan, 0.0]])
