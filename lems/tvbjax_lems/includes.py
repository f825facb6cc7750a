"""Include: files named by a model file, each read once, from its folder, the user's, or a library.

The library is tvbjax's own models and, where the pyneuroml package is installed, NeuroML's core
types, which its jar holds.
"""

import importlib.util
import zipfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .errors import Code, LemsError, Place, failure
from .xml import SIZE_LIMIT, Element, parse, read

INCLUDE_LIMIT = 50  # nested
FILE_LIMIT = 1_000
LIBRARY = Path(__file__).parent / "models"
_CORE = "NeuroML2CoreTypes"
File = Path | zipfile.Path


def with_includes(
    root: Element, path: Path, folders: Sequence[Path | str] = ()
) -> tuple[Element, ...]:
    """The root's children with each Include replaced by the named file's, each file once."""
    reader = _Reader([Path(folder) for folder in folders], path)
    return tuple(reader.included(root, path, 0))


def check_is_lems(root: Element) -> None:
    """Raise LemsError where the root is not LEMS's."""
    if root.tag not in ("Lems", "neuroml"):
        raise failure(
            Code.NOT_LEMS,
            root.place,
            f"this is not LEMS: the root element is {root.tag[:60]}",
            "a LEMS file starts with <Lems>",
        )


def core_types() -> zipfile.Path | None:
    """NeuroML's core types in the jar of the pyneuroml package, None where it is not installed."""
    found = importlib.util.find_spec("pyneuroml")
    for folder in (found.submodule_search_locations or ()) if found else ():
        for jar in sorted(Path(folder).glob("lib/jNeuroML-*.jar")):
            return _core_in(str(jar))
    return None


@cache
def _core_in(jar: str) -> zipfile.Path:
    return zipfile.Path(jar, f"{_CORE}/")


class _Reader:
    def __init__(self, folders: list[Path], first: Path):
        self.folders = folders
        self.seen = {_identity(first)}

    def included(self, root: Element, file: File, depth: int) -> Iterable[Element]:
        check_is_lems(root)
        for child in root.children:
            if child.tag == "Include" or (child.tag == "include" and child.attribute("href")):
                yield from self.include(child, file, depth)
            else:
                yield child

    def include(self, element: Element, file: File, depth: int) -> Iterable[Element]:
        name = element.get("file") or element.get("href")
        if not name:
            message = "an Include names no file"
            raise failure(Code.INCLUDE, element.place, message, 'write file="..."')
        if depth >= INCLUDE_LIMIT:
            message = f"includes are nested more than {INCLUDE_LIMIT} deep"
            raise failure(Code.INCLUDE, element.place, message)
        found = self.search(name, file, element.place)
        if _identity(found) in self.seen:
            return
        self.seen.add(_identity(found))
        if len(self.seen) > FILE_LIMIT:
            message = f"more than {FILE_LIMIT} files are included"
            raise failure(Code.INCLUDE, element.place, message)
        yield from self.included(_root(found, element.place), found, depth + 1)

    def search(self, name: str, file: File, place: Place) -> File:
        core = core_types()
        folders: list[Any] = [file.parent, *self.folders, LIBRARY]
        folders += [core] if core is not None else []
        for folder in folders:
            try:
                if (folder / name).exists():
                    return folder / name
            except (OSError, ValueError):
                continue
        looked = ", ".join(str(folder) for folder in [file.parent, *self.folders])
        hint = f"it is looked for in {looked} and in tvbjax's model library"
        if core is None:
            hint += "; for NeuroML's core types install tvbjax[neuroml]"
        raise failure(Code.INCLUDE, place, f"the included file '{name[:200]}' does not exist", hint)


def _root(file: File, place: Place) -> Element:
    try:
        if isinstance(file, zipfile.Path):
            with file.open("rb") as stream:
                return parse(stream.read(SIZE_LIMIT), str(file))
        return read(file)
    except LemsError as error:
        found = [*error.diagnostics]
        note = failure(Code.INCLUDE, place, "the file that is included here cannot be used")
        raise LemsError([*found, *note.diagnostics]) from None


def _identity(file: File) -> str:
    return str(file.resolve()) if isinstance(file, Path) else str(file)
