"""Surfaces: what is refused, and areas, normals and parts of bodies whose geometry is known."""

import numpy as np
import pytest

import tvbjax
from meshes import sphere
from tvbjax.surface import Surface, checked_mapping, without_vertices

OCTAHEDRON = sphere(0)
V, T = OCTAHEDRON.vertices, OCTAHEDRON.triangles


def test_an_octahedron_has_its_areas_edges_and_normals():
    assert len(OCTAHEDRON) == 6 and len(OCTAHEDRON.edges) == 12
    np.testing.assert_allclose(OCTAHEDRON.edge_lengths, np.sqrt(2))
    np.testing.assert_allclose(OCTAHEDRON.triangle_areas, np.sqrt(3) / 2)
    np.testing.assert_allclose(OCTAHEDRON.areas, 4 * np.sqrt(3) / 6)
    np.testing.assert_allclose(OCTAHEDRON.normals, V, atol=1e-15)
    assert repr(OCTAHEDRON) == "Surface('sphere', 6 vertices, 8 triangles)"


def test_areas_and_normals_approach_a_spheres():
    ball = sphere(5, 50.0)
    assert ball.areas.sum() == pytest.approx(4 * np.pi * 50.0**2, rel=2e-3)
    assert ball.areas.sum() == pytest.approx(ball.triangle_areas.sum(), rel=1e-12)
    np.testing.assert_allclose(ball.normals, ball.vertices / 50.0, atol=0.01)
    euler = len(ball) - len(ball.edges) + len(ball.triangles)
    assert euler == 2


@pytest.mark.parametrize("inwards", [(), (0,), (1,), (0, 1)])
def test_normals_point_outwards_however_each_part_is_wound(inwards):
    parts = [sphere(2), sphere(2)]
    turned = [p.triangles[:, ::-1] if i in inwards else p.triangles for i, p in enumerate(parts)]
    both = Surface(
        np.concatenate([parts[0].vertices, parts[1].vertices + [40.0, 0.0, 7.0]]),
        np.concatenate([turned[0], turned[1] + 66]),
    )
    assert both.components.tolist() == [0] * 66 + [1] * 66
    np.testing.assert_allclose(both.normals, np.tile(parts[0].normals, (2, 1)), atol=1e-12)
    outwards = np.einsum("ij,ij->i", both.normals, np.tile(parts[0].vertices, (2, 1)))
    assert outwards.min() > 0.99


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_normals_do_not_depend_on_how_each_triangle_is_wound(share):
    ball = sphere(3)
    turned = np.random.default_rng(1).random(len(ball.triangles)) < share
    mixed = np.where(turned[:, None], ball.triangles[:, ::-1], ball.triangles)
    again = Surface(ball.vertices + [9.0, 0, 0], mixed)
    np.testing.assert_array_equal(again.triangles, mixed)
    np.testing.assert_array_equal(again.winding, np.where(turned, -1, 1) * ball.winding)
    np.testing.assert_allclose(again.normals, ball.normals, atol=1e-12)


def strip(rows, *, turned, tube):
    """A band of squares, or a tube, whose last column meets the first, turned over or not; how
    triangles hang together is all that counts here, places are by chance."""
    columns, triangles = 7, []

    def number(column, row):
        if turned and column == columns:
            row = rows - 1 - row
        return column % columns * rows + row % rows

    for i in range(columns):
        for j in range(rows if tube else rows - 1):
            a, b, c, d = number(i, j), number(i + 1, j), number(i + 1, j + 1), number(i, j + 1)
            triangles += [[a, b, c], [a, c, d]]
    return np.random.default_rng(0).normal(size=(columns * rows, 3)), triangles


@pytest.mark.parametrize("tube", [False, True])
def test_a_surface_of_one_side_is_refused(tube):
    """Moebius' strip and Klein's bottle; a cylinder and a torus have two sides."""
    plain = Surface(*strip(5, turned=False, tube=tube), closed=tube)
    assert set(plain.winding) in ({1}, {-1})
    with pytest.raises(ValueError, match=r"triangle 0, \[0, 5, 6\], has one side only"):
        Surface(*strip(5, turned=True, tube=tube), closed=tube)


