"""Bifurcations of fixed points in one parameter: functions that vanish there, and normal forms.

Works on a System, the rates of one node as a function of (*state, parameter value), scaled where
lengths and angles matter. Knows nothing of branches. Call it under `jax.enable_x64(True)`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .emit import Model

_REAL = 1e-4  # an imaginary part in the eigenvalue: beneath it, a neutral saddle
_ZERO = 1e-6  # what should vanish, in the largest of its kind
_NEWTON = 20


class BifurcationKind(StrEnum):
    """Of one parameter, at fixed points. A branch point is a transcritical one or a pitchfork."""

    FOLD = "fold"
    HOPF = "Hopf point"
    BRANCH_POINT = "branch point"


@dataclass(frozen=True, eq=False)
class System:
    """The rates of one node at u = (*state, value) in float64, and their derivatives by u.

    `linear(u)`: rates and Jacobian, (state,) and (state, state + 1). `second(u, v, w)` and
    `third(u, v, w, z)`: the derivatives along these directions.
    """

    model: Model
    rates: Callable[[Any], Any]
    linear: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    second: Callable[..., np.ndarray]
    third: Callable[..., np.ndarray]


def system_of(model: Model, parameter: str, inputs: np.ndarray, params: dict[str, Any]) -> System:
    """The System of a model whose `parameter`, or input of that name, varies."""

    def rates(u):
        given, chosen = jnp.asarray(inputs), dict(params)
        if parameter in chosen:
            chosen[parameter] = u[-1]
        else:
            given = given.at[model.inputs.index(parameter)].set(u[-1])
        return model.dfun(u[:-1], given, chosen)

    def second(u, v, w):
        return _along(_along(rates, v), w)(u)

    def third(u, v, w, z):
        return _along(_along(_along(rates, v), w), z)(u)

    linear = jax.jit(lambda u: (rates(u), jax.jacfwd(rates)(u)))
    return System(model, rates, lambda u: _numpy(linear(u)), jax.jit(second), jax.jit(third))


def _along(function, direction):
    return lambda u: jax.jvp(function, (u,), (direction,))[1]


def _numpy(values) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(values[0]), np.asarray(values[1])


def row_sizes(system: System, u: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """How large the rows of the scaled Jacobian are around u: at a branch point one may be 0."""
    with np.errstate(all="ignore"):
        around = [system.linear(u + share * scale)[1] for share in (0.0, -1e-3, 1e-3)]
        sizes = np.nan_to_num(np.abs(around) * scale, posinf=0.0).max(axis=(0, 2))
    return np.where(sizes > 0.0, sizes, 1.0)


def tangent(matrix: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The unit vector that a (state, state + 1) matrix sends to 0, turned to point as `before`.

    Where several do, at a branch point, the one nearest to `before`.
    """
    _, sizes, rows = np.linalg.svd(matrix)
    null = rows[np.append(sizes, 0.0) <= 1e-10 * sizes.max(initial=1.0)]
    found = null.T @ (null @ before)
    if not np.linalg.norm(found) > 1e-8:
        found = null[-1]
    return found / np.linalg.norm(found) * (1.0 if found @ before >= 0.0 else -1.0)


def determinant(matrix: np.ndarray, along: np.ndarray) -> float:
    """Of the Jacobian with the tangent as its last row: changes its sign at branch points."""
    return float(np.linalg.det(np.vstack([matrix, along])))


def sums(eigenvalues: np.ndarray) -> float:
    """The product of the sums of two eigenvalues, each in their sizes: 0 at Hopf points.

    And at neutral saddles, where real ones cancel.
    """
    first, second = np.triu_indices(len(eigenvalues), 1)
    one, other = eigenvalues[first], eigenvalues[second]
    size = np.abs(one) + np.abs(other)
    return float(np.prod((one + other) / np.where(size > 0.0, size, 1.0)).real)


def hopf_frequency(eigenvalues: np.ndarray) -> float | None:
    """Of a pair on the imaginary axis its imaginary part, per ms; None where there is none."""
    first, second = np.triu_indices(len(eigenvalues), 1)
    gaps = np.abs(eigenvalues[first] + eigenvalues[second])
    sizes = np.abs(eigenvalues[first]) + np.abs(eigenvalues[second])
    pair = int(np.argmin(gaps / np.where(sizes > 0.0, sizes, 1.0)))
    if gaps[pair] > _ZERO * sizes[pair]:
        return None
    one = complex(eigenvalues[first[pair]])
    return float(abs(one.imag)) if abs(one.imag) > _REAL * abs(one) else None


