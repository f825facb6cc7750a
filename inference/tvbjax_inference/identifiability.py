"""What data can tell of the free numbers: Fisher's information of what an objective compares, and
the curvature of the loss; knows no fit.

Gutenkunst et al. (2007), PLoS Computational Biology 3:e189, of directions that no data determine;
Raue et al. (2009), Bioinformatics 25:1923, of numbers that cannot be identified.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

import tvbjax
from tvbjax.arrays import check_one_key, is_key
from tvbjax.kinds import check_number
from tvbjax_inference.information import Information
from tvbjax_inference.numbers import Numbers
from tvbjax_inference.problem import AbstractProblem, Position, checked_position

Noise = ArrayLike | Mapping[str, ArrayLike]

# Derivatives along so many numbers are found side by side.
_TILE = 8
# From fewer keys a standard deviation's inverse square has no mean.
_FEWEST_KEYS = 4


def identifiability(
    problem: AbstractProblem,
    position: Mapping[str, ArrayLike],
    key: Array | None = None,
    *,
    noise: Noise | None = None,
) -> Information:
    """How well data determine each free number about a position: Fisher's information of what the
    objective compares, the simulated values y, as measured with independent normal errors:
    F = sum over values of dy/dtheta dy/dtheta^T / sd^2.

    `noise`: the errors' standard deviation in each comparison's unit, one for all, or by the names
    of `objectives.comparisons`; each a number, one for each value, or a covariance (value, value).
    None: estimated, value by value, from the spread over several keys (4 at least), which
    are then independent draws of the whole experiment. `key`: one of JAX, or several
    (`jax.random.split(key, 16)`), over which dy/dtheta is averaged.

    Only the data's part counts, no prior: standard deviations are the bounds of Cramér and Rao.
    What is compared counts, whatever its distance and its weight, unless that is 0; functions have
    no data, and do not count. With `FunctionalConnectivity` every correlation is taken as measured
    by itself, though their errors go together, which a covariance tells.

    Costs about half a simulation for every free number and key. Raises `ValueError` where nothing
    that is compared depends on what is free.
    """
    who = "identifiability"
    position = checked_position(who, problem, position)
    numbers = Numbers.of(problem)
    problem.check_differentiable()
    keys = _keys(who, key)
    several = 1 if keys is None else len(keys)
    if noise is None and several < _FEWEST_KEYS:
        raise ValueError(
            f"{who}: the measurement's noise is not known; give noise=, a standard deviation, or "
            f"{_FEWEST_KEYS} keys and more of which to take the spread: "
            "jax.random.split(key, 16)."
        )
    values, slopes, counts = _sensitivities(problem, numbers, numbers.flat(position), keys)
    if not values:
        raise ValueError(
            f"{who}: the objective compares nothing with data, a function is a loss alone; give an "
            "objective that has data, or take `uncertainty`."
        )
    rows = []
    for name in values:
        found, slope = np.asarray(values[name]), np.asarray(slopes[name]).mean(axis=0)
        told = np.flatnonzero(counts[name][0]) if name in counts else np.arange(len(slope))
        if not len(told):
            continue
        found, slope = found[:, told], slope[told]
        _check_finite(who, name, found, slope, numbers)
        sd = _spread(name, found) if noise is None else _noise_of(name, noise, values, told)
        rows.append(_whitened(name, slope, sd))
    whitened = np.concatenate(rows) if rows else np.zeros((1, len(numbers)))
    if not whitened.any():
        raise ValueError(
            f"{who}: nothing of what the objective compares ({', '.join(values)}) depends on what "
            "is free; look at its monitor, variable and duration."
        )
    _, singular, directions = np.linalg.svd(whitened, full_matrices=True)
    singular = np.pad(singular, (0, len(numbers) - len(singular)))
    how = f"noise from the spread over {several} keys" if noise is None else "the noise given"
    about = f"Fisher's information of {len(whitened)} values, {how}"
    # Eigenvalues are squares, of derivatives with the rounding errors of many steps.
    return _information(problem, position, numbers, singular**2, directions, about, 1.0)


def uncertainty(
    problem: AbstractProblem,
    position: Mapping[str, ArrayLike],
    key: Array | None = None,
    *,
    factor: float | int = 1.0,
) -> Information:
    """Laplace's approximation about a loss's minimum: normal, with the inverse of `factor` times
    the loss's Hessian for covariance, in unbounded numbers.

    `factor`: by what to multiply the loss to have minus the logarithm of the likelihood: n / 2 for
    a mean over n of squared deviations in standard deviations, as `objectives.Feature` gives.

    Raises `ValueError` where the Hessian is not positive definite, naming the direction in which
    the loss is flat or falls.
    """
    who = "uncertainty"
    check_number(f"{who}: factor", factor, above=0.0)
    position = checked_position(who, problem, position)
    numbers = Numbers.of(problem)
    matrix = factor * hessian(problem, position, key)
    eigenvalues, columns = np.linalg.eigh(matrix)
    eigenvalues, directions = eigenvalues[::-1], columns.T[::-1]
    about = f"Laplace's approximation, {factor:g} times the loss's Hessian"
    found = _information(problem, position, numbers, eigenvalues, directions, about, 0.75)
    largest = np.abs(eigenvalues).max()
    if eigenvalues[-1] <= found.resolution * largest:
        falls = eigenvalues[-1] < -found.resolution * largest
        why = (
            "the loss falls along it in both senses: this is a saddle or a maximum; fit further, "
            "and let the fit end where the gradient does"
            if falls
            else "the loss is flat along it: fix one of these numbers, add data that tell them "
            "apart, or look at identifiability()"
        )
        raise ValueError(
            f"{who}: the Hessian is not positive definite in the direction "
            f"{found.in_words(len(numbers) - 1)}, its curvature is {eigenvalues[-1]:.3g} of at "
            f"most {largest:.3g}; {why}."
        )
    return found


def hessian(
    problem: AbstractProblem, position: Mapping[str, ArrayLike], key: Array | None = None
) -> Float[np.ndarray, "number other"]:
    """The loss's second derivatives by all unbounded numbers, in the order of `Numbers.of(problem)`
    (names as they are free): forward over reverse mode, one direction after another, so that memory
    is that of one gradient and time about ten simulations a number.
    """
    position = checked_position("hessian", problem, position)
    if key is not None:
        check_one_key("hessian", key)
    problem.check_differentiable()
    numbers = Numbers.of(problem)
    found = np.asarray(_hessian(problem, numbers, numbers.flat(position), key), float)
    if not np.isfinite(found).all():
        problem.check(position, key)
        i, j = np.argwhere(~np.isfinite(found))[0]
        raise ValueError(
            f"hessian: the second derivative by {numbers.labels[i]} and {numbers.labels[j]} is no "
            "finite number; gradients that explode do that (`gradient_growth`), and roots of 0."
        )
    return (found + found.T) / 2


@eqx.filter_jit
def _hessian(problem: AbstractProblem, numbers: Numbers, flat: Array, key: Array | None):
    slope = jax.grad(lambda flat: problem.loss(numbers.position(flat), key))
    directions = jnp.eye(len(flat), dtype=flat.dtype)
    return jax.lax.map(lambda way: jax.jvp(slope, (flat,), (way,))[1], directions)


@eqx.filter_jit
def _sensitivities(problem: AbstractProblem, numbers: Numbers, flat: Array, keys: Array | None):
    """By comparison: values (key, value), their derivatives (key, value, number), and whether they
    count (key, value)."""
    count = len(flat)
    tile = min(_TILE, count)
    padded = -count % tile
    directions = jnp.eye(count + padded, count, dtype=flat.dtype).reshape(-1, tile, count)

    def alone(key):
        def compared(flat):
            several = jax.tree.map(lambda x: x[None], numbers.position(flat))
            found = problem.compared(several, key, tvbjax.Forward())
            return jax.tree.map(lambda x: x[0], (found.values, found.counts))

        def along(direction):
            return jax.jvp(compared, (flat,), (direction,), has_aux=True)

        along = jax.vmap(along, out_axes=(None, 0, None))
        values, slopes, counts = jax.lax.map(along, directions)
        values, counts = jax.tree.map(lambda x: x[0], (values, counts))
        return values, jax.tree.map(lambda x: x.reshape(-1, x.shape[-1])[:count].T, slopes), counts

    if keys is None:
        return jax.tree.map(lambda x: x[None], alone(None))
    return jax.lax.map(alone, keys)


def _information(
    problem: AbstractProblem,
    position: Position,
    numbers: Numbers,
    eigenvalues: np.ndarray,
    directions: np.ndarray,
    about: str,
    power: float,
) -> Information:
    """With all that makes unbounded numbers values. `power`: of the rounding error, relative to
    which an eigenvalue counts as 0."""
    flat = numbers.flat(position)
    supports = problem.supports()
    each = [supports[numbers.name_of(i)] for i in range(len(numbers))]
    pairs = [jax.value_and_grad(s.constrain)(x) for s, x in zip(each, flat, strict=True)]
    values, slopes = np.array(pairs, float).T
    jacobians = jax.jacfwd(lambda flat: problem.values(numbers.position(flat)))(flat)
    return Information(
        labels=numbers.labels,
        position=np.asarray(flat, float),
        values=values,
        slopes=slopes,
        ranges=np.array([_range(s, v) for s, v in zip(each, values, strict=True)]),
        eigenvalues=np.asarray(eigenvalues, float),
        directions=np.asarray(directions, float),
        jacobians={name: np.asarray(x, float) for name, x in jacobians.items()},
        resolution=float(jnp.finfo(flat.dtype).eps) ** power,
        about=about,
    )


def _range(support: tvbjax.supports.AbstractSupport, value: float) -> float:
    """What a value's standard deviation is compared with, in its unit; NaN: 1 unbounded number."""
    if isinstance(support, tvbjax.Interval):
        return support.high - support.low
    if isinstance(support, tvbjax.Positive):
        return value
    if isinstance(support, tvbjax.Real):
        return max(abs(value), support.scale)
    return np.nan


