"""The values between which colours run, and whether they diverge about 0; knows no drawing."""

import numpy as np

_BOTH_SIGNS = 1 / 3  # of the larger side: from there on colours diverge


def colour_limits(
    values: np.ndarray, limits: tuple[float | int, float | int] | None, who: str
) -> tuple[float, float, bool]:
    """Low, high, and whether colours diverge; NaN does not count.

    `limits` as given, else all but the outermost 1 % of values at each end, made symmetric where
    both signs are about as large. Raises ValueError, in the name of `who`.
    """
    if limits is not None:
        low, high = (float(part) for part in limits)
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(f"{who}: limits is {limits}; pass two numbers, the smaller first.")
        return low, high, low == -high
    if np.isnan(values).all():
        return 0.0, 1.0, False
    low, high = (float(part) for part in np.nanpercentile(values, [1, 99]))
    if low == high:
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
    largest = max(-low, high)
    if low < 0 < high and min(-low, high) > _BOTH_SIGNS * largest:
        return -largest, largest, True
    return low, high, False
