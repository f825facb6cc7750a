"""Writing whole or not at all."""

import pytest

from tvbjax.io.atomic import atomic_path


def test_a_file_or_folder_takes_the_place_of_the_old_one(tmp_path):
    for _ in range(2):
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("whole")
        with atomic_path(tmp_path / "b.zarr") as temporary:
            temporary.mkdir()
            (temporary / "part").write_text("whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.zarr"]
    assert (tmp_path / "b.zarr" / "part").read_text() == "whole"


def test_after_an_error_the_old_one_is_there_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(OSError, match="disk"):
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise OSError("disk full")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_kinds_are_not_mixed(tmp_path):
    (tmp_path / "folder.nc").mkdir()
    (tmp_path / "folder.nc" / "precious").write_text("data")
    with pytest.raises(IsADirectoryError):
        with atomic_path(tmp_path / "folder.nc") as temporary:
            temporary.write_text("new")
    assert (tmp_path / "folder.nc" / "precious").read_text() == "data"
    (tmp_path / "file.zarr").write_text("data")
    with pytest.raises(NotADirectoryError):
        with atomic_path(tmp_path / "file.zarr") as temporary:
            temporary.mkdir()
    assert (tmp_path / "file.zarr").read_text() == "data"
    assert len(list(tmp_path.iterdir())) == 2
