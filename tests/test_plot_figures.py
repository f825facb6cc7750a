"""Figures of connectomes, signals, sweeps, surfaces and sensors: what their artists hold."""

import jax
import numpy as np
import pytest
import xarray as xr

from meshes import octahedron
from tvbjax import analysis, datasets, plot
from tvbjax.connectome import Connectome
from tvbjax.forward import Sensors
from tvbjax.plot.electrodes import flattened, sphere
from tvbjax.plot.geometry import sensor_directions, strongest_pairs

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def mirrored() -> Connectome:
    return datasets.synthetic_connectome(24, key=jax.random.key(0))


def signals(connectome: Connectome, samples=80) -> xr.DataArray:
    size = len(connectome.regions)
    values = np.random.default_rng(0).normal(size=(samples, 2, size))
    return xr.DataArray(
        values,
        dims=("time", "variable", "region"),
        coords={
            "time": ("time", 2.0 * np.arange(samples), {"units": "ms"}),
            "variable": ["V", "r"],
            "region": list(connectome.labels),
            "unit": ("variable", ["mV", "kHz"]),
        },
    )


def drawn(figure, path) -> int:
    """Bytes of the picture: it can be drawn, and is no blank."""
    figure.savefig(path)
    return path.stat().st_size


def image(axes) -> np.ma.MaskedArray:
    return axes.get_images()[0].get_array()


def test_a_connectome_has_its_weights_and_lengths_left_hemisphere_first(tmp_path):
    rng = np.random.default_rng(3)
    weights, lengths = 10.0 ** rng.uniform(-3, 1, (4, 4)), rng.uniform(10, 99, (4, 4))
    weights[0, 1] = 0.0
    connectome = Connectome(weights, tract_lengths=lengths, hemispheres=[True, False, True, False])
    figure = plot.connectome(connectome)
    order = np.ix_([1, 3, 0, 2], [1, 3, 0, 2])
    first, second = figure.axes[:2]
    np.testing.assert_array_equal(image(first).filled(0.0), weights[order])
    mask = weights[order] == 0
    np.testing.assert_array_equal(np.ma.getmaskarray(image(second)), mask)
    np.testing.assert_array_equal(np.asarray(image(second))[~mask], lengths[order][~mask])
    assert type(first.get_images()[0].norm).__name__ == "LogNorm"
    assert [text.get_text() for text in first.get_yticklabels()] == [
        connectome.labels[i] for i in (1, 3, 0, 2)
    ]
    assert drawn(figure, tmp_path / "a.png") > 10_000


def test_functional_connectivity_is_ordered_by_the_labels_sides():
    matrix = np.atleast_2d(np.corrcoef(np.random.default_rng(0).normal(size=(4, 30))))
    figure = plot.functional_connectivity(matrix, ["rA", "lA", "rB", "lB"])
    shown = image(figure.axes[0])
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), np.eye(4, dtype=bool))
    assert shown[0, 1] == matrix[1, 3] and shown[3, 0] == matrix[2, 1]
    named = xr.DataArray(matrix, dims=("region", "other"), coords={"region": list("abcd")})
    labels = plot.functional_connectivity(named).axes[0].get_yticklabels()
    assert [text.get_text() for text in labels] == list("abcd")
    with pytest.raises(ValueError, match=r"shape \(4, 4\) and there are 2 labels"):
        plot.functional_connectivity(matrix, ["a", "b"])
    with pytest.raises(ValueError, match="shape"):
        plot.functional_connectivity(matrix[:3])


def test_fcd_is_the_matrix_over_the_windows_times():
    signal = np.random.default_rng(0).normal(size=(60, 5))
    matrix = np.asarray(analysis.functional_connectivity_dynamics(signal, 20, 10))
    times = 1_000.0 + 10.0 * np.arange(len(matrix)) * 500
    axes = plot.functional_connectivity_dynamics(matrix, times).axes[0]
    np.testing.assert_array_equal(image(axes).filled(0), matrix)
    left, right, bottom, top = axes.get_images()[0].get_extent()
    assert (left, right) == (-1.5, 1.0 + 5.0 * (len(matrix) - 1) + 2.5) and (bottom, top) == (
        right,
        left,
    )
    with pytest.raises(ValueError, match=r"times has the shape \(2,\)"):
        plot.functional_connectivity_dynamics(matrix, times[:2])


