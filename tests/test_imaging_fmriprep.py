"""Folders of fMRIPrep, made by nilearn's own test data with fMRIPrep's real tables of confounds."""

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from tvbjax import imaging

pytest.importorskip("nilearn")
data_gen: Any = pytest.importorskip("nilearn._utils.data_gen")
SAMPLES, UNSTEADY = 30, 1  # of nilearn's table
OWN = np.sin(np.arange(SAMPLES) / 2.0)


def gifti(path, values):
    """As fMRIPrep writes surfaces: one array for each sample."""
    arrays = [
        nibabel.gifti.GiftiDataArray(  # type: ignore
            sample.astype(np.float32), intent="NIFTI_INTENT_TIME_SERIES"
        )
        for sample in values.T
    ]
    nibabel.save(nibabel.gifti.GiftiImage(darrays=arrays), path)  # type: ignore


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """One person, two runs, volumes in two spaces and surfaces, with sidecars as of fMRIPrep."""
    made = data_gen.create_fake_bids_dataset(
        tmp_path_factory.mktemp("fmriprep"), n_sub=1, n_ses=1, tasks=["rest"], n_runs=[2],
        n_vertices=3, spaces=("MNI152NLin2009cAsym", "T1w"),
    )  # fmt: skip
    functional = made / "derivatives" / "sub-01" / "ses-01" / "func"
    for path in functional.glob("*.gii"):
        left = "hemi-L" in path.name
        rows = np.arange(3.0)[:, None] + (0.0 if left else 10.0)
        gifti(path, 100.0 + rows + (OWN if left else -OWN))
    for path in functional.glob("*_desc-preproc_bold.nii.gz"):
        told = {"RepetitionTime": 1.5, "SkullStripped": False}
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(told))
    return made / "derivatives"


