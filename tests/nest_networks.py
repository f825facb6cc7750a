"""Networks in NEST and their spikes, compared with ours spike by spike."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Array

from tvbjax import spiking
from tvbjax.spiking import nest
from tvbjax.steps import steps_of

_STEPS_AT_ONCE = 1000  # whose spikes are in memory for every cell


def in_nest(
    network: spiking.Network, duration: float, key: Array | None = None
) -> Mapping[str, spiking.SpikeTrains]:
    """The spikes of a network's populations in NEST, where random ones are NEST's own."""
    left = steps_of(duration, network.dt, "in_nest: the duration")
    with nest.Nest(network).open(key) as session:
        while left:
            steps = min(left, _STEPS_AT_ONCE)
            session.begin({}, steps)
            session.finish()
            left -= steps
        return session.result().spikes


def raster(trains: spiking.SpikeTrains, dt: float) -> np.ndarray:
    """Step and cell of every spike, sorted."""
    found = np.stack([np.rint(trains.times / dt).astype(int), trains.cells], axis=1)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def poisson_spikes(
    rng: np.random.Generator, rate: float, duration: float, cells: int, dt: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Times and cells of Poisson trains of `rate` kHz: `count` in all, of which those that are too
    many come too late, so that networks with other rates are of one form.

    NEST can have a spike arrive at the end of the second step at the earliest.
    """
    counts = rng.poisson(rate * dt, (round(duration / dt) - 1, cells))
    steps, own = np.nonzero(counts)
    often = counts[steps, own]
    times, own = np.repeat((steps + 2) * dt, often), np.repeat(own, often)
    late = count - len(times)
    return np.append(times, np.full(late, 2.0 * duration)), np.append(own, np.zeros(late, int))
