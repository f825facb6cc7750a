"""A run's manifest: rocrate reads it, and every file's hash is that of the tools of the system."""

import hashlib
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tvbjax.io import Author, sha256_of, write_run_crate

BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CC0 = "https://spdx.org/licenses/CC0-1.0"


def crate(folder, **more):
    given = {
        "name": "Rest",
        "description": "A resting state.",
        "outputs": ["made by run.nc"],
        "started": BEGAN,
        "ended": BEGAN + timedelta(seconds=90),
        "license": CC0,
    }
    return write_run_crate(folder, **(given | more))


def test_rocrate_reads_what_was_made_of_what(tmp_path):
    rocrate = pytest.importorskip("rocrate.rocrate")
    folder, elsewhere = tmp_path / "run", tmp_path / "secret person" / "weights.zip"
    (folder / "all.zarr" / "V").mkdir(parents=True)
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(b"weights")
    (folder / "made by run.nc").write_bytes(b"series")
    (folder / "all.zarr" / "V" / "0").write_bytes(b"chunk")
    path = crate(
        folder,
        outputs=["made by run.nc", folder / "all.zarr"],
        inputs=[elsewhere],
        parameters={
            "G": 0.25,
            "model": "JansenRit",
            "seed": "of the noise",
            "w": np.array([1.0, 2.0]),
            "top": np.inf,
        },
        seeds=[7, 8],
        author=Author("Ada", "https://orcid.org/0000-0000-0000-0000"),
    )
    assert path == folder / "ro-crate-metadata.json"
    assert "secret" not in path.read_text() and str(tmp_path) not in path.read_text()
    found = rocrate.ROCrate(folder)
    action = found.get("#run")
    assert action.type == "CreateAction" and action["instrument"]["name"] == "tvbjax"
    assert action["startTime"] == "2026-03-01T12:00:00+00:00"
    assert action["agent"]["name"] == "Ada"
    versions = {one["name"] for one in action["instrument"]["softwareRequirements"]}
    assert {"python", "jax", "numpy"} <= versions
    results = {one["name"]: one for one in action["result"]}
    assert set(results) == {"made by run.nc", "all.zarr"}
    assert results["made by run.nc"]["sha256"] == hashlib.sha256(b"series").hexdigest()
    objects = {}
    for one in action["object"]:
        objects.setdefault(one["name"], []).append(one)
    assert objects["weights.zip"][0]["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert [one["value"] for one in objects["seed"]] == ["of the noise", 7, 8]
    assert objects["G"][0]["value"] == 0.25 and objects["model"][0]["value"] == "JansenRit"
    assert objects["w"][0]["value"] == "[1.0, 2.0]" and objects["top"][0]["value"] == "Infinity"
    assert found.root_dataset["license"]["@id"] == CC0
    crate(folder)  # once more; nobody is named who was not given
    assert "Person" not in (folder / "ro-crate-metadata.json").read_text()
    json.loads((folder / "ro-crate-metadata.json").read_text(), parse_constant=pytest.fail)


def test_a_folders_hash_is_that_of_sha256sum(tmp_path):
    tool = shutil.which("sha256sum")
    if tool is None:
        pytest.skip("there is no sha256sum")
    folder = tmp_path / "a.zarr"
    for name in ("b/1", "a/0", "z"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    lines = subprocess.run(
        [tool, "a/0", "b/1", "z"], cwd=folder, capture_output=True, check=True
    ).stdout
    assert sha256_of(folder) == hashlib.sha256(lines).hexdigest()
    before = sha256_of(folder)
    (folder / "z").rename(folder / "y")
    assert sha256_of(folder) != before


def test_what_is_no_run_is_refused(tmp_path):
    (tmp_path / "made by run.nc").write_bytes(b"")
    (tmp_path / "inner").mkdir()
    for more, kind, message in (
        ({"outputs": ["none.nc"]}, FileNotFoundError, "none.nc"),
        ({"outputs": []}, ValueError, "give outputs"),
        ({"inputs": ["none.zip"]}, FileNotFoundError, "none.zip"),
        ({"started": datetime(2026, 3, 1)}, ValueError, "no time zone"),
        ({"ended": BEGAN - timedelta(1)}, ValueError, "before it began"),
        ({"license": "CC0"}, ValueError, "license is 'CC0'; give the address"),
        ({"parameters": {"a": object()}}, TypeError, "object, which is no JSON"),
    ):
        with pytest.raises(kind, match=message):
            crate(tmp_path, **more)
    with pytest.raises(ValueError, match=r"the output .*run.nc is not in .*inner"):
        crate(tmp_path / "inner", outputs=[tmp_path / "made by run.nc"])
    with pytest.raises(FileNotFoundError, match="no folder"):
        crate(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="give a name and https://orcid.org/"):
        Author("Ada", "0000")
    assert not list(tmp_path.rglob("*.json"))
