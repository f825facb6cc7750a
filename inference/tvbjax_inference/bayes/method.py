"""How draws are made: what all methods take and give."""

import abc
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from tvbjax_inference.bayes.checkpoint import Checkpoint
from tvbjax_inference.bayes.flat import Flat
from tvbjax_inference.bayes.modes import Mode


class Drawn(NamedTuple):
    """`numbers`: unbounded. `stats`: what the method says of each draw, by ArviZ's names, with axes
    (chain, draw); `before`: the same of draws that were thrown away."""

    numbers: Float[np.ndarray, "chain draw number"]
    stats: dict[str, np.ndarray]
    before: dict[str, np.ndarray]


class AbstractMethod(abc.ABC):
    """Makes draws of a posterior of which modes are known."""

    @abc.abstractmethod
    def drawn(
        self,
        flat: Flat,
        modes: Sequence[Mode],
        key: Array,
        checkpoint: Checkpoint | None,
        progress: bool,
    ) -> Drawn:
        """The draws; those that a checkpoint has are not made again."""
