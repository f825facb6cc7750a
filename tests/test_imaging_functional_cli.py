"""`tvbjax imaging functional`: a folder of fMRIPrep's with three people, of whom one is broken."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas
import pytest
from typer.testing import CliRunner

from bids_files import validator_errors
from tvbjax import imaging
from tvbjax.cli._imaging import app
from tvbjax.io import read_bids_connectivity, read_regional_series

pytest.importorskip("nilearn")
pytest.importorskip("matplotlib")
data_gen: Any = pytest.importorskip("nilearn._utils.data_gen")
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
SAMPLES = 120
NAMES = ("one", "two", "three a")


def command(*arguments):
    return CliRunner().invoke(app, ["functional", "--space", "T1w", *map(str, arguments)])


def longer(image: Path) -> pandas.DataFrame:
    """nilearn's table of 30 samples, of which the first is unsteady, as one of a longer run."""
    path = image.with_name(
        image.name.replace("_desc-preproc_bold.nii.gz", "_desc-confounds_timeseries.tsv")
    )
    short = pandas.read_csv(path, sep="\t")
    rng = np.random.default_rng(1)
    more = {}
    for name, column in short.items():
        noise = rng.normal(size=SAMPLES - len(short))
        steady = str(name).startswith(("non_steady", "motion_outlier"))
        more[name] = np.concatenate([column, 0.0 * noise if steady else noise])
    table = pandas.DataFrame(more)
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Volumes of six voxels, two in each of three regions; the last person's image is cut."""
    made = data_gen.create_fake_bids_dataset(
        tmp_path_factory.mktemp("fmriprep"), n_sub=3, n_ses=0, tasks=["rest"], n_runs=[1],
        spaces=("T1w",),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    for person in ("01", "02", "03"):
        place = made / "derivatives" / f"sub-{person}" / "func"
        (image,) = place.glob("*space-T1w_desc-preproc_bold.nii.gz")
        signals = np.repeat(rng.normal(size=(3, SAMPLES)), 2, axis=0)
        data = 1000.0 + signals[:, None, None] + 0.1 * rng.normal(size=(6, 1, 1, SAMPLES))
        nibabel.save(nibabel.Nifti1Image(data.astype(np.float32), AFFINE), image)
        confounds = longer(place / image.name.replace("space-T1w_", ""))
        assert len(confounds) == SAMPLES
        told = image.with_name(image.name.replace(".nii.gz", ".json"))
        told.write_text(json.dumps({"RepetitionTime": 2.0}))
        if person == "03":  # a kind of number that there is not
            header = bytearray(gzip.decompress(image.read_bytes()))
            header[70:72] = (9999).to_bytes(2, "little")
            image.write_bytes(gzip.compress(header))
    root = made / "derivatives"
    parcels = np.repeat([1, 2, 7], 2).reshape(6, 1, 1).astype(np.int32)
    nibabel.save(nibabel.Nifti1Image(parcels, AFFINE), root / "parcels.nii.gz")
    nibabel.save(nibabel.Nifti1Image(parcels, 2 * AFFINE), root / "elsewhere.nii.gz")
    rows = "".join(f"{n}\t{name}\n" for n, name in zip((1, 2, 7), NAMES, strict=True))
    (root / "labels.tsv").write_text("index\tname\n" + rows)
    return root


def test_people_are_done_by_themselves_and_series_read_back(folder, tmp_path):
    given = ["--task", "rest", "--labels", folder / "labels.tsv", "--out", tmp_path]
    parcels = ["--parcellation", folder / "parcels.nii.gz"]
    done = command(folder, *given, *parcels, "--atlas", "P", "--window", 16)
    assert "sub-01: written to" in done.stdout and "sub-02: written to" in done.stdout
    assert "1 of 3 people failed: 03" in str(done.exception)
    run = imaging.fmriprep_run(folder, "02", task="rest", space="T1w")
    bold, confounds = run.load()
    expected = imaging.regional_series(
        bold,
        imaging.read_parcels(folder / "parcels.nii.gz"),
        dict(zip((1, 2, 7), NAMES, strict=True)),
        repetition_time=2000.0,
        confounds=confounds,
        band=(0.008, None),
    )
    table = tmp_path / "sub-02" / "func" / "sub-02_task-rest_atlas-P_timeseries.tsv"
    found = read_regional_series(table, repetition_time=2000.0)
    np.testing.assert_array_equal(found.values, expected.values)
    assert tuple(found.region.values) == NAMES
    assert json.loads(table.with_suffix(".json").read_text())["RepetitionTime"] == 2.0
    correlations = read_bids_connectivity(tmp_path, "02", measure="pearsonCorrelation")
    np.testing.assert_allclose(correlations.values, np.corrcoef(expected.values.T), atol=1e-9)
    partial = read_bids_connectivity(tmp_path, "02", measure="partialCorrelation")
    expected = imaging.shrunk_partial_correlation(expected)
    np.testing.assert_allclose(partial.values, expected.values, atol=1e-12)
    assert validator_errors(tmp_path) == []
    assert (tmp_path / "sub-02_task-rest_quality.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "more, message",
    [
        (
            ["--parcellation", "elsewhere.nii.gz"],
            "has 6 x 1 x 1 voxels of 6, 6, 6 mm",
        ),
        (["--parcellation", "parcels.nii.gz", "--task", "move"], "there is no BOLD of task='move'"),
        (["--parcellation", "parcels.nii.gz", "--high", "0.4"], "the band ends at 0.4 Hz"),
        (["--parcellation", "absent.nii.gz"], "there is no file"),
    ],
)
def test_what_does_not_fit_is_said(folder, tmp_path, more, message):
    more = [folder / one if str(one).endswith(".nii.gz") else one for one in more]
    given = ["--task", "rest", "--labels", folder / "labels.tsv", "--out", tmp_path, "--no-figures"]
    done = command(folder, *given, *more)
    assert done.exit_code != 0 and message in done.stdout.replace("\n", " ")


def test_a_folder_without_people(tmp_path, folder):
    given = ["--task", "rest", "--parcellation", "a.nii", "--labels", folder / "labels.tsv"]
    done = command(tmp_path, *given, "--out", tmp_path)
    assert "no person; fMRIPrep's folder has sub-01/func/" in str(done.exception)


def test_parcels_of_surfaces(tmp_path):
    def label(path, values):
        array: Any = nibabel.gifti.GiftiDataArray(  # type: ignore
            np.array(values, np.int32), intent="NIFTI_INTENT_LABEL"
        )
        nibabel.save(nibabel.gifti.GiftiImage(darrays=[array]), path)  # type: ignore
        return path

    left = label(tmp_path / "lh.label.gii", [0, 1, 2, -1])
    right = label(tmp_path / "rh.label.gii", [3, 0, 4])
    np.testing.assert_array_equal(imaging.read_parcels(left, right), [0, 1, 2, 0, 3, 0, 4])
    shutil.copy(left, right)
    with pytest.raises(ValueError, match=r"share 2 numbers \(1, ...\); number the regions"):
        imaging.read_parcels(left, right)
    with pytest.raises(ValueError, match="1 files; give an image, or two .label.gii"):
        imaging.read_parcels(left)
