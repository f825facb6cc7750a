"""The process in which evaluations run, and what they give in one form.

Needs Python alone: it is started as a script, so that a worker imports what its function needs and
nothing else. What the function prints goes to the worker's log; frames of a length and a pickle go
between the driver and it, which are processes of one user.
"""

import json
import math
import os
import pickle
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from typing import Any

_LENGTH = struct.Struct("<Q")
_TAIL = 4_000  # characters of an error that are kept
_KNOWN = ("loss", "outputs", "more", "gradients")


class Ended(Exception):
    """What an evaluation ended in, if not in a result: `status` and words."""

    def __init__(self, status: str, words: str):
        super().__init__(words)
        self.status, self.words = status, words


def call(function: Any, values: dict, seed: Any, *, may_exit: bool = False) -> dict[str, Any]:
    """One evaluation: its `status`, `result` or `error`, and `seconds`. `may_exit`: `sys.exit` ends
    the process, as the signals of a queue do."""
    begun = time.perf_counter()
    status, result, error = "ok", None, None
    try:
        result = normal(function(values, seed))
    except Ended as end:
        status, error = end.status, end.words
    except SystemExit as end:
        if may_exit:
            raise
        status, error = "exited", f"the function called sys.exit({end.code!r})"
    except Exception:
        status, error = "raised", traceback.format_exc()[-_TAIL:]
    return {
        "status": status,
        "result": result,
        "error": error,
        "seconds": time.perf_counter() - begun,
    }


def normal(result: Any) -> dict[str, Any]:
    """A result as a dictionary: `loss`, a list of numbers, and what else is there.

    Raises `Ended` for what is no loss, and for losses that are not finite.
    """
    if all(hasattr(result, name) for name in ("loss", "outputs", "more")):
        result = {name: getattr(result, name) for name in ("loss", "outputs", "more")}
    if not isinstance(result, dict):
        result = {"loss": result}
    unknown = [name for name in result if name not in _KNOWN]
    if unknown or "loss" not in result:
        raise Ended(
            "invalid",
            f"the result has the entries {list(map(str, result))}; return a number, or "
            "{'loss': number, 'outputs': [...], 'more': {...}}",
        )
    losses = _numbers(result["loss"], "the loss")
    found: dict[str, Any] = {"loss": losses}
    for name in ("outputs", "gradients"):
        if result.get(name) is not None:
            found[name] = _numbers(result[name], name)
    more = result.get("more") or {}
    if not isinstance(more, dict):
        raise Ended("invalid", f"'more' is {more!r:.60}; return a dictionary of numbers by name")
    found["more"] = {str(name): _plain(value, str(name)) for name, value in more.items()}
    if not losses:
        raise Ended("invalid", "the loss is an empty list; return a number")
    if not all(map(math.isfinite, losses)):
        raise Ended("nan", f"the loss is {losses[0] if len(losses) == 1 else losses}")
    return found


def _plain(value: Any, name: str) -> Any:
    """A number, text or nested list of numbers."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(part, name) for part in value]
    raise Ended("invalid", f"'more' has {name} = {value!r:.60}; return numbers, texts or arrays")


def _numbers(value: Any, what: str) -> list[float]:
    """Numbers in a row."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    row = list(value) if isinstance(value, list | tuple) else [value]
    if what == "outputs":
        row = list(_flat(row))
    for one in row:
        if isinstance(one, bool) or not isinstance(one, int | float):
            raise Ended("invalid", f"{what} is {value!r:.80}; return a number, or a row of numbers")
    return [float(one) for one in row]


def _flat(row: list) -> Any:
    for one in row:
        yield from _flat(list(one)) if isinstance(one, list | tuple) else (one,)