def test_most_triangles_of_a_patch_say_where_its_normals_point():
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 0]])
    patch = Surface(square, [[1, 0, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]], closed=False)
    assert patch.winding.tolist() == [-1, 1, 1, 1]
    np.testing.assert_array_equal(patch.normals, np.tile([0, 0, 1.0], (5, 1)))


def test_a_patch_keeps_its_winding():
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    up = Surface(square, [[0, 1, 2], [0, 2, 3]], closed=False)
    down = Surface(square, [[2, 1, 0], [3, 2, 0]], closed=False)
    np.testing.assert_array_equal(up.normals, np.tile([0, 0, 1.0], (4, 1)))
    np.testing.assert_array_equal(down.normals, -up.normals)
    np.testing.assert_allclose(up.areas, [1 / 3, 1 / 6, 1 / 3, 1 / 6])


def test_surfaces_are_values():
    same = Surface(V.copy(), T.copy(), name="sphere")
    assert same == OCTAHEDRON and hash(same) == hash(OCTAHEDRON) and {same: 1}[OCTAHEDRON] == 1
    for other in (
        Surface(V * 2, T, name="sphere"),
        Surface(V, T[:, ::-1], name="sphere"),
        Surface(V, T, name="other"),
        Surface(V, T, closed=False, name="sphere"),
        "sphere",
    ):
        assert other != OCTAHEDRON
    with pytest.raises(ValueError, match="read-only"):
        same.vertices[0, 0] = 3.0


def bad(**changed):
    given = {"vertices": V, "triangles": T} | changed
    return Surface(given["vertices"], given["triangles"])


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"vertices": V[:, :2]}, r"vertices has the shape \(6, 2\)"),
        ({"vertices": np.where(V == 1, np.nan, V)}, r"vertices\[0, 0\] is nan"),
        ({"triangles": T[:, :2]}, r"triangles has the shape \(8, 2\)"),
        (
            {"triangles": T + 1},
            r"triangle 4 is \[2, 1, 6\], and there are the vertices 0 to 5 .*begin at 1\)",
        ),
        ({"triangles": T - 1}, r"triangle 0 is \[-1, 0, 1\], and there are the vertices 0 to 5\."),
        ({"triangles": T + 0.5}, r"triangle 0 is \[0.5, 1.5, 2.5\]"),
        ({"triangles": np.where(T == 2, 1, T)}, r"triangle 0 is \[0, 1, 1\], no triangle"),
        (
            {"vertices": V[[0, 0, 2, 3, 4, 5]]},
            r"triangle 0 is \[0, 1, 2\], and has no area: .* \(2 such triangles\)",
        ),
        ({"triangles": T[:-1]}, r"a hole: the edge between the vertices 0 and 4 .*3 such edges"),
        ({"vertices": np.vstack([V, V[:1] * 2])}, r"vertex 6 is in no triangle \(1 such\)"),
        (
            {"vertices": np.vstack([V, V[:1] * 2]), "triangles": np.vstack([T, [[0, 1, 6]]])},
            "3 triangles share the edge between the vertices 0 and 1",
        ),
    ],
)
def test_what_is_no_surface_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        bad(**changed)


REGIONS = tvbjax.Connectome(
    np.ones((3, 3)) - np.eye(3), np.ones((3, 3)), 3.0, ["a", "b", "c"], cortical=[True, True, False]
).regions


def test_mappings_name_regions_that_are_there():
    found = checked_mapping([0, 1, 1, 0], REGIONS, 4)
    assert found.dtype == np.int64 and found.tolist() == [0, 1, 1, 0]
    assert without_vertices(found, 3).tolist() == [2]
    assert without_vertices(np.array([2, 0, 1]), 3).tolist() == []


@pytest.mark.parametrize(
    "mapping, message",
    [
        ([0, 1, 1], r"shape \(3,\) .* and the surface 4 vertices"),
        ([1, 2, 3, 3], r"vertex 2 is in region 3, and .* yours seem to begin at 1 \(2 such"),
        ([0, 1, -1, 0], r"vertex 2 is in region -1, and there are the regions 0 to 2 \(1 such"),
        ([0, 0, 2, 0], r"no vertex is in the cortical region 'b' \(1 such"),
    ],
)
def test_mappings_that_do_not_fit_are_refused(mapping, message):
    with pytest.raises(ValueError, match=message):
        checked_mapping(mapping, REGIONS, 4)
