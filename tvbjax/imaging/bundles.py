"""What a bundle of streamlines counts as a connection."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Streamlines = Sequence[np.ndarray]  # (point, 3), mm, each with points of its own


class Bundle(NamedTuple):
    """The streamlines between two regions. `lengths`: mm. `shares`: how much each counts.
    `volumes`: of both regions, mm³."""

    lengths: Float[np.ndarray, " streamline"]
    shares: Float[np.ndarray, " streamline"]
    volumes: tuple[float, float]


Measure = Callable[[Bundle], float]


def streamline_count(bundle: Bundle) -> float:
    """How many there are, each by its share."""
    return float(bundle.shares.sum())


def connection_density(bundle: Bundle) -> float:
    """Streamlines per mm of their length and per mm³ of both regions' mean volume: long ones are
    seeded more often, and large regions are met more often. After Hagmann et al. (2008), PLoS Biol.
    6, e159, who take surfaces."""
    return float((bundle.shares / bundle.lengths).sum() / np.mean(bundle.volumes))


def lengths_of(streamlines: Streamlines) -> Float[np.ndarray, " streamline"]:
    """mm."""
    return np.array([np.linalg.norm(np.diff(one, axis=0), axis=1).sum() for one in streamlines])
