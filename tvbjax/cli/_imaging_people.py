"""What commands of `tvbjax imaging` share: people one by one."""

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