def test_traces_are_the_signals_about_their_means_on_one_scale(mirrored, tmp_path):
    data = signals(mirrored)
    figure = plot.traces(data, "r")
    axes = figure.axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert len(labels) == 24 and [label[0] for label in labels] == ["l"] * 12 + ["r"] * 12
    rows = axes.get_lines()[:24]
    for row, label in zip(rows, labels, strict=True):
        expected = data.sel(variable="r", region=label).values
        y = np.asarray(row.get_ydata(), float)
        np.testing.assert_allclose(y - y.mean(), expected - expected.mean(), atol=1e-12)
        np.testing.assert_array_equal(row.get_xdata(), data["time"])
    low, high = axes.get_ylim()
    assert low < np.min(rows[-1].get_ydata()) and high > np.max(rows[0].get_ydata())
    assert axes.texts[-1].get_text().endswith("kHz")
    assert drawn(figure, tmp_path / "a.png") > 20_000
    chosen = plot.traces(data, regions=[labels[5], labels[2]]).axes[0]
    assert [text.get_text() for text in chosen.get_yticklabels()] == [labels[5], labels[2]]


def test_traces_draw_into_given_axes_and_refuse_what_is_not_there(mirrored):
    from matplotlib.figure import Figure

    data = signals(mirrored)
    figure = Figure()
    axes = figure.subplots()
    gaps = data.where(data["time"] < 50)
    assert plot.traces(gaps, ax=axes) is figure and len(axes.get_lines()) > 20
    for options, message in [
        ({"variable": "x"}, "there is no variable 'x'; there are"),
        ({"regions": ["nowhere"]}, "there is no region 'nowhere'"),
        ({"regions": []}, "regions is empty"),
    ]:
        with pytest.raises(ValueError, match=message):
            plot.traces(data, **options)
    with pytest.raises(ValueError, match="data is empty"):
        plot.traces(data.isel(time=slice(0)))
    with pytest.raises(ValueError, match="dims"):
        plot.traces(data.rename(region="node"))


def test_channels_have_traces_and_samples_alone_are_marked():
    values = np.arange(6.0)[:, None, None] * np.ones(2)
    values[[1, 3], :, 0] = np.nan
    eeg = xr.DataArray(
        values, dims=("time", "variable", "channel"), coords={"channel": ["Cz", "Oz"]}
    )
    axes = plot.traces(eeg).axes[0]
    assert axes.get_title(loc="left") == "variable 0, 2 channels"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["Cz", "Oz"]
    assert [line.get_markevery() for line in axes.get_lines()[:2]] == [[0, 2], []]
    (first, *_) = plot.traces(eeg[:1]).axes[0].get_lines()
    assert first.get_markevery() == [0] and list(np.asarray(first.get_xdata())) == [0]
    only = plot.spectra(np.array([0.0, 2.0]), np.array([1.0, 3.0])).axes[0].get_lines()[0]
    assert only.get_marker() == "." and list(np.asarray(only.get_ydata())) == [3.0]


def test_one_member_stands_at_its_parameter():
    one = xr.DataArray([2.0], dims="a", coords={"a": [0.3]}, name="power")
    axes = plot.sweep(one).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0.3"]


@pytest.mark.parametrize("name", ["eeg62", "seeg39"])
def test_a_long_label_is_whole(name):
    sensors = datasets.sensors(name)
    label = "evoked potential of the stimulus, a mean over many trials, " * 2 + "(µV)"
    figure = plot.sensors(sensors, np.arange(float(len(sensors))), label=label)
    figure.draw_without_rendering()
    bar = next(
        axes for axes in figure.findobj(type(figure.axes[0])) if "evoked" in axes.get_ylabel()
    )
    box, whole = bar.yaxis.label.get_window_extent(), figure.bbox
    assert bar.get_ylabel().replace("\n", " ") == label
    assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1


