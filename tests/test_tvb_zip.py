"""TVB zips: read as NumPy reads their members, written bit for bit, bad archives refused."""

import bz2
import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tvbjax.connectome import Connectome
from tvbjax.io import read_connectome_zip, write_connectome_zip

GOOD = {
    "weights.txt": "0 1\n2 0\n",
    "tract_lengths.txt": "0 30.5\n30.5 0\n",
    "centres.txt": "lA -1 2 3\nrA 1.5 2 3e0\n",
}


def pack(path: Path, members: dict, **changes) -> Path:
    """A zip of the members with changes (dots in names as __); None leaves a member out."""
    members = members | changes
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            if content is not None:
                file.writestr(name, content)
    return path


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "brain.zip"


def npy(array, **options) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def test_reads_the_needed_members(path):
    connectome = read_connectome_zip(pack(path, GOOD), speed=4.0)
    np.testing.assert_array_equal(connectome.weights, [[0, 1], [2, 0]])
    np.testing.assert_array_equal(connectome.tract_lengths, [[0, 30.5], [30.5, 0]])
    np.testing.assert_array_equal(connectome.centres, [[-1, 2, 3], [1.5, 2, 3]])
    assert connectome.labels == ("lA", "rA") and connectome.name == "brain"
    np.testing.assert_array_equal(connectome.hemispheres, [False, True])  # from the labels
    assert connectome.speed == 4.0
    assert connectome.cortical is None and connectome.areas is None


