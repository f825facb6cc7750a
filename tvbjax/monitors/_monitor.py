"""What a monitor is: a reducer over blocks of steps, with a period, never a stored trajectory.

A run is cut into chunks, and a chunk into blocks. A monitor `open`s a buffer for a chunk, `update`s
it with every block, and `close`s it: samples out, and what must cross the border carried on.
"""

import abc
import dataclasses
from typing import TYPE_CHECKING

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from tvbjax.axes import Axis
from tvbjax.kinds import check_kind
from tvbjax.monitors._arguments import check_variables
from tvbjax.steps import steps_of

# What files of results call other things.
RESERVED_NAMES = ("checkpoint", "time", "variable", "region", "unit")


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A stretch of steps.

    `phase`: how many steps of the monitor's window had passed before it: 0 where windows and chunk
    begin together, which is known when tracing and cheap, else traced. `first`: steps of the run
    before it, traced. `block`: blocks begin at multiples of this; `dt`: ms.
    """

    phase: int | Int[Array, ""]
    first: Int[Array, ""]
    steps: int
    block: int
    dt: float


class AbstractMonitor(eqx.Module):
    """`period`: ms between samples, a multiple of dt, None for every step. `variables`: names of
    observables (state variables, exposures), None for the model's variables of interest. `name`:
    the key of its samples in the result.
    """

    if TYPE_CHECKING:
        # To a type checker an AbstractVar is an argument of __init__, and comes before all others.
        @property
        def period(self) -> float | None: ...
        @property
        def variables(self) -> tuple[str, ...] | None: ...
        @property
        def name(self) -> str: ...
    else:
        period: eqx.AbstractVar[float | None]
        variables: eqx.AbstractVar[tuple[str, ...] | None]
        name: eqx.AbstractVar[str]

    def __check_init__(self):
        who = type(self).__name__
        check_kind(f"{who}: name", self.name, str, "'fast'")
        check_variables(who, self.variables)

    @property
    def pointwise(self) -> bool:
        """Whether a region's samples depend on that region alone, and all arrays that are carried
        have the regions last: many simulations are then observed as one of many regions."""
        return False

    @property
    def combines(self) -> bool:
        """Whether a sample depends on several regions, which then must have what is observed."""
        return False

    @property
    def afferent(self) -> bool:
        """Whether it observes the coupling inputs, and not the state: `variables` are names of
        inputs then, None for all."""
        return False

    def axes(self, nodes: Axis, dt: float) -> tuple[Axis, ...]:
        """The axes of a sample after that of the variables. `nodes`: regions, or vertices."""
        return (nodes,)

    def check(self, nodes: int, dt: float) -> None:
        """Raises `ValueError` where the monitor does not fit a network of so many nodes."""
        self.period_steps(dt)

    @property
    def remedy(self) -> str:
        """What to do where samples of finite states are no finite numbers."""
        return "look at the monitor's parameters and at what it observes"

    @abc.abstractmethod
    def start(self, past: Float[Array, "step voi node"], dt: float) -> tuple[Array, ...]:
        """What is carried over before the first step. `past`: what was observed up to t = 0, oldest
        first, one row or more; before that it was as in the first row."""

    @abc.abstractmethod
    def open(self, carried: tuple[Array, ...], chunk: Chunk) -> PyTree:
        """A buffer for a chunk."""

    @abc.abstractmethod
    def update(
        self,
        buffer: PyTree,
        block: Float[Array, "steps voi node"],
        offset: Int[Array, ""],
        chunk: Chunk,
    ) -> PyTree:
        """The buffer after a block whose first state is step `offset + 1` of the chunk."""

    @abc.abstractmethod
    def close(
        self, carried: tuple[Array, ...], buffer: PyTree, chunk: Chunk
    ) -> tuple[tuple[Array, ...], Float[Array, "sample voi *place"]]:
        """What is carried on, and the samples that the chunk completed; rows beyond the number of
        `times` hold nothing and are cut off by the caller."""

    @abc.abstractmethod
    def times(self, first: int, steps: int, dt: float) -> np.ndarray:
        """Time stamps in ms of the samples of a chunk that begins at step `first`."""

    def period_steps(self, dt: float) -> int:
        """The period in steps; an error where it is no multiple of dt."""
        who = type(self).__name__
        return 1 if self.period is None else steps_of(self.period, dt, f"{who}: the period")

    def window_steps(self, dt: float) -> int:
        """The steps that are reduced together: the period, or a divisor of it."""
        return self.period_steps(dt)


def period_ends(first: int, steps: int, period: int) -> np.ndarray:
    """The steps in `(first, first + steps]` at which a period ends."""
    return np.arange(first // period + 1, (first + steps) // period + 1) * period
