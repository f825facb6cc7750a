"""The overview figure: what stands in it, where regions are drawn, and what it refuses."""

import builtins

import jax
import numpy as np
import pytest
import xarray as xr

from tvbjax.connectome import Connectome
from tvbjax.datasets import synthetic_connectome
from tvbjax.plot import overview
from tvbjax.plot.geometry import axial_positions, hemisphere_order

pytest.importorskip("matplotlib")


def study(connectome, samples=50):
    rng = np.random.default_rng(0)
    size = len(connectome.regions)
    signal = rng.normal(size=(samples, 2, size))
    traces = xr.DataArray(
        signal,
        dims=("time", "variable", "region"),
        coords={
            "time": ("time", np.arange(samples) * 1.0, {"units": "ms"}),
            "variable": ["V", "r"],
            "region": list(connectome.labels),
            "unit": ("variable", ["mV", "kHz"]),
        },
    )
    grid = rng.uniform(size=(4, 3))
    grid[0, 0] = np.nan
    sweep_map = xr.DataArray(
        grid,
        dims=("eta", "a"),
        coords={"eta": [-8.0, -6.0, -5.0, -4.0], "a": ("a", [0.0, 0.1, 0.2], {"units": "mV"})},
        name="fit",
        attrs={"long_name": "correlation with data"},
    )
    fc = np.atleast_2d(np.corrcoef(signal[:, 0].T))
    return traces, fc, sweep_map


def mirrored() -> Connectome:
    return synthetic_connectome(24, key=jax.random.key(0))


def panels(figure) -> dict:
    """Axes by panel letter."""
    found = {}
    for axes in figure.axes:
        title = axes.get_title(loc="left")
        if title:
            found[title.split("{")[1][0]] = axes
    return found


def matrix(axes) -> np.ma.MaskedArray:
    return axes.get_images()[0].get_array()


def test_has_five_lettered_panels_that_name_quantities_and_units():
    figure = overview(mirrored(), *study(mirrored()))
    found = panels(figure)
    assert list(found) == list("ABCDE")
    assert found["D"].get_xlabel() == "time (ms)"
    assert "mV" in [text.get_text().split()[-1] for text in found["D"].texts]
    assert found["E"].get_xlabel() == "a (mV)" and found["E"].get_ylabel() == "eta"
    labels = [axes.get_ylabel() for axes in figure.axes for axes in axes.child_axes]
    assert "correlation with data (grey: diverged)" in labels


def test_is_drawn_at_1600_pixels_without_overlapping_text(tmp_path):
    from matplotlib.image import imread

    figure = overview(mirrored(), *study(mirrored()))
    figure.savefig(tmp_path / "overview.png")
    assert imread(tmp_path / "overview.png").shape == (1000, 1600, 4)
    boxes = [axes.get_tightbbox() for axes in panels(figure).values()]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= 1600 and box.y0 >= 0 and box.y1 <= 1000
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_matrices_show_the_left_hemisphere_first_and_hide_what_is_not_there():
    rng = np.random.default_rng(3)
    weights = rng.uniform(1, 2, (4, 4))
    weights[0, 1] = 0.0
    right = [True, False, True, False]
    connectome = Connectome(weights, hemispheres=right, centres=rng.normal(size=(4, 3)))
    traces, fc, sweep_map = study(connectome)
    found = panels(overview(connectome, traces, fc, sweep_map))
    order = [1, 3, 0, 2]
    shown = matrix(found["B"])
    np.testing.assert_array_equal(shown.filled(0.0), weights[np.ix_(order, order)])
    mask = np.ma.getmaskarray(shown)
    assert mask.sum() == 1 and mask[2, 0]
    correlations = matrix(found["C"])
    np.testing.assert_array_equal(np.ma.getmaskarray(correlations), np.eye(4, dtype=bool))
    assert correlations[0, 1] == fc[1, 3]
    low, high = found["C"].get_images()[0].get_clim()
    assert low == -high and high >= np.abs(fc - np.eye(4)).max()