def test_reads_the_optional_members_and_all_encodings(path):
    members = {
        "Study/WEIGHTS.txt.bz2": bz2.compress(b"0 1\n2 0\n"),
        "Study/My_Tract_Lengths.npy": npy(np.array([[0, 5], [6, 0]], dtype=np.int32)),
        "Study/centers.txt": '\ufeff# label x y z\n\n  A\t1 2 3 None\n"B b" 4 5 6 None\n'.encode(),
        "Study/average_orientations.txt": "1 0 0\n0 1 0",
        "Study/cortical.txt": "1\n0\n\n",
        "Study/hemispheres.txt": "0 1",
        "Study/areas.npy": npy(np.array([1.5, 2.5], dtype=">f4")),
        "Study/info.txt": "weights_unit = au",
        "Study/notes.pdf": b"\0\1\2",
        "__MACOSX/Study/._weights.txt": b"\0\1",
        "Study/._centres.txt": b"\0\1",
    }
    connectome = read_connectome_zip(pack(path, members))
    np.testing.assert_array_equal(connectome.weights, [[0, 1], [2, 0]])
    np.testing.assert_array_equal(connectome.tract_lengths, [[0, 5], [6, 0]])
    assert connectome.labels == ("A", "B b")
    np.testing.assert_array_equal(connectome.orientations, [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(connectome.cortical, [True, False])
    np.testing.assert_array_equal(connectome.hemispheres, [False, True])
    np.testing.assert_array_equal(connectome.areas, [1.5, 2.5])


def test_a_members_own_name_goes_before_a_mere_likeness(path):
    connectome = read_connectome_zip(pack(path, GOOD, **{"a_log_weights.txt": "9 9\n9 9\n"}))
    np.testing.assert_array_equal(connectome.weights, [[0, 1], [2, 0]])


def test_labels_that_recur_are_numbered(path):
    connectome = read_connectome_zip(pack(path, GOOD, **{"centres.txt": "a 1 2 3\na 4 5 6\n"}))
    assert connectome.labels == ("a_0", "a_1") and connectome.hemispheres is None


def numpy_reading(path: Path) -> dict[str, np.ndarray]:
    """Members by stem, read by numpy.loadtxt alone."""
    arrays = {}
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            stem = name.rsplit("/", 1)[-1].split(".")[0]
            if "__MACOSX" in name or stem not in ("weights", "tract_lengths", "centres"):
                continue
            content = file.read(name)
            if name.endswith(".bz2"):
                content = bz2.decompress(content)
            columns = (1, 2, 3) if stem == "centres" else None
            arrays[stem] = np.loadtxt(io.BytesIO(content), usecols=columns)
    return arrays


@pytest.mark.parametrize(
    "name, size", [("connectivity_998", 998), ("mouse_allen_98", 98), ("mouse_calabrese_296", 296)]
)
def test_real_archives_are_read_as_numpy_reads_them_and_survive_a_round_trip(
    shared, tmp_path, name, size
):
    source = shared / "connectomes" / f"{name}.zip"
    if not source.is_file():
        pytest.skip(f"no {source}")
    unit = 2.0 if size == 296 else 1.0  # placeholders, which are refused as mm
    connectome = read_connectome_zip(source, unit=unit)
    assert len(connectome.regions) == size and connectome.hemispheres is not None
    assert connectome.hemispheres.sum() == {998: 500}.get(size, size // 2)
    for stem, array in numpy_reading(source).items():
        length = unit if stem in ("centres", "tract_lengths") else 1.0
        np.testing.assert_array_equal(getattr(connectome, stem), length * array)
    if size == 98:
        weights = np.asarray(connectome.weights)
        assert weights.max() == 1.0 and not np.array_equal(weights, weights.T)
    copy = tmp_path / "copy.zip"
    write_connectome_zip(connectome, copy)
    again = read_connectome_zip(copy)
    assert again.regions == connectome.regions
    np.testing.assert_array_equal(again.weights, connectome.weights)
    np.testing.assert_array_equal(again.tract_lengths, connectome.tract_lengths)


def test_placeholders_of_lengths_are_refused(shared):
    source = shared / "connectomes" / "mouse_calabrese_296.zip"
    if not source.is_file():
        pytest.skip(f"no {source}")
    with pytest.raises(ValueError, match="random placeholders, as in the mouse of Calabrese"):
        read_connectome_zip(source)
    rest = read_connectome_zip(source, lengths=False)
    assert rest.centres is None and not np.asarray(rest.tract_lengths).any()
    assert float(rest.weights.max()) == pytest.approx(3.687e11, rel=1e-3)


def test_lengths_in_another_unit_become_millimetres(path):
    pack(path, GOOD, **{"areas.txt": "4 8"})
    connectome = read_connectome_zip(path, unit=0.5)
    np.testing.assert_array_equal(connectome.tract_lengths, [[0, 15.25], [15.25, 0]])
    np.testing.assert_array_equal(connectome.centres, [[-0.5, 1, 1.5], [0.75, 1, 1.5]])
    np.testing.assert_array_equal(connectome.areas, [1, 2])
    with pytest.raises(ValueError, match="unit"):
        read_connectome_zip(path, unit=0.0)


def awkward() -> Connectome:
    rng = np.random.default_rng(0)
    weights = rng.lognormal(sigma=20.0, size=(5, 5))
    weights[0, 0], weights[0, 1] = 5e-324, 1.7976931348623157e308
    return Connectome(
        weights,
        rng.uniform(0, 200, (5, 5)) / 3,
        labels=["l-a", "l_b", "rö", "r.d", "R,e"],
        centres=rng.normal(size=(5, 3)) / 7,
        hemispheres=[True, False, True, True, False],
        cortical=[True, False, True, True, True],
        areas=rng.uniform(size=5),
        orientations=rng.normal(size=(5, 3)),
    )


def test_round_trip_is_exact_to_the_last_bit(path):
    write_connectome_zip(awkward(), path)
    again = read_connectome_zip(path)
    assert again.regions == awkward().regions
    for leaf in ("weights", "tract_lengths"):
        expected = np.asarray(getattr(awkward(), leaf))
        assert np.asarray(getattr(again, leaf)).tobytes() == expected.tobytes()


def test_one_region_survives_a_round_trip(path):
    write_connectome_zip(Connectome([[0.5]], labels=["a"], centres=[[1, 2, 3]], areas=[2]), path)
    again = read_connectome_zip(path)
    assert again.weights.tolist() == [[0.5]] and again.areas is not None


def test_equal_connectomes_give_equal_bytes(path, tmp_path):
    write_connectome_zip(awkward(), path)
    write_connectome_zip(awkward(), tmp_path / "other.zip")
    assert path.read_bytes() == (tmp_path / "other.zip").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_no_other(path, monkeypatch):
    write_connectome_zip(awkward(), path)
    before = path.read_bytes()

    def no_space(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", no_space)
    with pytest.raises(OSError, match="no space"):
        write_connectome_zip(Connectome([[1.0]], labels=["x"], centres=[[0, 0, 0]]), path)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("label", ["a b", "a\tb", "#a", 'a"b'])
def test_writing_refuses_a_label_that_the_format_cannot_hold(path, label):
    with pytest.raises(ValueError, match=r"labels\[0\] is .* holds no white space"):
        write_connectome_zip(Connectome([[1.0]], labels=[label], centres=[[0, 0, 0]]), path)
    assert not path.exists()


def test_writing_never_replaces_a_folder(tmp_path):
    (tmp_path / "kept.txt").write_text("here")
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        write_connectome_zip(awkward(), tmp_path)
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_connectome_zip(awkward(), tmp_path / "missing" / "brain.zip")
    assert os.listdir(tmp_path) == ["kept.txt"]


def test_writing_needs_centres(path):
    with pytest.raises(ValueError, match="has no centres, which the format needs"):
        write_connectome_zip(Connectome([[1.0]]), path)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"weights.txt": None}, r"there is no weights.txt .*The archive holds: tract_lengths.txt"),
        (
            {"tract_lengths.txt": None},
            r"there is no tract_lengths.txt \(mm, .*zeros mean no delays",
        ),
        ({"centres.txt": None}, r"there is no centres.txt \(per region: label x y z"),
        ({"weights.txt": None, "weights.mat": b"x"}, "no weights.txt.*weights.mat.*read as .txt,"),
        (
            {"a/weights.txt": "1"},
            r"several members could be the weights: weights.txt, a/weights.txt",
        ),
        ({"weights.txt.bz2": b""}, "several members could be the weights"),
        (
            {"weights.txt": None, "tract_lengths.txt": None, "tract_weights.txt": "0 1\n1 0"},
            "tract_weights.txt could be the weights or the tract_lengths",
        ),
        ({"weights.txt": "0 1\n2 x7\n"}, "weights.txt, line 2, column 2: 'x7' is not a number"),
        ({"weights.txt": "0,5 1\n2 0\n"}, "line 1, column 1: '0,5' is not a number; use a decimal"),
        ({"weights.txt": "0 1_0\n2 0\n"}, "line 1, column 2: '1_0' is not a number"),
        (
            {"weights.txt": "0 1\n\n2\n"},
            "weights.txt, line 3: 1 numbers, but the rows before have 2",
        ),
        ({"weights.txt": "# nothing\n\n"}, "weights.txt is empty"),
        ({"weights.txt": b"0 1\n\xff 0"}, r"weights.txt is not UTF-8 text \(byte 4\)"),
        (
            {"weights.txt": "0 1 2\n3 0 4\n5 6 0"},
            r"weights.txt has the shape \(3, 3\).*lists 2 regions",
        ),
        ({"tract_lengths.txt": "0 1\n"}, r"tract_lengths.txt has the shape \(1, 2\)"),
        ({"weights.txt": "0 -1\n2 0"}, r"weights\[0, 1\] \(from 'rA' to 'lA'\) is -1"),
        ({"weights.txt": "0 nan\n2 0"}, r"brain.zip: Connectome: weights\[0, 1\] .* is nan"),
        (
            {"centres.txt": "a 1 2\nb 1 2 3"},
            "centres.txt, line 1: 3 columns; expected a label and 3",
        ),
        ({"centres.txt": "a 1 2 z\nb 1 2 3"}, "centres.txt, line 1, column 4: 'z' is not a number"),
        ({"centres.txt": "a 1 2 nan\nb 1 2 3"}, r"centres\[0, 2\] is nan"),
        ({"centres.txt": ""}, "centres.txt is empty"),
        (
            {"centres.txt": None, "centres.npy": npy(np.zeros((2, 3)))},
            "centres.npy holds no labels",
        ),
        ({"areas.txt": "1\n2\n3"}, r"areas.txt has the shape \(3, 1\), but .*\(2,\) fits"),
        ({"cortical.txt": "1\n2"}, r"cortical\[1\] is .*2.*; pass True \(cortex\)"),
        ({"../weights.txt": "0"}, r"member name '../weights.txt' leads out of the archive"),
        ({"/etc/areas.txt": "0"}, "member name '/etc/areas.txt' leads out"),
        ({"a\\..\\..\\x.txt": "0"}, "leads out of the archive"),
        ({"C:/x.txt": "0"}, "member name 'C:/x.txt' leads out"),
        ({"areas.npy": b"not numpy"}, "areas.npy is not a readable .npy file"),
        ({"areas.npy": npy(np.array([None, 1]), allow_pickle=True)}, "areas.npy holds object"),
        (
            {"areas.npy": npy(np.array([1.0, 2.0]))[:-1]},
            r"declares \(2,\) of float64, but 15 bytes",
        ),
        ({"weights.txt": None, "weights.txt.bz2": b"no"}, "weights.txt.bz2 is damaged"),
        ({"weights.txt": None, "weights.txt.bz2": bz2.compress(b"0 1\n2 0")[:-3]}, "is damaged"),
    ],
)
def test_reading_refuses(path, changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_connectome_zip(pack(path, GOOD, **changes))
    assert "brain.zip" in str(caught.value)


def test_a_file_that_is_not_a_zip_or_not_there(path):
    with pytest.raises(FileNotFoundError):
        read_connectome_zip(path)
    path.write_text("weights")
    with pytest.raises(ValueError, match="brain.zip: not a zip archive"):
        read_connectome_zip(path)


def test_two_members_of_one_name_are_refused(path):
    pack(path, GOOD)
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("weights.txt", "0 9\n9 0\n")
    with pytest.raises(ValueError, match="two members are named 'weights.txt'"):
        read_connectome_zip(path)


def test_a_zip_bomb_is_stopped_at_the_limit(path):
    pack(path, GOOD, **{"weights.txt": b"0 " * 10_000_000})
    assert path.stat().st_size < 100_000
    with pytest.raises(
        ValueError, match="weights.txt unpacks to more than the limit of 1000000 bytes"
    ):
        read_connectome_zip(path, limit_bytes=1_000_000)


def test_a_bzip2_bomb_is_stopped_at_the_limit(path):
    bomb = bz2.compress(b"0 " * 1_000_000)
    assert len(bomb) < 1000
    pack(path, GOOD, **{"weights.txt": None, "weights.txt.bz2": bomb})
    with pytest.raises(
        ValueError, match="weights.txt.bz2 unpacks to more than the limit of 100000"
    ):
        read_connectome_zip(path, limit_bytes=100_000)


def test_the_limit_counts_all_members_together(path):
    with pytest.raises(ValueError, match="more than the limit of 30 bytes"):
        read_connectome_zip(pack(path, GOOD), limit_bytes=30)


def test_an_npy_header_that_promises_terabytes_allocates_nothing(path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"
    claim = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with pytest.raises(ValueError, match=r"declares \(1000000, 1000000\) of float64, but 0 bytes"):
        read_connectome_zip(pack(path, GOOD, **{"weights.txt": None, "weights.npy": claim}))


def test_more_members_than_any_connectome_has(path):
    pack(path, GOOD | {f"{i}.txt": "" for i in range(10_001)})
    with pytest.raises(ValueError, match="10004 members; at most 10000"):
        read_connectome_zip(path)


def patch_flags(path: Path, bits: int):
    """Set general purpose flags of the first member, in its local and its central header."""
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= bits
    path.write_bytes(content)


def test_an_encrypted_member_is_named(path):
    patch_flags(pack(path, GOOD), 0x1)
    with pytest.raises(ValueError, match="weights.txt is encrypted; unpack it"):
        read_connectome_zip(path)


def test_a_damaged_member_is_named(path):
    pack(path, GOOD)
    content = bytearray(path.read_bytes())
    start = content.index(b"weights.txt") + len("weights.txt")
    content[start] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match="weights.txt is damaged"):
        read_connectome_zip(path)
