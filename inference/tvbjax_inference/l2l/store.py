"""A study on disk: a journal that only grows, the arrays it refers to, and the optimiser's state.

`study.json` says what study it is; `journal.jsonl` has a line for every generation that was asked
for and for every evaluation that ended; `arrays.bin` holds arrays as bytes, which lines find by
place, length and checksum; `state.npz` is written whole or not at all. What a killed process left
half written is cut off. Nothing in it is executed when it is read.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from tvbjax.io.atomic import atomic_path
from tvbjax.sizes import size_text
from tvbjax_inference.l2l.optimiser import Search
from tvbjax_inference.l2l.parts import Part

FORMAT = 1
_EVERY = 10.0  # s between two states on disk
_FLOAT = "$float"
_STUDY, _JOURNAL, _ARRAYS, _STATE, _LOCK = (
    "study.json",
    "journal.jsonl",
    "arrays.bin",
    "state.npz",
    "lock",
)


class Records:
    """What the journal says: candidates of each generation, and parts of what came of them."""

    def __init__(self):
        self.asked: dict[int, np.ndarray] = {}
        self.parts: dict[int, list[Part]] = {}
        self.count = 0

    def add(self, generation: int, part: Part) -> None:
        """One more part; it takes the place of what was there of the same candidates, which failed
        and were evaluated again."""
        if np.isin(part.places, self.finished(generation)).any():
            self.drop(generation, part.places)
        self.parts.setdefault(generation, []).append(part)
        self.count += len(part.places)

    def drop(self, generation: int, places: np.ndarray) -> None:
        """Forget what came of some candidates."""
        parts = self.parts.get(generation, [])
        kept = [part.chosen(~np.isin(part.places, places)) for part in parts]
        self.parts[generation] = [part for part in kept if len(part.places)]
        self.count += sum(len(part.places) for part in kept)
        self.count -= sum(len(part.places) for part in parts)

    def finished(self, generation: int) -> np.ndarray:
        """The places of candidates that are done."""
        found = [part.places for part in self.parts.get(generation, [])]
        return np.concatenate(found) if found else np.zeros(0, int)

    def whole(self, generation: int) -> bool:
        """Whether all candidates of all generations before this one are done."""
        return all(
            number in self.asked and len(self.finished(number)) == len(self.asked[number])
            for number in range(generation)
        )

    def failed(self, generation: int) -> np.ndarray:
        """The places of candidates that failed."""
        found = [part.places[~part.fine] for part in self.parts.get(generation, [])]
        return np.concatenate(found) if found else np.zeros(0, int)


class Memory:
    """A store of a study that is not kept."""

    def __init__(self):
        self.records = Records()

    def ask(self, generation: int, coordinates: np.ndarray) -> None:
        """Note the candidates of a generation."""
        self.records.asked[generation] = coordinates

    def add(self, generation: int, part: Part) -> None:
        """Note what came of some."""
        self.records.add(generation, part)

    def keep(self, search: Search, *, now: bool = False) -> None:
        """Note the optimiser's state."""


class Store(Memory):
    """The folder of one study, which one process at a time may write to."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.about: dict[str, Any] = {}
        self._kept = time.monotonic()
        self._journal: Any = None
        self._arrays: Any = None

    def ask(self, generation, coordinates):
        with self._told():
            reference = self._put(coordinates)
            self._line({"asked": generation, "coordinates": reference})
        super().ask(generation, coordinates)

    def add(self, generation, part):
        with self._told():
            self._line(_as_line(generation, part, self._put))
        super().add(generation, part)

    def keep(self, search, *, now=False):
        if not now and time.monotonic() - self._kept < _EVERY:
            return
        self._kept = time.monotonic()
        leaves = {f"leaf_{i}": _plain(x) for i, x in enumerate(jax.tree.leaves(search))}
        with self._told():
            # The state must not outlive, in a loss of power, the lines that it comes from.
            os.fsync(self._arrays.fileno())
            os.fsync(self._journal.fileno())
            with atomic_path(self.path / _STATE) as path, open(path, "wb") as file:
                np.savez(file, **leaves)  # type: ignore[arg-type]

    def state(self, like: Search) -> Search:
        """The state that was kept, or this one where none was. `like`: the optimiser's first.

        Warns where the file is damaged, or newer than what the journal holds, which leads to the
        state.
        """
        path = self.path / _STATE
        if not path.exists():
            return like
        leaves, structure = jax.tree.flatten(like)
        try:
            # Opened here, for numpy leaves a broken file open.
            with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                found = [_as_was(file[f"leaf_{i}"], leaf) for i, leaf in enumerate(leaves)]
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            warnings.warn(
                f"l2l: {path} is damaged ({error}); the state is found again from the journal.",
                stacklevel=3,
            )
            return like
        search: Search = structure.unflatten(found)
        if not self.records.whole(int(search.generation)):
            warnings.warn(
                f"l2l: {path} is of generation {int(search.generation)}, and the journal does not "
                "have all before it; the state is found again from the journal, and what is "
                "missing is evaluated.",
                stacklevel=3,
            )
            return like
        return search

    def _line(self, record: Mapping[str, Any]) -> None:
        _write(self._journal, (json.dumps(record, allow_nan=False) + "\n").encode())

    def _put(self, array: np.ndarray) -> dict[str, Any]:
        """Where the array's bytes are."""
        array = np.ascontiguousarray(array)
        data = array.tobytes()
        place = self._arrays.tell()
        _write(self._arrays, data)
        return {
            "at": place,
            "shape": list(array.shape),
            "dtype": array.dtype.str,
            "crc32": zlib.crc32(data),
        }

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            left = shutil.disk_usage(self.path).free
            raise OSError(
                error.errno or errno.EIO,
                f"l2l: {self.path} cannot be written ({error.strerror or error}; "
                f"{size_text(left)} are free). All before is kept: make room, and resume",
            ) from error


