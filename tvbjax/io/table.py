"""Numbers from text and .npy bytes, with errors that name the line and the column.

Knows no archive and no connectome; `where` says in messages which file is meant.
"""

import io
import math
import re

import numpy as np

_FIELD = re.compile(r'"[^"]*"|\S+')


def decode(content: bytes, where: str) -> str:
    """UTF-8 text, with or without a byte order mark. Raises ValueError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} is not UTF-8 text (byte {error.start}); save it as UTF-8."
        ) from error


def numbers_from_text(content: bytes, where: str) -> np.ndarray:
    """A 2-D float64 array from rows of numbers between white space; `#` begins a comment.

    Raises ValueError for no rows, rows of different lengths or what is not a number.
    """
    text = decode(content, where)
    if not any(_without_comment(line).strip() for line in text.splitlines()):
        raise ValueError(f"{where} is empty; it should hold rows of numbers.")
    try:
        return np.loadtxt(io.StringIO(text), dtype=np.float64, ndmin=2)
    except ValueError as error:
        # loadtxt is quick but its messages are not; the slow reader finds the place.
        raise ValueError(_first_fault(text, where) or f"{where}: {error}") from error


def labelled_numbers_from_text(
    content: bytes, where: str, columns: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """A label and then `columns` numbers per row; further columns are ignored.

    A label in double quotes may hold spaces; the quotes are taken off. Raises ValueError.
    """
    labels, rows = [], []
    for number, line in _rows(decode(content, where)):
        fields = fields_of(line)
        if len(fields) < 1 + columns:
            raise ValueError(
                f"{where}, line {number}: {len(fields)} columns; "
                f"expected a label and {columns} numbers, and labels without spaces."
            )
        labels.append(fields[0])
        row = [number_in(field) for field in fields[1 : 1 + columns]]
        if None in row:
            column = row.index(None) + 1
            raise ValueError(not_a_number(where, number, column + 1, fields[column]))
        rows.append(row)
    if not rows:
        raise ValueError(f"{where} is empty; it should hold a label and {columns} numbers per row.")
    return tuple(labels), np.array(rows, dtype=np.float64)


def numbers_from_npy(content: bytes, where: str) -> np.ndarray:
    """A float64 array from NumPy's .npy format; never unpickles. Raises ValueError."""
    stream = io.BytesIO(content)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(stream)
        shape, _, dtype = readers[version](stream)
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{where} is not a readable .npy file ({error}); save it with numpy.save."
        ) from error
    if dtype.kind not in "biuf":
        raise ValueError(f"{where} holds {dtype}, not real numbers; save an array of floats.")
    # The header is a claim: compare it with what is there before anything of its size is allocated.
    there = len(content) - stream.tell()
    if math.prod(shape) * dtype.itemsize != there:
        raise ValueError(
            f"{where}: its header declares {shape} of {dtype}, but {there} bytes follow; "
            "the file is damaged."
        )
    stream.seek(0)
    return np.load(stream, allow_pickle=False).astype(np.float64)


def fields_of(line: str) -> list[str]:
    """What white space separates in a line; in double quotes, which are taken off, it may be."""
    return [field.strip('"') for field in _FIELD.findall(line)]


def _without_comment(line: str) -> str:
    return line.split("#", 1)[0]


def _rows(text: str):
    for number, line in enumerate(text.splitlines(), start=1):
        line = _without_comment(line)
        if line.strip():
            yield number, line


def number_in(field: str) -> float | None:
    """The number that the text says, or None where it says none."""
    try:
        return float(field) if "_" not in field else None
    except ValueError:
        return None


def not_a_number(where: str, line: int, column: int, field: str) -> str:
    """What to say of a field that should be a number."""
    hint = "; use a decimal point and white space between numbers" if "," in field else ""
    shown = field if len(field) <= 40 else field[:37] + "..."
    return f"{where}, line {line}, column {column}: {shown!r} is not a number{hint}."


def _first_fault(text: str, where: str) -> str | None:
    width = None
    for number, line in _rows(text):
        fields = line.split()
        for column, field in enumerate(fields, start=1):
            if number_in(field) is None:
                return not_a_number(where, number, column, field)
        if width is None:
            width = len(fields)
        if len(fields) != width:
            return (
                f"{where}, line {number}: {len(fields)} numbers, but the rows before have {width}; "
                "every row has one number per region."
            )
    return None
