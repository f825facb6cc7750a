"""Messages between a brain and a simulator in another process: arrays and JSON, never pickled.

Imported by the worker, too: needs numpy alone.
"""

import io
import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

_TEXT = "__json__"


def send(stream: BinaryIO, message: Mapping[str, Any], arrays: Mapping[str, Any] = {}) -> None:
    """Write a message: what JSON holds, and arrays by name."""
    packed = io.BytesIO()
    text = np.frombuffer(json.dumps(dict(message)).encode(), np.uint8)
    np.savez(packed, **{_TEXT: text}, **{name: np.asarray(x) for name, x in arrays.items()})
    whole = packed.getvalue()
    stream.write(struct.pack("<Q", len(whole)) + whole)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a message. Raises EOFError where the other side is gone."""
    (length,) = struct.unpack("<Q", _read(stream, 8))
    with np.load(io.BytesIO(_read(stream, length)), allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files if name != _TEXT}
        return json.loads(bytes(found[_TEXT])), arrays


def _read(stream: BinaryIO, size: int) -> bytes:
    parts, left = [], size
    while left:
        part = stream.read(left)
        if not part:
            raise EOFError
        parts.append(part)
        left -= len(part)
    return b"".join(parts)