def test_spectra_peak_where_the_signal_does():
    time = np.arange(4_000) * 1.0
    signal = np.sin(2 * np.pi * 0.025 * time)[:, None] * np.ones((1, 3))
    signal = signal + 0.1 * np.random.default_rng(0).normal(size=signal.shape)
    density = np.asarray(analysis.power_spectrum(signal, 1.0, 1_000))
    frequencies = analysis.frequencies(1.0, 1_000)
    axes = plot.spectra(frequencies, density, unit="mV").axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert axes.get_ylabel() == "power spectral density (mV²/Hz)"
    median = axes.get_lines()[-1]
    x, y = (np.asarray(part, float) for part in median.get_data())
    assert x[np.argmax(y)] == pytest.approx(25.0) and x[0] > 0
    np.testing.assert_allclose(y, np.median(density[1:], axis=1))
    assert len(axes.get_lines()) == 4
    assert len(plot.spectra(frequencies, density[:, 0]).axes[0].get_lines()) == 1
    with pytest.raises(ValueError, match=r"\(501,\) and density \(3, 501\)"):
        plot.spectra(frequencies, density.T)
    with pytest.raises(ValueError, match="no power"):
        plot.spectra(frequencies, 0.0 * density)


def swept() -> xr.Dataset:
    rng = np.random.default_rng(0)
    diverged = np.zeros((4, 3), dtype=bool)
    diverged[1, 2] = True
    grid = ("coupling", "a")
    return xr.Dataset(
        {"spread": (grid, rng.uniform(size=(4, 3))), "diverged": (grid, diverged)},
        coords={"coupling": [0.0, 0.1, 0.2, 0.3], "a": ("a", [1.0, 2.0, 3.0], {"units": "mV"})},
    )


def test_a_sweep_over_two_parameters_is_a_map_and_over_one_a_line(tmp_path):
    grid = swept()
    figure = plot.sweep(grid)
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a (mV)", "coupling")
    shown = np.ma.asarray(axes.collections[0].get_array())
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), grid["diverged"])
    kept = ~grid["diverged"].values
    np.testing.assert_array_equal(np.asarray(shown)[kept], grid["spread"].values[kept])
    assert drawn(figure, tmp_path / "a.png") > 5_000
    line = plot.sweep(grid.isel(a=2), "spread").axes[0].get_lines()[0]
    np.testing.assert_array_equal(line.get_xdata(), grid["coupling"])
    y = np.asarray(line.get_ydata(), float)
    assert np.isnan(y[1]) and y[0] == grid["spread"][0, 2]


def test_listed_members_stand_at_their_parameters():
    members = xr.Dataset(
        {"spread": ("member", [1.0, np.nan, 3.0])},
        coords={"b": ("member", [0.1, 0.2, 0.3]), "c": ("member", [5.0, 6.0, 7.0])},
    )
    axes = plot.sweep(members).axes[0]
    places = np.asarray(axes.collections[-1].get_offsets())
    np.testing.assert_array_equal(places, [[5.0, 0.1], [7.0, 0.3]])
    np.testing.assert_array_equal(axes.collections[-1].get_array(), [1.0, 3.0])
    line = plot.sweep(members.drop_vars("c")).axes[0].get_lines()[0]
    np.testing.assert_array_equal(line.get_xydata(), [[0.1, 1.0], [0.3, 3.0]])


def test_a_sweep_that_is_no_picture_says_what_to_choose():
    grid = swept()
    more = grid.expand_dims(region=["x", "y"])
    with pytest.raises(ValueError, match=r"choose of the others by .sel\(\)"):
        plot.sweep(more, "spread")
    with pytest.raises(ValueError, match="pass variable= one of spread, other, diverged"):
        plot.sweep(grid.assign(other=grid["spread"]))
    with pytest.raises(ValueError, match="there is no 'nothing'"):
        plot.sweep(grid, "nothing")


def test_a_glass_brain_joins_the_strongest_and_colours_by_values(mirrored, tmp_path):
    from matplotlib.collections import LineCollection

    values = np.linspace(1.0, 2.0, 24)
    values[3] = np.nan
    figure = plot.glass_brain(mirrored, values, label="rate (kHz)", edges=10)
    assert len(figure.axes) == 4 and figure.axes[3].get_ylabel() == "rate (kHz)"
    centres = mirrored.centres
    assert centres is not None
    for axes, plane in zip(figure.axes[:3], ([1, 2], [0, 1], [0, 2]), strict=True):
        lines = next(c for c in axes.collections if isinstance(c, LineCollection))
        assert len(lines.get_segments()) == 10
        nodes = axes.collections[-1]
        found = np.asarray(nodes.get_offsets())
        assert len(found) == 23
        # Each at its centre, with its own value.
        for place, value in zip(found, np.asarray(nodes.get_array()), strict=True):
            region = int(np.nanargmin(np.abs(values - value)))
            np.testing.assert_allclose(place, centres[region][plane])
    assert drawn(figure, tmp_path / "a.png") > 20_000


