"""Curves along which a function of the plane is 0: marching squares, each crossing by bisection."""

from collections.abc import Callable

import numpy as np

Function = Callable[[np.ndarray, np.ndarray], np.ndarray]
_HALVINGS = 50
_RESIDUE = 1e-3


def zero_contours(function: Function, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """The curves, each (point, 2), on which `function(x, y)` is 0; elementwise, any shape.

    `x`, `y`: the lines of the grid, ascending. A curve that fits between the lines is missed.
    Crossings at jumps and poles, where there is no 0, are left out.
    """
    values = np.asarray(function(*np.meshgrid(x, y, indexing="ij")))
    across, across_at = _crossings(function, values, x, y, along=0)
    up, up_at = _crossings(function, values, x, y, along=1)
    points = np.concatenate([across_at, up_at])
    middle = np.asarray(
        function(*np.meshgrid((x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2, indexing="ij"))
    )
    up = np.where(up >= 0, up + len(across_at), -1)
    links: dict[int, list[int]] = {}
    touched = (across[:, :-1] >= 0) | (across[:, 1:] >= 0) | (up[:-1] >= 0) | (up[1:] >= 0)
    for i, j in np.argwhere(touched):
        sides = (across[i, j], up[i + 1, j], across[i, j + 1], up[i, j])
        alike = (middle[i, j] >= 0) == (values[i, j] >= 0)
        for a, b in _pairs([int(side) for side in sides], bool(alike)):
            links.setdefault(a, []).append(b)
            links.setdefault(b, []).append(a)
    return tuple(points[chain] for chain in _chains(links))


def _crossings(
    function: Function, values: np.ndarray, x: np.ndarray, y: np.ndarray, along: int
) -> tuple[np.ndarray, np.ndarray]:
    """Per edge of the grid along one axis the number of its crossing, -1 without; their places."""
    first = values[:-1] if along == 0 else values[:, :-1]
    second = values[1:] if along == 0 else values[:, 1:]
    changes = ((first >= 0) != (second >= 0)) & np.isfinite(first) & np.isfinite(second)
    i, j = np.nonzero(changes)
    low = np.stack([x[i], y[j]])
    high = np.stack([x[i + 1], y[j]] if along == 0 else [x[i], y[j + 1]])
    sign = first[i, j] >= 0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        same = (np.asarray(function(*middle)) >= 0) == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    places = (low + high) / 2
    largest = np.maximum(np.abs(first[i, j]), np.abs(second[i, j]))
    real = np.abs(np.asarray(function(*places))) <= _RESIDUE * largest
    numbers = np.full(first.shape, -1)
    numbers[i[real], j[real]] = np.arange(real.sum())
    return numbers, places[:, real].T


def _pairs(sides: list[int], alike: bool) -> list[tuple[int, int]]:
    """Which crossings of a cell's sides (bottom, right, top, left) one curve joins.

    Of four, by the middle: `alike` says that it has the sign of the lower left corner.
    """
    present = [side for side in sides if side >= 0]
    if len(present) == 2:
        return [(present[0], present[1])]
    if len(present) == 4:
        bottom, right, top, left = sides
        return [(bottom, right), (top, left)] if alike else [(bottom, left), (right, top)]
    return []


def _chains(links: dict[int, list[int]]) -> list[list[int]]:
    """The links as paths; closed ones end where they begin."""
    chains, seen = [], set()
    ends = [point for point, others in links.items() if len(others) == 1]
    for start in [*ends, *links]:
        if start in seen:
            continue
        chain = [start]
        seen.add(start)
        while following := [p for p in links[chain[-1]] if p not in seen]:
            chain.append(following[0])
            seen.add(following[0])
        if len(chain) > 2 and start in links[chain[-1]] and start not in ends:
            chain.append(start)
        chains.append(chain)
    return chains
