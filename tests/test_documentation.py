"""The Python of the README runs as it stands there, links lead somewhere, docs are Python."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Others show names that stand for yours.
QUICK = ("README", "docs/cells", "docs/extending", "docs/fitting", "docs/networks", "docs/spiking")
LONG = (
    "amortised",
    "bayes",
    "cosimulation",
    "epilepsy_patient",
    "formats",
    "identifiability",
    "imaging",
    "l2l",
    "mouse",
    "objectives",
    "analysis",
    "observation",
    "plots",
    "stimuli",
    "surface",
)
RUN = [
    *(ROOT / f"{name}.md" for name in QUICK),
    *(pytest.param(ROOT / "docs" / f"{name}.md", marks=pytest.mark.slow) for name in LONG),
]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def write_files(page: Path, folder: Path) -> None:
    """The page's XML whose first line is a file's name in a comment."""
    for text in re.findall(r"```xml\n(.*?)```", page.read_text(), re.DOTALL):
        named = re.match(r"<!-- (\w+\.xml) -->", text)
        if named:
            (folder / named.group(1)).write_text(text)


def blocks(page: Path) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_python_of_a_page_is_python(page):
    compile(blocks(page), page.name, "exec")


@pytest.mark.parametrize("page", RUN, ids=lambda p: p.name)
def test_the_python_of_a_page_runs(page, tmp_path):
    write_files(page, tmp_path)
    ran = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:tvbjax", "-c", blocks(page)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
