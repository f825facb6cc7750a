"""Populations of cells, and projections between them: what a spiking network is made of."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax.arrays import as_floats, check_finite
from tvbjax.kinds import check_count, check_kind
from tvbjax.spiking.connectivity import AbstractConnectivity, AllToAll, Pairs
from tvbjax_lems import AbstractFlatMethod, Cell, ExponentialEuler

Drawn = Callable[[np.random.Generator, int], Any]


def _initial(given: Any) -> dict[str, Array]:
    if not isinstance(given, Mapping):
        raise TypeError(
            f"Population: initial is {given!r:.60}; give a mapping from state to value."
        )
    return {name: as_floats(value) for name, value in given.items()}


class Population(eqx.Module):
    """`size` cells of one kind.

    `initial`: states at t = 0 other than the file's, as {"v": values}, one or one per cell; those
    of synapses are called `synapse/state`. `method`: how the equations are integrated between
    spikes, `lems.Exact()` for linear ones; by default `lems.ExponentialEuler()`.
    Parameters are those of `cell.params`: each one number, or one per cell.
    """

    cell: Cell
    size: int = eqx.field(static=True)
    initial: dict[str, Float[Array, "*cell"]] = eqx.field(converter=_initial)
    method: AbstractFlatMethod

    def __init__(
        self,
        cell: Cell,
        size: int,
        *,
        initial: Mapping[str, Any] | None = None,
        method: AbstractFlatMethod | None = None,
    ):
        check_kind("Population: cell", cell, Cell, "lems.load_cell('LifDelta')")
        check_count("Population: size", size)
        method = ExponentialEuler() if method is None else method
        check_kind("Population: method", method, AbstractFlatMethod, "tvbjax.lems.Exact()")
        self.cell, self.size = cell, int(size)
        self.initial, self.method = _initial(initial or {}), method
        for name, value in self.initial.items():
            if name not in cell.states:
                raise ValueError(
                    f"Population: {cell.name} has no state '{name}'; it has "
                    f"{', '.join(cell.states)}."
                )
            _check_shape(f"Population: initial '{name}'", value, self.size)
        for path, own in cell.params.items():
            for name, value in own.items():
                _check_shape(f"Population: parameter '{name}' of '{path}'", value, self.size)


def _check_shape(what: str, value: Array, size: int) -> None:
    if value.shape not in ((), (size,)):
        raise ValueError(
            f"{what} has the shape {value.shape}; give one number, or one for each of {size} cells."
        )
    check_finite(what, value)


def check_known(who: str, name: object, populations: Mapping[str, Population]) -> None:
    """Raises where `name` is not that of a population."""
    check_kind(f"{who}: a population", name, str, "its name, 'E'")
    if name not in populations:
        raise ValueError(
            f"{who}: there is no population '{name}'; there are {', '.join(populations)}."
        )


def _milliseconds(delay: Any) -> np.ndarray:
    found = np.asarray(delay)
    if found.dtype.kind not in "iuf":
        raise TypeError(f"Projection: delay is {delay!r:.60}; give a number of ms, or several.")
    return found.astype(float)


class Projection(eqx.Module):
    """Connections from one population to another, by their names in the network.

    `weight`: in the unit of the receptor's Property; one, one per connection (in the order of
    `Explicit`), or a function of a numpy Generator and a number that draws so many. `delay`: ms,
    likewise; rounded to steps, of which there must be one. `receptor`: where the spikes arrive;
    None where the target has one receptor.
    """

    source: str = eqx.field(static=True)
    target: str = eqx.field(static=True)
    connectivity: AbstractConnectivity
    weight: Float[Array, "*connection"] | Drawn
    delay: np.ndarray | Drawn
    receptor: str | None = eqx.field(static=True)

    def __init__(
        self,
        source: str,
        target: str,
        connectivity: AbstractConnectivity,
        *,
        weight: Any,
        delay: Any,
        receptor: str | None = None,
    ):
        check_kind(
            "Projection: connectivity", connectivity, AbstractConnectivity, "FixedInDegree(100)"
        )
        for what, end in (("source", source), ("target", target)):
            check_kind(f"Projection: {what}", end, str, "a population's name, 'E'")
        self.source, self.target, self.receptor = source, target, receptor
        self.connectivity = connectivity
        self.weight = weight if callable(weight) else as_floats(weight)
        self.delay = delay if callable(delay) else _milliseconds(delay)

    @property
    def draws(self) -> bool:
        """Whether anything of it is drawn at random."""
        return self.connectivity.draws or callable(self.weight) or callable(self.delay)

    @property
    def alike(self) -> bool:
        """Whether every pair is connected in one way, so that the connections need no list."""
        given = (self.weight, self.delay)
        single = not any(callable(x) or np.ndim(x) for x in given)
        return single and isinstance(self.connectivity, AllToAll)

    def drawn(
        self, rng: np.random.Generator, name: str, sizes: tuple[int, int], same: bool, dt: float
    ) -> tuple[Pairs, Float[Array, "*connection"], np.ndarray]:
        """The connections, their weights, and their delays in steps. Raises ValueError."""
        pairs = self.connectivity.pairs(rng, *sizes, same)
        return pairs, *self.laid(rng, name, len(pairs), dt)

    def laid(
        self, rng: np.random.Generator, name: str, count: int, dt: float
    ) -> tuple[Float[Array, "*connection"], np.ndarray]:
        """The weights of so many connections, and their delays in steps. Raises ValueError."""
        weight = self.weight
        if callable(weight):
            weight = as_floats(weight(rng, count))
        delay = self.delay(rng, count) if callable(self.delay) else self.delay
        delay = np.asarray(delay, float)
        for what, value in (("weight", weight), ("delay", delay)):
            if jnp.shape(value) not in ((), (count,)):
                raise ValueError(
                    f"Network: the {what} of '{name}' has the shape {jnp.shape(value)}; give one, "
                    f"or one for each of {count} connections."
                )
            check_finite(f"Network: the {what} of '{name}'", value)
        steps = np.rint(delay / dt)
        if steps.size and steps.min() < 1:
            raise ValueError(
                f"Network: a delay of '{name}' is {delay.min():g} ms, less than a step of {dt:g} "
                f"ms; a spike takes at least one step. Give at least {dt:g} ms, or a smaller dt."
            )
        if steps.size and steps.max() > 10_000_000:
            raise ValueError(
                f"Network: a delay of '{name}' is {delay.max():g} ms: too long to keep."
            )
        return weight, np.asarray(steps, np.int32)
