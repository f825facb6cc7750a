"""Messages between a brain and a simulator in another process: arrays and JSON, never pickled.

Imported by the worker, too: needs numpy alone.
"""

import io
import json
import struct
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

_TEXT, _ARRAY = "json", "array "


def send(stream: IO[bytes], message: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a message: what JSON holds, and arrays by name."""
    packed = io.BytesIO()
    text = np.frombuffer(json.dumps(dict(message)).encode(), np.uint8)
    named: dict[str, Any] = {f"{_ARRAY}{name}": np.asarray(x) for name, x in arrays.items()}
    np.savez(packed, **{_TEXT: text}, **named)
    whole = packed.getvalue()
    stream.write(struct.pack("<Q", len(whole)) + whole)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a message. Raises EOFError where the other side is gone."""
    (length,) = struct.unpack("<Q", _read(stream, 8))
    with np.load(io.BytesIO(_read(stream, length)), allow_pickle=False) as found:
        names = [name for name in found.files if name != _TEXT]
        arrays = {name.removeprefix(_ARRAY): found[name] for name in names}
        return json.loads(bytes(found[_TEXT])), arrays


def _read(stream: IO[bytes], size: int) -> bytes:
    parts, left = [], size
    while left:
        part = stream.read(left)
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