def test_traces_are_the_first_variable_about_its_mean_from_both_hemispheres():
    connectome = mirrored()
    traces, fc, sweep_map = study(connectome)
    axes = panels(overview(connectome, traces, fc, sweep_map))["D"]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(labels) == 8 and [label[0] for label in labels] == ["l"] * 4 + ["r"] * 4
    first = axes.get_lines()[0].get_ydata()
    expected = traces.sel(variable="V", region=labels[0]).values
    np.testing.assert_allclose(first - first.mean(), expected - expected.mean(), atol=1e-12)


@pytest.mark.parametrize("flip", [1.0, -1.0])
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_right_is_right_and_front_is_up_whatever_the_axes(axes, flip):
    connectome = mirrored()
    centres = connectome.centres
    assert centres is not None and connectome.hemispheres is not None
    front = centres[:, 1] > 0
    labels = [
        f"{'r' if r else 'l'}_{'frontal' if f else 'occipital'}{i}"
        for i, (r, f) in enumerate(zip(connectome.hemispheres, front, strict=True))
    ]
    turned = flip * centres[:, axes]
    moved = Connectome(
        connectome.weights, labels=labels, centres=turned, hemispheres=connectome.hemispheres
    )
    places = axial_positions(moved)
    assert (places[moved.hemispheres, 0] > 0).all()
    assert places[front, 1].mean() > places[~front, 1].mean()


def test_without_telling_labels_axes_are_taken_as_right_handed():
    connectome = mirrored()
    centres = connectome.centres
    assert centres is not None
    expected = axial_positions(connectome)
    middle = (centres.min(axis=0) + centres.max(axis=0)) / 2
    np.testing.assert_allclose(expected, (centres - middle)[:, :2])
    # Quarter turn about the vertical: x to the front, y to the left, as in tvb76.
    turned = centres[:, [1, 0, 2]] * np.array([1.0, -1.0, 1.0])
    moved = Connectome(connectome.weights, centres=turned, hemispheres=connectome.hemispheres)
    np.testing.assert_allclose(axial_positions(moved), expected)


def test_without_centres_regions_lie_on_a_circle_left_on_the_left():
    right = np.array([False, True] * 5)
    connectome = Connectome(np.ones((10, 10)), hemispheres=right)
    places = axial_positions(connectome)
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 80.0)
    assert (places[right, 0] > 0).all() and (places[~right, 0] < 0).all()
    assert hemisphere_order(connectome.regions).tolist() == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]


@pytest.mark.parametrize(
    "connectome",
    [
        Connectome([[0.0]]),
        Connectome(np.zeros((2, 2))),
        Connectome(np.ones((3, 3)), centres=np.zeros((3, 3)), hemispheres=[True] * 3),
    ],
)
def test_poor_connectomes_are_drawn_all_the_same(connectome, tmp_path):
    size = len(connectome.regions)
    traces = study(connectome)[0].isel(time=[0]) * 0.0
    sweep_map = xr.DataArray(np.ones((1, 2)), dims=("rule", "b"), coords={"rule": ["max"]})
    figure = overview(connectome, traces, np.full((size, size), np.nan), sweep_map)
    figure.savefig(tmp_path / "overview.png")


def test_refuses_what_does_not_fit():
    connectome = mirrored()
    traces, fc, sweep_map = study(connectome)
    with pytest.raises(ValueError, match=r"traces has the dims \('region'.*pass \(time"):
        overview(connectome, traces.T, fc, sweep_map)
    with pytest.raises(ValueError, match="traces has 5 regions, the connectome 24"):
        overview(connectome, traces.isel(region=slice(5)), fc, sweep_map)
    with pytest.raises(ValueError, match="traces is empty"):
        overview(connectome, traces.isel(time=slice(0)), fc, sweep_map)
    with pytest.raises(ValueError, match=r"fc has the shape \(3, 3\); pass \(24, 24\)"):
        overview(connectome, traces, fc[:3, :3], sweep_map)
    with pytest.raises(ValueError, match="sweep_map has the sizes {'eta': 4}"):
        overview(connectome, traces, fc, sweep_map.isel(a=0))


def test_without_matplotlib_the_message_names_the_extra(monkeypatch):
    load = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tvbjax\[plot\]'"):
        overview(mirrored(), *study(mirrored()))
