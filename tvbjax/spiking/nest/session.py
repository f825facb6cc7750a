"""NEST beside a brain: the same network, in a process of its own, stepped window by window."""

import importlib.metadata
import importlib.util
import queue
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, NoReturn

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from tvbjax.generators import key_words
from tvbjax.kinds import check_kind, check_number
from tvbjax.spiking.known import check_known_numbers
from tvbjax.spiking.nest.describing import described
from tvbjax.spiking.nest.messages import receive, send
from tvbjax.spiking.network import Network
from tvbjax.spiking.outside import AbstractSession, AbstractSpikingSimulator, Window
from tvbjax.spiking.program import Seen
from tvbjax.spiking.recording import recorded

LEAST_VERSION = (3, 10)


class Nest(AbstractSpikingSimulator):
    """A network in NEST, in a process of its own: NEST's kernel is one for a process.

    `network`: as for tvbjax; its connections, weights and parameters are handed over as they are,
    and its cells are NEST's models (LifDelta is iaf_psc_delta, ...; docs/cosimulation.md has all).
    Random spikes are NEST's own. What drives hear comes two steps later than in tvbjax, since
    NEST's generators take a new rate a step after it is set, and send with a delay of a step.
    `patience`: s, how long a window may take until NEST is given up.

    Needs `pip install 'tvbjax[nest]'`; NEST is GPL, and is run, not linked.
    """

    network: Network
    patience: float = eqx.field(static=True, default=600.0)

    def __check_init__(self):
        check_kind("nest.Nest: network", self.network, Network, "spiking.Network(...)")
        check_number("nest.Nest: patience (s)", self.patience, above=0.0)
        _check_installed()
        check_known_numbers("nest.Nest", self.network)
        described(self.network, 1)

    def open(self, key):
        check_known_numbers("nest.Nest", self.network)
        return NestSession(self.network, key, self.patience)


def _check_installed() -> None:
    if importlib.util.find_spec("nest") is None:
        raise ModuleNotFoundError(
            "nest.Nest: NEST is not installed; run: pip install 'tvbjax[nest]'.", name="nest"
        )
    try:
        text = importlib.metadata.version("nest-simulator")
    except importlib.metadata.PackageNotFoundError:
        return  # built from source: the worker says what it is
    check_version(text)


def check_version(text: str) -> None:
    """Raises `ImportError` for a NEST that is too old."""
    found = re.match(r"(\d+)\.(\d+)", text)  # not of what is built from a branch
    if found and tuple(map(int, found.groups())) < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise ImportError(
            f"nest.Nest: NEST {text} is installed, and at least {least} is needed; run: "
            "pip install --upgrade 'tvbjax[nest]'."
        )


class NestSession(AbstractSession):
    """A running NEST. Raises `RuntimeError`, with what NEST said, where it fails or hangs."""

    def __init__(self, network: Network, key: Array | None, patience: float):
        self._network, self._patience = network, patience
        self._pieces: list[dict[str, Seen]] = []
        self._steps, self._begun = 0, 0
        self._said = tempfile.TemporaryFile()
        worker = Path(__file__).with_name("worker.py")
        self._process = subprocess.Popen(
            [sys.executable, str(worker)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        self._answers: queue.Queue[Any] = queue.Queue()
        assert self._process.stdout is not None
        reader = threading.Thread(target=_read, args=(self._process.stdout, self._answers))
        reader.daemon = True
        reader.start()
        seed = 1 if key is None else 1 + int(np.asarray(key_words(key))[1]) % (2**31 - 2)
        try:
            self._send(*described(network, seed))
            check_version(self._answer()[0]["version"])
        except BaseException:
            self.close()
            raise

    def begin(self, signals, steps):
        if self._begun:
            raise RuntimeError("NestSession: a window is not finished; call finish() first.")
        told = {name: np.asarray(values) for name, values in signals.items()}
        for name, values in told.items():
            if not np.isfinite(values).all():
                raise ValueError(f"NestSession: '{name}', which drives hear, is not finite.")
        self._send({"do": "run", "steps": steps}, told)
        self._begun = steps

    def finish(self):
        if not self._begun:
            raise RuntimeError("NestSession: no window was begun; call begin(signals, steps).")
        _, found = self._answer()
        steps, self._begun = self._begun, 0
        self._steps += steps
        counts, means = {}, {}
        piece = {}
        for name, one in self._network.populations.items():
            raster = np.zeros((steps, one.size), bool)
            raster[found[f"steps|{name}"], found[f"cells|{name}"]] = True
            counts[name] = np.bincount(found[f"steps|{name}"], minlength=steps).astype(float)
            means[name] = found.get(f"means|{name}", np.zeros((steps, 0)))
            none = np.zeros((steps, 0, one.size))
            piece[name] = Seen(
                np.packbits(raster, axis=1), jnp.asarray(counts[name]), none, means[name]
            )
        self._pieces.append(piece)
        return Window(counts, means)

    def result(self):
        return recorded(self._network, self._pieces, 0, self._steps, None, complete=True)

    def close(self):
        process = self._process
        if process.poll() is None:
            try:
                if not self._begun:
                    self._send({"do": "close"})
                process.wait(timeout=1.0 if self._begun else 10.0)
            except (RuntimeError, subprocess.TimeoutExpired):
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except OSError:  # what could not be written to a process that is gone
                    pass
        self._said.close()

    def _send(self, message: dict[str, Any], arrays: dict[str, np.ndarray] | None = None) -> None:
        """Writes a message, by a thread, since NEST may be too busy or too stuck to read it."""
        failures: list[BaseException] = []
        stream = self._process.stdin
        assert stream is not None

        def write() -> None:
            try:
                send(stream, message, arrays or {})
            except (OSError, ValueError) as error:
                failures.append(error)

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        writer.join(self._patience)
        if writer.is_alive():
            self._give_up("take what it was sent")
        if failures:
            self._answer()  # which may say why it does not read any more
            raise RuntimeError(self._ended())

    def _answer(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        try:
            answer = self._answers.get(timeout=self._patience)
        except queue.Empty:
            self._give_up("answer")
        if answer is None:
            raise RuntimeError(self._ended())
        if "failed" in answer[0]:
            raise RuntimeError(f"NEST failed: {answer[0]['failed']}{self._last_words()}")
        return answer

    def _give_up(self, what: str) -> NoReturn:
        self._process.kill()
        raise RuntimeError(
            f"NEST did not {what} for {self._patience:g} s and was ended; give "
            "nest.Nest(..., patience=...) more, or a shorter window."
        )

    def _ended(self) -> str:
        code = self._process.wait()
        return f"NEST's process ended (exit status {code}).{self._last_words()}"

    def _last_words(self) -> str:
        if self._said.closed:
            return ""
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        shown = [line for line in lines if line.strip()][-5:]
        return " It said: " + " / ".join(shown) if shown else ""


def _read(stream: IO[bytes], answers: "queue.Queue[Any]") -> None:
    """Answers as they come; None when there will be no more."""
    try:
        while True:
            answers.put(receive(stream))
    except (EOFError, OSError, ValueError):
        answers.put(None)