@contextlib.contextmanager
def opened(path: str | Path, about: Mapping[str, Any], *, new: bool) -> Iterator[Store]:
    """The store at a path, laid out if it is `new`, with all that it holds.

    `about`: what study it is; `about["same"]` must be what it was. Raises `ValueError` for a folder
    of something else or of another study, `FileExistsError` where a new one would go over what is
    there, `BlockingIOError` where another process writes to it, `OSError` where nothing can be
    written.
    """
    path = Path(path)
    store = Store(path)
    if new:
        _lay_out(path, about)
    elif not (path / _STUDY).is_file():
        raise FileNotFoundError(f"l2l: there is no study at {path}; begin one by run(store=...).")
    with _locked(path):
        if not new:
            check_same(path, about)
        store.about = _about(path)
        store.records, journal, arrays = _read(path)
        for name, length in ((_JOURNAL, journal), (_ARRAYS, arrays)):
            os.truncate(path / name, length)  # what was half written
        with (
            open(path / _JOURNAL, "ab", buffering=0) as lines,
            open(path / _ARRAYS, "ab", buffering=0) as data,
        ):
            store._journal, store._arrays = lines, data
            yield store


def read(path: str | Path) -> tuple[dict[str, Any], Records]:
    """What a folder holds, also while a study runs in it. Raises as `opened` does."""
    path = Path(path)
    if not (path / _STUDY).is_file():
        raise FileNotFoundError(f"l2l: there is no study at {path}.")
    return _about(path), _read(path)[0]


def check_same(path: Path, about: Mapping[str, Any]) -> None:
    """Raises `ValueError` where the folder's study is another than this one."""
    begun, now = _about(path)["same"], json.loads(json.dumps(about["same"]))
    for name in sorted(begun.keys() | now.keys()):
        old, new = begun.get(name), now.get(name)
        # Coordinates go by the order of names, which dictionaries are not compared by.
        if old == new and (name != "space" or list(old) == list(new)):
            continue
        if old == new:
            old, new, name = list(old), list(new), "order of names"
        elif isinstance(old, dict) and isinstance(new, dict):
            part = next(k for k in [*old, *new] if old.get(k) != new.get(k))
            old, new, name = old.get(part), new.get(part), f"{name} '{part}'"
        raise ValueError(
            f"l2l: {path} was begun with another {name}: {_short(old)}, and now it is "
            f"{_short(new)}; go on with what began it, or name another store."
        )


