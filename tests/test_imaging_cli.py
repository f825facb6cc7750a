"""`tvbjax imaging connectome`: a BIDS folder of phantoms, of which one is broken."""

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from bids_files import validator_errors
from tvbjax import imaging
from tvbjax.cli._imaging_people import path_of
from tvbjax.io import read_bids_connectome, read_connectome_zip

dipy_data = pytest.importorskip("dipy.data")
pytest.importorskip("matplotlib")


def command(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "tvbjax", "imaging", "connectome", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Two people; the second one's tables of gradients have one row too few."""
    folder = tmp_path_factory.mktemp("study")
    _, name, directions = dipy_data.get_fnames(name="small_64D")
    bvals, bvecs = np.loadtxt(name), np.loadtxt(directions)
    bvecs = np.where(bvals[:, None] > 50, bvecs, 0.0)
    for number, person in enumerate(("01", "02")):
        phantom = imaging.three_bundles(bvals, bvecs, seed=number)
        affine = phantom.diffusion.affine
        place = folder / f"sub-{person}" / "dwi"
        place.mkdir(parents=True)
        stem = place / f"sub-{person}_dwi"
        data = phantom.diffusion.data.astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(data, affine), f"{stem}.nii.gz")
        last = len(bvals) - number
        np.savetxt(f"{stem}.bval", bvals[None, :last])
        np.savetxt(f"{stem}.bvec", bvecs[:last].T)
        if person == "01":  # who has two is told, too
            twice = folder / "sub-00" / "dwi"
            twice.mkdir(parents=True)
            for run in "12":
                (twice / f"sub-00_run-{run}_dwi.nii.gz").touch()
        regions = nibabel.Nifti1Image(phantom.parcellation, affine)
        nibabel.save(regions, folder / f"{person}.nii.gz")
    (folder / "labels.tsv").write_text("index\tname\n1\tone\n2\ttwo\n3\tthree a\n4\tfour\n")
    return folder


def test_people_are_done_by_themselves_and_who_fails_is_told(study, tmp_path):
    options = ["--no-denoise", "--order", 6, "--white", 0.3, "--atlas", "P", "--out", tmp_path]
    given = ["--parcellation", study / "{subject}.nii.gz", "--labels", study / "labels.tsv"]
    done = command(study, *given, *options)
    assert done.returncode != 0
    assert "sub-01: written to" in done.stdout
    said = " ".join(done.stdout.split())
    assert "sub-00: there are 2 diffusion images" in said
    assert "sub-02:" in said and "64 gradients for 65 volumes" in said
    assert "2 of 3 people failed: 00, 02" in " ".join(done.stderr.split())
    found = read_bids_connectome(tmp_path, "01")
    assert found.labels == ("one", "two", "three a", "four")
    edges = {tuple(map(int, p)) for p in np.argwhere(np.triu(np.asarray(found.weights)) > 0)}
    assert {(0, 1), (1, 2), (0, 2)} == edges
    zipped = read_connectome_zip(tmp_path / "sub-01_atlas-P_meas-streamlineCount_connectome.zip")
    np.testing.assert_array_equal(zipped.weights, found.weights)
    assert zipped.labels[2] == "three_a"
    assert validator_errors(tmp_path) == []
    assert (tmp_path / "sub-01_meas-streamlineCount_quality.png").stat().st_size > 20_000


def test_what_is_not_there_is_said(study, tmp_path):
    given = ["--parcellation", study / "01.nii.gz", "--labels", study / "labels.tsv"]
    for image, more, message in (
        (tmp_path, [], "no person with a diffusion image; a BIDS folder has"),
        (tmp_path / "absent.nii.gz", [], "there is no file"),
        (study, ["--order", "5"], "order is 5; give an even one"),
    ):
        done = command(image, *given, "--out", tmp_path / "out", *more)
        told = " ".join(done.stderr.split())
        assert done.returncode != 0 and message in told and "Traceback" not in told


def test_paths_are_taken_from_the_study_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = tmp_path / "study"
    study.mkdir()
    (study / "sub-01_ses-a.nii").touch()
    found = path_of("sub-{subject}_ses-{session}.nii", "01", "a", study)
    assert found == study / "sub-01_ses-a.nii"
    (tmp_path / "sub-01_ses-a.nii").touch()
    assert path_of("sub-{subject}_ses-{session}.nii", "01", "a", study) == Path(found.name)
    assert path_of("{other}{}.nii", "01", None, study) == Path("{other}{}.nii")


def test_a_parcellation_in_another_space_is_refused(study, tmp_path):
    regions = nibabel.Nifti1Image(np.ones((30, 30, 10), np.int32), np.diag([2.0, 2.0, 2.5, 1.0]))
    nibabel.save(regions, tmp_path / "other.nii.gz")
    scan = study / "sub-01" / "dwi" / "sub-01_dwi.nii.gz"
    labels = study / "labels.tsv"
    done = command(
        scan, "--parcellation", tmp_path / "other.nii.gz", "--labels", labels, "--out", tmp_path
    )
    told = " ".join(done.stderr.split())
    assert "the parcellation, 30 x 30 x 10 voxels of 2, 2, 2.5 mm from (0, 0, 0), is not in" in told
