"""`tvbjax epilepsy`, as in a shell: a patient made up, checked and fitted."""

import json

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from tvbjax.cli._main import app


def run(*words):
    return CliRunner().invoke(app, ["epilepsy", *map(str, words)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "patient"
    said = run("synthetic", path, "--regions", 10, "--shafts", 4, "--seed", 3)
    assert said.exit_code == 0, said.output
    return path


def test_a_made_up_patient_has_nothing_wrong(folder):
    said = run("check", folder)
    assert said.exit_code == 0
    assert "10 regions, 40 channels" in said.output
    assert (folder / "truth.tsv").read_text().startswith("region\texcitability\tonset")


def test_what_is_wrong_with_a_folder_is_said(folder, tmp_path):
    said = run("check", tmp_path / "nobody")
    assert said.exit_code != 0
    assert "nobody" in said.output + str(said.exception)
    again = run("synthetic", folder)
    assert isinstance(again.exception, ValueError) and "is not empty" in str(again.exception)


@pytest.mark.slow
def test_a_fit_leaves_all_that_a_researcher_looks_at_and_its_warning(folder, tmp_path):
    out = tmp_path / "found"
    words = ["fit", folder, "--out", out, "--warmup", 15, "--draws", 10, "--chains", 2]
    said = run(*words)
    assert said.exit_code == 3, said.output  # as few draws as these are not to be trusted
    assert "Not to be trusted" in said.output
    page = (out / "report.html").read_text()
    assert "not to be trusted as it is" in page and "research use only" in page
    assert "Half the step changes" in page and "1 ms of the model is 4 s" in page
    assert "esection" in said.output and "onset at" in page
    rows = (out / "regions.tsv").read_text().splitlines()
    assert len(rows) == 11
    with xr.open_datatree(out / "posterior.nc") as tree:
        first = np.asarray(tree["posterior"]["excitability"])
        assert tree.attrs["key of the draws"] == "[0, 0]" and tree.attrs["starts"] == "16"
        assert len(json.loads(tree.attrs["files, sha256"])["connectome.zip"]) == 64
    assert first.shape == (2, 10, 10)
    # The same command finds that all is done, and gives the same numbers.
    assert run(*words).exit_code == 3
    with xr.open_datatree(out / "posterior.nc") as tree:
        np.testing.assert_array_equal(first, np.asarray(tree["posterior"]["excitability"]))


def test_a_seizure_that_is_not_there_is_named(folder, tmp_path):
    said = run("fit", folder, "--out", tmp_path / "found", "--seizure", "seizure2")
    assert isinstance(said.exception, ValueError)
    assert "there is no seizure 'seizure2'" in str(said.exception)
