"""Sensors, where they meet a surface, and gains of named channels: against plain NumPy."""

import jax
import numpy as np
import pytest

import tvbjax
from meshes import sphere
from tvbjax import forward
from tvbjax.forward import Gain, Sensors, gain_of, projected_onto
from tvbjax.regions import Regions
from tvbjax.surface import Cortex, Surface

NAMES = ("Fp1", "Cz", "Pz", "Oz")
MATRIX = np.random.default_rng(0).normal(size=(4, 6))
GAIN = Gain(MATRIX, NAMES, "V")
PLACES = np.arange(12.0).reshape(4, 3)
CAP = Sensors(NAMES, PLACES)


def test_sensors_are_values():
    coils = Sensors(NAMES, PLACES, [[3, 0, 4], [0, 0, 0], [0, 2, 0], [1, 0, 0]], name="meg")
    assert coils.orientations is not None
    np.testing.assert_allclose(coils.orientations[0], [0.6, 0, 0.8])
    np.testing.assert_array_equal(coils.orientations[1], 0)
    same = Sensors(NAMES, PLACES, 5 * coils.orientations, name="meg")
    assert coils == same and hash(coils) == hash(same)
    assert coils != Sensors(NAMES, PLACES, name="meg") and coils != Sensors(NAMES, PLACES)
    assert Sensors(NAMES, PLACES) != Sensors(NAMES, PLACES + 1) and coils != "meg"
    with pytest.raises(ValueError, match="read-only"):
        coils.positions[0, 0] = 1.0
    given = PLACES.copy()
    kept = Sensors(NAMES, given)
    given[:] = 0
    np.testing.assert_array_equal(kept.positions, PLACES)
    assert repr(coils) == "Sensors('meg', 4: Fp1, Cz, Pz, ...)" and len(coils) == 4


def test_sensors_are_taken_by_name():
    coils = Sensors(NAMES, PLACES, PLACES[::-1] + 1.0)
    assert coils.index("Pz") == 2
    some = coils.take(["Oz", "Cz"])
    assert some.labels == ("Oz", "Cz") and some.orientations is not None
    np.testing.assert_array_equal(some.positions, PLACES[[3, 1]])
    np.testing.assert_allclose(some.orientations, coils.orientations[[3, 1]])  # type: ignore
    assert Sensors(NAMES, PLACES).take(["Cz"]).orientations is None
    with pytest.raises(ValueError, match="no sensor is called 'Fp2'; did you mean 'Fp1'"):
        coils.index("Fp2")
    with pytest.raises(ValueError, match="no sensor is called 'trigger'; see `labels`"):
        coils.take(["Cz", "trigger"])


@pytest.mark.parametrize(
    "labels, positions, message",
    [
        ((), np.zeros((0, 3)), "labels is"),
        ("ab", np.zeros((2, 3)), "pass a list"),
        (["a", "b", "a"], np.zeros((3, 3)), r"labels\[0\] and labels\[2\] are both 'a'"),
        (["a"], np.zeros((2, 3)), r"positions has the shape \(2, 3\).* 1 sensors"),
        (["a"], [[0.0, np.nan, 0.0]], r"positions\[0, 1\] is nan; give finite"),
    ],
)
def test_sensors_that_are_none_are_refused(labels, positions, message):
    with pytest.raises(ValueError, match=message):
        Sensors(labels, positions)


def test_sensors_meet_a_sphere_at_its_radius_and_miss_it_from_outside():
    draw = np.random.default_rng(1)
    ball = sphere(4)
    directions = draw.normal(size=(20, 3)) * 7
    cap = Sensors([f"s{i}" for i in range(20)], directions, directions, name="cap")
    placed = projected_onto(cap, ball)
    assert placed.labels == cap.labels and placed.name == "cap"
    lengths = np.linalg.norm(placed.positions, axis=1)
    assert (lengths <= 1 + 1e-12).all() and (lengths > 0.997).all()  # a mesh lies within its sphere
    np.testing.assert_allclose(
        placed.positions / lengths[:, None],
        directions / np.linalg.norm(directions, axis=1, keepdims=True),
    )
    np.testing.assert_allclose(placed.orientations, cap.orientations)  # type: ignore

    centre = np.array([5.0, -3.0, 2.0])
    moved = Surface(ball.vertices + centre, ball.triangles, name="moved")
    again = projected_onto(
        Sensors(cap.labels, directions + centre, name="cap"), moved, centre=centre
    )
    np.testing.assert_allclose(again.positions - centre, placed.positions, atol=1e-12)
    with pytest.raises(ValueError, match="the ray to 's.*' does not meet the surface 'moved'"):
        projected_onto(cap, moved)
    with pytest.raises(ValueError, match="the ray to 'here' does not meet"):
        projected_onto(Sensors(["here"], np.zeros((1, 3))), ball)


