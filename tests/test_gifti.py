"""GIFTI files: nibabel and nilearn read what is written, and their own files read."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from meshes import sphere
from tvbjax.io import (
    read_maps_gifti,
    read_region_mapping_gifti,
    read_surface,
    write_maps_gifti,
    write_region_mapping_gifti,
    write_surface_gifti,
)

BALL = sphere(2, 80.0)


def test_a_surface_is_as_nibabel_and_nilearn_read_it(tmp_path):
    surface = pytest.importorskip("nilearn.surface")
    path = write_surface_gifti(BALL, tmp_path / "lh.surf.gii", structure="CortexLeft")
    image: Any = nibabel.load(path)
    points, triangles = image.agg_data()
    np.testing.assert_allclose(points, BALL.vertices, rtol=1e-7)
    np.testing.assert_array_equal(triangles, BALL.triangles)
    assert image.darrays[0].meta["AnatomicalStructurePrimary"] == "CortexLeft"
    mesh = surface.load_surf_mesh(str(path))
    np.testing.assert_array_equal(mesh.faces, BALL.triangles)
    again = read_surface(path)
    np.testing.assert_array_equal(again.vertices, BALL.vertices.astype(np.float32))
    np.testing.assert_array_equal(again.triangles, BALL.triangles)


def test_nilearns_fsaverage_goes_through(tmp_path):
    nilearn = pytest.importorskip("nilearn")
    folder = Path(nilearn.__file__).parent / "datasets" / "data" / "fsaverage5"
    packed = folder / "pial_left.gii.gz"
    plain = tmp_path / "pial.gii"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    found = read_surface(plain)
    assert len(found) == 10_242 and len(found.triangles) == 20_480
    again = read_surface(write_surface_gifti(found, tmp_path / "again.surf.gii"))
    np.testing.assert_array_equal(again.vertices, found.vertices)
    (tmp_path / "thick.gii").write_bytes(
        gzip.decompress((folder / "thick_left.gii.gz").read_bytes())
    )
    thickness = read_maps_gifti(tmp_path / "thick.gii")
    image: Any = nibabel.load(tmp_path / "thick.gii")
    np.testing.assert_array_equal(thickness, image.agg_data()[None])
    assert thickness.shape == (1, 10_242)


def test_regions_keep_their_names(tmp_path):
    mapping = np.arange(len(BALL)) % 4 - 1  # -1, 0, 1, 2
    labels = ("lh-insula", "späth", "none has it", "last")
    path = write_region_mapping_gifti(mapping, labels, tmp_path / "lh.label.gii")
    image: Any = nibabel.load(path)
    np.testing.assert_array_equal(image.agg_data(), mapping + 1)
    assert image.labeltable.get_labels_as_dict() == {0: "???", **dict(enumerate(labels, 1))}
    colours = [one.rgba for one in image.labeltable.labels]
    assert len(set(colours)) == 5 and colours[0] == (0.0, 0.0, 0.0, 0.0)
    found, names = read_region_mapping_gifti(path)
    np.testing.assert_array_equal(found, mapping)
    assert names == labels


def labelled(path: Path, keys, table: dict[int, str]) -> Path:
    """As another program writes it, by nibabel alone."""
    gifti: Any = nibabel.gifti  # type: ignore
    names = gifti.GiftiLabelTable()
    for key, name in table.items():
        label = gifti.GiftiLabel(key, 1.0, 0.0, 0.0, 1.0)
        label.label = name
        names.labels.append(label)
    array = gifti.GiftiDataArray(np.asarray(keys, np.int32), intent="NIFTI_INTENT_LABEL")
    nibabel.save(gifti.GiftiImage(darrays=[array], labeltable=names), path)  # type: ignore
    return path


def test_keys_of_others_are_put_in_order(tmp_path):
    path = labelled(tmp_path / "a.label.gii", [0, 35, 1, 35], {0: "Unknown", 35: "b", 1: "a"})
    found, names = read_region_mapping_gifti(path)
    assert found.tolist() == [-1, 1, 0, 1] and names == ("a", "b")
    path = labelled(tmp_path / "b.label.gii", [0, 1], {0: "first", 1: "second"})
    assert read_region_mapping_gifti(path)[0].tolist() == [0, 1]
    path = labelled(tmp_path / "c.label.gii", [1, 7], {1: "a"})
    with pytest.raises(ValueError, match=r"c.label.gii: vertex 1 has the key 7, which has no name"):
        read_region_mapping_gifti(path)


def test_maps_of_values_keep_nan_and_names(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 66))
    values[1, 5] = np.nan
    path = write_maps_gifti(values, tmp_path / "lh.func.gii")
    image: Any = nibabel.load(path)
    np.testing.assert_array_equal(image.agg_data("time series"), values.T.astype("f4"))
    np.testing.assert_array_equal(read_maps_gifti(path), values.astype("f4"))
    path = write_maps_gifti(values[0], tmp_path / "x0.shape.gii", names=["x0"])
    image = nibabel.load(path)
    assert image.darrays[0].meta["Name"] == "x0" and len(image.darrays) == 1


def test_what_does_not_fit_is_refused(tmp_path):
    for path, mapping, message in (
        ("a.label.gii", np.array([0, 2]), "vertex 1 has the region 2; there are labels for 0 to 1"),
        ("a.label.gii", np.array([0, -2]), "vertex 1 has the region -2"),
        ("a.label.gii", np.array([0.0, 1.0]), "float64 of the shape"),
        ("a.label.gii", np.zeros((2, 2), int), "one whole number for each vertex"),
        ("a.txt", np.array([0, 1]), "ends in .gii"),
    ):
        with pytest.raises(ValueError, match=message):
            write_region_mapping_gifti(mapping, ("a", "b"), tmp_path / path)
    with pytest.raises(ValueError, match="2 names for 1 maps"):
        write_maps_gifti(np.zeros(4), tmp_path / "a.shape.gii", names=["a", "b"])
    with pytest.raises(ValueError, match=r"shape \(2, 2, 2\)"):
        write_maps_gifti(np.zeros((2, 2, 2)), tmp_path / "a.shape.gii")
    assert not list(tmp_path.iterdir())
    surf = write_surface_gifti(BALL, tmp_path / "a.surf.gii")
    with pytest.raises(ValueError, match="it holds NIFTI_INTENT_POINTSET, NIFTI_INTENT_TRIANGLE"):
        read_maps_gifti(surf)
    with pytest.raises(ValueError, match="0 maps of labels"):
        read_region_mapping_gifti(surf)
    (tmp_path / "bad.gii").write_text("<GIFTI")
    with pytest.raises(ValueError, match="no readable GIFTI"):
        read_maps_gifti(tmp_path / "bad.gii")
    with pytest.raises(FileNotFoundError, match="none.gii"):
        read_maps_gifti(tmp_path / "none.gii")
