"""Diffusion images: gradients in the right convention, and the bundles of a phantom."""

import dataclasses
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tvbjax import imaging
from tvbjax.imaging.gradients import check_orientation, fsl_gradients, read_fsl_gradients

dipy_data = pytest.importorskip("dipy.data")
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
LABELS = {1: "one", 2: "two", 3: "three", 4: "four"}


def table():
    """Sixty-four directions of a real scan, and one image without."""
    _, bvals, bvecs = dipy_data.get_fnames(name="small_64D")
    return np.loadtxt(bvals), np.loadtxt(bvecs)


@pytest.fixture(scope="module")
def phantom():
    bvals, bvecs = table()
    weighted = bvals > 50
    return imaging.three_bundles(bvals, np.where(weighted[:, None], bvecs, 0.0))


def streamlines_of(phantom, gradients, **options):
    diffusion = dataclasses.replace(phantom.diffusion, gradients=gradients)
    white = phantom.white_matter
    orientations = imaging.fibre_orientations(diffusion, white, phantom.response, order=6)
    return imaging.tracked(orientations, white, white, diffusion.affine, seed=1, **options)


def connected(phantom, gradients):
    streamlines = streamlines_of(phantom, gradients)
    return imaging.streamline_connectome(
        streamlines, phantom.parcellation, phantom.diffusion.affine, LABELS
    )


def test_the_three_bundles_of_a_phantom_are_found_and_no_other(phantom):
    found = connected(phantom, phantom.diffusion.gradients)
    weights, lengths = np.asarray(found.weights), np.asarray(found.tract_lengths)
    edges = {tuple(map(int, pair)) for pair in np.argwhere(np.triu(weights) > 0)}
    assert edges == set(phantom.edges)
    assert not weights[3].any()  # the fourth region is alone
    lines = streamlines_of(phantom, phantom.diffusion.gradients, lengths=(30.0, 60.0))
    long = [np.linalg.norm(np.diff(one, axis=0), axis=1).sum() for one in lines]
    assert 29.0 < min(long) and max(long) < 61.0
    for edge, distance in zip(phantom.edges, phantom.distances, strict=True):
        assert weights[edge] > 200
        assert lengths[edge] == pytest.approx(distance, rel=0.25)
    assert found.labels == tuple(LABELS.values())
    assert found.centres is not None
    np.testing.assert_allclose(found.centres[1], [50.0, 8.0, 10.0], atol=0.1)


def test_reversed_b_vectors_lose_the_bundle_that_lies_across(phantom):
    right = phantom.diffusion.gradients
    wrong = dataclasses.replace(right, directions=right.directions * [-1.0, 1.0, 1.0])
    found = np.asarray(connected(phantom, wrong).weights)
    assert found[0, 1] > 200 and found[1, 2] > 200
    assert found[0, 2] < 0.05 * found[0, 1]
    diffusion = dataclasses.replace(phantom.diffusion, gradients=wrong)
    with pytest.raises(ValueError, match=r"b-vectors look reversed: .* \((-x, y|x, -y), z\)"):
        imaging.tensors(diffusion, phantom.white_matter)
    exchanged = dataclasses.replace(right, directions=right.directions[:, [0, 2, 1]])
    diffusion = dataclasses.replace(phantom.diffusion, gradients=exchanged)
    with pytest.raises(ValueError, match=r"b-vectors look exchanged: .* with \(x, z, y\) in"):
        imaging.tensors(diffusion, phantom.white_matter)
    imaging.tensors(phantom.diffusion, phantom.white_matter)


def test_the_response_is_that_of_a_single_fibre(phantom):
    found = imaging.tensors(phantom.diffusion, phantom.white_matter)
    response = imaging.fibre_response(phantom.diffusion, found)
    np.testing.assert_allclose(response.eigenvalues, phantom.response.eigenvalues, rtol=0.1)
    assert response.signal == pytest.approx(100.0, rel=0.05)
    with pytest.raises(ValueError, match="no voxel has an anisotropy of 2 or more"):
        imaging.fibre_response(phantom.diffusion, found, least=2.0)


