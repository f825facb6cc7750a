"""MNE's forward solutions as gains, and its boundary elements against spheres by formula."""

import importlib.util
import sys

import numpy as np
import pytest

from meshes import sphere
from tvbjax import datasets, forward
from tvbjax.forward import Sensors
from tvbjax.surface import Surface

mne = pytest.importorskip("mne")

needs_tvb_data = pytest.mark.skipif(
    importlib.util.find_spec("tvb_data") is None, reason="tvb-data is not installed"
)
RADII = [80.0, 85.0, 90.0]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def head(sources=15, farthest=65.0, electrodes=20):
    draw = np.random.default_rng(0)
    places = unit(draw.normal(size=(electrodes, 3))) * 90
    positions = unit(draw.normal(size=(sources, 3))) * draw.uniform(0, farthest, (sources, 1))
    names = [f"E{i}" for i in range(electrodes)]
    return Sensors(names, places), positions, unit(draw.normal(size=(sources, 3)))


@pytest.fixture(scope="module")
def quiet():
    with mne.use_log_level("ERROR"):
        yield


def mne_forward(sensors, positions, orientations, *, meg=False):
    """By MNE's own sphere model, point magnetometers for MEG."""
    info = mne.create_info(list(sensors.labels), 1000.0, "mag" if meg else "eeg")
    if meg:
        info["dev_head_t"] = mne.Transform("meg", "head")
        for channel, place, out in zip(
            info["chs"], sensors.positions, sensors.orientations, strict=True
        ):
            first = unit(np.cross(out, [0.6, 0.0, 0.8]))
            axes = np.concatenate([first, np.cross(out, first), out])
            channel["loc"] = np.concatenate([place * 1e-3, axes])
            channel["coil_type"] = 2000  # a point
    else:
        places = dict(zip(sensors.labels, sensors.positions * 1e-3, strict=True))
        info.set_montage(mne.channels.make_dig_montage(places, coord_frame="head"))
    model = mne.make_sphere_model(
        (0.0, 0.0, 0.0),
        0.09,
        relative_radii=(80 / 90, 85 / 90, 1.0),
        sigmas=(0.33, 0.006, 0.33),
    )
    sources = mne.setup_volume_source_space(pos={"rr": positions * 1e-3, "nn": orientations})
    return mne.make_forward_solution(
        info, mne.Transform("head", "mri"), sources, model, meg=meg, eeg=not meg, mindist=0.0
    )


def test_shells_are_mnes_sphere_model_to_its_accuracy(quiet):
    """MNE fits three dipoles to the series (Berg & Scherg), which errs by some 0.1 %."""
    sensors, positions, orientations = head(farthest=70.0)
    solved = mne_forward(sensors, positions, orientations)
    found = forward.gain_from_mne(solved)
    expected = forward.shells_eeg_gain(
        sensors, positions, orientations, radii=RADII, conductivities=[0.33, 0.006, 0.33]
    )
    assert (found.channels, found.unit) == (sensors.labels, "V/(A m)")
    off = np.linalg.norm(found.matrix - expected.matrix, axis=0)
    assert (off < 5e-3 * np.linalg.norm(expected.matrix, axis=0)).all()


def test_magnetic_gains_are_mnes_with_their_signs(quiet):
    sensors, positions, orientations = head()
    askew = unit(sensors.positions + 60.0)
    coils = Sensors(sensors.labels, sensors.positions * 1.25, askew)
    found = forward.gain_from_mne(mne_forward(coils, positions, orientations, meg=True))
    expected = np.asarray(forward.sphere_meg_gain(coils, positions, orientations).matrix)
    assert found.unit == "T/(A m)"
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-5, atol=1e-6 * abs(expected).max())


def test_a_forward_is_the_same_whether_free_along_the_surface_or_fixed(quiet):
    sensors, positions, orientations = head()
    free = mne_forward(sensors, positions, orientations)
    fixed = mne.convert_forward_solution(free, surf_ori=True, force_fixed=True)
    first = forward.gain_from_mne(free)
    np.testing.assert_allclose(forward.gain_from_mne(fixed).matrix, first.matrix, rtol=1e-6)
    turned = mne.convert_forward_solution(free, surf_ori=True)
    assert not np.allclose(turned["sol"]["data"], free["sol"]["data"])
    np.testing.assert_allclose(forward.gain_from_mne(turned).matrix, first.matrix, rtol=1e-6)
    some = forward.gain_from_mne(free, picks=["E7", "E2"])
    assert some.channels == ("E7", "E2")
    np.testing.assert_array_equal(some.matrix, first.take(["E7", "E2"]).matrix)
    assert forward.gain_from_mne(free, picks="eeg").channels == sensors.labels
    with pytest.raises(ValueError, match="no channel 'Cz'; there are E0, .* of the types eeg"):
        forward.gain_from_mne(free, picks=["Cz"])
    with pytest.raises(ValueError, match="none of the channels is 'grad'"):
        forward.gain_from_mne(free, picks="grad")
    with pytest.raises(TypeError, match=r"expected an mne\.Forward, got dict"):
        forward.gain_from_mne({})
    mixed = free.copy()
    mixed["info"]["chs"][0]["kind"] = mne.io.constants.FIFF.FIFFV_SEEG_CH
    with pytest.raises(ValueError, match="types eeg, seeg have different units; pick one"):
        forward.gain_from_mne(mixed)
    assert forward.gain_from_mne(mixed, picks="eeg").channels == sensors.labels[1:]


