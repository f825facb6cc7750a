"""The phantom through MRtrix3, where it is installed: an independent judge of the gradients."""

import dataclasses
import shutil
from typing import Any

import numpy as np
import pytest

from tvbjax import imaging
from tvbjax.imaging import mrtrix

dipy_data = pytest.importorskip("dipy.data")
installed = pytest.mark.skipif(shutil.which("tckgen") is None, reason="MRtrix3 is not installed")
LABELS = {1: "one", 2: "two", 3: "three", 4: "four"}
OPTIONS = imaging.Mrtrix(select=1000, order=6, threads=0)


@pytest.fixture(scope="module")
def phantom():
    _, bvals, bvecs = dipy_data.get_fnames(name="small_64D")
    bvals, bvecs = np.loadtxt(bvals), np.loadtxt(bvecs)
    return imaging.three_bundles(bvals, np.where(bvals[:, None] > 50, bvecs, 0.0))


def ready(phantom, diffusion=None):
    """Fibres are looked for in white matter alone: the rest of the phantom is noise."""
    diffusion = phantom.diffusion if diffusion is None else diffusion
    empty = np.zeros(phantom.parcellation.shape)
    tensors = imaging.Tensors(empty, empty, np.zeros((*empty.shape, 3)))
    return imaging.Prepared(diffusion, phantom.white_matter, tensors, phantom.parcellation)


@installed
def test_the_three_bundles_are_found_and_steps_are_read_again(phantom, tmp_path, monkeypatch):
    found = imaging.mrtrix_connectome(ready(phantom), LABELS, OPTIONS, cache=tmp_path)
    weights, lengths = np.asarray(found.weights), np.asarray(found.tract_lengths)
    edges = {tuple(map(int, pair)) for pair in np.argwhere(np.triu(weights) > 0)}
    assert edges == set(phantom.edges) and not weights[3].any()
    np.testing.assert_array_equal(weights, weights.T)
    assert not np.array_equal(weights, np.rint(weights))  # SIFT2's, no counts
    for edge, distance in zip(phantom.edges, phantom.distances, strict=True):
        assert lengths[edge] == pytest.approx(distance, rel=0.25)
    assert found.labels == tuple(LABELS.values())
    moved = tmp_path.parent / "moved"  # files are known by what is in them, not by their place
    tmp_path.rename(moved)

    def none(*_, **__):
        raise AssertionError("run again")

    monkeypatch.setattr(mrtrix.subprocess, "run", none)
    again = imaging.mrtrix_connectome(ready(phantom), LABELS, OPTIONS, cache=moved)
    np.testing.assert_array_equal(again.weights, weights)
    with pytest.raises(AssertionError, match="run again"):
        other = dataclasses.replace(OPTIONS, select=500)
        imaging.mrtrix_connectome(ready(phantom), LABELS, other, cache=moved)


@installed
@pytest.mark.slow
def test_reversed_b_vectors_lose_the_bundle_that_lies_across(phantom):
    right = phantom.diffusion.gradients
    wrong = dataclasses.replace(right, directions=right.directions * [-1.0, 1.0, 1.0])
    diffusion = dataclasses.replace(phantom.diffusion, gradients=wrong)
    found = imaging.mrtrix_connectome(ready(phantom, diffusion), LABELS, OPTIONS)
    weights = np.asarray(found.weights)
    assert weights[0, 2] < 0.05 * weights[0, 1]


@installed
@pytest.mark.slow
def test_with_tissues_streamlines_end_in_grey_matter(phantom):
    white = (phantom.white_matter & (phantom.parcellation == 0)).astype(float)
    tissues = imaging.Tissues(white, phantom.brain * (1.0 - white), 0.0 * white)
    mask = phantom.white_matter | (phantom.parcellation > 0)
    images = dataclasses.replace(ready(phantom), tissues=tissues, mask=mask)
    found = imaging.mrtrix_connectome(images, LABELS, OPTIONS)
    weights = np.asarray(found.weights)
    edges = {tuple(map(int, pair)) for pair in np.argwhere(np.triu(weights) > 0)}
    assert edges == set(phantom.edges)


@installed
def test_what_a_program_says_is_told(phantom, tmp_path):
    nowhere = dataclasses.replace(ready(phantom), mask=np.zeros(phantom.brain.shape, bool))
    with pytest.raises(RuntimeError, match="dwi2response failed"):
        imaging.mrtrix_connectome(nowhere, LABELS, OPTIONS, cache=tmp_path)


def test_options_that_are_none():
    cases: list[tuple[Any, str]] = [
        ({"lengths": (250.0, 10.0)}, "lengths are 250 to 10 mm; give the shortest first"),
        ({"order": 7}, "Mrtrix: order is 7; give an even one"),
        ({"select": 0}, "select"),
    ]
    for wrong, message in cases:
        with pytest.raises(ValueError, match=message):
            imaging.Mrtrix(**wrong)


def test_without_mrtrix_it_is_said(phantom, monkeypatch):
    monkeypatch.setattr(mrtrix.shutil, "which", lambda _: None)
    with pytest.raises(FileNotFoundError, match="MRtrix3 is not installed .* apt install mrtrix3"):
        imaging.mrtrix_connectome(ready(phantom), LABELS)


def test_its_table_of_gradients_is_along_the_scanners_axes():
    """A direction along the first axis of the grid, which lies along the scanner's y."""
    affine = np.array([[0.0, 2.0, 0, 0], [3.0, 0, 0, 0], [0, 0, 2.5, 0], [0, 0, 0, 1.0]])
    gradients = imaging.Gradients(np.array([0.0, 1000.0]), np.array([[0.0, 0, 0], [1.0, 0, 0]]))
    diffusion = imaging.Diffusion(np.ones((1, 1, 1, 2)), affine, gradients)
    table = mrtrix.scanner_table(diffusion)
    np.testing.assert_allclose(table, [[0, 0, 0, 0], [0, 1, 0, 1000]])