def test_denoising_brings_the_signal_nearer_to_the_clean_one():
    bvals, bvecs = table()
    bvecs = np.where(bvals[:, None] > 50, bvecs, 0.0)
    part = (slice(8, 18), slice(8, 18), slice(2, 8))  # of the diagonal bundle
    noisy, clean = (
        dataclasses.replace(whole, data=whole.data[part])
        for whole in (imaging.three_bundles(bvals, bvecs, noise=n).diffusion for n in (15.0, 1e6))
    )

    def error(diffusion):
        return np.sqrt(np.mean((diffusion.data - clean.data) ** 2))

    assert error(imaging.denoised(noisy)) < 0.7 * error(noisy)


def test_a_real_crop():
    """dipy's 10 x 10 x 10 voxels of a brain: tensors as published with it."""
    image, bvals, bvecs = dipy_data.get_fnames(name="small_64D")
    diffusion = imaging.read_diffusion(image, bvals, bvecs)
    everywhere = np.ones(diffusion.data.shape[:3], bool)
    found = imaging.tensors(diffusion, everywhere)
    assert int((found.anisotropy > 0.3).sum()) == pytest.approx(595, abs=20)
    response = imaging.fibre_response(diffusion, found)
    csdeconv = pytest.importorskip("dipy.reconst.csdeconv")
    (eigenvalues, signal), _ = csdeconv.response_from_mask_ssst(
        diffusion.table, diffusion.data, found.anisotropy >= 0.7
    )
    # dipy takes the second for both of those across; here it is the mean of both.
    assert response.eigenvalues[0] == pytest.approx(eigenvalues[0], rel=1e-6)
    assert 0.5 * eigenvalues[1] < response.eigenvalues[1] < eigenvalues[1]
    assert response.signal == pytest.approx(float(signal), rel=1e-6)
    octants = (np.indices(everywhere.shape) >= 5) * np.array([1, 2, 4])[:, None, None, None]
    octants = 1 + octants.sum(axis=0)
    images = imaging.prepared(
        diffusion, imaging.Image(octants, diffusion.affine), mask=everywhere
    )  # denoised, too
    names = {n: f"octant {n}" for n in range(1, 9)}
    result = imaging.structural_connectome(images, names, imaging.Structural(order=6))
    weights = np.asarray(result.connectome.weights)
    np.testing.assert_array_equal(weights, weights.T)
    assert weights.sum() > 100 and (weights > 0).sum() > 20
    lengths = np.asarray(result.connectome.tract_lengths)
    assert lengths[weights > 0].min() > 9.9 and lengths.max() < 60.0


def test_fsls_x_is_reversed_where_the_grid_is_right_handed():
    bvals, bvecs = np.array([0.0, 1000.0]), np.array([[0, 0, 0], [0.6, 0.8, 0.0]])
    right = fsl_gradients(bvals, bvecs, AFFINE)
    left = fsl_gradients(bvals, bvecs, np.diag([-2.0, 2.0, 2.0, 1.0]))
    np.testing.assert_allclose(right.directions[1], [-0.6, 0.8, 0.0])
    np.testing.assert_allclose(left.directions[1], [0.6, 0.8, 0.0])
    assert right.shells == (1000,) and right.unweighted.tolist() == [True, False]


def test_coherence_is_that_of_straight_fibres():
    """Diagonal fibres of one direction go on; mirrored, they do not."""
    directions = np.broadcast_to(np.array([1.0, 1.0, 0.0]) / np.sqrt(2), (6, 6, 3, 3))
    weights = np.ones((6, 6, 3))
    voxel = np.ones(3)
    check_orientation(directions, weights, voxel)
    # In every plane 5 x 5 pairs of voxels lie on a diagonal, each of twice the weight 1; and
    # across planes they are more than 30 degrees off.
    assert imaging.fibre_coherence(directions, weights, voxel) == 2 * 25 * 3
    band = np.abs(np.subtract.outer(np.arange(30), np.arange(30)))[:, :, None] <= 1
    weights = np.broadcast_to(band, (30, 30, 3)).astype(float)
    mirrored = np.broadcast_to(directions[0, 0, 0] * [-1.0, 1.0, 1.0], (30, 30, 3, 3))
    with pytest.raises(ValueError, match="look reversed: in 264 voxels"):
        check_orientation(mirrored, weights, voxel)
    check_orientation(mirrored[:9], weights[:9], voxel)  # too few to tell


