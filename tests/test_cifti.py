"""CIFTI-2 as nibabel writes it: series and matrices of parcels, dense series by a parcellation."""

from typing import Any

import nibabel
import numpy as np
import pytest
from nibabel.cifti2.cifti2 import Cifti2Image
from nibabel.cifti2.cifti2_axes import (
    BrainModelAxis,
    LabelAxis,
    ParcelsAxis,
    ScalarAxis,
    SeriesAxis,
)

from tvbjax.io import cifti_parcels, read_cifti_matrix, read_cifti_series

RNG = np.random.default_rng(0)
LEFT, RIGHT = "CIFTI_STRUCTURE_CORTEX_LEFT", "CIFTI_STRUCTURE_CORTEX_RIGHT"
WALL = np.array([1, 1, 0, 1, 1, 0], bool)  # places of a hemisphere that are cortex
TIMES = SeriesAxis(0.0, 0.72, 20)


def saved(path, data, *axes):
    nibabel.save(Cifti2Image(np.asarray(data, np.float32), axes), path)  # type: ignore
    return path


def cortex(masks=(WALL, WALL)) -> Any:
    left, right = (
        BrainModelAxis.from_mask(mask, name=name)
        for mask, name in zip(masks, (LEFT, RIGHT), strict=True)
    )
    return left + right


def parcels() -> Any:
    whole = cortex()
    return ParcelsAxis.from_brain_models([("lh_A", whole[:4]), ("rh_A", whole[4:])])


def dense(path):
    """Cortex without its medial wall, and two voxels of the thalamus."""
    mask = np.zeros((2, 2, 2), bool)
    mask[0, 0] = True
    thalamus = BrainModelAxis.from_mask(
        mask, name="CIFTI_STRUCTURE_THALAMUS_LEFT", affine=np.eye(4)
    )
    places = cortex() + thalamus
    data = RNG.normal(size=(20, len(places))).astype(np.float32)
    return saved(path, data, TIMES, places), data


def parcellation(path, keys, masks=(WALL, WALL), table=None):
    names = table or {
        0: ("???", (0, 0, 0, 0)),
        1: ("lh_B", (1, 0, 0, 1)),
        5: ("rh_B", (0, 1, 0, 1)),
    }
    return saved(path, [keys], LabelAxis(["DK"], [names]), cortex(masks))


def test_series_and_matrices_of_parcels(tmp_path):
    data = RNG.normal(size=(20, 2)).astype(np.float32)
    path = saved(tmp_path / "bold.ptseries.nii", data, TIMES, parcels())
    found = read_cifti_series(path)
    np.testing.assert_array_equal(found.values, data)
    assert found.dims == ("time", "region")
    assert found["region"].values.tolist() == ["lh_A", "rh_A"]
    np.testing.assert_allclose(found["time"].values, 720.0 * np.arange(1, 21))
    assert found["time"].attrs["units"] == "ms"
    later = saved(tmp_path / "b.ptseries.nii", data, SeriesAxis(2.16, 0.72, 20), parcels())
    assert float(read_cifti_series(later)["time"][0]) == pytest.approx(2880.0)
    matrix = RNG.normal(size=(2, 2)).astype(np.float32)
    conn = read_cifti_matrix(saved(tmp_path / "a.pconn.nii", matrix, parcels(), parcels()))
    np.testing.assert_array_equal(conn.values, matrix)
    assert conn.dims == ("region", "other_region")
    assert conn["other_region"].values.tolist() == ["lh_A", "rh_A"]


@pytest.mark.parametrize("masks", [(WALL, WALL), (np.ones(6, bool), np.ones(6, bool))])
def test_dense_series_are_means_over_parcels(tmp_path, masks):
    """Also with a parcellation that has the medial wall, as those of 32492 vertices have."""
    series, data = dense(tmp_path / "bold.dtseries.nii")
    whole = np.array([1, 1, 0, 0, 1, 0] + [5, 0, 0, 5, 5, 0])
    label = parcellation(tmp_path / "a.dlabel.nii", whole[np.concatenate(masks)], masks)
    numbers, names = cifti_parcels(label, series)
    np.testing.assert_array_equal(numbers, [1, 1, 0, 1, 5, 0, 5, 5, 0, 0])
    assert names == {1: "lh_B", 5: "rh_B"}
    found = read_cifti_series(series, label)
    assert found["region"].values.tolist() == ["lh_B", "rh_B"]
    np.testing.assert_allclose(found[:, 0], data[:, [0, 1, 3]].astype(float).mean(1))
    np.testing.assert_allclose(found[:, 1], data[:, [4, 6, 7]].astype(float).mean(1))


def test_other_files_are_refused(tmp_path):
    series, data = dense(tmp_path / "bold.dtseries.nii")
    pt = saved(tmp_path / "a.ptseries.nii", np.zeros((20, 2)), TIMES, parcels())
    label = parcellation(tmp_path / "a.dlabel.nii", np.array([1, 1, 1, 1, 5, 5, 5, 5]))

    def refused(message, read, *files):
        with pytest.raises(ValueError, match=message):
            read(*files)

    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_cifti_series(tmp_path / "none.ptseries.nii")
    refused("of vertices and voxels, no parcels; give a parcellation", read_cifti_series, series)
    refused("of parcels already", read_cifti_series, pt, label)
    refused("no dense parcellation", read_cifti_series, series, pt)
    refused("of parcels; give a dense series", cifti_parcels, label, pt)
    refused("of maps of labels, no series", read_cifti_series, label)
    refused("of samples; a .pconn.nii is of parcels", read_cifti_matrix, pt)
    hertz = saved(
        tmp_path / "b.ptseries.nii", np.zeros((20, 2)), SeriesAxis(0, 1, 20, "HERTZ"), parcels()
    )
    refused("steps of 1 hertz", read_cifti_series, hertz)
    data[3, 1] = np.nan
    holed = saved(tmp_path / "c.ptseries.nii", data[:, :2], TIMES, parcels())
    refused("sample 3 of region 'rh_A' is nan", read_cifti_series, holed)
    scalars = saved(tmp_path / "a.pscalar.nii", np.zeros((1, 2)), ScalarAxis(["m"]), parcels())
    refused("of maps, no series", read_cifti_series, scalars)
    plain = tmp_path / "plain.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2)), np.eye(4)), plain)  # type: ignore
    refused("no CIFTI-2 file of two axes", read_cifti_series, plain)
    plain.write_bytes(b"nothing")
    refused("no readable CIFTI-2 file", read_cifti_series, plain)
    # In another density the parcel's vertices are others.
    wide = np.zeros(30, bool)
    wide[20:24] = True
    elsewhere = parcellation(tmp_path / "b.dlabel.nii", [1] * 4 + [5] * 4, (wide, WALL))
    refused("has no places of lh_B; give the parcellation in the space", read_cifti_series,
            series, elsewhere)  # fmt: skip
