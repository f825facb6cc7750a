"""What can be wrong with a model file, said with its place: codes, diagnostics, LemsError.

A pass collects what it finds in a Report and goes on; the caller raises once, with everything.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

FINDING_LIMIT = 500  # of a report; a hostile file could have a million
_CANDIDATES = 300  # names that a suggestion is chosen from


class Code(StrEnum):
    """Stable codes of the diagnostics; docs/lems.md lists them."""

    UNREADABLE = "LEMS001"
    NOT_XML = "LEMS002"
    DOCTYPE = "LEMS003"
    NOT_LEMS = "LEMS004"
    UNKNOWN_ELEMENT = "LEMS005"
    ATTRIBUTE = "LEMS006"
    NOT_SUPPORTED = "LEMS007"
    INCLUDE = "LEMS008"
    TOO_LARGE = "LEMS009"
    SYNTAX = "LEMS010"
    UNKNOWN_NAME = "LEMS011"
    ARITHMETIC = "LEMS012"
    DIMENSION = "LEMS020"
    UNKNOWN_DIMENSION = "LEMS021"
    QUANTITY = "LEMS022"
    RANGE = "LEMS023"
    DUPLICATE = "LEMS030"
    UNKNOWN_TYPE = "LEMS031"
    TYPE_CYCLE = "LEMS032"
    PARAMETER = "LEMS033"
    VARIABLE_CYCLE = "LEMS034"
    DYNAMICS = "LEMS035"
    COMPONENT = "LEMS036"
    EXPOSURE = "LEMS037"
    EVENT = "LEMS038"
    CHILD = "LEMS050"
    REFERENCE = "LEMS051"
    PATH = "LEMS052"
    STRUCTURE = "LEMS053"
    SIMULATION = "LEMS054"
    REQUIREMENT = "LEMS055"
    RATEML = "LEMS040"


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; line and column count from 1, 0 where unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file, *(str(n) for n in (self.line, self.column) if n)]
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: what is wrong, where, and how to mend it.

    `context` is the path of the element (`ComponentType 'A' > Dynamics > ...`), `excerpt` the
    offending expression and `caret` the offset in it, None where there is none.
    """

    code: Code
    place: Place
    message: str
    hint: str = ""
    context: str = ""
    excerpt: str = ""
    caret: int | None = None
    warning: bool = False

    @property
    def is_error(self) -> bool:
        return not self.warning

    def as_dict(self) -> dict[str, str | int]:
        """The finding for an editor: code, severity, file, line, column, context, message, hint."""
        return {
            "code": self.code.value,
            "severity": "warning" if self.warning else "error",
            "file": self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "context": self.context,
            "message": self.message,
            "hint": self.hint,
        }

    def __str__(self) -> str:
        where = f"in {self.context}: " if self.context else ""
        kind = "warning: " if self.warning else ""
        hint = f"; {self.hint}" if self.hint else ""
        first = f"{self.place}: [{self.code.value}] {kind}{where}{self.message}{hint}"
        if self.caret is None:
            return first
        return f"{first}\n{echo(self.excerpt, self.caret)}"


class LemsError(ValueError):
    """A model file cannot be used. `diagnostics`: all that is wrong with it, in file order."""

    diagnostics: tuple[Diagnostic, ...]

    def __init__(self, diagnostics: Iterable[Diagnostic]):
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(d) for d in self.diagnostics))


class LemsWarning(UserWarning):
    """A model file can be used, but probably does not mean what it says."""


class Report:
    """Collects diagnostics over the passes; the same finding twice counts once.

    Keeps FINDING_LIMIT of them at most and says so in a last one.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], Diagnostic] = {}  # in order

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return tuple(self._found.values())

    @property
    def is_full(self) -> bool:
        return len(self._found) > FINDING_LIMIT

    def add(self, diagnostic: Diagnostic) -> None:
        # Not by context: a fault of a type is found again in every type that inherits it.
        key = (diagnostic.code, diagnostic.place, diagnostic.message)
        if key in self._found or self.is_full:
            return
        if len(self._found) == FINDING_LIMIT:
            message = f"more than {FINDING_LIMIT} findings; the others are not listed"
            diagnostic = Diagnostic(Code.TOO_LARGE, Place(diagnostic.place.file), message)
        self._found[key] = diagnostic

    def extend(self, error: LemsError) -> None:
        """Take over what a LemsError carries."""
        for diagnostic in error.diagnostics:
            self.add(diagnostic)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """In file order."""
        return _in_order(d for d in self._found.values() if not d.warning)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """In file order."""
        return _in_order(d for d in self._found.values() if d.warning)

    def stop(self) -> None:
        """Raise LemsError if an error was found so far."""
        errors = self.errors
        if errors:
            raise LemsError(errors)


def _in_order(found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    return tuple(sorted(found, key=lambda d: (d.place.file, d.place.line, d.place.column)))


def failure(code: Code, place: Place, message: str, hint: str = "") -> LemsError:
    """A LemsError with one diagnostic, for what cannot be gone on from."""
    return LemsError([Diagnostic(code, place, message, hint)])


def suggestion(name: str, known: Iterable[str]) -> str:
    """`did you mean 'tau'?`, or the list of what is known where nothing is close."""
    names = set(known)
    if len(names) > _CANDIDATES:  # of very many only those that look alike, and no list of them
        like = (other for other in names if abs(len(other) - len(name)) < 3)
        close = [other for other in like if other[:2].lower() == name[:2].lower()]
        found = difflib.get_close_matches(name[:100], sorted(close)[:_CANDIDATES], n=1)
        return f"did you mean '{found[0]}'?" if found else ""
    listed = sorted(names)
    short = [other for other in listed if len(other) <= 100]
    close = difflib.get_close_matches(name[:100], short, n=1, cutoff=0.6)
    if not close:
        close = [other for other in listed if other.lower() == name.lower()]
    if close:
        return f"did you mean '{close[0]}'?"
    if not listed:
        return ""
    shown = ", ".join(listed[:12]) + (", ..." if len(listed) > 12 else "")
    return f"known: {shown}"


def echo(text: str, offset: int, width: int = 90) -> str:
    """The text on one line with a caret under `offset`; long text is cut around it."""
    line = "".join(" " if c.isspace() else c if c.isprintable() else "?" for c in text)
    start = max(0, offset - width // 2)
    shown = line[start : start + width]
    before, after = ("..." if start else ""), ("..." if start + width < len(line) else "")
    return f"    {before}{shown}{after}\n    {' ' * (len(before) + offset - start)}^"