def _keys(who: str, key: Any) -> Array | None:
    """Keys along a first axis."""
    if key is None:
        return None
    if is_key(key):
        own = 0 if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else 1
        if key.ndim == own:
            return key[None]
        if key.ndim == own + 1 and len(key):
            return key
    raise TypeError(
        f"{who}: key is {key!r:.60}; give one of JAX, jax.random.key(0), or several, "
        "jax.random.split(key, 16)."
    )


def _check_finite(who: str, name: str, values: np.ndarray, slope: np.ndarray, numbers: Numbers):
    if not np.isfinite(values).all():
        place = int(np.argwhere(~np.isfinite(values))[0][-1])
        raise ValueError(
            f"{who}: value {place} of the simulated '{name}' is no finite number at this position; "
            "problem.check(position, key) says where the run diverges, if it does."
        )
    bad = np.argwhere(~np.isfinite(slope))
    if len(bad):
        raise ValueError(
            f"{who}: the derivative of '{name}' by {numbers.labels[bad[0][1]]} is no finite number "
            "though its value is; `gradient_growth` tells whether derivatives explode."
        )


def _spread(name: str, values: Float[np.ndarray, "key value"]) -> np.ndarray:
    """Standard deviations of which the inverse square is right on average: of k draws that of the
    usual one is (k - 1) / (k - 3) too large (Hartlap et al., 2007, Astron. Astrophys. 464:399)."""
    count = len(values)
    sd = values.std(axis=0, ddof=1) * np.sqrt((count - 1) / (count - 3))
    still = np.flatnonzero(~(sd > 0))
    if len(still):
        raise ValueError(
            f"identifiability: value {still[0]} of the simulated '{name}' is the same with all "
            "keys, so that its noise is not known; give noise=, e.g. that of the measurement."
        )
    return sd


