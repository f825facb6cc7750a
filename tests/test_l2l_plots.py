"""Figures of studies show the numbers that they are of."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from tvbjax import l2l

pytest.importorskip("matplotlib")

SPACE = l2l.Space(
    gain=l2l.Real(0.0, 5.0),
    rate=l2l.Real(1e-4, 1.0, log=True),
    solver=l2l.Categorical(["heun", "rk4", "euler"]),
    offset=l2l.Unbounded(0.0, shape=(2,)),
)


def loss(values, key):
    """NaN in a corner."""
    far = (values["gain"] - 2.0) ** 2 + jnp.sum(values["offset"] ** 2)
    return jnp.where(values["gain"] > 4.0, jnp.nan, far**3 + 1e-3)


@pytest.fixture(scope="module")
def found():
    study = l2l.Study(l2l.Function(loss, SPACE), l2l.Random(40), jr.key(0), l2l.MaxGenerations(1))
    return study.run(progress=False)


def test_progress_shows_the_least_loss_and_what_failed(found):
    axes = l2l.plots.plot_progress(found).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_allclose(np.asarray(lines["least so far"], float)[-1], found.loss)
    failed = int((found.statuses != "ok").sum())
    assert failed and np.size(lines[f"failed ({failed})"]) == failed
    assert axes.get_yscale() == "log"


def test_parallel_coordinates_have_the_best_in_front(found):
    axes = l2l.plots.plot_parallel_coordinates(found).axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["gain", "rate", "solver", "offset[0]", "offset[1]"]
    best = np.asarray(axes.lines[int((found.statuses == "ok").sum()) - 1].get_ydata(), float)
    values = found.values
    assert best[0] == pytest.approx(values["gain"] / 5.0)
    assert best[1] == pytest.approx(1.0 + np.log10(values["rate"]) / 4.0)
    assert best[2] == pytest.approx(["heun", "rk4", "euler"].index(values["solver"]) / 2)


def test_a_landscape_has_a_point_for_each_that_worked(found):
    axes = l2l.plots.plot_landscape(found, "gain", "offset[1]").axes[0]
    points = axes.collections[0].get_offsets()
    assert np.shape(points)[0] == (found.statuses == "ok").sum()
    star = axes.lines[0]
    assert float(np.asarray(star.get_xdata())[0]) == pytest.approx(found.values["gain"] / 5.0)
    with pytest.raises(ValueError, match="there is no 'offset'; there are gain"):
        l2l.plots.plot_landscape(found, "gain", "offset")


def test_a_front_is_drawn_of_two_objectives(found):
    with pytest.raises(ValueError, match="1 objectives"):
        l2l.plots.plot_front(found)


def test_an_overview_has_both(found):
    assert len(l2l.plots.overview(found).axes) == 2


def test_what_has_no_loss_is_told():
    nan = l2l.Function(lambda values, key: jnp.nan * values["gain"], SPACE)
    study = l2l.Study(nan, l2l.Random(4), jr.key(0), l2l.MaxGenerations(1))
    with pytest.warns(UserWarning, match="finite loss"):
        empty = study.run(progress=False)
    with pytest.raises(ValueError, match="no evaluation has a loss"):
        l2l.plots.plot_progress(empty)
