"""The package as it is installed: names, facades, what is inside the wheel."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tvbjax

ROOT = Path(__file__).parents[1]


def test_facades():
    import tvbjax_inference
    import tvbjax_lems

    assert tvbjax.lems.load is tvbjax_lems.load
    assert tvbjax.inference.__doc__ and tvbjax_inference.__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tvbjax.nothing


def test_importing_has_no_side_effects():
    """No output, no device chosen, no configuration of JAX changed, no heavy extra imported."""
    code = (
        "import jax, sys; before = dict(jax.config.values); import tvbjax; "
        "assert dict(jax.config.values) == before; "
        "assert 'matplotlib' not in sys.modules and 'xarray' not in sys.modules; "
        "from jax._src import xla_bridge; assert not xla_bridge._backends"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.slow
def test_the_wheel_holds_the_three_packages_and_the_models(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    for name in (
        "tvbjax/__init__.py",
        "tvbjax_lems/__init__.py",
        "tvbjax_inference/__init__.py",
        "tvbjax_lems/models/JansenRit.xml",
        "tvbjax_lems/models/units.xml",
    ):
        assert name in names
    assert not [name for name in names if name.startswith(("tests", "lems/", "inference/"))]
