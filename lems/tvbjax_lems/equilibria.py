"""Fixed points of a rate model: many starts, Newton with the symbolic Jacobian, eigenvalues.

What a search from finitely many starts finds need not be all there is. Works in float64 throughout.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import qmc

from .algebra import symbol
from .emit import Model
from .linear import Jacobian, jacobian
from .resolve import TIME_NAME

Range = tuple[float | int, float | int]
_ITERATIONS = 80
_HALVINGS = 10
_CONVERGED = 1e-7  # the last Newton step, in widths of the region searched
_SAME = 1e-5  # of these widths
_BALANCED = 1e-9  # the derivative, in what its terms amount to over these widths
_ON_AXIS = 1e-9  # a real part, in the largest eigenvalue
_CROWD = 12


class FixedPointKind(StrEnum):
    """What the eigenvalues say of a fixed point; a focus has complex ones."""

    STABLE_NODE = "stable node"
    STABLE_FOCUS = "stable focus"
    UNSTABLE_NODE = "unstable node"
    UNSTABLE_FOCUS = "unstable focus"
    SADDLE = "saddle"
    SADDLE_FOCUS = "saddle-focus"
    NON_HYPERBOLIC = "non-hyperbolic"


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """A state at which nothing changes.

    `state`: (state,), in the model's units and order; `values`: the same by name. `eigenvalues`:
    (state,), of the Jacobian there, per ms, the largest real part first.
    """

    state: np.ndarray
    values: dict[str, float] = field(repr=False)
    eigenvalues: np.ndarray
    kind: FixedPointKind

    @property
    def stable(self) -> bool:
        """Whether small disturbances die out."""
        return self.kind in (FixedPointKind.STABLE_NODE, FixedPointKind.STABLE_FOCUS)


def fixed_points(
    model: Model,
    inputs: ArrayLike | None = None,
    bounds: Mapping[str, Range] | None = None,
    params: Mapping[str, Any] | None = None,
    *,
    starts: int = 256,
) -> tuple[FixedPoint, ...]:
    """The fixed points of one node under constant inputs, sorted by the first state variable.

    `inputs`: (input,), 0 by default. `bounds`: per state variable, the range in which to look; of
    those not given, twice the initial range, and there a point may also lie outside. `params`:
    scalars, in place of the model's. `starts`: how many Newton iterations to start, spread evenly.

    Raises ValueError for names or shapes that do not fit, and where there are no isolated fixed
    points but a whole curve of them.
    """
    values = node_params(model, params, "fixed_points")
    if isinstance(starts, bool) or not isinstance(starts, int) or starts < 1:
        raise ValueError(f"fixed_points: starts is {starts!r}; give a number of 1 or more.")
    if depends_on_time(model):
        raise ValueError(f"fixed_points: {model.name} depends on the time t, so it has none.")
    low, high = search_box(model, bounds, "fixed_points")
    given = node_inputs(model, inputs, "fixed_points")
    unit = qmc.Halton(len(low), scramble=False).random(starts)
    clamps = np.asarray(model.bounds, dtype=float)
    with jax.enable_x64(True):
        whole = jacobian(model)
        arguments = (jnp.asarray(low + unit * (high - low)), given, values)
        search = jax.jit(_search, static_argnums=0)
        found, steps, matrices, balanced = (
            np.asarray(part) for part in search(_Problem(whole, low, high, clamps), *arguments)
        )
    width = high - low
    finite = np.asarray(np.isfinite(matrices).all(axis=(1, 2)))
    matrices = np.where(finite[:, None, None], matrices, np.eye(len(width)))
    singular = np.linalg.cond(matrices * width[None, None, :]) > 1e13
    good = finite & balanced & np.isfinite(found).all(axis=1) & (singular | (steps < _CONVERGED))
    good &= _inside(model, found, bounds)
    order = np.argsort(np.where(singular, 1.0, steps), kind="stable").tolist()
    chosen = _distinct([i for i in order if good[i]], found / width)
    if sum(bool(singular[i]) for i in chosen) > _CROWD:
        raise ValueError(
            f"fixed_points: the fixed points of {model.name} are not isolated, they form a curve; "
            "hold one of its state variables (lems.hold) or change the inputs."
        )
    chosen.sort(key=lambda i: tuple(found[i]))
    return tuple(_described(model, found[i], matrices[i]) for i in chosen)


def depends_on_time(model: Model) -> bool:
    """Whether the time t is in the equations."""
    spec = model.spec
    used = {s for e in (*spec.derived, *spec.derivatives) for s in e.expression.free_symbols}
    return symbol(TIME_NAME) in used


def spectrum(matrix: np.ndarray) -> np.ndarray:
    """The eigenvalues, complex, the largest real part first."""
    eigenvalues = np.linalg.eigvals(matrix).astype(complex)
    return eigenvalues[np.lexsort((np.imag(eigenvalues), -np.real(eigenvalues)))]


def kind_of(eigenvalues: np.ndarray) -> FixedPointKind:
    """What a fixed point with these eigenvalues is."""
    size = _ON_AXIS * np.abs(eigenvalues).max(initial=0.0)
    real, imaginary = np.real(eigenvalues), np.imag(eigenvalues)
    spiral = bool((np.abs(imaginary) > size).any())
    if (np.abs(real) <= size).any():
        return FixedPointKind.NON_HYPERBOLIC
    if (real < 0.0).all():
        return FixedPointKind.STABLE_FOCUS if spiral else FixedPointKind.STABLE_NODE
    if (real > 0.0).all():
        return FixedPointKind.UNSTABLE_FOCUS if spiral else FixedPointKind.UNSTABLE_NODE
    return FixedPointKind.SADDLE_FOCUS if spiral else FixedPointKind.SADDLE


def search_box(
    model: Model, bounds: Mapping[str, Range] | None, caller: str
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends per state: as given, else twice the initial range, within the clamps."""
    given = dict(bounds or {})
    unknown = set(given) - set(model.state_variables)
    if unknown:
        raise ValueError(
            f"{caller}: {sorted(unknown)} are no state variables of {model.name}; "
            f"there are {list(model.state_variables)}."
        )
    ends = []
    for name, initial, clamp in zip(
        model.state_variables, model.initial_range, model.bounds, strict=True
    ):
        if name in given:
            low, high = ends_of(name, given[name], caller)
            if not (np.isfinite([low, high]).all() and low < high):
                raise ValueError(
                    f"{caller}: the range of {name} is {given[name]}; pass low < high."
                )
        else:
            middle, half = sum(initial) / 2, initial[1] - initial[0]
            half = half or max(1.0, abs(middle))
            low, high = max(middle - half, clamp[0]), min(middle + half, clamp[1])
        ends.append((low, high))
    low, high = np.array(ends).T
    return low, high


