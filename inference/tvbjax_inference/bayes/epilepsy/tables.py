"""Tables of text with tabs between columns and a header (TSV, as in BIDS), told by line."""

import dataclasses
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from tvbjax.io.table import decode
from tvbjax.near import near

MISSING = "n/a"  # what BIDS writes for what is not there


@dataclasses.dataclass(frozen=True)
class Table:
    """`where`: the file, for messages. `rows`: cells as text. `lines`: where each row stands."""

    where: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def column(self, name: str) -> tuple[str, ...]:
        """The cells of a column. Raises ValueError if there is none of that name."""
        if name not in self.columns:
            hint = near(name, self.columns) or f"there are {', '.join(self.columns)}."
            raise ValueError(f"{self.where}: there is no column {name!r}; {hint}")
        place = self.columns.index(name)
        return tuple(row[place] for row in self.rows)

    def check_rows(self) -> None:
        """Raises ValueError for a header alone."""
        if not self.rows:
            raise ValueError(f"{self.where} has a header and no rows; give one or more.")

    def numbers(
        self, names: Sequence[str], *, gaps: bool = False
    ) -> Float64[np.ndarray, "row column"]:
        """The columns of these names as numbers; with `gaps`, what is not there and what is not
        finite are numbers, too. Raises ValueError with line and column."""
        cells = zip(*(self.column(name) for name in names), strict=True)
        return np.array(
            [
                [
                    math.nan if gaps and cell == MISSING else self.number(cell, line, name, gaps)
                    for cell, name in zip(row, names, strict=True)
                ]
                for row, line in zip(cells, self.lines, strict=True)
            ],
            dtype=np.float64,
        ).reshape(len(self.rows), len(names))

    def number(self, cell: str, line: int, name: str, gaps: bool = False) -> float:
        """A cell as a number, finite but with `gaps`. Raises ValueError."""
        try:
            value = float(cell)
        except ValueError:
            value = None
        if value is None or not (gaps or math.isfinite(value)):
            raise ValueError(
                f"{self.where}, line {line}, column {name!r}: {cell!r:.40} is not a finite number."
            )
        return value


def is_there(path: Path, where: str) -> bool:
    """Whether there is such a file. Raises ValueError for a folder of that name."""
    if path.is_dir():
        raise ValueError(f"{where} is a folder; give a file of that name.")
    return path.is_file()


def read_table(path: Path, where: str) -> Table:
    """A table of text. Raises ValueError for no header, repeated columns and rows that are too
    long or too short."""
    lines = decode(path.read_bytes(), where).splitlines()
    columns = _header(lines, where)
    numbered = [(number, line) for number, line in enumerate(lines[1:], start=2) if line.strip()]
    rows = tuple(tuple(line.split("\t")) for _, line in numbered)
    for (number, _), row in zip(numbered, rows, strict=True):
        if len(row) != len(columns):
            raise ValueError(
                f"{where}, line {number}: {len(row)} cells, and the header has {len(columns)}; put "
                f"one tab between two cells, and {MISSING} where there is nothing."
            )
    return Table(where, columns, rows, tuple(number for number, _ in numbered))


def read_numbers(
    path: Path, where: str
) -> tuple[tuple[str, ...], Float64[np.ndarray, "row column"]]:
    """The header and the numbers of a table that holds nothing else, however long. NaN, infinity
    and what is not there, which is NaN, are numbers here. Raises ValueError."""
    text = decode(path.read_bytes(), where)
    lines = text.splitlines()
    columns = _header(lines, where)
    if not any(line.strip() for line in lines[1:]):
        raise ValueError(f"{where} has a header and no rows; give one or more.")
    try:
        whole = text.replace(MISSING, "nan")
        found = np.loadtxt(io.StringIO(whole), delimiter="\t", skiprows=1, ndmin=2, comments=None)
        if found.shape[1] != len(columns):
            raise ValueError(f"{found.shape[1]} columns of numbers, {len(columns)} in the header")
    except ValueError as error:
        # The slow reader finds the place.
        read_table(path, where).numbers(columns, gaps=True)
        raise ValueError(f"{where}: {error}.") from error
    return columns, found


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Numbers are written so that they read back as the same float64.

    Raises ValueError for text that holds a tab or the end of a line.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in (columns, *rows):
            cells = [cell if isinstance(cell, str) else repr(cell) for cell in row]
            for cell in cells:
                if not cell.strip() or any(c in cell for c in "\t\r\n"):
                    raise ValueError(
                        f"{path.name}: {cell!r} cannot be a cell of a table; give names without "
                        "tabs and ends of lines."
                    )
            file.write("\t".join(cells) + "\n")


def _header(lines: Sequence[str], where: str) -> tuple[str, ...]:
    if not lines or not lines[0].strip():
        raise ValueError(f"{where} is empty; its first line names the columns, by tabs.")
    if "\t" not in lines[0]:
        raise ValueError(
            f"{where}: there is no tab in the header, {lines[0]!r:.60}; columns are separated by "
            "one tab, not by commas or spaces."
        )
    columns = tuple(lines[0].split("\t"))
    for column in columns:
        if columns.count(column) > 1:
            raise ValueError(f"{where}: two columns are called {column!r}; names are distinct.")
    return columns