def test_shells_are_told_apart_by_gaps():
    bvals = np.array([0.0, 742.0, 749.0, 756.0, 1000.0, 2990.0, 3010.0, 5.0])
    vectors = np.where(bvals[:, None] > 50, [1.0, 0.0, 0.0], 0.0)
    found = fsl_gradients(bvals, vectors, AFFINE)
    assert found.shells == (750, 1000, 3000)
    assert found.shell_of_volume.tolist() == [-1, 0, 0, 0, 1, 2, 2, -1]


def test_a_damaged_packed_image_is_refused(tmp_path):
    """Bytes in the middle: nibabel reads values, and never the checksum."""
    path = tmp_path / "scan.nii.gz"
    values = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)
    content = bytearray(path.read_bytes())
    for place in range(5000, len(content) - 100, 3001):
        damaged = content.copy()
        damaged[place : place + 4] = b"\x01\x02\x03\x04"
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="scan.nii.gz: no readable image, or a cut one"):
            imaging.read_image(path, 3)


def write_table(folder: Path, bvals: str, bvecs: str):
    (folder / "a.bval").write_text(bvals)
    (folder / "a.bvec").write_text(bvecs)
    return folder / "a.bval", folder / "a.bvec"


@pytest.mark.parametrize(
    "bvals, bvecs, message",
    [
        ("0 1000 1000", "0 1\n0 0\n0 0", "3 b-values and .* 2 b-vectors"),
        ("0 1000", "0 2\n0 0\n0 0", "b-vector of volume 1 .* has the length 2, and 1 of 1"),
        ("0 0", "0 0\n0 0\n0 0", "no volume is weighted"),
        ("0 -5", "0 0\n0 0\n0 0", "finite and >= 0"),
        ("0 1000", "0 1\n0 0", "2 x 2 numbers; b-vectors are three rows"),
        ("0 1000", "0 x\n0 0\n0 0", "line 1, column 2: 'x' is not a number"),
    ],
)
def test_tables_of_gradients_that_are_wrong(tmp_path, bvals, bvecs, message):
    with pytest.raises(ValueError, match=message):
        read_fsl_gradients(*write_table(tmp_path, bvals, bvecs), AFFINE)


def test_images_that_do_not_fit(tmp_path):
    tables = write_table(tmp_path, "0 1000", "0 1\n0 0\n0 0")
    data = np.ones((3, 3, 3, 4), np.float32)
    whole = tmp_path / "dwi.nii"
    nibabel.save(nibabel.Nifti1Image(data, AFFINE), whole)
    with pytest.raises(ValueError, match="2 gradients for 4 volumes"):
        imaging.read_diffusion(whole, *tables)
    cut = tmp_path / "cut.nii"
    cut.write_bytes(whole.read_bytes()[:400])
    with pytest.raises(ValueError, match="no readable image, or a cut one"):
        imaging.read_diffusion(cut, *tables)
    flat = tmp_path / "flat.nii"
    nibabel.save(nibabel.Nifti1Image(data[..., 0], AFFINE), flat)
    with pytest.raises(ValueError, match="has 3 axes, .* it needs 4"):
        imaging.read_diffusion(flat, *tables)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        imaging.read_diffusion(tmp_path / "absent.nii", *tables)
    nibabel.save(nibabel.Nifti1Image(1.5 * data[..., 0], AFFINE), flat)
    with pytest.raises(ValueError, match="whole numbers, and this has 1.5"):
        imaging.read_image(flat, 3, labels=True)


def test_parcellations_that_do_not_fit():
    lines = [np.array([[1.0, 1.0, 1.0], [15.0, 1.0, 1.0]])]
    volume = np.zeros((10, 4, 4), np.int32)
    volume[0, 0, 0], volume[9, 3, 3] = 1, 2
    with pytest.raises(ValueError, match=r"no voxel of the parcellation is 3 \(three\)"):
        imaging.streamline_connectome(lines, volume, AFFINE, LABELS)
    pair = {1: "one", 2: "two"}
    with pytest.raises(ValueError, match="none of 1 streamlines joins two regions"):
        imaging.streamline_connectome(lines, volume, AFFINE, pair)
