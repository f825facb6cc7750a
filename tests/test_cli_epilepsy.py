"""`tvbjax epilepsy`, as in a shell: a patient made up, checked and fitted."""

import json
import re
import shutil

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
    words += ["--accept", 0.9, "--dt", 0.1]
    said = run(*words)
    assert said.exit_code == 3, said.output  # as few draws as these are not to be trusted
    assert "Not to be trusted" in said.output
    page = (out / "report.html").read_text()
    assert "not to be trusted as it is" in page and "research use only" in page
    assert "Half the step changes" in page and "1 ms of the model is 4 s" in page
    assert "esection" in said.output and "onset at" in page and "RecoupledHeun, dt 0.1" in page
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


def spoilt(folder, tmp_path):
    path = tmp_path / "spoilt"
    shutil.copytree(folder, path)
    return path


def numbers(path):
    lines = (path / "seizures" / "seizure1.tsv").read_text().splitlines()
    return lines[0], np.array([line.split("\t") for line in lines[1:]], float)


def rewrite(path, header, values):
    rows = ["\t".join(map(repr, row)) for row in values.tolist()]
    (path / "seizures" / "seizure1.tsv").write_text("\n".join([header, *rows]) + "\n")


def unmarked(path):
    (path / "onsets.tsv").unlink()


def without_end(path):
    (path / "onsets.tsv").write_text("seizure\tregion\tonset\tend\nseizure1\tn/a\t22.0\tn/a\n")


def noise(path):
    header, values = numbers(path)
    values[:, 1:] = np.random.default_rng(0).normal(size=values[:, 1:].shape)
    rewrite(path, header, values)


def in_ms(path):
    header, values = numbers(path)
    values[:, 0] *= 1e3
    rewrite(path, header, values)


def at_8_hz(path):
    header, values = numbers(path)
    rewrite(path, header, values[::32])


def half_dead(path):
    header, values = numbers(path)
    values[len(values) // 2 :, 3] = 0.5
    rewrite(path, header, values)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (unmarked, "has no onset; mark it: in onsets.tsv, in the row of the seizure whose region"),
        (without_end, "has no end; mark it: in onsets.tsv"),
        (noise, "a seizure window without a seizure"),
        (in_ms, "samples at 0.256 Hz hold only what is below 0.128 Hz; .* give times in s"),
        (at_8_hz, "power above 10 Hz .* samples at 8 Hz"),
        (half_dead, "have one value for 0.5 s or longer .* status bad in seizures/seizure1_chan"),
    ],
)
def test_check_refuses_what_fit_would(folder, tmp_path, spoil, message):
    path = spoilt(folder, tmp_path)
    spoil(path)
    said = run("check", path)
    assert said.exit_code == 1
    assert re.search(f"- seizure 'seizure1' cannot be fitted: .*{message}", said.output), (
        said.output
    )


def test_a_seizure_that_may_be_none_is_checked_with_a_warning(folder, tmp_path):
    """Of a contact at the edge alone power rises fourfold, in a baseline that drifts."""
    path = spoilt(folder, tmp_path)
    header, values = numbers(path)
    names = header.split("\t")[1:3]
    rewrite(path, "\t".join(["time", *names]), values[:, :3])
    said = run("check", path, "--match")
    assert said.exit_code == 0, said.output
    assert "- warning: check_seizure: 'seizure1'" in said.output
    assert "Look at what is warned of." in said.output and "Nothing is wrong" not in said.output


def test_a_pace_is_checked(folder):
    said = run("check", folder, "--pace", 0.0001)
    assert said.exit_code == 1 and "at a pace of 0.0001 s" in said.output


def test_places_and_seeds_that_cannot_be_are_told(folder, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for place in (file, file / "sub"):
        for words in (["synthetic", place], ["fit", folder, "--out", place]):
            said = run(*words)
            assert isinstance(said.exception, ValueError)
            assert f"{file} is a file; name a folder." in str(said.exception)
    for words in (["check", ""], ["synthetic", " "], ["fit", folder, "--out", ""], ["fit", ""]):
        said = run(*words)
        assert said.exit_code == 2 and "name a folder" in " ".join(said.output.split())
    large = 10**20
    for words in (["synthetic", tmp_path / "new"], ["fit", folder, "--out", tmp_path / "new"]):
        said = run(*words, "--seed", large)
        assert said.exit_code == 2 and "4294967295" in said.output
    assert not (tmp_path / "new").exists()
