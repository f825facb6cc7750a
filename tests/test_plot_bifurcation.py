"""The bifurcation diagram as drawn: what its artists hold, and that no label covers anything."""

from typing import Any

import numpy as np
import pytest

from test_continuation import varied, written
from tvbjax import lems

pytest.importorskip("matplotlib")
from tvbjax import plot  # noqa: E402


@pytest.fixture(scope="module")
def jansen() -> lems.Branch:
    model = lems.load("JansenRit")
    (branch,) = lems.continuation(model, "mu", (-0.1, 0.5), params=varied(model, v0=6.0, mu=0.0))
    return branch


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_branches_and_points_are_where_they_are(jansen, tmp_path):
    figure = plot.bifurcation(jansen, lambda s: s["y1"] - s["y2"], label="y1 - y2 (mV)")
    axes: Any = figure.axes[0]
    assert axes.get_xlabel() == "mu: Mean external firing rate (1/ms)"
    assert axes.get_ylabel() == "y1 - y2 (mV)" and axes.get_xlim() == (-0.1, 0.5)
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) > 1]
    assert len(lines) == 5  # stable, unstable over both folds, stable, unstable, stable
    assert [line.get_linestyle() for line in lines] == ["-", "--", "-", "--", "-"]
    whole = np.concatenate(
        [line.get_xydata()[:-1] for line in lines] + [lines[-1].get_xydata()[-1:]]
    )
    v = jansen.states[:, 1] - jansen.states[:, 2]
    np.testing.assert_array_equal(whole, np.stack([jansen.parameter_values, v], 1))
    marks = [line for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert sorted(m.get_xdata()[0] for m in marks) == sorted(
        b.parameter_value for b in jansen.bifurcations
    )
    hollow = [m.get_xdata()[0] for m in marks if m.get_markerfacecolor() == "white"]
    assert hollow == [pytest.approx(-0.0121475, abs=1e-7)]
    said = legend_of(figure)
    assert said[:2] == ["stable", "unstable"]
    assert "F2: fold, 0.11359 1/ms" in said
    assert "H2: Hopf point, 0.089829 1/ms,\nsupercritical, 10.38 Hz" in said
    assert any(one.endswith(" 1/ms,\nsubcritical, 7.239 Hz") for one in said)
    figure.savefig(tmp_path / "diagram.png")
    assert (tmp_path / "diagram.png").stat().st_size > 20_000


CROSSING = {"x": "x * (x - p) * (x^2 + p^2 - 0.5)"}


def test_no_label_covers_a_curve_a_mark_or_another_label(tmp_path):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    model = written(tmp_path, CROSSING, {"p": 0.9})
    figure = plot.bifurcation(lems.continuation(model, "p", (-1.0, 1.0)))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axes: Any = figure.axes[0]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in axes.texts]
    assert sorted(text.get_text() for text in axes.texts) == ["B1", "B2", "B3", "B4", "B5"]
    for line in axes.get_lines():
        points = axes.transData.transform(line.get_xydata())
        if len(points) > 1:
            fine = np.linspace(0, len(points) - 1, 5000)
            points = np.stack([np.interp(fine, np.arange(len(points)), c) for c in points.T], 1)
        for box in boxes:
            assert (
                not box.contains(*points.T)
                if len(points) == 1
                else not any(box.contains(*point) for point in points)
            )
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert axes.get_window_extent().overlaps(box)
    assert "B3: branch point, 0" in legend_of(figure)


def test_what_does_not_fit_is_said(jansen, tmp_path):
    other = lems.continuation(written(tmp_path, {"x": "p - x"}, {"p": 0.0}), "p", (-1, 1))
    with pytest.raises(ValueError, match="'q' is no state variable"):
        plot.bifurcation(jansen, "q")
    with pytest.raises(ValueError, match="no branches"):
        plot.bifurcation(())
    with pytest.raises(ValueError, match="one model over one parameter"):
        plot.bifurcation([jansen, *other])
    with pytest.raises(ValueError, match="one number per point"):
        plot.bifurcation(jansen, lambda s: s["y0"][:3])
    figure = plot.bifurcation(jansen, "y1", x_range=(0.0, 0.2), y_range=(0.0, 25.0))
    axes: Any = figure.axes[0]
    assert axes.get_ylabel() == "y1: Excitatory potential of the pyramidal cells (mV)"
    assert sorted(text.get_text() for text in axes.texts) == ["F1", "H1"]
