"""`tvbjax lems convert --to python` of networks: the module, its arrays and its sweep driver."""

import os
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from lems_text import run
from network_modules import crowd, written_pair
from tvbjax import lems


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Path:
    return written_pair(tmp_path_factory.mktemp("pair"))


def convert(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tvbjax", "lems", "convert", *arguments]
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_convert_writes_a_module_and_a_driver_that_runs(pair: Path, tmp_path: Path):
    done = convert(tmp_path, str(pair), "--to", "python", "-o", "mine.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["mine.py", "mine_sweep.py"]
    options = ["--points", "3", "--duration", "20", "--every", "100", "--out", "o.npz"]
    ran = subprocess.run(
        [sys.executable, "mine_sweep.py", *options], cwd=tmp_path, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "o.npz: 3 runs of 2000 steps" in ran.stdout
    found = np.load(tmp_path / "o.npz")
    (swept,) = (name for name in found.files if name.startswith("parameter "))
    _, path, name = swept.split()
    model = lems.load_network(pair)
    for i, value in enumerate(found[swept]):
        changed = eqx.tree_at(lambda n: n.params[path][name], model, jnp.asarray(value))
        expected = run(changed, duration=20.0, every=100)
        np.testing.assert_allclose(found["time"], expected.t, rtol=1e-15)
        got = found["quantity first[0]/v"][i]
        np.testing.assert_allclose(got, expected["first[0]/v"], rtol=1e-9)
        spikes = expected.events["first[0]/spike"]
        assert found["events first[0]/spike"][i] == len(spikes)


@pytest.mark.slow
def test_convert_keeps_a_driver_takes_a_component_and_refuses_odd_names(pair: Path, tmp_path: Path):
    (tmp_path / "pair_sweep.py").write_text("# mine\n")
    done = convert(tmp_path, str(pair), "--to", "python", "--component", "pair")
    assert done.returncode == 0 and "pair_sweep.py was there and is kept" in done.stdout
    assert (tmp_path / "pair_sweep.py").read_text() == "# mine\n"
    assert "from izhikevich.xml" in (tmp_path / "pair.py").read_text()
    odd = convert(tmp_path, str(pair), "--to", "python", "-o", "my-pair.py")
    assert odd.returncode == 1 and "import" in odd.stderr
    assert not (tmp_path / "my-pair.py").exists()
    lost = convert(tmp_path, str(pair), "--to", "python", "--component", "pear")
    assert lost.returncode == 1 and "pear" in lost.stderr


def test_convert_finds_included_files_and_stores_long_arrays(tmp_path: Path):
    folder = tmp_path / "types"
    folder.mkdir()
    crowd(folder, 120)
    (tmp_path / "main.xml").write_text(
        '<Lems><Include file="model.xml"/><Target component="sim"/>'
        '<Job id="sim" increment="0.125s" total="1s" what="all"/></Lems>'
    )
    done = convert(tmp_path, "main.xml", "--to", "python", "-I", "types", "-o", "large.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["large.py", "large.npz", "large_sweep.py"]
    ran = subprocess.run(
        [sys.executable, "large_sweep.py", "--points", "2"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert len(np.load(tmp_path / "large_sweep.npz")["quantity w/pop[*]/v"]) == 2