def test_the_far_side_counts_where_a_ray_leaves_twice():
    outer, inner = sphere(2, 3.0), sphere(2, 1.0)
    both = Surface(
        np.concatenate([inner.vertices, outer.vertices]),
        np.concatenate([inner.triangles, outer.triangles + len(inner)]),
    )
    placed = projected_onto(Sensors(["up"], [[0.0, 0.0, 1.0]]), both)
    np.testing.assert_allclose(placed.positions, [[0, 0, 3.0]])


def test_references_are_differences_of_rows():
    np.testing.assert_allclose(
        GAIN.average_reference().matrix, MATRIX - MATRIX.mean(axis=0, keepdims=True)
    )
    referenced = GAIN.referenced_to("Cz")
    np.testing.assert_allclose(referenced.matrix, MATRIX - MATRIX[[1]])
    np.testing.assert_array_equal(referenced.matrix[1], 0)
    assert referenced.channels == NAMES and referenced.unit == "V"
    pairs = GAIN.bipolar([("Fp1", "Cz"), ("Cz", "Oz")])
    assert pairs.channels == ("Fp1-Cz", "Cz-Oz")
    np.testing.assert_allclose(pairs.matrix, MATRIX[[0, 1]] - MATRIX[[1, 3]])
    np.testing.assert_allclose(  # a reference does not change a difference
        GAIN.average_reference().bipolar([("Fp1", "Cz")]).matrix, pairs.matrix[:1], rtol=1e-12
    )
    some = GAIN.take(["Oz", "Fp1"])
    assert some.channels == ("Oz", "Fp1") and GAIN.sources == 6
    np.testing.assert_array_equal(some.matrix, MATRIX[[3, 0]])
    for wrong in (
        lambda: GAIN.take(["T7"]),
        lambda: GAIN.referenced_to("T7"),
        lambda: GAIN.bipolar([("Cz", "T7")]),
    ):
        with pytest.raises(ValueError, match=r"no channel 'T7'; there are Fp1, Cz, Pz, Oz\."):
            wrong()


def test_names_of_channels_are_taken_whole():
    alone = GAIN.take("Cz")
    assert alone.channels == ("Cz",) and alone.matrix.shape == (1, 6)
    assert CAP.take("Cz") == CAP.take(["Cz"])
    for one in (GAIN, CAP):
        with pytest.raises(ValueError, match="take: there are no names; give one or more"):
            one.take([])
        with pytest.raises(ValueError, match="(called|channel) 'CZ'; did you mean 'Cz'"):
            one.take("CZ")
    with pytest.raises(ValueError, match="did you mean 'Fp1'"):
        CAP.take(["FP1"])
    with pytest.raises(ValueError, match="bipolar: there are no pairs"):
        GAIN.bipolar([])