def ends_of(name: str, given: Any, caller: str) -> tuple[float, float]:
    """A range as two numbers. Raises ValueError for what is none."""
    try:
        low, high = (float(end) for end in given)
    except (TypeError, ValueError):
        raise ValueError(
            f"{caller}: the range of {name} is {given!r:.60}; pass (low, high)."
        ) from None
    return low, high


def node_params(model: Model, params: Mapping[str, Any] | None, caller: str) -> dict[str, Any]:
    """The parameters of one node as float64 numbers, all of them and no others.

    Raises ValueError for names that do not fit, arrays and what is not finite.
    """
    if not isinstance(model, Model):
        raise TypeError(f"{caller}: the model is {model!r:.60}; give e.g. lems.load('JansenRit').")
    given = model.params if params is None else params
    _check_names(model, given, caller)
    values = {name: np.asarray(value, float) for name, value in given.items()}
    arrays = sorted(name for name, value in values.items() if value.ndim)
    if arrays:
        raise ValueError(
            f"{caller}: the parameters {arrays} of {model.name} have a value per node; "
            "pass params with one number each, those of the node to look at."
        )
    for name, value in values.items():
        if not np.isfinite(value):
            raise ValueError(f"{caller}: the parameter {name} of {model.name} is {value}.")
    return values


