"""What an objective is, what it compares, and functions of results that are used as one."""

import abc
import dataclasses
import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax import Result, Simulator
from tvbjax.axes import Axis
from tvbjax.kinds import check_kind
from tvbjax_inference.objectives._seen import Seen, seen_in, seen_of


class Kind(enum.Enum):
    """What compared values are, for those who draw them."""

    MATRIX = "matrix"
    DISTRIBUTION = "distribution"
    SPECTRUM = "spectrum"
    SERIES = "series"
    VALUES = "values"


class Comparison(NamedTuple):
    """Simulated against empirical values, of one shape unless `kind` is DISTRIBUTION.

    `axes`: what their dims are, none for a distribution. `unit`: of the values, "" where there is
    none or it is not known. `counts`: whether each value counts for the loss; None: all do.
    """

    name: str
    simulated: Array
    empirical: Array
    axes: tuple[Axis, ...]
    kind: Kind
    unit: str = ""
    counts: Array | None = None


class AbstractObjective(eqx.Module):
    """How far a simulation is from data: the less, the better. Pure JAX of a `Result`.

    `name`: what it is called in errors, histories and pictures.
    """

    if TYPE_CHECKING:
        # To a type checker an AbstractVar is an argument of __init__, and comes before all others.
        @property
        def name(self) -> str: ...
    else:
        name: eqx.AbstractVar[str]

    @abc.abstractmethod
    def __call__(self, result: Result) -> Float[Array, ""]:
        """The loss."""

    @abc.abstractmethod
    def check(self, simulator: Simulator, duration: float) -> None:
        """Raises `ValueError` where data and a simulator's run of `duration` ms do not fit."""

    @abc.abstractmethod
    def compared(self, result: Result) -> Comparison | None:
        """What is compared with data; None where nothing is."""


class AbstractOfSamples(AbstractObjective):
    """A distance between what samples of one variable of one monitor give, and a target.

    `monitor`, `variable`: which samples; they may be left out where there is one. `skip`: ms at
    the start that are left out, a transient: samples that begin in them are not seen.
    """

    if TYPE_CHECKING:

        @property
        def monitor(self) -> str | None: ...
        @property
        def variable(self) -> str | None: ...
        @property
        def skip(self) -> float: ...
    else:
        monitor: eqx.AbstractVar[str | None]
        variable: eqx.AbstractVar[str | None]
        skip: eqx.AbstractVar[float]

    @abc.abstractmethod
    def check_seen(self, seen: Seen) -> None:
        """Raises `ValueError` where the target does not fit the samples, of which values need not
        be known."""

    @abc.abstractmethod
    def of(self, seen: Seen) -> Array:
        """What the samples give."""

    @abc.abstractmethod
    def wanted(self, seen: Seen) -> Array:
        """What the target says that they should give."""

    @abc.abstractmethod
    def between(self, simulated: Array, empirical: Array) -> Float[Array, ""]:
        """The loss by what the samples give and what they should."""

    def __check_init__(self):
        check_kind(f"{self.name}: skip", self.skip, float, "10_000.0, in ms")
        if not 0 <= self.skip < np.inf:
            raise ValueError(
                f"{self.name}: skip={self.skip!r:.60}; give the ms at the start to leave out, 0 or "
                "more."
            )

    def __call__(self, result):
        seen = self.seen(result)
        return self.between(self.of(seen), self.wanted(seen))

    def check(self, simulator, duration):
        seen = seen_of(self.name, simulator, duration, self.monitor, self.variable, self.skip)
        self.check_seen(seen)

        def loss(values):
            filled = dataclasses.replace(seen, values=values)
            return self.between(self.of(filled), self.wanted(filled))

        # What is left to find, in distances and features of the user's own, tracing finds.
        shape = jax.eval_shape(loss, seen.values).shape
        if shape != ():
            raise ValueError(
                f"{self.name}: the loss has the shape {shape}; give a distance that is one number."
            )

    def seen(self, result: Result) -> Seen:
        """The samples of a result, if the target fits them."""
        seen = seen_in(self.name, result, self.monitor, self.variable, self.skip)
        self.check_seen(seen)
        return seen


class Function(AbstractObjective):
    """A function of a `Result` as an objective."""

    function: Callable[[Result], Any] = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __call__(self, result):
        try:
            given = self.function(result)
        except KeyError as error:
            raise KeyError(
                f"{self.name}: the function asks for {error}, which is not there; monitors are "
                f"{', '.join(result.samples) or 'none'}."
            ) from error
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            raise TypeError(
                f"{self.name}: the function makes a number of Python's or NumPy's of what JAX "
                "knows only when it runs (float(), np., if); use jax.numpy, and jnp.where for if."
            ) from error
        if not isinstance(given, jax.Array | np.ndarray | np.generic | float):
            raise TypeError(
                f"{self.name}: the function gives {given!r:.60}; let it give one real number, e.g. "
                "a mean."
            )
        found = jnp.asarray(given)
        if found.shape != () or not jnp.issubdtype(found.dtype, jnp.floating):
            raise ValueError(
                f"{self.name}: the function gives {found.dtype.name} of shape {found.shape}; let "
                "it give one real number, e.g. a mean."
            )
        return found

    def check(self, simulator, duration):
        pass

    def compared(self, result):
        return None


def as_objective(given: AbstractObjective | Callable[[Result], Any]) -> AbstractObjective:
    """An objective as it is, a function of a `Result` as one. Raises `TypeError` for others."""
    if isinstance(given, AbstractObjective):
        return given
    if isinstance(given, type) or not callable(given):
        raise TypeError(
            f"objective: {given!r:.80} is none; give one such as objectives.FunctionalConnectivity("
            "target), or a function of a Result."
        )
    return Function(given, getattr(given, "__name__", type(given).__name__))