@pytest.mark.parametrize("pairs", [["Cz", "Oz"], ("Cz", "Oz"), [("Cz", "Oz", "Pz")]])
def test_what_is_no_pair_is_refused(without_type_checks, pairs):
    with pytest.raises(ValueError, match=r"pairs\[0\] is .*Cz.*; give pairs of channels"):
        GAIN.bipolar(pairs)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: gain_of("eeg62", MATRIX), r"gain_of: sensors is .*sensors\('eeg62'\)"),  # type: ignore
        (lambda: gain_of(Sensors, MATRIX), r"is the class Sensors; give an instance"),  # type: ignore
        (lambda: gain_of(CAP, MATRIX, unit=3), r"gain_of: unit is 3; give e.g. 'uV'"),  # type: ignore
        (
            lambda: forward.sphere_eeg_gain("eeg62", PLACES, PLACES, radius=90.0),  # type: ignore
            r"sphere_eeg_gain: sensors is 'eeg62'; give e.g. tvbjax.datasets.sensors\('eeg62'\)",
        ),
        (lambda: forward.sphere_meg_gain("meg151", PLACES, PLACES), r"sensors\('meg151'\)"),  # type: ignore
        (lambda: GAIN.with_sources(MATRIX), "(?s)with_sources: other is .*; give e.g. gain_of"),  # type: ignore
        (lambda: GAIN.take(3), "Gain.take: 3 is no name; give names"),  # type: ignore
        (lambda: CAP.take([0, 1]), "Sensors.take: 0 is no name; give names"),  # type: ignore
        (lambda: GAIN.referenced_to(["Cz"]), r"referenced_to: channel is \['Cz'\]; give one"),  # type: ignore
        (lambda: GAIN.summed_over_regions([0] * 6, 76.5), "regions is 76.5; give their number"),  # type: ignore
    ],
)
def test_what_is_of_another_kind_is_told(without_type_checks, make, says):
    with pytest.raises(TypeError, match=says):
        make()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: GAIN.take("Cz").average_reference(), "one channel against itself is 0"),
        (lambda: GAIN.bipolar([("Cz", "Cz")]), r"pairs\[0\] is 'Cz' against itself"),
        (
            lambda: forward.homogeneous_gain(CAP, PLACES, 0.0 * PLACES),
            "homogeneous_gain: all orientations of the dipoles are 0",
        ),
    ],
)
def test_what_would_measure_nothing_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_regions_are_counted():
    mapping = np.array([2, 0, 2, 2, 0, 3])
    regions = Regions(["a", "b", "c", "d", "e"])
    for reduce in (GAIN.summed_over_regions, GAIN.averaged_over_regions):
        np.testing.assert_array_equal(reduce(mapping, regions).matrix, reduce(mapping, 5).matrix)