def off_the_shells(times: int, skull: float) -> float:
    """How far boundary elements of spheres are from the series, in the worst dipole's field over
    all electrodes; the skin is wound inwards, which must not matter."""
    sensors, positions, orientations = head()
    conductivities = (0.33, skull, 0.33)
    expected = forward.shells_eeg_gain(
        sensors, positions, orientations, radii=RADII, conductivities=list(conductivities)
    ).matrix
    inner, outer, skin = (sphere(times, radius) for radius in RADII)
    found = forward.bem_gain(
        *(sensors, positions, orientations),
        inner_skull=inner,
        outer_skull=outer,
        outer_skin=Surface(skin.vertices, skin.triangles[:, ::-1]),
        conductivities=conductivities,
    )
    assert found.channels == sensors.labels
    off = np.linalg.norm(found.matrix - expected, axis=0) / np.linalg.norm(expected, axis=0)
    return float(off.max())


def test_boundary_elements_approach_the_spheres():
    """258 vertices a sphere: within 6 % of one conductor, 20 % with a skull."""
    assert off_the_shells(3, 0.33) < 0.06
    assert off_the_shells(3, 0.02) < 0.2


@pytest.mark.slow
def test_boundary_elements_of_finer_spheres_are_nearer():
    """1,026 vertices a sphere: 4 % and 10 %."""
    assert off_the_shells(4, 0.33) < 0.04
    assert off_the_shells(4, 0.006) < 0.1


def test_what_has_no_boundary_elements_is_refused(monkeypatch):
    sensors, positions, orientations = head()
    inner, outer, skin = (sphere(2, radius) for radius in RADII)

    def solve(positions=positions, inner=inner, outer=outer, conductivities=(0.3, 0.006, 0.3)):
        return forward.bem_gain(
            sensors,
            positions,
            orientations,
            inner_skull=inner,
            outer_skull=outer,
            outer_skin=skin,
            conductivities=conductivities,
        )

    outside = positions.copy()
    outside[4] = [0.0, 84.0, 0.0]
    with pytest.raises(ValueError, match="1 of 15 dipoles lie outside .* source 4"):
        solve(outside)
    with pytest.raises(ValueError, match="MNE refuses the surfaces: .*"):
        solve(inner=outer, outer=inner)
    with pytest.raises(ValueError, match=r"conductivities are \(0.3, 0.0, 0.3\)"):
        solve(conductivities=(0.3, 0.0, 0.3))
    patch = Surface(inner.vertices, inner.triangles[:-1], closed=False)
    with pytest.raises(ValueError, match="inner_skull has holes or several parts"):
        solve(inner=patch)
    with pytest.raises(ValueError, match="all finite"):
        solve(np.full_like(positions, np.nan))
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(
        ImportError, match=r"bem_gain needs MNE-Python: pip install 'tvbjax\[mne\]'"
    ):
        solve()


@needs_tvb_data
def test_boundary_elements_of_tvbs_head():
    """The skulls and the skin of tvb-data, at 258 vertices each: the fields are like those of the
    nearest spheres, as far as a head is one (correlations over electrodes)."""
    names = ("inner_skull", "outer_skull", "outer_skin")
    whole = [datasets.surface(name) for name in names]
    centre, _ = forward.fitted_sphere(whole[-1].vertices)
    radii = [float(np.linalg.norm(s.vertices - centre, axis=1).mean()) for s in whole]
    rays = sphere(3)
    inner, outer, skin = (
        Surface(forward.projected_onto(points, surface, centre).positions, rays.triangles)
        for surface in whole
        for points in [Sensors([str(i) for i in range(258)], centre + rays.vertices)]
    )
    draw = np.random.default_rng(0)
    above = unit(draw.normal(size=(30, 3)) + [0.0, 0.0, 1.0])
    cap = Sensors([f"E{i}" for i in range(30)], centre + above)
    sensors = forward.projected_onto(cap, skin, centre)
    positions = centre + unit(draw.normal(size=(10, 3))) * 35.0
    orientations = unit(draw.normal(size=(10, 3)))
    found = forward.bem_gain(
        sensors,
        positions,
        orientations,
        inner_skull=inner,
        outer_skull=outer,
        outer_skin=skin,
        conductivities=(0.33, 0.33, 0.33),
    )
    expected = forward.sphere_eeg_gain(
        sensors, positions, orientations, radius=radii[-1], centre=centre
    )
    pairs = zip(np.asarray(found.matrix).T, np.asarray(expected.matrix).T, strict=True)
    alike = [np.corrcoef(one, other)[0, 1] for one, other in pairs]
    assert min(alike) > 0.9
