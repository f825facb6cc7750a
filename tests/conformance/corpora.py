"""Where the reference implementations and the files that they are tested with lie.

Nothing of them is in this repository. `make conformance` installs PyLEMS and pyneuroml into an
environment of their own; the files are taken out of what these packages contain. All of it may be
absent: then `Absent` says what is missing and how to get it.
"""

import os
import shutil
import subprocess
import tarfile
import zipfile
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = Path(os.environ.get("TVBJAX_CONFORMANCE", REPOSITORY / ".venv-conformance"))
BUILD = REPOSITORY / "build" / "conformance"
SHARED = Path(os.environ.get("TVBJAX_SHARED", REPOSITORY.parent / "shared")) / "lems"

NEUROML_FOLDERS = ("NeuroML2CoreTypes", "LEMSexamples", "examples")


class Absent(Exception):
    """A reference implementation or its files are not on this machine."""


@cache
def jar() -> Path:
    """The jNeuroML jar of the pyneuroml package: jLEMS, NeuroML's core types and its examples."""
    found = sorted(ENVIRONMENT.glob("lib/python*/site-packages/pyneuroml/lib/jNeuroML-*.jar"))
    if not found:
        raise Absent(f"no jNeuroML jar under {ENVIRONMENT}; run `make conformance` once")
    return found[-1]


@cache
def neuroml() -> Path:
    """The folder with NeuroML2CoreTypes, LEMSexamples and examples, taken out of the jar."""
    folder = BUILD / jar().stem
    if not folder.is_dir():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        with zipfile.ZipFile(jar()) as archive:
            wanted = [name for name in archive.namelist() if name.startswith(NEUROML_FOLDERS)]
            archive.extractall(partial, wanted)
        partial.rename(folder)
    return folder


@cache
def core_types() -> Path:
    return neuroml() / "NeuroML2CoreTypes"


@cache
def neuroml_examples() -> Path:
    return neuroml() / "LEMSexamples"


@cache
def lems_examples() -> Path:
    """The examples in PyLEMS's source distribution; its wheel has none."""
    found = sorted(ENVIRONMENT.glob("sdist/*.tar.gz"))
    if not found:
        raise Absent(
            f"no source distribution of PyLEMS in {ENVIRONMENT / 'sdist'}; make fetches it"
        )
    folder = BUILD / found[-1].name.removesuffix(".tar.gz")
    if not folder.is_dir():
        with tarfile.open(found[-1]) as archive:
            archive.extractall(BUILD, filter="data")
    return folder / "examples"


@cache
def pylems_python() -> Path:
    """The interpreter in whose environment PyLEMS is installed."""
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        raise Absent(f"no {python}; run `make conformance` once")
    has = subprocess.run([python, "-c", "import lems.api"], capture_output=True)
    if has.returncode:
        raise Absent(f"{python} cannot import PyLEMS")
    return python


@cache
def java() -> Path:
    found = shutil.which("java")
    if found is None:
        raise Absent("no `java` on the path: jLEMS cannot be run")
    return Path(found)


@cache
def shared() -> Path:
    """Reference outputs kept outside of the repository."""
    if not SHARED.is_dir():
        raise Absent(f"no {SHARED}; set TVBJAX_SHARED")
    return SHARED
