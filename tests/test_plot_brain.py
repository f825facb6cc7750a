"""The interactive brain's page: what it holds, that it is safe and small, what it refuses."""

import base64
import html
import json
import re
import sys

import numpy as np
import pytest
import xarray as xr

from meshes import octahedron
from tvbjax import datasets, plot
from tvbjax.connectome import Connectome
from tvbjax.forward import Sensors

MAPPING = np.array([0, 1, 0, 1, 2, 2])


def series(times=7, regions=3, variables=2) -> xr.DataArray:
    values = np.random.default_rng(1).normal(size=(times, variables, regions))
    return xr.DataArray(
        values,
        dims=("time", "variable", "region"),
        coords={
            "time": ("time", 0.5 + np.arange(times), {"units": "ms"}),
            "variable": ["V", "r"][:variables],
            "region": [f"area {i}" for i in range(regions)],
            "unit": ("variable", ["mV", "1"][:variables]),
        },
        name="temporal_average",
    )


def payload(brain: plot.Brain) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', brain.html, re.S)
    assert found is not None
    return json.loads(found.group(1))


def decoded(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def test_the_mesh_is_the_surface_within_a_16_bit_step():
    surface, mapping = datasets.surface(), datasets.region_mapping()
    data = np.random.default_rng(0).normal(size=(3, 76))
    connectome = datasets.connectome("tvb76")
    mesh = payload(plot.brain(data, surface, mapping, connectome=connectome))["mesh"]
    low, step = np.array(mesh["low"]), np.array(mesh["step"])
    vertices = low + decoded(mesh["vertices"], "<u2").reshape(-1, 3) * step
    assert np.abs(vertices - surface.vertices).max() <= step.max() * 0.501
    assert step.max() < 0.003  # mm
    triangles = decoded(mesh["triangles"], "<u2").reshape(-1, 3)
    # Another order, the same triangles: the left hemisphere's first.
    for one in (triangles, surface.triangles):
        assert one.shape == (32_760, 3)
    np.testing.assert_array_equal(
        np.unique(triangles, axis=0), np.unique(surface.triangles, axis=0)
    )
    right = connectome.hemispheres
    assert right is not None
    sides = right[mapping][triangles].mean(axis=1) > 0.5
    assert not sides[: mesh["left"]].any() and sides[mesh["left"] :].all()
    np.testing.assert_array_equal(decoded(mesh["regions"], "<u2"), mapping)
    normals = decoded(mesh["normals"], "i1").reshape(-1, 3) / 127
    assert np.abs(normals - surface.normals).max() < 0.5 / 127 + 1e-9


def test_the_cortex_of_tvb_lies_with_its_front_where_x_is_large():
    data = np.zeros((1, 76))
    brain = plot.brain(
        data, datasets.surface(), datasets.region_mapping(),
        connectome=datasets.connectome("tvb76"),
    )  # fmt: skip
    # Right is -y, front is x, up is z, as datasets says.
    assert payload(brain)["frame"] == [[0, -1, 0], [1, 0, 0], [0, 0, 1]]


def test_values_are_the_data_within_a_step_of_their_range():
    data = series()
    found = payload(plot.brain(data, octahedron(), MAPPING))
    assert found["labels"] == ["area 0", "area 1", "area 2"]
    np.testing.assert_array_equal(decoded(found["time"]["values"], "<f8"), data["time"])
    assert found["time"]["unit"] == "ms"
    for i, variable in enumerate(found["variables"]):
        assert (variable["name"], variable["unit"]) == (["V", "r"][i], ["mV", ""][i])
        levels = decoded(variable["regions"], "<u2").reshape(7, 3)
        values = variable["low"] + levels * variable["step"]
        expected = data.values[:, i]
        assert np.abs(values - expected).max() <= np.ptp(expected) / 65_534 * 0.501
        low, high = variable["limits"]
        assert variable["diverging"] and low == -high


def test_values_of_vertices_colour_the_mesh_and_regions_have_their_means():
    values = np.random.default_rng(2).uniform(1.0, 2.0, (4, 6))
    values[0, 0] = np.nan
    values[1, [4, 5]] = np.inf
    data = xr.DataArray(values, dims=("time", "vertex"), name="rate", attrs={"units": "kHz"})
    found = payload(plot.brain(data, octahedron(), MAPPING))["variables"][0]
    assert found["unit"] == "kHz" and found["missing"] and not found["diverging"]
    levels = decoded(found["vertices"], "u1").reshape(4, 6)
    shown = np.where(levels == 255, np.nan, found["vertex_low"] + levels * found["vertex_step"])
    expected = np.where(np.isfinite(values), values, np.nan)
    np.testing.assert_allclose(shown, expected, atol=0.5 / 254)
    levels = decoded(found["regions"], "<u2").reshape(4, 3)
    means = np.where(levels == 65_535, np.nan, found["low"] + levels * found["step"])
    slow = [[np.nanmean(row[MAPPING == r]) if np.isfinite(row[MAPPING == r]).any() else np.nan
             for r in range(3)] for row in expected]  # fmt: skip
    np.testing.assert_allclose(means, slow, atol=1e-4)


def test_the_page_of_the_cortex_is_small_and_loads_nothing():
    data = series(1_000, 76)
    data["region"] = list(datasets.connectome("tvb76").labels)
    brain = plot.brain(
        data, datasets.surface(), datasets.region_mapping(),
        connectome=datasets.connectome("tvb76"), sensors=datasets.sensors("seeg588"),
    )  # fmt: skip
    assert len(brain.html.encode()) < 1_500_000  # of 3 MB asked for
    outside = re.sub(r'<script type="application/json".*?</script>', "", brain.html, flags=re.S)
    assert not re.search(r"https?:|//[a-z]+\.|@import|\burl\(|\bimport\b|fetch\(", outside)
    assert re.findall(r'(?:src|href)="([^"]*)"', outside) == ["data:,"]
    assert "default-src 'none'" in outside


@pytest.mark.parametrize("wild", ["</script><b>", "<!--<script>", "a & b", "\u2028\"'`${1}{{css}}"])
def test_no_text_breaks_out_of_its_place(wild):
    data = series(2, 3, 1).assign_coords(region=[wild, "b", "c"], variable=[wild])
    sensors = Sensors([wild], [[0.0, 0.0, 60.0]])
    brain = plot.brain(data, octahedron(), MAPPING, sensors=sensors, title=wild)
    found = payload(brain)
    assert found["labels"][0] == found["variables"][0]["name"] == wild
    assert found["sensors"]["labels"] == [wild]
    plain = plot.brain(series(2, 3, 1), octahedron(), MAPPING, title="plain").html
    for sign in ("<script", "</script", "<!--"):
        kept = brain.html.replace(html.escape(wild), "")
        assert kept.count(sign) == plain.count(sign), sign
    assert f"<title>{html.escape(wild)}</title>" in brain.html


def test_a_frame_in_a_notebook_holds_the_whole_page():
    brain = plot.brain(series(), octahedron(), MAPPING)
    found = re.fullmatch(
        r'<iframe srcdoc="([^"]*)" sandbox="allow-scripts" [^<>]*></iframe>', brain._repr_html_()
    )
    assert found is not None and html.unescape(found.group(1)) == brain.html


def test_needs_no_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # importing it fails
    assert plot.brain(series(), octahedron(), MAPPING).html.endswith("</html>\n")


def test_is_saved_whole(tmp_path):
    brain = plot.brain(series(), octahedron(), MAPPING)
    path = brain.save(tmp_path / "brain.html")
    assert path.read_text("utf-8") == brain.html
    assert [one.name for one in tmp_path.iterdir()] == ["brain.html"]
    with pytest.raises(ValueError, match="brain.png is no page's name; end it in .html"):
        brain.save(tmp_path / "brain.png")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        brain.save(tmp_path / "none" / "brain.html")


def test_of_many_times_every_kth_is_shown_and_said():
    data = series(2_001)
    brain = plot.brain(data, octahedron(), MAPPING)
    found = payload(brain)
    np.testing.assert_array_equal(decoded(found["time"]["values"], "<f8"), data["time"][::3])
    assert found["note"] == "Every 3rd of 2,001 samples is shown."
    whole = payload(plot.brain(data, octahedron(), MAPPING, points=3_000))
    assert len(decoded(whole["time"]["values"], "<f8")) == 2_001 and whole["note"] == ""


def test_colours_diverge_only_about_zero_and_hold_all_but_the_outermost():
    def limits(values, **given):
        data = np.tile(np.asarray(values, float)[:, None], (1, 3))
        one = payload(plot.brain(data, octahedron(), MAPPING, **given))["variables"][0]
        return one["limits"], one["diverging"], one["clipped"]

    assert limits([-1.0, 1.0], limits=(-2.0, 2.0)) == ([-2.0, 2.0], True, [False, False])
    assert limits([3.0, 4.0])[1] is False and limits([-0.1, 4.0])[1] is False
    assert limits([5.0, 5.0]) == ([5.0, 5.0], False, [False, False])
    assert limits([np.nan, np.nan])[0] == [0.0, 1.0]
    spike = np.r_[np.linspace(1.0, 2.0, 400), 100.0]
    (low, high), _, clipped = limits(spike)
    assert 1.0 <= low < 1.02 and 1.98 < high < 2.0 and clipped == [True, True]


def test_regions_without_vertices_are_balls_at_their_centres():
    connectome = Connectome(
        np.ones((4, 4)), labels=list("abcd"), centres=np.arange(12.0).reshape(4, 3),
        cortical=[True, True, True, False],
    )  # fmt: skip
    data = np.random.default_rng(0).normal(size=(5, 4))
    found = payload(plot.brain(data, octahedron(), MAPPING, connectome=connectome))
    assert found["balls"]["regions"] == [3] and found["balls"]["positions"] == [[9, 10, 11]]
    assert found["opacity"] < 1, "one sees what lies inside"
    assert payload(plot.brain(data[:, :3], octahedron(), MAPPING))["opacity"] == 1


def test_refuses_what_does_not_fit():
    surface, data = octahedron(), series()
    four = Connectome(np.ones((4, 4)))
    cases = [
        (data, MAPPING, {"connectome": four}, "data has 3 regions, the connectome 4 and the surf"),
        (data, MAPPING[:4], {}, r"region mapping: it has the shape \(4,\) .* and the surface 6"),
        (data, MAPPING + 1, {}, "vertex 4 is in region 3.*yours seem to begin at 1"),
        (data.isel(time=slice(0)), MAPPING, {}, r"data is empty, its shape \(0, 2, 3\)"),
        (data.rename(region="node"), MAPPING, {}, "data has the dims .*choose of other dims"),
        (data.values, MAPPING, {}, r"data has the shape \(7, 2, 3\); pass \(time, region\)"),
        (data.values[:, 0], MAPPING, {"time": np.arange(3.0)}, "time has the shape"),
        (data.isel(time=slice(None, None, -1)), MAPPING, {}, "not finite and increasing"),
        (data, MAPPING, {"limits": (2.0, 1.0)}, r"limits is \(2.0, 1.0\); pass two"),
        (data, MAPPING, {"points": 0}, "points is 0"),
        (
            data,
            MAPPING,
            {"connectome": Connectome(np.ones((3, 3)), labels=["area 0", "area 2", "area 1"])},
            "region 1 of data is 'area 1', of the connectome 'area 2'",
        ),
    ]
    for given, mapping, options, message in cases:
        with pytest.raises(ValueError, match=message):
            plot.brain(given, surface, mapping, **options)


def test_what_is_too_large_for_a_page_is_refused_with_a_number_that_fits():
    surface, mapping = datasets.surface(), datasets.region_mapping()
    data = np.zeros((2_000, len(surface)), dtype=np.float32)
    with pytest.raises(ValueError, match=r"take 33 MB.* pass points=1464 or less"):
        plot.brain(data, surface, mapping, points=2_000)


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: plot.brain("x", octahedron(), MAPPING), r"brain: data is of the type str; .*\[\""),  # type: ignore
        (lambda: plot.brain(object(), octahedron(), MAPPING), r"of the type object; .*result\["),  # type: ignore
        (lambda: plot.brain(np.ones((3, 3)) * 1j, octahedron(), MAPPING), "brain: data is complex"),
        (lambda: plot.traces(np.ones((4, 3))), r"traces: data is of the type ndarray; .*result\["),  # type: ignore
        (lambda: plot.traces(series() * 1j), r"traces: data is complex; give real numbers"),
        (lambda: plot.sensors(Sensors), "sensors: sensors is the class Sensors; give an instance"),  # type: ignore
        (lambda: plot.sensors("eeg62"), r"give e.g. tvbjax.datasets.sensors\('eeg62'\)"),  # type: ignore
    ],
)
def test_what_cannot_be_drawn_is_told(without_type_checks, draw, says):
    with pytest.raises(TypeError, match=says):
        draw()
