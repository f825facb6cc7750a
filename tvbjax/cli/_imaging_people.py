"""What commands of `tvbjax imaging` share: options, and people one by one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

Labels = Annotated[
    Path,
    typer.Option(
        help="Names by number: BIDS's dseg.tsv, or FreeSurfer's, MRtrix's, ITK-SNAP's table."
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="A folder for all that is made.")]
Atlas = Annotated[str, typer.Option(help="The parcellation's name: letters, digits.")]
OneOf = Annotated[str | None, typer.Option(help="Where there are several.")]

_TOLD = (ValueError, OSError, RuntimeError)  # whose messages say what is wrong


def each_person(people: Mapping[str, Any], work: Callable[[str, Any], None], out: Path) -> None:
    """Do the work of each person by themselves: who fails is told, and the others go on.

    Raises ValueError at the end where anybody failed; of one person alone, what went wrong.
    """
    console = Console(soft_wrap=True)
    failed = []
    for person, given in people.items():
        try:
            work(person, given)
        except Exception as error:  # whatever it is, the others go on
            if len(people) == 1:
                raise
            failed.append(person)
            kind = "" if isinstance(error, _TOLD) else f"{type(error).__name__}: "
            console.print(
                f"sub-{person}: {kind}{error}", style="red", markup=False, highlight=False
            )
        else:
            console.print(f"sub-{person}: written to {out}", markup=False, highlight=False)
    if failed:
        raise ValueError(f"{len(failed)} of {len(people)} people failed: {', '.join(failed)}.")


def path_of(template: str, subject: str, session: str | None, folder: Path) -> Path:
    """A path with {subject} and {session} filled in: from here, or else from the folder."""
    name = template.replace("{subject}", subject).replace("{session}", session or "")
    path = Path(name)
    return path if path.exists() or not (folder / path).exists() else folder / path
