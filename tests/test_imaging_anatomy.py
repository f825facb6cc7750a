"""Tissues and registration, on the MNI152 template of nilearn, beside its own tissue maps."""

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from tvbjax import imaging

nilearn_datasets = pytest.importorskip("nilearn.datasets")
pytest.importorskip("dipy")


def template(name: str, resolution: int) -> np.ndarray:
    image = getattr(nilearn_datasets, f"load_mni152_{name}")(resolution=resolution)
    return np.asarray(image.dataobj, float)


def brain(resolution: int) -> tuple[imaging.Image, np.ndarray]:
    mask = template("brain_mask", resolution) > 0
    affine = nilearn_datasets.load_mni152_template(resolution=resolution).affine
    return imaging.Image(template("template", resolution) * mask, affine), mask


def test_tissues_are_those_of_the_templates_maps():
    anatomy, mask = brain(4)
    found = imaging.tissues_of(anatomy.data, mask)
    for share, name, least in (
        (found.white, "wm_template", 0.9),
        (found.grey, "gm_template", 0.75),
    ):
        assert np.corrcoef(share[mask], template(name, 4)[mask])[0, 1] > least
    total = found.white + found.grey + found.fluid
    np.testing.assert_allclose(total, mask, atol=1e-9)
    again = imaging.tissues_of(7.0 * anatomy.data - 30.0, mask)
    np.testing.assert_allclose(again.white, found.white, atol=1e-6)


def moved(image: imaging.Image, matrix: np.ndarray, shape, affine) -> imaging.Image:
    """The same brain elsewhere and on another grid: `matrix` is from its place in mm to there."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)
    back = np.linalg.inv(image.affine) @ np.linalg.inv(matrix) @ affine
    places = grid @ back[:3, :3].T + back[:3, 3]
    values = ndimage.map_coordinates(image.data, places.T, order=1)
    return imaging.Image(values.reshape(shape), affine)


def test_an_affine_map_is_recovered_though_the_contrast_is_inverted():
    static, mask = brain(6)
    angle = np.radians(8.0)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, :3] = matrix[:3, :3] @ np.diag([1.05, 0.97, 1.0])
    matrix[:3, 3] = [6.0, -5.0, 4.0]
    affine = np.diag([5.0, 5.0, 5.0, 1.0])
    affine[:3, 3] = [-95.0, -130.0, -80.0]
    there = moved(static, matrix, (40, 46, 40), affine)
    high = there.data.max()
    inverted = np.where(there.data > 0.05 * high, 1.2 * high - there.data, 0.0)
    found = imaging.aligned(imaging.Image(inverted, affine), static)
    places = np.argwhere(mask)[::20] @ static.affine[:3, :3].T + static.affine[:3, 3]
    places = np.column_stack([places, np.ones(len(places))])
    error = np.linalg.norm((places @ (found.matrix - matrix).T)[:, :3], axis=1)
    assert error.mean() < 3.0  # half a voxel
    back = found((there.data > 0.5 * high).astype(np.int32) * 7, labels=True)
    assert set(np.unique(back)) == {0, 7}


def test_a_deformation_brings_labels_together():
    static, _ = brain(6)
    rng = np.random.default_rng(0)
    shift = np.stack(
        [ndimage.gaussian_filter(rng.normal(size=static.data.shape), 5) for _ in "xyz"]
    )
    places = np.indices(static.data.shape) + 3.0 * shift / np.abs(shift).max()  # to 18 mm
    other = imaging.Image(ndimage.map_coordinates(static.data, places, order=1), static.affine)
    white = (template("wm_template", 6) > 0.5).astype(np.int32)
    moving = ndimage.map_coordinates(white, places, order=0)

    def overlap(labels):
        return 2 * (labels & white).sum() / (labels.sum() + white.sum())

    affine, deformed = (
        overlap(imaging.aligned(other, static, deform=deform)(moving, labels=True))
        for deform in (False, True)
    )
    assert deformed > 0.85 and deformed > affine + 0.03


def test_images_without_contrast_are_refused(without_type_checks):
    static, mask = brain(8)
    flat = imaging.Image(np.ones((5, 5, 5)), np.eye(4))
    with pytest.raises(ValueError, match="the moving image has no contrast, or NaN"):
        imaging.aligned(flat, static)
    with pytest.raises(ValueError, match="the static image has 4 axes; it needs 3"):
        imaging.aligned(static, imaging.Image(np.ones((2, 2, 2, 2)), np.eye(4)))
    small = imaging.Image(static.data[10:18, 10:20, 10:20], static.affine)
    with pytest.raises(ValueError, match="a deformation needs 9 voxels along each edge, .* 8 x 10"):
        imaging.aligned(static, small, deform=True)
    with pytest.raises(ValueError, match="no contrast within the mask, or NaN"):
        imaging.tissues_of(np.full(mask.shape, np.nan), mask)
    with pytest.raises(ValueError, match="the anatomy has the shape"):
        imaging.tissues_of(np.ones((2, 2, 2)), mask)
    with pytest.raises(ValueError, match="grey has values of 0 to 2; shares of a voxel are 0 to 1"):
        imaging.Tissues(np.ones((1, 1, 2)), np.array([[[0.0, 2.0]]]), np.ones((1, 1, 2)))


def test_reading_an_image(tmp_path):
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    path = tmp_path / "t1.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.arange(8.0).reshape(2, 2, 2), affine), path)
    found = imaging.read_image(path, 3)
    np.testing.assert_array_equal(found.data.ravel(), np.arange(8.0))
    np.testing.assert_array_equal(found.affine, affine)
