"""Connectomes in BIDS's folders: what is written reads back and is valid, and all dialects read."""

import json

import numpy as np
import pytest

from bids_files import tab, validator_errors
from tvbjax.connectome import Connectome
from tvbjax.io import (
    read_bids_connectivity,
    read_bids_connectome,
    write_bids_connectivity,
    write_bids_connectome,
)

WEIGHTS = np.array([[0.0, 1.5, 0.0], [2.0, 0.0, 0.25], [0.1, 0.0, 0.0]])
LENGTHS = np.array([[0.0, 30.0, 41.5], [30.0, 0.0, 12.0], [41.5, 12.0, 0.0]])
LABELS = ("lA", "rA", "rB")


def brain():
    return Connectome(WEIGHTS, LENGTHS, labels=LABELS, name="mine")


def check(found: Connectome, labels=LABELS):
    np.testing.assert_array_equal(found.weights, WEIGHTS)
    np.testing.assert_array_equal(found.tract_lengths, LENGTHS)
    assert found.labels == labels and found.name == "sub-01"


def test_what_is_written_reads_back(tmp_path):
    written = write_bids_connectome(brain(), tmp_path, "01", atlas="DK", session="a")
    assert [path.name for path in written] == [
        "sub-01_ses-a_atlas-DK_meas-streamlineWeight_relmat.dense.tsv",
        "sub-01_ses-a_atlas-DK_meas-tractLength_relmat.dense.tsv",
        "atlas-DK_nodeindices.tsv",
    ]
    check(read_bids_connectome(tmp_path, "01", session="a"))
    check(read_bids_connectome(tmp_path, "01"))
    sidecar = json.loads(
        written[0].with_name(written[0].name.replace("dense.tsv", "json")).read_text()
    )
    assert sidecar["Directed"] and not sidecar["ValidDiagonal"] and sidecar["NonNegative"]
    write_bids_connectome(brain(), tmp_path, "02", atlas="DK")
    write_bids_connectome(brain(), tmp_path, "01", atlas="DK", session="a")  # once more
    assert len(list(tmp_path.rglob("*.dense.tsv"))) == 4


def test_a_validator_finds_no_fault(tmp_path):
    write_bids_connectome(brain(), tmp_path, "01", atlas="DK")
    assert validator_errors(tmp_path) == []


def test_connectivity_reads_back(tmp_path):
    values = np.array([[1.0, -0.25, 0.5], [-0.25, 1.0, 0.125], [0.5, 0.125, 1.0]])
    write_bids_connectome(brain(), tmp_path, "01", atlas="DK")
    table = write_bids_connectivity(values, LABELS, tmp_path, "01", atlas="DK", desc="rest")
    assert table.parent == tmp_path / "sub-01" / "func"
    found = read_bids_connectivity(tmp_path, "01")
    np.testing.assert_array_equal(found, values)
    assert found["other_region"].values.tolist() == list(LABELS)
    assert found.attrs["RelationshipMeasure"] == "pearsonCorrelation"
    assert not found.attrs["Directed"] and found.attrs["ValidDiagonal"]
    check(read_bids_connectome(tmp_path, "01"))  # and is not taken for it
    write_bids_connectivity(values, LABELS, tmp_path, "01", atlas="DK", desc="task")
    with pytest.raises(ValueError, match="one table .*desc-rest.*desc-task.*give atlas=, desc="):
        read_bids_connectivity(tmp_path, "01")
    np.testing.assert_array_equal(read_bids_connectivity(tmp_path, "01", desc="task"), values)
    with pytest.raises(ValueError, match="DK_nodeindices.tsv has other regions than these 2"):
        write_bids_connectivity(np.eye(2), ("a", "b"), tmp_path, "01", atlas="DK")
    for wrong in (np.eye(2), np.full((3, 3), np.nan)):
        with pytest.raises(ValueError, match="for 3 labels, or values that are not finite"):
            write_bids_connectivity(wrong, LABELS, tmp_path, "01", atlas="DK")


def test_connectivity_of_tvbs_importer(tmp_path):
    folder = tmp_path / "sub-01" / "spatial"
    tab(folder / "sub-01_desc-x_sim_fc.tsv", WEIGHTS)
    tab(folder / "sub-01_desc-x_emp_fc.tsv", LENGTHS)
    np.testing.assert_array_equal(read_bids_connectivity(tmp_path, "01", desc="emp_fc"), LENGTHS)
    np.testing.assert_array_equal(read_bids_connectivity(tmp_path, "01", desc="sim_fc"), WEIGHTS)


def test_the_dialect_of_the_pull_request(tmp_path):
    folder = tmp_path / "sub-01" / "connectivity"
    tab(folder / "sub-01_desc-weight_conndata-network_connectivity.tsv", WEIGHTS, LABELS)
    tab(folder / "sub-01_desc-distance_conndata-network_connectivity.tsv", LENGTHS, LABELS)
    check(read_bids_connectome(tmp_path, "01"))