def test_the_strongest_pairs_are_those_of_a_slow_search(mirrored):
    centres = mirrored.centres
    assert centres is not None
    rows, columns, share = strongest_pairs(mirrored, centres, 12)
    weights = np.asarray(mirrored.weights)
    every = sorted(
        (max(weights[i, j], weights[j, i]), i, j) for i in range(24) for j in range(i + 1, 24)
    )
    assert {*zip(rows.tolist(), columns.tolist(), strict=True)} == {
        (i, j) for _, i, j in every[-12:]
    }
    assert share[-1] == 1.0 and (np.diff(share) >= 0).all()


def test_a_glass_brain_needs_centres_and_a_value_for_each_region(mirrored):
    with pytest.raises(ValueError, match="has no centres"):
        plot.glass_brain(Connectome(np.ones((3, 3))))
    with pytest.raises(ValueError, match=r"shape \(3,\); pass one for each of the 24"):
        plot.glass_brain(mirrored, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="edges is -1"):
        plot.glass_brain(mirrored, edges=-1)


def test_a_surface_shows_the_triangles_that_face_the_viewer():
    figure = plot.surface(
        octahedron(), [0.0, 1.0, 2.0], region_mapping=np.array([0, 1, 0, 1, 2, 2])
    )
    assert len(figure.axes) == 5
    for axes in figure.axes[:4]:
        paths = axes.collections[0].get_paths()
        assert len(paths) == 4, "half of eight"
    # From -x, right on the paper is -y.
    points = np.concatenate([p.vertices for p in figure.axes[0].collections[0].get_paths()])
    assert np.ptp(points[:, 0]) == 160 and np.ptp(points[:, 1]) == 100


def test_hemispheres_are_drawn_outside_and_inside(tmp_path):
    connectome = datasets.connectome("tvb76")
    right = connectome.hemispheres
    assert right is not None
    figure = plot.surface(
        datasets.surface(), right.astype(float), region_mapping=datasets.region_mapping(),
        connectome=connectome, label="right",
    )  # fmt: skip
    panels = {axes.get_title(): axes for axes in figure.axes[:4]}
    assert list(panels) == ["left, outside", "right, outside", "left, inside", "right, inside"]
    for title, axes in panels.items():
        colours = np.asarray(axes.collections[0].get_facecolor())
        yellow = (colours[:, 0] > colours[:, 2]).mean()
        assert yellow > 0.99 if title.startswith("right") else yellow < 0.01
        # The front is left on a picture of the left outside: the temporal pole, low and in front.
        points = np.concatenate([p.vertices for p in axes.collections[0].get_paths()])
        low = points[points[:, 1] < np.percentile(points[:, 1], 2)]
        assert (low[:, 0].mean() < 0) == (title in ("left, outside", "right, inside"))
    assert drawn(figure, tmp_path / "a.png") > 100_000


def test_a_surface_refuses_values_that_fit_neither():
    with pytest.raises(ValueError, match=r"shape \(4,\); pass one for each of the 6"):
        plot.surface(octahedron(), np.zeros(4))


# tvb-data's caps have x to the front; names tell, and where they do not (meg151), y is front.
@pytest.mark.parametrize(
    "name, front, right",
    [("eeg65", [1, 0, 0], [0, -1, 0]), ("eeg62", [1, 0, 0], [0, -1, 0]),
     ("meg151", [0, 1, 0], [1, 0, 0])],
)  # fmt: skip
def test_sensors_about_the_head_are_mapped_with_the_nose_up(name, front, right, tmp_path):
    sensors = datasets.sensors(name)
    front, right = (sensors.positions @ np.array(way, float) for way in (front, right))
    figure = plot.sensors(sensors, front, label="x (mm)")
    axes = figure.axes[0]
    places = np.asarray(axes.collections[-1].get_offsets())
    assert np.corrcoef(places[:, 1], front)[0, 1] > 0.9
    assert np.corrcoef(places[:, 0], right)[0, 1] > 0.9
    # The map goes through the sensors' values.
    picture = np.asarray(axes.get_images()[0].get_array())
    left, right, bottom, top = axes.get_images()[0].get_extent()
    size = len(picture)
    column = np.rint((places[:, 0] - left) / (right - left) * (size - 1)).astype(int)
    row = np.rint((places[:, 1] - bottom) / (top - bottom) * (size - 1)).astype(int)
    assert np.abs(picture[row, column] - front).max() < 0.06 * np.ptp(front)
    assert drawn(figure, tmp_path / "a.png") > 20_000


