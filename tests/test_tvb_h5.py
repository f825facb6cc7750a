"""TVB's HDF5: its own files read, ours read by tvb-library, others refused with the reason."""

import json
import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from tvbjax.connectome import Connectome
from tvbjax.io import (
    read_connectome_h5,
    read_connectome_zip,
    read_time_series_h5,
    write_connectome_h5,
    write_time_series_h5,
)

TVB = os.environ.get("TVBJAX_TVB_PYTHON", ".venv-parity/bin/python")
FIELDS = ("centres", "hemispheres", "cortical", "areas", "orientations")


@pytest.fixture
def files(shared) -> Path:
    folder = shared / "connectomes"
    if not folder.is_dir():
        pytest.skip(f"no TVB files at {folder}")
    return folder


def full(size=6):
    """A connectome with all that the format holds."""
    rng = np.random.default_rng(3)
    return Connectome(
        rng.random((size, size)).round(3),
        80.0 * rng.random((size, size)),
        labels=[f"{side} area {i}" for side in "LR" for i in range(size // 2)],
        centres=rng.normal(size=(size, 3)),
        hemispheres=np.repeat([False, True], size // 2),
        cortical=np.arange(size) > 0,
        areas=rng.random(size),
        orientations=rng.normal(size=(size, 3)),
        name="whole",
    )


def test_the_human_of_seventy_four_regions(files):
    brain = read_connectome_h5(files / "Connectivity_74.h5", speed=4.0)
    assert len(brain.labels) == 74 and brain.labels[:2] == ("lA1", "lA2") and brain.speed == 4.0
    assert float(brain.weights.max()) == 3.0
    assert float(brain.tract_lengths.max()) == pytest.approx(153.48574)
    assert brain.areas is not None and brain.areas[0] > 0 and brain.areas.shape == (74,)
    assert brain.hemispheres is not None and brain.hemispheres.sum() == 37
    assert brain.cortical is None


def test_the_mouse_is_that_of_the_zip(files):
    one = read_connectome_h5(files / "mouse_allen_98.h5")
    other = read_connectome_zip(files / "mouse_allen_98.zip")
    np.testing.assert_allclose(one.weights, other.weights, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(one.tract_lengths, other.tract_lengths, rtol=1e-6)
    weights = np.asarray(one.weights)
    assert np.count_nonzero(weights) / weights.size == pytest.approx(0.9985, abs=1e-4)
    assert not np.array_equal(weights, weights.T) and weights.max() == 1.0


def test_a_time_series(files):
    series = read_time_series_h5(files / "TimeSeriesRegion.h5")
    assert series.dims == ("time", "variable", "region", "mode")
    assert series.shape == (1024, 1, 74, 1)
    assert list(series["variable"].values) == ["V"] and series.name == "Regions TemporalAverage"
    assert float(series.time[0]) == 0.48828125
    np.testing.assert_allclose(np.diff(series.time), 0.9765625)
    assert float(series.max()) == 6.923964706859098  # as the file's own attributes say
    assert series.attrs["connectivity"] == "3d2a4561-47ca-11e4-884e-3c075431bf56"


def test_what_is_written_reads_back(tmp_path):
    brain = full()
    write_connectome_h5(brain, tmp_path / "whole.h5")
    again = read_connectome_h5(tmp_path / "whole.h5")
    np.testing.assert_array_equal(again.weights, brain.weights)
    np.testing.assert_array_equal(again.tract_lengths, brain.tract_lengths)
    assert again.regions == brain.regions and again.name == "whole"


def test_equal_connectomes_give_equal_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        write_connectome_h5(full(), tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_tvb_library_reads_what_is_written(tmp_path):
    if not Path(TVB).exists():
        pytest.skip(f"no TVB at {TVB}; run make parity, or set TVBJAX_TVB_PYTHON")
    brain = full()
    write_connectome_h5(brain, tmp_path / "whole.h5")
    program = """
import json, sys
from tvb.datatypes.connectivity import Connectivity
read = Connectivity.from_file(sys.argv[1])
read.configure()
names = ["weights", "tract_lengths", "centres", "hemispheres", "cortical", "areas", "orientations"]
found = {name: getattr(read, name).tolist() for name in names}
found["labels"] = read.region_labels.tolist()
print(json.dumps(found))
"""
    command = [TVB, "-c", program, str(tmp_path / "whole.h5")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert tuple(found["labels"]) == brain.labels
    np.testing.assert_array_equal(found["weights"], brain.weights)
    np.testing.assert_array_equal(found["tract_lengths"], brain.tract_lengths)
    for name in FIELDS:
        np.testing.assert_array_equal(found[name], getattr(brain.regions, name))


@pytest.mark.parametrize("modes", [None, 2])
def test_a_series_that_is_written_reads_back(tmp_path, modes):
    dims = ("time", "variable", "region") + (() if modes is None else ("mode",))
    values = np.random.default_rng(0).random((7, 2, 3) + (() if modes is None else (modes,)))
    coords = {"time": 0.5 * np.arange(1, 8), "variable": ["V", "W"]}
    series = xr.DataArray(values, dims=dims, coords=coords, name="mine")
    write_time_series_h5(series, tmp_path / "series.h5")
    again = read_time_series_h5(tmp_path / "series.h5")
    np.testing.assert_array_equal(again, values if modes else values[..., None])
    np.testing.assert_array_equal(again.time, series.time)
    assert again.name == "mine" and list(again["variable"].values) == ["V", "W"]


def broken(path, **changes):
    """A small good file with changes: None leaves a dataset out."""
    good = {
        "weights": np.ones((2, 2)),
        "tract_lengths": np.ones((2, 2)),
        "region_labels": np.array([b"a", b"b"]),
    }
    with h5py.File(path, "w") as file:
        for name, value in (good | changes).items():
            if value is not None and not name.startswith("TVB_"):
                file[name] = value
            elif value is not None:
                file.attrs[name] = value
    return path


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"TVB_Data_version": 9}, "TVB_Data_version is 9; known are 1 to 5"),
        ({"TVB_Data_version": "new"}, "TVB_Data_version is new; known"),
        ({"weights": None}, "there is no dataset weights; it holds region_labels, tract_lengths"),
        ({"weights": np.array([[0, np.nan], [1, 0]])}, r"weights\[0, 1\]"),
        ({"weights": np.ones((2, 3))}, "broken.h5: .*square"),
        ({"weights": np.array([[b"x", b"y"]])}, "weights is .S1; it should hold real numbers"),
        ({"tract_lengths": np.ones((3, 3))}, r"tract_lengths \(3, 3\) and weights"),
        ({"region_labels": np.array([b"a", b"a"])}, "broken.h5: .*'a'"),
        ({"centres": np.ones((2, 2))}, "centres"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_connectome_h5(broken(tmp_path / "broken.h5", **changes))


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_connectome_h5(tmp_path / "absent.h5")
    (tmp_path / "text.h5").write_text("weights")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        read_connectome_h5(tmp_path / "text.h5")
    whole = broken(tmp_path / "whole.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        read_connectome_h5(tmp_path / "cut.h5")
    with pytest.raises(ValueError, match="there is no dataset data"):
        read_time_series_h5(tmp_path / "whole.h5")


def test_what_cannot_be_written(tmp_path):
    bare = Connectome(np.ones((2, 2)))
    with pytest.raises(ValueError, match="has no centres, which tvb-library needs"):
        write_connectome_h5(bare, tmp_path / "a.h5")
    named = Connectome(
        np.ones((2, 2)), labels=["Übel", "b"], centres=np.ones((2, 3)), hemispheres=[True, False]
    )
    with pytest.raises(ValueError, match=r"labels\[0\] is 'Übel', and tvb-library reads ASCII"):
        write_connectome_h5(named, tmp_path / "a.h5")
    series = xr.DataArray(np.ones((3, 2)), dims=("time", "region"))
    with pytest.raises(ValueError, match="the dims are"):
        write_time_series_h5(series, tmp_path / "a.h5")
    uneven = xr.DataArray(
        np.ones((3, 1, 2)), dims=("time", "variable", "region"), coords={"time": [0.0, 1.0, 3.0]}
    )
    with pytest.raises(ValueError, match="one sampling period, and this has 1 to 2 ms"):
        write_time_series_h5(uneven, tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())