def _check_names(model: Model, params: Mapping[str, Any], caller: str) -> None:
    """Raises ValueError where params lacks parameters of the model, or has others."""
    missing, unknown = set(model.params) - set(params), set(params) - set(model.params)
    if missing or unknown:
        said = [f"lacks {sorted(missing)}"] * bool(missing) + [
            f"has {sorted(unknown)}, which {model.name} does not have"
        ] * bool(unknown)
        raise ValueError(
            f"{caller}: params {' and '.join(said)}; "
            "give all, e.g. {**model.params, 'name': value}."
        )


def node_inputs(model: Model, inputs: ArrayLike | None, caller: str) -> np.ndarray:
    """The inputs of one node, (input,) in float64, 0 where none are given."""
    size = len(model.inputs)
    try:
        given = np.zeros(size) if inputs is None else np.asarray(inputs, float)
    except (TypeError, ValueError):
        given = np.full(1, np.nan)
    if given.shape != (size,) or not np.isfinite(given).all():
        raise ValueError(
            f"{caller}: inputs is {inputs!r:.60}; pass one finite number for each of "
            f"{model.inputs}."
        )
    return given


@dataclass(frozen=True, eq=False)
class _Problem:
    jacobian: Jacobian
    low: np.ndarray
    high: np.ndarray
    clamps: np.ndarray


def _search(problem: _Problem, starts, inputs, params):
    """Damped Newton from every start: states, last steps, Jacobians, and whether f is 0 there."""
    width = problem.high - problem.low
    model = problem.jacobian.model
    shrink = 0.5 ** np.arange(_HALVINGS)

    def change(state):
        return model.dfun(state, inputs, params) / width

    def step(state):
        matrix = problem.jacobian(state, inputs, params) * width[None, :] / width[:, None]
        return matrix, _solution(matrix, -change(state)) * width

    def advance(state, _):
        tried = state[None] + shrink[:, None] * step(state)[1][None]
        tried = jnp.clip(tried, problem.clamps[None, :, 0], problem.clamps[None, :, 1])
        size = jnp.linalg.norm(jax.vmap(change)(tried), axis=1)
        return tried[jnp.argmin(jnp.where(jnp.isnan(size), jnp.inf, size))], None

    def solve(state):
        state = jax.lax.scan(advance, state, length=_ITERATIONS)[0]
        matrix, last = step(state)
        balanced = jnp.abs(change(state)) <= _BALANCED * jnp.abs(matrix).sum(axis=1)
        plain = matrix * width[:, None] / width[None, :]
        return state, jnp.abs(last / width).max(), plain, balanced.all()

    return jax.vmap(solve)(starts)


def _solution(matrix, right):
    """Of matrix x = right; where the matrix is singular, a step down the sum of squares."""
    exact = jnp.linalg.solve(matrix, right)
    square = matrix.T @ matrix
    ridge = 1e-8 * jnp.trace(square) + jnp.finfo(matrix.dtype).tiny
    damped = jnp.linalg.solve(square + ridge * jnp.eye(len(right)), matrix.T @ right)
    fallback = jnp.where(jnp.isfinite(damped), damped, 0.0)
    return jnp.where(jnp.isfinite(exact).all(), exact, fallback)


def _inside(model: Model, found: np.ndarray, bounds: Mapping[str, Range] | None) -> np.ndarray:
    inside = np.ones(len(found), dtype=bool)
    for name, (low, high) in (bounds or {}).items():
        values = found[:, model.state_variables.index(name)]
        room = _SAME * (high - low)
        inside &= (values >= low - room) & (values <= high + room)
    return inside


def _distinct(order: list[int], scaled: np.ndarray) -> list[int]:
    """The first of each group of points that are the same."""
    chosen: list[int] = []
    for i in order:
        far = np.abs(scaled[chosen] - scaled[i]).max(axis=1) if chosen else np.ones(0)
        if (far > _SAME).all():
            chosen.append(i)
    return chosen


def _described(model: Model, state: np.ndarray, matrix: np.ndarray) -> FixedPoint:
    eigenvalues = spectrum(matrix)
    values = dict(zip(model.state_variables, (float(v) for v in state), strict=True))
    return FixedPoint(state, values, eigenvalues, kind_of(eigenvalues))