def test_a_sphere_is_found_and_flattened():
    rng = np.random.default_rng(0)
    ways = rng.normal(size=(40, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    middle, spread = sphere(90.0 * ways + [[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(middle, [1.0, 2.0, 3.0], atol=1e-9)
    assert spread < 1e-9
    assert np.isinf(sphere(np.arange(30.0)[:, None] * np.ones((1, 3)) + 0.1 * ways[:30])[1])
    flat = flattened(np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 1.0]]))
    np.testing.assert_allclose(flat, [[0.0, 0.0], [1.0, 0.0], [0.0, -0.5]], atol=1e-12)


def test_names_tell_the_sides_of_sensors():
    labels = ["F3", "F4", "O1", "O2", "Cz"]
    places = np.array([[1, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0], [0, 0, 1]], float)
    expected = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    np.testing.assert_array_equal(sensor_directions(labels, places), expected)
    coils = ["MLF11", "MRF11", "MLO11", "MRO11", "MZC01"]
    np.testing.assert_array_equal(sensor_directions(coils, places), expected)
    assert sensor_directions(["A1'", "TP1x", "B2b", "x", "y"], places) is None


def test_contacts_within_are_drawn_from_three_sides(tmp_path):
    sensors = datasets.sensors("seeg588")
    connectome = datasets.connectome("tvb76")
    values = sensors.positions[:, 2].copy()
    values[:3] = np.nan
    figure = plot.sensors(
        sensors, values, datasets.surface(), connectome=connectome, label="z (mm)"
    )
    assert len(figure.axes) == 4
    above = figure.axes[1].collections[-1]
    offsets = np.asarray(above.get_offsets())
    np.testing.assert_allclose(offsets, sensors.positions[3:, [1, 0]] * [[-1, 1]])
    np.testing.assert_array_equal(above.get_array(), values[3:])
    assert drawn(figure, tmp_path / "a.png") > 20_000


def test_sensors_refuse_values_that_do_not_fit():
    sensors = datasets.sensors("eeg65")
    with pytest.raises(ValueError, match=r"shape \(3,\); pass one for each of the 65"):
        plot.sensors(sensors, np.zeros(3))
    with pytest.raises(ValueError, match="0 values are finite; a map takes three"):
        plot.sensors(sensors, np.full(65, np.nan))
    few = Sensors(["a", "b"], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    assert len(plot.sensors(few).axes) == 3


@pytest.mark.parametrize(
    "connectome",
    [
        Connectome([[0.0]], centres=np.zeros((1, 3))),
        Connectome(np.ones((3, 3)), centres=np.zeros((3, 3)), hemispheres=[True] * 3),
        datasets.synthetic_connectome(24, key=jax.random.key(0)),
    ],
)
def test_poor_data_are_drawn_all_the_same(connectome, tmp_path):
    data = 0.0 * signals(connectome, samples=1)
    size = len(connectome.regions)
    figures = [
        plot.connectome(connectome),
        plot.glass_brain(connectome, np.zeros(size)),
        plot.glass_brain(connectome, np.full(size, np.nan)),
        plot.traces(data),
        plot.traces(data * np.nan),
        plot.functional_connectivity(np.full((size, size), np.nan), connectome.labels),
        plot.functional_connectivity_dynamics(np.ones((1, 1))),
        plot.sweep(swept().isel(coupling=[0], a=[0])),
        plot.surface(octahedron(), np.full(6, np.nan)),
    ]
    for number, figure in enumerate(figures):
        assert drawn(figure, tmp_path / f"{number}.png") > 3_000


def test_channels_that_are_no_coil_are_left_out():
    sensors = datasets.sensors("meg276")
    figure = plot.sensors(sensors, sensors.positions[:, 2])
    # The file's positions lie along a line, which is no head: three views.
    assert len(figure.axes) == 4 and figure.get_suptitle() == "meg276: 271 sensors"
