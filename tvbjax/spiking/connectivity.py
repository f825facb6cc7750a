"""Who is connected with whom: rules that draw the connections between two populations.

Drawn once, when the network is built, on the host: index arrays, sorted by the sender.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import numpy as np

from tvbjax.kinds import check_count, check_number


class Pairs(NamedTuple):
    """Connections: a sender and a receiver for each, sorted by the sender."""

    sources: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.sources)


class AbstractConnectivity(eqx.Module):
    """A rule for the connections from one population to another. `draws`: at random."""

    draws: ClassVar[bool] = False

    @abc.abstractmethod
    def expected(self, sources: int, targets: int) -> float:
        """About how many connections there will be."""

    @abc.abstractmethod
    def pairs(self, rng: np.random.Generator, sources: int, targets: int, same: bool) -> Pairs:
        """The connections between so many cells. `same`: the two are one population."""


class FixedInDegree(AbstractConnectivity):
    """Every cell hears `degree` cells, drawn with equal chances.

    `multapses`: the same sender may be drawn again. `autapses`: a cell may hear itself.
    """

    draws = True
    degree: int = eqx.field(static=True)
    multapses: bool = eqx.field(static=True, default=True)
    autapses: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        check_count("FixedInDegree: degree", self.degree, 0)

    def expected(self, sources, targets):
        return float(self.degree) * targets

    def pairs(self, rng, sources, targets, same):
        own = same and not self.autapses
        choices = sources - own
        if self.degree > 0 and (choices < 1 or (not self.multapses and self.degree > choices)):
            raise ValueError(
                f"FixedInDegree: {self.degree} different senders of {choices}; lower the degree, or"
                " allow multapses=True."
            )
        if self.multapses:
            drawn = rng.integers(0, choices, (targets, self.degree), np.int32)
        else:
            drawn = np.stack(
                [rng.choice(choices, self.degree, replace=False) for _ in range(targets)]
            ).astype(np.int32)
        receivers = np.repeat(np.arange(targets, dtype=np.int32), self.degree)
        senders = drawn.ravel()
        if own:  # numbers from the cell's own on are those of the next cell
            senders = senders + (senders >= receivers)
        return _sorted(senders, receivers)


class Bernoulli(AbstractConnectivity):
    """Every pair is connected with a probability. `autapses`: a cell may hear itself."""

    draws = True
    probability: float = eqx.field(static=True)
    autapses: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        check_number("Bernoulli: probability", self.probability)
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(
                f"Bernoulli: probability is {self.probability!r}; give one from 0 to 1."
            )

    def expected(self, sources, targets):
        return self.probability * sources * targets

    def pairs(self, rng, sources, targets, same):
        counts = rng.binomial(targets, self.probability, sources)
        receivers = [rng.choice(targets, n, replace=False, shuffle=False) for n in counts]
        senders = np.repeat(np.arange(sources, dtype=np.int32), counts)
        heard = np.concatenate(receivers) if len(receivers) else np.zeros(0)
        found = _sorted(senders, heard.astype(np.int32))
        if same and not self.autapses:
            other = found.sources != found.targets
            found = Pairs(found.sources[other], found.targets[other])
        return found


class OneToOne(AbstractConnectivity):
    """Cell i hears cell i, of populations of one size."""

    def expected(self, sources, targets):
        return float(targets)

    def pairs(self, rng, sources, targets, same):
        if sources != targets:
            raise ValueError(f"OneToOne: the populations have {sources} and {targets} cells.")
        every = np.arange(sources, dtype=np.int32)
        return Pairs(every, every)


class AllToAll(AbstractConnectivity):
    """Every cell hears every other one. `autapses`: and itself."""

    autapses: bool = eqx.field(static=True, default=False)

    def expected(self, sources, targets):
        return float(sources) * targets

    def pairs(self, rng, sources, targets, same):
        senders, receivers = (x.ravel() for x in np.indices((sources, targets), np.int32))
        if same and not self.autapses:
            other = senders != receivers
            senders, receivers = senders[other], receivers[other]
        return Pairs(senders, receivers)


def cell_numbers(who: str) -> Callable[[Any], np.ndarray]:
    """A converter of lists of cells, which raises ValueError for other things."""

    def converted(values: Any) -> np.ndarray:
        found = np.asarray(values)
        if found.ndim != 1 or not (np.issubdtype(found.dtype, np.integer) or not found.size):
            raise ValueError(
                f"{who}: cells are {values!r:.60}; give a list of whole numbers, counted from 0."
            )
        return found.astype(np.int64)

    return converted


class Explicit(AbstractConnectivity):
    """These connections: numbers of the senders and of the receivers, from 0.

    Weights and delays that are given for each are in this order.
    """

    sources: np.ndarray = eqx.field(converter=cell_numbers("Explicit"))
    targets: np.ndarray = eqx.field(converter=cell_numbers("Explicit"))

    def __check_init__(self):
        if len(self.sources) != len(self.targets):
            raise ValueError(
                f"Explicit: there are {len(self.sources)} senders and {len(self.targets)} "
                "receivers; give one of each for every connection."
            )

    def expected(self, sources, targets):
        return float(len(self.sources))

    def pairs(self, rng, sources, targets, same):
        for kind, given, size in (
            ("sender", self.sources, sources),
            ("receiver", self.targets, targets),
        ):
            wrong = given[(given < 0) | (given >= size)]
            if wrong.size:
                raise ValueError(
                    f"Explicit: the {kind} {wrong[0]} is not in a population of {size} cells, which"
                    f" are numbered from 0 to {size - 1}."
                )
        return Pairs(self.sources.astype(np.int32), self.targets.astype(np.int32))


def _sorted(senders: np.ndarray, receivers: np.ndarray) -> Pairs:
    order = np.lexsort((receivers, senders))
    return Pairs(senders[order].astype(np.int32), receivers[order].astype(np.int32))
