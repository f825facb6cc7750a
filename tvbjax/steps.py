"""Times in whole steps."""

import numpy as np


def steps_of(time: float, dt: float, where: str) -> int:
    """`time / dt` where that is a whole number >= 1, up to a millionth of it; else an error that
    names the neighbours. `where`: what it is the time of, as `"Bold: the period"`."""
    if not time > 0 or not np.isfinite(time):
        raise ValueError(f"{where} is {time!r} ms; give a positive multiple of dt.")
    ratio = time / dt
    if ratio >= 2**31:
        raise ValueError(f"{where} of {time:g} ms has more steps than can be counted.")
    steps = round(ratio)
    if steps < 1 or abs(ratio - steps) > 1e-6 * max(1.0, ratio):
        below, above = max(1, int(np.floor(ratio))), max(1, int(np.ceil(ratio)))
        near = " or ".join(f"{n * dt:.10g}" for n in sorted({below, above}))
        raise ValueError(
            f"{where} {time:.10g} ms is no multiple of dt = {dt:.10g} ms; "
            f"the nearest are {near} ms."
        )
    return steps


def part_of(whole: int, most: int) -> int:
    """How many of `whole` to take at once, at most `most`: if possible a divisor, so that all parts
    are alike and one program serves them, unless that is much less than could be taken."""
    most = min(most, whole)
    return next((size for size in range(most, most // 2, -1) if whole % size == 0), most)
