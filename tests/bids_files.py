"""Tables as other programs write them, and what the BIDS validator says of a folder."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_TRIES = 3


def tab(path: Path, array, header=None, by="\t"):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [by.join(map(str, row)) for row in np.asarray(array).tolist()]
    path.write_text("\n".join([*([by.join(header)] if header else []), *lines]) + "\n")


def sidecar(path: Path, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def validator_errors(folder: Path) -> list[tuple[str, str]]:
    """Code and place of all that bids-validator-deno calls an error; skips where it is missing."""
    validator = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if validator is None:
        pytest.skip("bids-validator-deno is not installed; run: pip install bids-validator-deno")
    issues = _issues([validator, "--json", str(folder)])
    return [
        (one["code"], one.get("location", "")) for one in issues if one.get("severity") == "error"
    ]


def _issues(command: list[str]) -> list[dict[str, Any]]:
    """Its first run on a machine compiles, and has been seen to end without a word."""
    said = ""
    for _ in range(_TRIES):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        start = done.stdout.find("{")
        try:
            report = json.JSONDecoder().raw_decode(done.stdout, max(start, 0))[0]
            return report["issues"]["issues"]
        except (ValueError, KeyError, TypeError):
            said = f"rc {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}"
    raise AssertionError(f"the validator gave no report, {_TRIES} times; {said}")
