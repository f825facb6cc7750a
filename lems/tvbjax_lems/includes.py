"""Include: files named by a model file, each read once, from its folder, the user's, or a library.

The library is tvbjax's own models and, where the pyneuroml package is installed, NeuroML's core
types, which its jar holds.
"""

import importlib.util
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .errors import Code, LemsError, Place, Report, failure
from .xml import ELEMENT_LIMIT, SIZE_LIMIT, Attribute, Element, parse, read

INCLUDE_LIMIT = 50  # nested
FILE_LIMIT = 1_000  # 10 NeuroML core files, a few for each model
LIBRARY = Path(__file__).parent / "models"
CELLS = Path(__file__).parent / "cells"
_CORE = "NeuroML2CoreTypes"
File = Path | zipfile.Path


def with_includes(
    root: Element, path: Path, folders: Sequence[Path | str] = (), report: Report | None = None
) -> tuple[Element, ...]:
    """The root's children with each Include replaced by the named file's, each file once.

    A NeuroML document, which includes no types, gets NeuroML's core types. Raises LemsError; with
    a `report`, what cannot be included is added to it and left out.
    """
    reader = _Reader([Path(folder) for folder in folders], path, report)
    children = tuple(reader.included(root, path, 0))
    return (*children, *reader.core(root, path, children))


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


def is_library(file: str) -> bool:
    """Whether a file is one of tvbjax's own, or one of NeuroML's core types in the jar."""
    core = core_types()
    if file.startswith((f"{LIBRARY}", f"{CELLS}")) or (
        core is not None and file.startswith(f"{core}")
    ):
        return True
    return Path(file).parent.name == _CORE


@cache
def _core_in(jar: str) -> zipfile.Path:
    return zipfile.Path(jar, f"{_CORE}/")


class _Reader:
    def __init__(self, folders: list[Path], first: Path, report: Report | None):
        self.folders, self.report = folders, report
        self.seen = {_identity(first)}
        self.elements = 0

    def included(self, root: Element, file: File, depth: int) -> Iterator[Element]:
        for child in root.children:
            if child.tag == "Include" or (child.tag == "include" and child.attribute("href")):
                yield from self.include(child, file, depth)
            else:
                yield child

    def include(self, element: Element, file: File, depth: int) -> Iterator[Element]:
        try:
            found = self.find(element, file, depth)
        except LemsError as error:
            if self.report is None:
                raise
            self.report.extend(error)
            return
        if found is not None:
            root, name = found
            yield from self.included(root, name, depth + 1)

    def find(self, element: Element, file: File, depth: int) -> tuple[Element, File] | None:
        """The root of the file that an Include names, None where it has been read."""
        name = element.get("file") or element.get("href")
        if not name:
            message = "an Include names no file"
            raise failure(Code.INCLUDE, element.place, message, 'write file="..."')
        if depth >= INCLUDE_LIMIT:
            message = f"includes are nested more than {INCLUDE_LIMIT} deep"
            raise failure(Code.TOO_LARGE, element.place, message)
        found = self.search(name, file, element.place)
        if _identity(found) in self.seen:
            return None
        self.seen.add(_identity(found))
        if len(self.seen) > FILE_LIMIT:
            message = f"more than {FILE_LIMIT} files are included"
            raise failure(Code.TOO_LARGE, element.place, message)
        root = _root(found, element.place)
        self.elements += _count(root)
        if self.elements > ELEMENT_LIMIT:
            message = f"with this file the includes have more than {ELEMENT_LIMIT} elements"
            raise failure(Code.TOO_LARGE, element.place, message)
        return root, found

    def core(self, root: Element, file: Path, children: Iterable[Element]) -> Iterator[Element]:
        """NeuroML's core types, where a NeuroML document has none and they can be found."""
        if root.tag != "neuroml" or any(child.tag == "ComponentType" for child in children):
            return
        found = [*self.include(_included(f"{_CORE}.xml", root.place), file, 0)]
        yield from found
        if found:
            yield from self.include(_included("PyNN.xml", root.place), file, 0)

    def search(self, name: str, file: File, place: Place) -> File:
        core = core_types()
        folders: list[Any] = [file.parent, *self.folders, LIBRARY, CELLS]
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
            hint += "; for NeuroML's core types install tvbjax[neuroml], or name their folder"
        raise failure(Code.INCLUDE, place, f"the included file '{name[:200]}' does not exist", hint)


def _included(name: str, place: Place) -> Element:
    return Element("Include", "", (Attribute("file", "", name, place),), (), place)


def _root(file: File, place: Place) -> Element:
    try:
        root = _parsed(file)
        check_is_lems(root)
        return root
    except LemsError as error:
        note = failure(Code.INCLUDE, place, "the file that is included here cannot be used")
        raise LemsError([*error.diagnostics, *note.diagnostics]) from None


def _parsed(file: File) -> Element:
    if isinstance(file, Path):
        return read(file)
    try:
        with file.open("rb") as stream:
            return parse(stream.read(SIZE_LIMIT), str(file))
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise failure(Code.UNREADABLE, Place(str(file)), f"cannot read: {error}") from None


def _count(element: Element) -> int:
    return 1 + sum(_count(child) for child in element.children)


def _identity(file: File) -> str:
    return str(file.resolve()) if isinstance(file, Path) else str(file)
