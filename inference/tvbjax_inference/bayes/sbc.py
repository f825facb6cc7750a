"""Simulation-based calibration: draw truths, simulate data, sample posteriors, and compare.

Talts, Betancourt, Simpson, Vehtari and Gelman (2018), arXiv:1804.06788.
"""

import json
import time
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np
from jaxtyping import Array

from tvbjax.arrays import check_one_key
from tvbjax.identity import told
from tvbjax.io.atomic import atomic_path
from tvbjax.kinds import check_count
from tvbjax.progress import progress_bar
from tvbjax_inference.bayes.calibration import Calibration

_WHO = "simulation_based_calibration"
_HOPELESS = 5  # data sets that fail at the beginning tell of a mistake
_EVERY = 10.0  # seconds from one writing to the next, at least


def simulation_based_calibration(
    draw: Callable[[Array], tuple[Any, Any]],
    posterior: Callable[[Any, Array], Any],
    *,
    count: int,
    key: Array,
    names: Sequence[str] | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> Calibration:
    """Calibrate a sampler with `count` data sets, at least 10 and better 100 or more.

    `draw`: of a key a truth `(d,)` from the prior, and data simulated with it. `posterior`: of data
    and a key draws `(m, d)`, independent of each other (`thinned`), the same m for all data.
    Data set i depends on the key and i alone.
    `checkpoint`: a file .npz that is written as it goes on; the same call, also with another
    `count`, goes on from it with the same numbers as without a stop.

    A data set of which `draw` or `posterior` raises, or has NaN, is left out and told of in the
    result's `failures`. Ctrl-C ends it early and well. Raises `ValueError` where the first data
    sets all fail, or shapes do not agree.
    """
    identity = (draw, posterior)
    return calibrated(draw, posterior, identity, count, key, names, checkpoint, progress)


def calibrated(
    draw: Callable[[Array], tuple[Any, Any]],
    posterior: Callable[[Any, Array], Any],
    identity: Any,
    count: int,
    key: Array,
    names: Sequence[str] | None,
    checkpoint: str | Path | None,
    progress: bool,
) -> Calibration:
    """The same. `identity`: what the checkpoint of one calibration is told by."""
    check_count(f"{_WHO}: count", count, 10)
    check_one_key(_WHO, key)
    done = _Done(told((identity, key)), checkpoint)
    with progress_bar("calibrating", count, progress) as advance:
        advance(min(len(done), count))
        try:
            for i in range(len(done), count):
                done.add(i, *_one(draw, posterior, jr.fold_in(key, i)))
                advance(1, f"{len(done.failures)} failed" if done.failures else "")
        except KeyboardInterrupt:
            warnings.warn(
                f"{_WHO}: interrupted after {len(done)} of {count} data sets.", stacklevel=2
            )
        finally:
            done.keep()
    return done.calibration(count, names)


def _one(draw, posterior, key: Array) -> tuple[np.ndarray | None, np.ndarray | None, str]:
    """The truth and the draws of one data set, or why there are none."""
    own, other = jr.split(key)
    try:
        truth, data = draw(own)
        truth, draws = np.asarray(truth, float), np.asarray(posterior(data, other), float)
    except Exception as error:
        return None, None, f"{type(error).__name__}: {error}".splitlines()[0]
    if truth.ndim != 1 or draws.ndim != 2 or draws.shape[1:] != truth.shape:
        raise ValueError(
            f"{_WHO}: the truth has the shape {truth.shape} and its posterior's draws "
            f"{draws.shape}; give (d,) and (draws, d)."
        )
    for what, numbers in (("truth", truth), ("posterior", draws)):
        if not np.isfinite(numbers).all():
            return None, None, f"the {what} has NaN or infinity"
    return truth, draws, ""


class _Done:
    """The data sets so far, in memory and in a file."""

    def __init__(self, identity: str, checkpoint: str | Path | None):
        self.identity = identity
        self.path = None if checkpoint is None else Path(checkpoint)
        self.truths: dict[int, np.ndarray] = {}
        self.draws: dict[int, np.ndarray] = {}
        self.failures: dict[int, str] = {}
        self.written = time.monotonic()
        if self.path is not None:
            _check_path(self.path)
            if self.path.exists():
                self.read(self.path)
        self.known = len(self)

    def __len__(self) -> int:
        return len(self.truths) + len(self.failures)

    def add(self, i: int, truth: np.ndarray | None, draws: np.ndarray | None, why: str) -> None:
        if truth is None or draws is None:
            self.failures[i] = why
            if not self.truths and len(self.failures) >= _HOPELESS:
                raise ValueError(
                    f"{_WHO}: the first {_HOPELESS} data sets all failed, the last one with {why}."
                )
            return
        before = next(iter(self.draws.values()), draws)
        if before.shape != draws.shape:
            raise ValueError(
                f"{_WHO}: data set {i} has draws of the shape {draws.shape}, those before "
                f"{before.shape}; give as many for all, e.g. thinned(chains, 100)."
            )
        self.truths[i], self.draws[i] = truth, draws
        if time.monotonic() - self.written > _EVERY:
            self.keep()

    def keep(self) -> None:
        """Write all, whole or not at all; nothing where there is nothing new."""
        if self.path is None or len(self) == self.known or not self.truths:
            return
        about = {"identity": self.identity, "failures": self.failures}
        arrays = {
            "about": np.array(json.dumps(about)),
            "numbers": np.array(list(self.truths)),
            "truths": np.stack(list(self.truths.values())),
            "draws": np.stack(list(self.draws.values())),
        }
        with atomic_path(self.path) as path, open(path, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        self.known, self.written = len(self), time.monotonic()

    def read(self, path: Path) -> None:
        try:
            # Opened here, for numpy leaves a broken file open.
            with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                arrays = dict(file)
            about = json.loads(str(arrays["about"]))
            identity, failures = about["identity"], about["failures"]
            numbers = arrays["numbers"].tolist()
            self.truths = dict(zip(numbers, arrays["truths"], strict=True))
            self.draws = dict(zip(numbers, arrays["draws"], strict=True))
            self.failures = {int(i): str(why) for i, why in failures.items()}
        except (
            *(OSError, EOFError, TypeError, ValueError, KeyError, AttributeError),
            zipfile.BadZipFile,
        ) as error:
            raise ValueError(
                f"{_WHO}: {path} is no checkpoint of a calibration, or was damaged; move it away."
            ) from error
        if identity != self.identity:
            raise ValueError(
                f"{_WHO}: {path} is the checkpoint of another calibration: what draws, the sampler "
                "or the key differ; move it away, or name another."
            )

    def calibration(self, count: int, names: Sequence[str] | None) -> Calibration:
        kept = [i for i in self.truths if i < count]
        failures = {i: why for i, why in self.failures.items() if i < count}
        if len(kept) < 10:
            raise ValueError(
                f"{_WHO}: {len(kept)} data sets have a posterior, {len(failures)} failed; 10 or "
                f"more are needed. {next(iter(failures.values()), '')}"
            )
        truths = np.stack([self.truths[i] for i in kept])
        draws = np.stack([self.draws[i] for i in kept])
        return Calibration.of(truths, draws, names=names, failures=failures)


def _check_path(path: Path) -> None:
    if path.suffix != ".npz":
        raise ValueError(f"{_WHO}: the checkpoint {path.name} must end in .npz.")
    if not path.parent.is_dir():
        raise ValueError(
            f"{_WHO}: there is no folder {path.parent} for the checkpoint {path.name}; make it."
        )