def copied(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy", tmp_path / "copy" / "sub-01" / "ses-01" / "func"


def test_a_volume_with_its_confounds_and_time(folder):
    run = imaging.fmriprep_run(folder, "01", task="rest", run="2", space="T1w")
    assert [path.name for path in run.images] == [
        "sub-01_ses-01_task-rest_run-02_space-T1w_desc-preproc_bold.nii.gz"
    ]
    assert run.confounds.name == "sub-01_ses-01_task-rest_run-02_desc-confounds_timeseries.tsv"
    assert run.repetition_time == 1500.0
    bold, confounds = run.load()
    image: Any = nibabel.load(run.images[0])
    np.testing.assert_allclose(bold, np.asarray(image.dataobj)[..., UNSTEADY:], rtol=1e-6)
    assert len(confounds) == SAMPLES - UNSTEADY and np.isfinite(confounds).all()
    np.testing.assert_array_equal(imaging.fmriprep_confounds(run.images[0]), confounds)


def test_confounds_are_those_of_the_table(folder):
    """Six motions alone are the table's columns less their means over the samples that stay."""
    run = imaging.fmriprep_run(folder, "01", task="rest", run="01", space="T1w")
    lines = [line.split("\t") for line in run.confounds.read_text().splitlines()]
    names = [f"{kind}_{axis}" for kind in ("rot", "trans") for axis in "xyz"]
    columns = [lines[0].index(name) for name in names]
    table = np.array([[float(line[c]) for c in columns] for line in lines[1:]])[UNSTEADY:]
    _, found = run.load(strategy=["motion"], motion="basic")
    wanted = table - table.mean(axis=0)
    order = [int(np.argmin(np.abs(found - one[:, None]).sum(0))) for one in wanted.T]
    assert sorted(order) == list(range(6))
    np.testing.assert_allclose(found[:, order], wanted, atol=1e-12)
    with pytest.raises(ValueError, match="leaves out .* samples, not only those before"):
        run.load(strategy=["motion", "scrub"], fd_threshold=0.15, scrub=0)


def test_surfaces_of_both_hemispheres_become_regions(folder):
    run = imaging.fmriprep_run(folder, "01", task="rest", run="1", space="fsaverage5")
    assert ["hemi-L" in path.name for path in run.images] == [True, False]
    # A surface's sidecar says nothing here; that of the run's volumes does.
    assert run.repetition_time == 1500.0
    bold, confounds = run.load(strategy=["high_pass"])
    np.testing.assert_allclose(bold[:, 0] - OWN[UNSTEADY] * np.repeat([1, -1], 3), 100.0 + np.array(
        [0, 1, 2, 10, 11, 12]), atol=1e-5)  # fmt: skip
    series = imaging.regional_series(
        bold, np.array([1, 1, 1, 2, 2, 2]), {1: "left", 2: "right"},
        repetition_time=run.repetition_time, confounds=confounds,
    )  # fmt: skip
    assert series.shape == (SAMPLES - UNSTEADY, 2)
    assert np.corrcoef(series.values.T)[0, 1] == pytest.approx(-1.0, abs=1e-6)
    one = imaging.fmriprep_confounds(run.images[1], strategy=["high_pass"])
    np.testing.assert_array_equal(one, confounds)


def test_the_table_of_version_21_begins_with_three_unsteady_samples(folder, tmp_path):
    tables = pytest.importorskip("nilearn.interfaces.fmriprep.tests._testing")
    root, _ = copied(folder, tmp_path)
    run = imaging.fmriprep_run(root, "01", task="rest", run="1", space="T1w")
    for path in tables.get_testdata_path(fmriprep_version="21.x.x"):
        shutil.copy(path, run.confounds.with_suffix(Path(path).suffix))
    bold, confounds = run.load()
    assert bold.shape[-1] == len(confounds) == SAMPLES - 3
    _, components = run.load(
        strategy=["motion", "high_pass", "compcor"], compcor="anat_combined", n_compcor=2
    )
    assert components.shape[0] == SAMPLES - 3 and np.isfinite(components).all()


def test_names_of_older_versions_and_of_the_runs_own_space(folder, tmp_path):
    root, functional = copied(folder, tmp_path)
    for path in list(functional.iterdir()):
        name = path.name.replace("confounds_timeseries", "confounds_regressors")
        name = name.replace("_space-T1w_", "_")
        path.rename(path.with_name(name))
    run = imaging.fmriprep_run(root, "01", session="01", task="rest", run="1", space="")
    assert run.images[0].name == "sub-01_ses-01_task-rest_run-01_desc-preproc_bold.nii.gz"
    assert run.load()[1].shape[0] == SAMPLES - UNSTEADY


def test_grayordinates(folder, tmp_path):
    from nibabel.cifti2.cifti2 import Cifti2Image
    from nibabel.cifti2.cifti2_axes import BrainModelAxis, SeriesAxis

    root, functional = copied(folder, tmp_path)
    places: Any = BrainModelAxis.from_mask(np.ones(5, bool), name="CIFTI_STRUCTURE_CORTEX_LEFT")
    values = np.random.default_rng(0).normal(size=(SAMPLES, 5)).astype(np.float32)
    image = Cifti2Image(values, (SeriesAxis(0, 1.5, SAMPLES), places))
    name = "sub-01_ses-01_task-rest_run-01_space-fsLR_den-91k_bold"
    nibabel.save(image, functional / f"{name}.dtseries.nii")  # type: ignore
    (functional / f"{name}.json").write_text('{"RepetitionTime": 1.5}')
    run = imaging.fmriprep_run(root, "01", task="rest", space="fsLR", den="91k")
    np.testing.assert_array_equal(run.load()[0], values.T[:, UNSTEADY:])


def test_what_is_ambiguous_or_missing_is_said(folder, tmp_path):
    root, functional = copied(folder, tmp_path)

    def refused(error, message, **chosen):
        with pytest.raises(error, match=message):
            imaging.fmriprep_run(root, **{"subject": "01", "task": "rest", **chosen})

    refused(FileNotFoundError, "there is no sub-02; there is sub-01", subject="02")
    refused(FileNotFoundError, "no BOLD of task='n'; there is\n  sub-01_ses-01_", task="n")
    refused(FileNotFoundError, "no BOLD of task='rest', res='2'", res="2")
    refused(
        ValueError, "several runs or spaces; choose by .*\n.*run-01.*\n(.*\n)*.*run-02", space="T1w"
    )
    refused(ValueError, "several runs or spaces.*\n(.*\n)*.*space-T1w", run="1")
    refused(ValueError, "repetition_time", run="1", space="T1w", repetition_time=-1.0)
    for path in functional.glob("*hemi-R*"):
        path.unlink()
    refused(ValueError, "the other hemisphere is not beside it", run="1", space="fsaverage5")
    told = functional / "sub-01_ses-01_task-rest_run-01_space-T1w_desc-preproc_bold.json"
    told.write_text("{")
    refused(ValueError, "preproc_bold.json: no readable JSON", run="1", space="T1w")
    told.write_text('{"RepetitionTime": 0}')
    refused(ValueError, "RepetitionTime", run="1", space="T1w")
    for path in functional.glob("*_bold.json"):
        path.unlink()
    refused(ValueError, "sidecars of this run is none; give repetition_time", run="1", space="T1w")
    chosen: Any = {"task": "rest", "run": "2", "space": "T1w", "repetition_time": 2000.0}
    run = imaging.fmriprep_run(root, "01", **chosen)
    assert run.repetition_time == 2000.0
    lines = run.confounds.read_text().splitlines()
    run.confounds.write_text("\n".join(lines[:-2]) + "\n")
    with pytest.raises(ValueError, match="30 samples and .*tsv 28; they are not of one run"):
        run.load()
    run.confounds.unlink()
    with pytest.raises(ValueError, match="confounds_timeseries.tsv should be beside it.* none"):
        imaging.fmriprep_run(root, "01", **chosen)
