"""What the peers of the optimisers of l2l are given, and how they report it.

`xp` is NumPy or JAX's: the functions are those of `tvbjax.l2l.functions` of the same names.
"""

import json
import sys
from typing import Any

import numpy as np


def read() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The numbers of the benchmark, and starts, optima and rotation as arrays."""
    with np.load(sys.argv[1]) as stored:
        return json.loads(sys.argv[2]), dict(stored)


def function(xp, name: str, rotation: np.ndarray):
    """Of one point."""

    def powers(x, exponent):
        return exponent ** (xp.arange(len(x)) / (len(x) - 1))

    return {
        "sphere": lambda x: xp.sum(x**2),
        "ellipsoid": lambda x: xp.sum(powers(x, 1e6) * x**2),
        "rotated ellipsoid": lambda x: xp.sum(powers(x, 1e6) * (xp.asarray(rotation) @ x) ** 2),
        "discus": lambda x: 1e6 * x[0] ** 2 + xp.sum(x[1:] ** 2),
        "bent cigar": lambda x: x[0] ** 2 + 1e6 * xp.sum(x[1:] ** 2),
        "Rosenbrock": lambda x: xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2),
        "Ackley": lambda x: (
            20
            + np.e
            - 20 * xp.exp(-0.2 * xp.sqrt(xp.mean(x**2)))
            - xp.exp(xp.mean(xp.cos(2 * np.pi * x)))
        ),
        "Rastrigin": lambda x: xp.sum(x**2 + 10 - 10 * xp.cos(2 * np.pi * x)),
    }[name]


def row(name: str, function: str, least, size: int, target: float, budget: int) -> dict[str, Any]:
    """`least[seed, generation]`: the least loss until then."""
    hits = [np.flatnonzero(np.asarray(one) <= target) for one in least]
    return {
        "optimiser": name,
        "function": function,
        "evaluations": [int(size * (hit[0] + 1)) if len(hit) else None for hit in hits],
        "least": [float(one[-1]) for one in least],
        "budget": budget,
    }
