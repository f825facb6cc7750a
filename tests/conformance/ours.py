"""Runs tvbjax on a LEMS file for the comparisons: in SI units, with PyLEMS's order of steps."""

from pathlib import Path

import jax
import numpy as np

from conformance import corpora
from conformance.recorded import Recorded
from tvbjax import lems


def load(path: Path, units: lems.UnitSystem = lems.SI):
    return lems.load_network(path, include=(corpora.core_types(),), units=units)


def recorded(network, quantities: tuple[str, ...], step: float | None = None) -> Recorded:
    """Every quantity that the file displays or writes. `network`: in SI units. `step`: s."""
    recording = lems.run(network, method=lems.Euler(), step=step, key=jax.random.key(0))
    values = {name: np.asarray(recording[name]) for name in quantities}
    events = {name: np.asarray(times) for name, times in recording.events.items()}
    return Recorded(np.asarray(recording.t), values, events)


def write(network, folder: Path) -> None:
    """Runs, and writes into a folder what the file says is to be written."""
    lems.run(network, method=lems.Euler(), key=jax.random.key(0)).write(folder)