def _noise_of(name: str, noise: Noise, values: Mapping[str, Array], told: np.ndarray) -> np.ndarray:
    """Of those values that count."""
    if isinstance(noise, Mapping):
        if name not in noise or not set(noise) <= set(values):
            raise ValueError(
                f"identifiability: noise is given for {', '.join(map(str, noise))}, and what is "
                f"compared is {', '.join(values)}; give the noise of each."
            )
        noise = noise[name]
    if isinstance(noise, str | bool):
        raise TypeError(
            f"identifiability: the noise of '{name}' is {noise!r:.60}; give a standard deviation."
        )
    found, count = np.asarray(noise, float), values[name].shape[-1]
    if found.shape not in ((), (count,), (count, count)):
        raise ValueError(
            f"identifiability: the noise of '{name}' has the shape {found.shape}, and there are "
            f"{count} values; give a standard deviation, {count} of them, or a covariance."
        )
    if found.ndim < 2 and not ((found > 0) & np.isfinite(found)).all():
        raise ValueError(
            f"identifiability: the noise of '{name}' is {found.ravel()[0]:g} or another number "
            "that is no standard deviation; give numbers above 0."
        )
    if found.ndim < 2:
        return np.broadcast_to(found, count)[told]
    skew = np.abs(found - found.T)
    if not skew.max() <= 1e-6 * np.abs(found).max():
        i, j = np.unravel_index(np.nanargmax(np.where(np.isnan(skew), np.inf, skew)), skew.shape)
        raise ValueError(
            f"identifiability: the noise of '{name}' has {found[i, j]:g} at [{i}, {j}] and "
            f"{found[j, i]:g} at [{j}, {i}]; a covariance is symmetric and finite."
        )
    return found[np.ix_(told, told)]


def _whitened(name: str, slope: Float[np.ndarray, "value number"], noise: np.ndarray):
    """The derivatives of values whose errors are independent and of deviation 1."""
    if noise.ndim < 2:
        return slope / noise[:, None]
    try:
        return np.linalg.solve(np.linalg.cholesky(noise), slope)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"identifiability: the noise of '{name}' is no covariance: it is not positive definite."
        ) from None