class Shell:
    """A command as a function of values: run in a folder of its own, which is removed at the end.

    `argv`: with places `{name}`; `result`: a file in the folder that holds JSON, or None for a
    number in the last line that is printed.
    """

    def __init__(self, argv: list[str], result: str | None, environment: dict[str, str]):
        self.argv, self.result, self.environment = argv, result, environment

    def __call__(self, values: dict, seed: Any) -> Any:
        with tempfile.TemporaryDirectory(prefix="tvbjax-l2l-") as folder:
            given = os.path.join(folder, "values.json")
            with open(given, "w", encoding="utf-8") as file:
                json.dump({name: _plain(value, name) for name, value in values.items()}, file)
            places = {name: _text(value) for name, value in values.items()}
            places |= {"seed": str(seed), "folder": folder, "values": given}
            if self.result is not None:
                places["result"] = os.path.join(folder, self.result)
            argv = [filled(part, places) for part in self.argv]
            printed = self._run(argv, folder)
            return self._read(places.get("result"), printed)

    def _run(self, argv: list[str], folder: str) -> str:
        # Files, for the end of a pipe would wait for all that the command leaves behind.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                done = subprocess.run(
                    argv,
                    cwd=folder,
                    env=os.environ | self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                )
            except OSError as error:
                raise Ended("raised", f"{argv[0]} cannot be started: {error}") from None
            out.seek(0)
            err.seek(0)
            printed, complained = (file.read().decode(errors="replace") for file in (out, err))
        if done.returncode:
            said = (complained or printed)[-_TAIL:]
            if done.returncode < 0:
                raise Ended("killed", f"{argv[0]} was ended by signal {-done.returncode}; {said}")
            raise Ended("exited", f"{argv[0]} ended with status {done.returncode}; {said}")
        return printed

    def _read(self, path: str | None, printed: str) -> Any:
        if path is None:
            lines = printed.split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "")
            try:
                return float(last)
            except ValueError:
                raise Ended(
                    "invalid",
                    f"the last line that was printed is {last!r:.80}; print the loss last, or "
                    "write it to a file: Command(..., result='result.json')",
                ) from None
        try:
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError) as error:
            raise Ended(
                "invalid", f"the result {os.path.basename(path)} is not to be read: {error}"
            ) from None


_PLACE = re.compile(r"\{([^{}]*)\}")


def filled(text: str, places: dict[str, str]) -> str:
    """A text with its places `{name}` filled; braces about other words stay."""
    return _PLACE.sub(lambda found: places.get(found[1], found[0]), text)


def _text(value: Any) -> str:
    plain = _plain(value, "value")
    return plain if isinstance(plain, str) else json.dumps(plain)


def loaded(payload: tuple[str, Any]) -> Any:
    """The function of a payload: `("function", pickle)` or `("shell", (argv, result, env))`."""
    kind, data = payload
    return Shell(*data) if kind == "shell" else pickle.loads(data)


def frame(value: Any) -> bytes:
    """A value to be sent."""
    data = pickle.dumps(value, protocol=5)
    return _LENGTH.pack(len(data)) + data


def unframed(buffer: bytearray) -> list[Any]:
    """The values of all whole frames, which are taken out of the buffer."""
    found = []
    while len(buffer) >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(buffer)
        if len(buffer) < _LENGTH.size + length:
            break
        found.append(pickle.loads(bytes(buffer[_LENGTH.size : _LENGTH.size + length])))
        del buffer[: _LENGTH.size + length]
    return found


def _received(channel: Any) -> Any:
    head = channel.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    data = channel.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)


def main() -> None:
    """Answer until the driver closes the channel."""
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # of queues, meant for the driver
        signal.signal(number, signal.SIG_IGN)
    with os.fdopen(os.dup(0), "rb") as heard, os.fdopen(os.dup(1), "wb") as said:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)  # what is printed goes to the log, not between the frames

        def answer(value: Any) -> None:
            said.write(frame(value))
            said.flush()

        path, payload = _received(heard)
        sys.path[:] = path
        try:
            function = loaded(payload)
        except BaseException:
            answer(("broken", traceback.format_exc()[-_TAIL:]))
            return
        answer(("ready", None))
        while True:
            try:
                values, seed = _received(heard)
            except EOFError:
                return
            found = call(function, values, seed)
            sys.stdout.flush()
            sys.stderr.flush()
            answer(("done", found))


if __name__ == "__main__":
    main()
