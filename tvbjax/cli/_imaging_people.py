"""What commands of `tvbjax imaging` share: people one by one, and the names of regions."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console


def each_person(people: Mapping[str, Any], work: Callable[[str, Any], None], out: Path) -> None:
    """Do the work of each person by themselves: who fails is told, and the others go on.

    Raises ValueError at the end where anybody failed.
    """
    console = Console(soft_wrap=True)
    failed = []
    for person, given in people.items():
        try:
            work(person, given)
        except (ValueError, OSError, RuntimeError) as error:
            failed.append(person)
            console.print(f"sub-{person}: {error}", style="red", markup=False, highlight=False)
        else:
            console.print(f"sub-{person}: written to {out}", markup=False, highlight=False)
    if failed:
        raise ValueError(f"{len(failed)} of {len(people)} people failed: {', '.join(failed)}.")


def read_labels(path: Path) -> dict[int, str]:
    """Names by number, from rows of both; the first may name the columns. Raises ValueError."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    found: dict[int, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        parts = line.split("\t") if "\t" in line else line.split(None, 1)
        if len(parts) < 2 or not line.strip() or line.startswith("#"):
            continue
        if not parts[0].strip().isdigit():
            if number == 1:
                continue
            raise ValueError(f"{path}, line {number}: {parts[0]!r} is no number of a region.")
        if int(parts[0]) == 0:
            continue
        if int(parts[0]) in found:
            raise ValueError(f"{path}, line {number}: {parts[0]} is there twice.")
        found[int(parts[0])] = parts[1].strip()
    if not found:
        raise ValueError(f"{path}: no row of a number and a name.")
    return found
