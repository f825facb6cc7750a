"""What can be wrong with a model file, said with its place: codes, diagnostics, LemsError.

A pass collects what it finds in a Report and goes on; the caller raises once, with everything.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


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


@dataclass(frozen=True)
class Place:
    """A position in a file; line and column count from 1, 0 where unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file, *(str(n) for n in (self.line, self.column) if n)]
        return ":".join(parts)


@dataclass(frozen=True)
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


@dataclass
class Report:
    """Collects diagnostics over a pass; the same finding twice counts once."""

    diagnostics: list[Diagnostic] = field(default_factory=list)

    def add(self, diagnostic: Diagnostic) -> None:
        if diagnostic not in self.diagnostics:
            self.diagnostics.append(diagnostic)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        found = [d for d in self.diagnostics if not d.warning]
        return tuple(sorted(found, key=lambda d: (d.place.file, d.place.line, d.place.column)))

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.warning)

    def stop(self) -> None:
        """Raise LemsError if an error was found so far."""
        if self.errors:
            raise LemsError(self.errors)


def failure(code: Code, place: Place, message: str, hint: str = "") -> LemsError:
    """A LemsError with one diagnostic, for what cannot be gone on from."""
    return LemsError([Diagnostic(code, place, message, hint)])


def suggestion(name: str, known: Iterable[str]) -> str:
    """`did you mean 'tau'?`, or the list of what is known where nothing is close."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:
        close = [other for other in names if other.lower() == name.lower()]
    if close:
        return f"did you mean '{close[0]}'?"
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"known: {shown}"


def echo(text: str, offset: int, width: int = 90) -> str:
    """The text on one line with a caret under `offset`; long text is cut around it."""
    line = "".join(" " if c.isspace() else c if c.isprintable() else "?" for c in text)
    start = max(0, offset - width // 2)
    shown = line[start : start + width]
    before, after = ("..." if start else ""), ("..." if start + width < len(line) else "")
    return f"    {before}{shown}{after}\n    {' ' * (len(before) + offset - start)}^"
