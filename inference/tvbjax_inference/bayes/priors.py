"""Priors of what is free: those that are given, checked, and what a support says by itself; and
priors as text, for people."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro.distributions import constraints

from tvbjax import Free, Interval, Positive, Real, Simplex, Simulator
from tvbjax.ties import Linear
from tvbjax_inference.bayes.coordinates import AbstractCoordinate

_TRUNCATED = (
    dist.LeftTruncatedDistribution,
    dist.RightTruncatedDistribution,
    dist.TwoSidedTruncatedDistribution,
)


def is_in_units(free: Free) -> bool:
    """Whether a prior is one of the leaf's own values: those of lines in maps, and of matrices of
    weights, have priors of their unbounded numbers."""
    if isinstance(free.support, Simplex):
        return True
    return free.support.elementwise and not isinstance(free.tie, Linear)


def shape_of(simulator: Simulator, free: Free) -> tuple[int, ...]:
    """The shape of the values that have a prior."""
    if isinstance(free.support, Simplex):
        return free.leaf(simulator).shape
    return free.start(simulator).shape


def default_prior(simulator: Simulator, free: Free) -> dist.Distribution:
    """What a support says: uniform in an `Interval` and over a `Simplex`; else normal about the
    present value: of a `Real` with its scale as deviation, of a `Positive` of the logarithm with
    deviation 1, and so for the unbounded numbers of all others."""
    start, shape = free.start(simulator), shape_of(simulator, free)
    if isinstance(free.support, Simplex):
        return dist.Dirichlet(jnp.ones(shape))
    if is_in_units(free) and isinstance(free.support, Interval):
        return dist.Uniform(free.support.low, free.support.high).expand(shape).to_event()
    if is_in_units(free) and isinstance(free.support, Real):
        return dist.Normal(free.support.constrain(start), free.support.scale).to_event()
    if is_in_units(free) and isinstance(free.support, Positive):
        return dist.LogNormal(start, 1.0).to_event()
    return dist.Normal(start, 1.0).to_event()


def checked_prior(
    simulator: Simulator, name: str, free: Free, prior: Any, coordinate: AbstractCoordinate | None
) -> dist.Distribution:
    """A prior that fits a free leaf: with the shape of its values, and none of them outside of the
    support. Raises `TypeError` or `ValueError`."""
    if not isinstance(prior, dist.Distribution):
        # Priors as data, those of `epilepsy.priors`, have one.
        of_data = isinstance(getattr(prior, "distribution", None), dist.Distribution)
        normal = "a distribution of numpyro, e.g. numpyro.distributions.Normal(-3.0, 1.0)"
        raise TypeError(
            f"program: the prior of '{name}' is {prior!r:.60}; give "
            f"{'its .distribution' if of_data else normal}."
        )
    shape = shape_of(simulator, free)
    found = prior.batch_shape + prior.event_shape
    try:
        fits = np.broadcast_shapes(found, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"program: the prior of '{name}' has the shape {found}, and there are values of the "
            f"shape {shape}; give one of that shape, or of one number."
        )
    if isinstance(free.support, Simplex):
        return prior
    _check_within(name, free, prior)
    if coordinate is not None and prior.support is not constraints.real:
        base = prior.support
        if getattr(base, "base_constraint", base) is not constraints.real:
            raise ValueError(
                f"program: '{name}' has a coordinate of all real numbers, and its prior is one of "
                f"{base}; give a prior without bounds, such as Normal, or leave the coordinate out."
            )
    batch = shape[: len(shape) - len(prior.event_shape)]
    return prior.expand(batch).to_event(len(batch)) if batch else prior


def prior_text(prior: dist.Distribution) -> str:
    """A distribution's name and numbers; of regional ones, from the least to the greatest."""
    while isinstance(prior, dist.Independent | dist.ExpandedDistribution):
        prior = prior.base_dist
    made_of_another = isinstance(prior, _TRUNCATED) or type(prior) is dist.TransformedDistribution
    numbers = [prior_text(prior.base_dist)] if made_of_another else []  # type: ignore[attr-defined]
    for name in prior.arg_constraints:
        values = np.asarray(getattr(prior, name), float)
        low, high = float(values.min()), float(values.max())
        numbers.append(f"{name} {low:.4g}" + (f" to {high:.4g}" if high > low else ""))
    return f"{type(prior).__name__}({', '.join(numbers)})"


def _check_within(name: str, free: Free, prior: dist.Distribution) -> None:
    """Raises `ValueError` where a prior allows what the support does not."""
    if not is_in_units(free) or isinstance(free.support, Real):
        return
    (low, high), ends = allowed(prior), _bounds(free)
    if low < ends[0] or high > ends[1]:
        raise ValueError(
            f"program: the prior of '{name}' allows values from {low:g} to {high:g}, and the "
            f"support is {free.support}; give a prior within it, e.g. a TruncatedNormal, or a "
            "wider support."
        )


def allowed(prior: dist.Distribution) -> tuple[float, float]:
    """The least and the greatest value that a prior allows."""
    support: Any = prior.support
    support = getattr(support, "base_constraint", support)
    low = getattr(support, "lower_bound", 0.0 if support is constraints.positive else -np.inf)
    high = getattr(support, "upper_bound", np.inf)
    return float(np.min(np.asarray(low))), float(np.max(np.asarray(high)))


def _bounds(free: Free) -> tuple[float, float]:
    if isinstance(free.support, Interval):
        return free.support.low, free.support.high
    return (0.0 if isinstance(free.support, Positive) else -np.inf), np.inf
