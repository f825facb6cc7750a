"""Which connections a simulator runs with: their delays, the history they need, their layout.

A simulator is laid out when it is built, and anew where its connectome's leaves were replaced.
"""

from typing import TYPE_CHECKING

import equinox as eqx
import numpy as np
from jax.core import Tracer

from tvbjax.arrays import is_traced
from tvbjax.engine import Layout, Needs, channels, laid_out, layout_of, taps_of, windows_of

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator

# Steps that are taken together; or with that, steps for which the far connections are summed.
Block = int | tuple[int, int]


def concrete(name: str, value):
    """A leaf of the connectome that must be known. Raises `TypeError` where it is traced."""
    if isinstance(value, Tracer):
        raise TypeError(
            f"Simulator: {name} is traced, and the connections that exist must be known; build the "
            "Simulator outside of jit, grad and vmap, and replace its leaves inside (eqx.tree_at)."
        )
    return value


def checked_block(block: Block | None) -> Block | None:
    """The block, if it can be one."""
    if block is None:
        return None
    steps, reach = block if isinstance(block, tuple) and len(block) == 2 else (block, block)
    for number in (steps, reach):
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 1024:
            raise ValueError(
                f"Simulator: block is {block!r}; give a number of steps, 1 to 1024, or two: those "
                "of a block, and those for which the far connections are summed."
            )
    if reach % steps:
        raise ValueError(
            f"Simulator: block is {block!r}; the second number must be a multiple of the first."
        )
    return block


def horizon_of(simulator: "Simulator", horizon: int | None) -> int:
    """One more than the longest delay of an edge, or what the user asks for if that is more."""
    dt = simulator.integrator.dt
    least, greatest = range_of(simulator)
    if least.min(initial=0) < 0 or greatest.min(initial=0) < 0:
        raise ValueError(
            "Simulator: a delay is NaN, negative or endless; look at the connectome's "
            "tract_lengths (mm, >= 0) and speed (mm/ms, > 0)."
        )
    if horizon is not None and (not isinstance(horizon, int) or horizon < 1):
        raise ValueError(f"Simulator: horizon is {horizon!r}; give a number of steps, at least 1.")
    needed = int(greatest.max(initial=0)) + 1
    if horizon is not None and horizon < needed:
        raise ValueError(
            f"Simulator: horizon is {horizon} steps and the longest delay is {needed - 1} steps of "
            f"{dt:g} ms; give at least {needed}, or none to have it chosen."
        )
    return needed if horizon is None else horizon


def delays_of(simulator: "Simulator", factor: float = 1.0, **leaves) -> np.ndarray:
    """How many steps back every tap of every connection reads, -1 where there is no such delay.

    `factor`: of the delays. `leaves`: `tract_lengths` and `speed` other than the connectome's.
    """
    connectome = simulator.connectome
    lengths = leaves.get("tract_lengths", connectome.tract_lengths)
    speed = leaves.get("speed", connectome.speed)
    lengths = np.asarray(concrete("connectome.tract_lengths", lengths))
    speed = np.asarray(concrete("connectome.speed", speed))
    return np.asarray(taps_of(simulator, lengths, speed, factor)[0])


def range_of(simulator: "Simulator", **leaves) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest of what `delays_of` may be where delays are traced."""
    room = simulator.delays.room
    if room == 1.0:
        delays = delays_of(simulator, **leaves)
        return delays, delays
    return delays_of(simulator, 1.0 / room, **leaves), delays_of(simulator, room, **leaves)


def needs_of(simulator: "Simulator", least: np.ndarray, greatest: np.ndarray) -> Needs:
    """What a simulator asks of its layout, for delays in a range."""
    summed, paired = channels(simulator)
    return Needs(
        least,
        greatest,
        simulator.delays.taps,
        simulator.horizon,
        simulator.integrator.ahead,
        paired > 0,
        windows_of(simulator),
        summed + paired,
    )


def layout_for(simulator: "Simulator", least: np.ndarray, greatest: np.ndarray) -> Layout:
    """The simulator's layout for delays in a range."""
    needs, edges = needs_of(simulator, least, greatest), simulator.edges
    edges = edges.repeated(simulator.delays.taps)
    if simulator.block is None:
        return laid_out(edges, needs)
    steps, reach = np.broadcast_to(simulator.block, 2).tolist()
    return layout_of(edges, needs, steps, reach)


def with_layout(simulator: "Simulator", least: np.ndarray, greatest: np.ndarray) -> "Simulator":
    """The simulator laid out for delays in a range."""
    return eqx.tree_at(lambda s: s.layout, simulator, layout_for(simulator, least, greatest))


def fitted(simulator: "Simulator") -> "Simulator":
    """The simulator, laid out anew where the delays of its connectome have been replaced.

    Raises `ValueError` where the connectome no longer fits the connections or the history.
    """
    check_connections(simulator)
    if is_traced(simulator.connectome):
        return simulator  # the engine then checks when it runs
    delays = delays_of(simulator)
    if simulator.layout.holds(delays, simulator.integrator.ahead):
        return simulator
    least, greatest = range_of(simulator)
    return with_layout(simulator, least, np.minimum(greatest, simulator.horizon - 1))


def check_connections(simulator: "Simulator") -> None:
    """That the leaves of the connectome still fit the edges and the history, as far as known.

    They may have been replaced since the simulator was built; raises `ValueError`.
    """
    connectome = simulator.connectome
    if is_traced(connectome):
        return  # the engine then checks when it runs
    delays = delays_of(simulator)
    longest = int(np.max(delays, initial=0))
    if int(np.min(delays, initial=0)) < 0:
        raise ValueError(
            "simulate: a delay is NaN, negative or endless; look at the connectome's tract_lengths "
            "(mm, >= 0) and speed (mm/ms, > 0)."
        )
    if longest >= simulator.horizon:
        raise ValueError(
            f"simulate: a delay of {longest} steps exceeds the history of {simulator.horizon} "
            "steps; build the Simulator with the slowest speed or the longest tracts, or give it "
            "horizon=."
        )
    weights = np.asarray(connectome.weights)
    known = np.zeros(weights.shape, bool)
    known[np.asarray(simulator.edges.targets), np.asarray(simulator.edges.sources)] = True
    new = np.argwhere((weights != 0) & ~known)
    if new.size:
        target, source = (connectome.labels[i] for i in new[0])
        raise ValueError(
            f"simulate: the connection from {source} to {target} was not there when the Simulator "
            "was built; build it from a connectome in which every connection that may vary is not "
            "zero."
        )
