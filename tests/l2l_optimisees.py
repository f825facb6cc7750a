"""Functions to search, good and bad, which worker processes import: so they import little."""

import os
import signal
import sys
import time

import numpy as np


def bowl(values, seed):
    """Least at (0.5, -1)."""
    return (values["x"] - 0.5) ** 2 + (values["y"] + 1.0) ** 2


def noisy_bowl(values, seed):
    """With noise that its seed decides."""
    return bowl(values, seed) + 1e-3 * np.random.default_rng(seed).normal()


def of_all_ends(values, seed):
    """Each end by chance, which the seed decides."""
    kind = seed % 10
    if kind == 0:
        raise ValueError("it broke")
    if kind == 1:
        print("last words", flush=True)
        os._exit(3)
    if kind == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == 3:
        time.sleep(600)
    if kind == 4:
        return float("nan")
    if kind == 5:
        return [1.0, 2.0]
    if kind == 6:
        sys.exit(4)
    return {"loss": bowl(values, seed), "more": {"kind": kind, "row": np.arange(3)}}


# By the last digit of the seed.
ENDS = {
    0: "raised",
    1: "exited",
    2: "killed",
    3: "timeout",
    4: "nan",
    5: "invalid",
    6: "exited",
}