def test_regions_have_the_sum_or_the_mean_of_their_vertices():
    mapping = np.array([2, 0, 2, 2, 0, 3])
    summed, mean = GAIN.summed_over_regions(mapping, 5), GAIN.averaged_over_regions(mapping, 5)
    for region in range(5):
        chosen = MATRIX[:, mapping == region]
        np.testing.assert_allclose(summed.matrix[:, region], chosen.sum(axis=1), rtol=1e-12)
        if chosen.size:
            np.testing.assert_allclose(mean.matrix[:, region], chosen.mean(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(mean.matrix[:, [1, 4]], 0)
    # A region's activity at all of its vertices is measured as the vertices are.
    activity = np.random.default_rng(2).normal(size=5)
    np.testing.assert_allclose(summed.matrix @ activity, MATRIX @ activity[mapping], rtol=1e-12)
    for whole in (mapping.astype(float), mapping.tolist()):  # as numpy.loadtxt gives them
        np.testing.assert_array_equal(GAIN.summed_over_regions(whole, 5).matrix, summed.matrix)
        np.testing.assert_array_equal(GAIN.averaged_over_regions(whole, 5).matrix, mean.matrix)
    with pytest.raises(ValueError, match=r"the shape \(3,\) .* the surface 6 vertices"):
        GAIN.summed_over_regions(mapping[:3], 5)
    with pytest.raises(ValueError, match="vertex 5 is in region 3, and there are the regions 0 to"):
        GAIN.averaged_over_regions(mapping, 3)
    for bad in (0.5, np.nan):
        with pytest.raises(ValueError, match=f"vertex 1 is in region {bad}, and there are"):
            GAIN.summed_over_regions(np.array([0, bad, 0, 0, 0, 0]), 5)


def test_further_sources_are_further_columns():
    more = Gain(MATRIX[:, :2] * 3, NAMES, "V")
    both = GAIN.with_sources(more)
    np.testing.assert_array_equal(both.matrix, np.concatenate([MATRIX, more.matrix], axis=1))
    with pytest.raises(ValueError, match="the channels differ"):
        GAIN.with_sources(GAIN.take(["Cz", "Fp1", "Pz", "Oz"]))


def test_gains_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"shape \(4, 6\) and there are 3 channels"):
        Gain(MATRIX, NAMES[:3])
    with pytest.raises(ValueError, match="two channels are called 'Cz'"):
        Gain(MATRIX, ("Cz", "Fz", "Oz", "Cz"))
    broken = MATRIX.copy()
    broken[2, 1] = np.inf
    with pytest.raises(ValueError, match="the row of 'Pz' holds NaN or infinity"):
        Gain(broken, NAMES)
    for make in (lambda: Gain(MATRIX + 0j, NAMES), lambda: gain_of(CAP, MATRIX + 0j)):
        with pytest.raises(ValueError, match="the matrix is complex.* give its real part"):
            make()


def test_sensors_without_a_gain_are_left_out_by_name():
    cap = Sensors(NAMES, PLACES, name="cap")
    broken = MATRIX.copy()
    broken[0, 3], broken[2] = np.inf, np.nan
    with pytest.warns(UserWarning, match=r"2 of 4 sensors have no finite gain .*: Fp1, Pz\."):
        found = gain_of(cap, broken, "uV")
    assert (found.channels, found.unit) == (("Cz", "Oz"), "uV")
    np.testing.assert_array_equal(found.matrix, MATRIX[[1, 3]])
    with pytest.raises(ValueError, match="every row of the matrix holds NaN"):
        gain_of(cap, np.full((4, 6), np.nan))
    with pytest.raises(ValueError, match=r"shape \(6, 4\) and there are 4 sensors \(cap\)"):
        gain_of(cap, MATRIX.T)
    with pytest.raises(ValueError, match="6 sources and the surface 'sphere' has 66 vertices"):
        gain_of(cap, MATRIX, surface=sphere(2))
    assert gain_of(cap, MATRIX, surface=sphere(0)).sources == 6


def test_dipoles_of_regions_surfaces_and_cortices():
    ball = sphere(1)
    centres, directions = np.arange(9.0).reshape(3, 3), np.eye(3)
    connectome = tvbjax.Connectome(
        np.ones((3, 3)) - np.eye(3),
        np.ones((3, 3)),
        3.0,
        centres=centres,
        orientations=directions,
        cortical=[True, False, True],
    )
    positions, orientations = forward.dipoles_of(connectome.regions)
    np.testing.assert_array_equal(positions, centres)
    np.testing.assert_array_equal(orientations, directions)
    positions, orientations = forward.dipoles_of(ball)
    np.testing.assert_allclose(orientations, positions, atol=1e-12)  # a sphere's normals
    cortex = Cortex(ball, 2 * (ball.vertices[:, 0] > 0).astype(int), connectome.regions)
    positions, orientations = forward.dipoles_of(cortex)
    assert len(positions) == cortex.nodes == len(ball) + 1
    np.testing.assert_array_equal(positions[-1], centres[1])
    np.testing.assert_array_equal(orientations[-1], directions[1])
    np.testing.assert_array_equal(positions[:-1], ball.vertices)
    bare = tvbjax.datasets.synthetic_connectome(4, key=jax.random.key(0))
    with pytest.raises(ValueError, match="the regions have no orientations"):
        forward.dipoles_of(bare.regions)
    flat = tvbjax.Connectome(
        np.ones((3, 3)), np.ones((3, 3)), 3.0, centres=centres, orientations=np.zeros((3, 3))
    )
    with pytest.raises(ValueError, match="all orientations of the regions are 0"):
        forward.dipoles_of(flat.regions)


def test_a_sphere_is_fitted_to_points_of_a_cap():
    draw = np.random.default_rng(3)
    cap = draw.normal(size=(30, 3))
    cap[:, 2] = abs(cap[:, 2])
    points = [4.0, -7.0, 30.0] + 91.0 * cap / np.linalg.norm(cap, axis=1, keepdims=True)
    centre, radius = forward.fitted_sphere(points)
    np.testing.assert_allclose(centre, [4, -7, 30], rtol=1e-9)
    assert radius == pytest.approx(91.0, rel=1e-9)
    with pytest.raises(ValueError, match="lie in a plane, or are fewer than 4"):
        forward.fitted_sphere(points * [1, 1, 0])