def is_fold(eigenvalues: np.ndarray, size: float) -> bool:
    """Whether an eigenvalue is 0, to eigenvalues of the given size."""
    return bool(np.abs(eigenvalues).min() <= _ZERO * size)


def refined_branch_point(system: System, u: np.ndarray, scale: np.ndarray) -> np.ndarray | None:
    """The branch point near u: f + b w = 0, w f' = 0, w w = 1 in u, the number b and w.

    None where there is none so near that Newton's method finds it.
    """
    size = len(u)
    matrix = system.linear(u)[1] * scale
    rows = row_sizes(system, u, scale)

    def defect(z):
        at, b, w = z[:size] * scale, z[size], z[size + 1 :]
        value, back = jax.vjp(lambda v: system.rates(v) / rows, at)
        return jnp.concatenate([value + b * w, back(w)[0] * scale, (w @ w - 1.0)[None]])

    linear = jax.jit(lambda z: (defect(z), jax.jacfwd(defect)(z)))
    weak = np.linalg.svd(matrix / rows[:, None])[0][:, -1]
    z = np.concatenate([u / scale, [0.0], weak])
    for _ in range(_NEWTON):
        value, matrix = _numpy(linear(z))
        step = np.linalg.lstsq(matrix, -value, rcond=1e-14)[0]
        z = z + step
        if not np.isfinite(z).all():
            return None
        if np.abs(step).max() < 1e-13:
            break
    near = np.abs(z[:size] - u / scale).max() < 1e-3
    still = np.abs(step).max() < 1e-8 and abs(z[size]) < 1e-8
    return z[:size] * scale if near and still else None


def other_direction(
    system: System, u: np.ndarray, along: np.ndarray, scale: np.ndarray
) -> np.ndarray | None:
    """The direction of the second branch through a branch point, a unit vector in the scale.

    From the second derivatives on the two null vectors of the Jacobian (the algebraic bifurcation
    equation). None where these do not tell two directions apart.
    """
    matrix = system.linear(u)[1] * scale
    rows = row_sizes(system, u, scale)
    left, _, right = np.linalg.svd(matrix / rows[:, None])
    weak = left[:, -1] / rows
    one, two = right[-1], right[-2]
    a, b, c = (
        float(weak @ np.asarray(system.second(u, v * scale, w * scale)))
        for v, w in ((one, one), (one, two), (two, two))
    )
    # a x^2 + 2 b x y + c y^2 = 0 for the direction x one + y two
    root = b * b - a * c
    largest = max(abs(a), abs(b), abs(c))
    if not root > 1e-12 * largest**2:
        return None
    q = -(b + (np.sqrt(root) if b >= 0.0 else -np.sqrt(root)))
    pairs = [(q, a), (c, q)]
    found = [x * one + y * two for x, y in pairs]
    found = [v / np.linalg.norm(v) for v in found]
    return min(found, key=lambda v: abs(v @ along))


def lyapunov_coefficient(system: System, u: np.ndarray, frequency: float) -> float:
    """The first Lyapunov coefficient at a Hopf point; negative: supercritical, a stable cycle.

    Of the n-dimensional form of Kuznetsov's formula (Elements of Applied Bifurcation Theory, 3.20
    in the plane, 5.34 beyond), with <q, q> = <p, q> = 1. But for its sign it depends on units.
    """
    matrix = system.linear(u)[1][:, :-1]
    identity = np.eye(len(matrix))
    q = _eigenvector(matrix, 1j * frequency)
    p = _eigenvector(matrix.T, -1j * frequency)
    p = p / np.conj(np.vdot(p, q))

    def extended(v):
        return np.append(v, 0.0)

    def second(v, w):
        parts = [[np.asarray(system.second(u, extended(x), extended(y))) for y in (w.real, w.imag)]
                 for x in (v.real, v.imag)]  # fmt: skip
        return parts[0][0] - parts[1][1] + 1j * (parts[0][1] + parts[1][0])

    def third(x, y, z):
        return np.asarray(system.third(u, extended(x), extended(y), extended(z)))

    x, y = np.real(q), np.imag(q)
    cubic = third(x, x, x) + third(x, y, y) + 1j * (third(x, x, y) + third(y, y, y))
    mean = np.linalg.solve(matrix, second(q, np.conj(q)))
    double = np.linalg.solve(2j * frequency * identity - matrix, second(q, q))
    whole = cubic - 2 * second(q, mean) + second(np.conj(q), double)
    return float(np.vdot(p, whole).real / (2 * frequency))


def _eigenvector(matrix: np.ndarray, eigenvalue: complex) -> np.ndarray:
    values, vectors = np.linalg.eig(matrix)
    found = vectors[:, np.argmin(np.abs(values - eigenvalue))]
    return found / np.linalg.norm(found)