def _write(file: Any, data: bytes) -> None:
    """All of it, without a buffer that would hold a part back."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads((path / _STUDY).read_text(encoding="utf-8"))
        kind = about["format"]
        about["same"]["space"].keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"l2l: {path / _STUDY} is no study of tvbjax ({error}).") from error
    if kind != FORMAT:
        raise ValueError(
            f"l2l: {path} has the format {kind}, and this version of tvbjax reads {FORMAT}."
        )
    return about


def _lay_out(path: Path, about: Mapping[str, Any]) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        what = "is not empty" if path.is_dir() else "is a file"
        raise FileExistsError(
            f"l2l: {path} {what}; resume({str(path)!r}) goes on with a study, or name another."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"l2l: there is no folder {path.parent} for the store {path.name}; make it first."
        )
    path.mkdir(exist_ok=True)
    for name in (_JOURNAL, _ARRAYS, _LOCK):
        (path / name).touch()
    # The last, so that a folder with this file is a whole one.
    with atomic_path(path / _STUDY) as temporary:
        temporary.write_text(json.dumps({"format": FORMAT, **about}, indent=1), encoding="utf-8")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path / _LOCK, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                errno.EWOULDBLOCK, f"l2l: another process runs the study at {path}; end it first"
            ) from None
        yield


def _read(path: Path) -> tuple[Records, int, int]:
    """What the journal says, and how many bytes of both files are whole."""
    records = Records()
    for name in (_JOURNAL, _ARRAYS):
        if not (path / name).is_file():
            raise ValueError(
                f"l2l: {path} has no {name}, without which the study is lost; put it back."
            )
    with open(path / _JOURNAL, "rb") as file:
        text = file.read()
    length = text.rfind(b"\n") + 1  # a last line without its end was not finished
    with open(path / _ARRAYS, "rb") as arrays:
        end = 0
        for number, line in enumerate(text[:length].splitlines(), start=1):
            try:
                record = json.loads(line)
                end = max(end, _note(records, record, arrays))
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise ValueError(
                    f"l2l: {path / _JOURNAL}:{number} is damaged ({error}); cut the journal off "
                    "before this line to go on from there."
                ) from error
    return records, length, end


def _note(records: Records, record: dict[str, Any], arrays: Any) -> int:
    """Add a line to the records; where the arrays that it refers to end."""
    ends = [0]

    def get(reference: dict[str, Any]) -> np.ndarray:
        dtype, shape = np.dtype(reference["dtype"]), tuple(reference["shape"])
        if dtype.kind not in "fiub":
            raise ValueError(f"an array of {dtype}")
        count = dtype.itemsize * int(np.prod(shape, dtype=int))
        arrays.seek(reference["at"])
        data = arrays.read(count)
        if len(data) != count or zlib.crc32(data) != reference["crc32"]:
            raise ValueError("an array that it refers to is not what was written")
        ends.append(reference["at"] + count)
        return np.frombuffer(data, dtype).reshape(shape).copy()

    if "asked" in record:
        generation = int(record["asked"])
        if generation < 0 or generation in records.asked:
            raise ValueError(f"generation {generation} is asked for twice, or is none")
        records.asked[generation] = get(record["coordinates"])
    else:
        generation, part = int(record["generation"]), _from_line(record, get)
        if generation not in records.asked:
            raise ValueError(f"generation {generation} has not been asked for")
        count = len(records.asked[generation])
        if len(set(part.places)) < len(part.places) or not set(part.places) <= set(range(count)):
            raise ValueError(f"places {part.places.tolist()} of {count} candidates")
        records.add(generation, part)
    return max(ends)


def _as_line(generation: int, part: Part, put: Any) -> dict[str, Any]:
    """A part as JSON: ok is not said, nor one attempt."""
    line: dict[str, Any] = {
        "generation": generation,
        "places": part.places.tolist(),
        "losses": [[x if np.isfinite(x) else None for x in row] for row in part.losses.tolist()],
        "seconds": np.round(part.seconds, 6).tolist(),
    }
    if not part.fine.all():
        line["failed"] = {str(i): s for i, s in enumerate(part.statuses) if s != "ok"}
        line["errors"] = {str(i): e for i, e in enumerate(part.errors) if e is not None}
    if (part.attempts != 1).any():
        line["attempts"] = part.attempts.tolist()
    for name in ("outputs", "gradients"):
        rows = getattr(part, name)
        if rows is not None:
            line[name] = put(rows)
    if any(part.more):
        line["more"] = [_finite(more) for more in part.more]
    return line


def _finite(value: Any) -> Any:
    """JSON has no NaN; an object of this one name stands for it."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return {_FLOAT: repr(value)} if isinstance(value, float) and not np.isfinite(value) else value


def _as_float(value: Any) -> Any:
    """The same from JSON."""
    if isinstance(value, dict):
        if list(value) == [_FLOAT]:
            return float(value[_FLOAT])
        return {name: _as_float(part) for name, part in value.items()}
    return [_as_float(part) for part in value] if isinstance(value, list) else value


def _from_line(line: dict[str, Any], get: Any) -> Part:
    count = len(line["places"])
    failed, errors = line.get("failed", {}), line.get("errors", {})
    losses = [[np.nan if x is None else x for x in row] for row in line["losses"]]
    return Part(
        np.array(line["places"], int),
        tuple(failed.get(str(i), "ok") for i in range(count)),
        np.array(losses, float).reshape(count, -1),
        np.array(line["seconds"], float),
        np.array(line.get("attempts", [1] * count), int),
        tuple(errors.get(str(i)) for i in range(count)),
        get(line["outputs"]) if "outputs" in line else None,
        get(line["gradients"]) if "gradients" in line else None,
        tuple(_as_float(more) for more in line.get("more", ())),
    )


def _plain(leaf: Any) -> np.ndarray:
    is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jr.key_data(leaf) if is_key else leaf)


def _as_was(value: np.ndarray, like: Any) -> Any:
    """A leaf as it was kept: a key as a key, an array of JAX's as such."""
    if isinstance(like, jax.Array):
        if jnp.issubdtype(like.dtype, jax.dtypes.prng_key):
            return jr.wrap_key_data(jnp.asarray(value), impl=str(jr.key_impl(like)))
        return jnp.asarray(value, like.dtype)
    return value if isinstance(like, np.ndarray) else type(like)(value)
