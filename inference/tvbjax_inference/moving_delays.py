"""Delays that change with what is free: which leaves change them, and a simulator laid out for all
that may come up."""

import itertools

import jax.numpy as jnp
import numpy as np

from tvbjax import Free, Simulator
from tvbjax.connections import delays_of, fitted, with_layout
from tvbjax.delays import Nearest

_NEARLY_0 = 1e-9

# As good as infinite for a logistic function, and finite for an exponential one.
_FAR = 40.0


def moving(simulator: Simulator, free: tuple[Free, ...], names) -> list[tuple[str, Free]]:
    """What changes delays."""
    found = []
    for name, one in zip(names, free, strict=True):
        path = one.path(simulator)
        if path[0].name == "connectome" and path[1].name in ("speed", "tract_lengths"):
            found.append((name, one))
    return found


def laid_out(simulator: Simulator, free: tuple[Free, ...], names) -> Simulator:
    """Laid out for all delays that may come up."""
    moved = moving(simulator, free, names)
    if not moved:
        return fitted(simulator)
    for name, one in moved:
        _check_delays_known(simulator, name, one)
    # The longest delay is the greatest length at the least speed: every end with every other's.
    delays = []
    for ends in itertools.product((-_FAR, _FAR), repeat=len(moved)):
        other = simulator
        for end, (_, one) in zip(ends, moved, strict=True):
            other = one.put(other, jnp.full_like(one.start(simulator), end))
        delays.append(delays_of(other))
    least, greatest = np.min(delays, axis=0), np.max(delays, axis=0)
    if greatest.max(initial=0) >= simulator.horizon:
        smooth = isinstance(simulator.delays, Nearest)
        raise ValueError(
            f"Problem: delays of {', '.join(n for n, _ in moved)} reach "
            f"{int(greatest.max(initial=0))} steps, and the simulator keeps a history of "
            f"{simulator.horizon}; build it with horizon={int(greatest.max(initial=0)) + 1}"
            + (", and for gradients with delays=tvbjax.delays.Linear()." if smooth else ".")
        )
    return with_layout(simulator, least, greatest)


def _check_delays_known(simulator: Simulator, name: str, one: Free) -> None:
    """Raises `ValueError` where a speed or a length may be anything."""
    numbers = one.start(simulator)
    ends = [np.asarray(one.values(simulator, jnp.full_like(numbers, e))) for e in (-_FAR, _FAR)]
    speed = one.path(simulator)[1].name == "speed"
    low, high = min(end.min() for end in ends), max(end.max() for end in ends)
    # What has no bound is beyond all speeds and lengths there.
    if (_NEARLY_0 < low if speed else 0 <= low) and high < 1 / _NEARLY_0:
        return
    what = "a speed is above 0" if speed else "a length is 0 or more"
    raise ValueError(
        f"Problem: the delays of all values of '{name}' must be known, and {what}; give it an "
        f"Interval of what may come up, not {one.support}."
    )
