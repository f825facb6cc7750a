"""Runs tvbjax on a LEMS file for the comparisons: in SI units, with PyLEMS's order of steps."""

import warnings
from pathlib import Path

import jax
import numpy as np

from conformance import corpora
from conformance.recorded import Recorded
from tvbjax import lems


def load(path: Path, units: lems.UnitSystem = lems.SI):
    with warnings.catch_warnings():
        # NeuroML's core types break the rules of dimensions in a few places: that is known.
        warnings.simplefilter("ignore", lems.LemsWarning)
        return lems.load_network(path, include=(corpora.core_types(),), units=units)


def run(network, step: float | None = None, method: lems.AbstractMethod | None = None):
    """A Recording. `step`: in the network's units, other than the file's. `method`: else Euler."""
    method = lems.Euler() if method is None else method
    return lems.run(network, method=method, step=step, key=jax.random.key(0))


def recorded(recording, quantities: tuple[str, ...]) -> Recorded:
    """Every quantity that the file displays or writes. `recording`: in SI units."""
    values = {name: np.asarray(recording[name]) for name in quantities}
    events = {name: np.asarray(times) for name, times in recording.events.items()}
    return Recorded(np.asarray(recording.t), values, events)