def test_the_dialect_of_tvbs_importer(tmp_path):
    folder = tmp_path / "sub-01" / "net"
    tab(folder / "sub-01_desc-x_weights.tsv", WEIGHTS, by=" ")
    tab(folder / "sub-01_desc-x_distances.tsv", LENGTHS, by=" ")
    (tmp_path / "coord").mkdir()
    (tmp_path / "coord" / "labels.tsv").write_text("\n".join(LABELS))
    tab(tmp_path / "coord" / "centres.tsv", np.arange(9.0).reshape(3, 3))
    names = ["../../coord/labels.tsv", "../../coord/centres.tsv"]
    (folder / "sub-01_desc-x_weights.json").write_text(json.dumps({"CoordsRows": names}))
    found = read_bids_connectome(tmp_path, "01")
    check(found)
    np.testing.assert_array_equal(found.centres, np.arange(9.0).reshape(3, 3))


def test_the_dialect_of_tvbo(tmp_path):
    folder = tmp_path / "sub-01" / "ses-1" / "net"
    tab(folder / "sub-01_net-weights_id-0a1b2c3d.tsv", WEIGHTS)
    tab(folder / "sub-01_net-distances_id-0a1b2c3e.tsv", LENGTHS)
    check(read_bids_connectome(tmp_path, "01"), ("region_0", "region_1", "region_2"))
    for name, array in (("weights_id-0a1b2c3d", WEIGHTS), ("distances_id-0a1b2c3e", LENGTHS)):
        rows = [[label, *row] for label, row in zip(LABELS, array.tolist(), strict=True)]
        lines = ["\t".join(map(str, row)) for row in [["", *LABELS], *rows]]  # as pandas does it
        (folder / f"sub-01_net-{name}.tsv").write_text("\n".join(lines))
    check(read_bids_connectome(tmp_path, "01"))


def test_a_sidecar_does_not_lead_out_of_the_folder(tmp_path):
    (tmp_path / "secret.tsv").write_text("\n".join(LABELS))
    folder = tmp_path / "study" / "sub-01" / "net"
    tab(folder / "weights.tsv", WEIGHTS)
    names = {"CoordsRows": ["../../../secret.tsv"]}
    (folder / "weights.json").write_text(json.dumps(names))
    assert read_bids_connectome(tmp_path / "study", "01").labels[0] == "region_0"


def test_what_is_not_there_or_does_not_fit_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="no sub-01; there is no folder sub-"):
        read_bids_connectome(tmp_path, "01")
    (tmp_path / "sub-02" / "dwi").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no sub-01; there is sub-02"):
        read_bids_connectome(tmp_path, "01")
    with pytest.raises(ValueError, match="no table of weights; there is no table of connections"):
        read_bids_connectome(tmp_path, "02")
    for atlas in ("A", "B"):
        write_bids_connectome(brain(), tmp_path, "03", atlas=atlas)
    with pytest.raises(
        ValueError, match="several tables of weights: .*atlas-A.*atlas-B.* give atlas="
    ):
        read_bids_connectome(tmp_path, "03")
    read_bids_connectome(tmp_path, "03", atlas="B")
    folder = tmp_path / "sub-04" / "net"
    for text, message in (
        ("0 1\n1 x\n", "line 2: 'x' is not a number"),
        ("0 1 2\n1 0 2\n", "line 1: 3 numbers in a table of 2 rows"),
        ("", "is empty"),
        ("0 nan\n1 0\n", r"weights.tsv: .*weights\[0, 1\]"),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights.tsv").write_text(text)
        with pytest.raises(ValueError, match=message):
            read_bids_connectome(tmp_path, "04")
    with pytest.raises(ValueError, match="subject is 'sub-1'; BIDS's names are letters"):
        write_bids_connectome(brain(), tmp_path, "sub-1", atlas="DK")


def test_several_weights_are_not_guessed_among(tmp_path):
    for measure in ("streamlineCount", "streamlineDensity"):
        write_bids_connectome(brain(), tmp_path, "01", atlas="DK", measure=measure)
    with pytest.raises(ValueError, match="several tables of weights: .*; give atlas=, measure="):
        read_bids_connectome(tmp_path, "01")
    check(read_bids_connectome(tmp_path, "01", measure="streamlineDensity"))


def test_names_that_tables_cannot_hold_are_refused(tmp_path):
    wrong = Connectome(WEIGHTS, LENGTHS, labels=("a\tb", "c", "d"))
    with pytest.raises(ValueError, match=r"the region 'a\\tb' has a tab, a new line or nothing"):
        write_bids_connectome(wrong, tmp_path, "01", atlas="DK")


def test_placeholder_lengths_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    random = rng.uniform(size=(12, 12))
    random = (random + random.T) / 2
    np.fill_diagonal(random, 0.0)
    write_bids_connectome(Connectome(random, random), tmp_path, "01", atlas="R")
    with pytest.raises(ValueError, match="all tract lengths lie between 0 and 1, which are no mm"):
        read_bids_connectome(tmp_path, "01")
    assert not np.asarray(read_bids_connectome(tmp_path, "01", lengths=False).tract_lengths).any()
