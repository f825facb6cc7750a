"""Optuna's samplers on a history of arrays: the study is made anew whenever it is asked.

So a state on disk is enough to go on with the same numbers. Akiba, Sano, Yanase, Ohta & Koyama
(2019), Proc. KDD 25:2623.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int

from tvbjax_inference.l2l.dimensions import AbstractDimension, Categorical, Integer, mirrored
from tvbjax_inference.l2l.space import Space


class History(eqx.Module):
    """All that was told, which grows, and is therefore NumPy's: JAX would compile every length.

    `parameters`: what Optuna calls the candidates. `generations`: which of the sampler's each
    belongs to, and `asked` those of the candidates that were asked for; `parents`: who those
    descend from.
    """

    coordinates: Float[np.ndarray | Array, "told width"]
    parameters: Float[np.ndarray | Array, "told element"]
    losses: Float[np.ndarray | Array, "told objective"]
    generations: Int[np.ndarray | Array, " told"]
    asked: Int[np.ndarray | Array, " candidate"]
    parents: Int[np.ndarray | Array, " parent"]


def empty(space: Space, size: int, objectives: int, dtype: Any) -> History:
    """Nothing told yet."""
    none = np.zeros(0, np.int32)
    return History(
        coordinates=np.zeros((0, space.width), dtype),
        parameters=np.zeros((0, space.size), dtype),
        losses=np.zeros((0, objectives), dtype),
        generations=none,
        asked=np.zeros(size, np.int32),
        parents=none,
    )


def grown(
    space: Space,
    history: History,
    candidates: Float[Array, "candidate width"],
    losses: Float[Array, "candidate objective"],
) -> History:
    """The history with what came of the candidates that were asked for."""

    def longer(old, new):
        return np.concatenate([np.asarray(old), np.asarray(new, old.dtype)])

    return History(
        coordinates=longer(history.coordinates, candidates),
        parameters=longer(history.parameters, _parameters(space, candidates)),
        losses=longer(history.losses, losses),
        generations=longer(history.generations, history.asked),
        asked=history.asked,
        parents=history.parents,
    )


def asked(
    who: str, space: Space, history: History, sampler: Any, size: int
) -> tuple[Float[Array, "candidate width"], History]:
    """The sampler's next candidates, and the history that knows their generation."""
    optuna = optuna_of(who)
    distributions = _distributions(optuna, space)
    with _quiet(optuna):
        directions = ["minimize"] * history.losses.shape[1]
        study = optuna.create_study(sampler=sampler, directions=directions)
        study.add_trials(_trials(optuna, history, distributions, sampler))
        ages = _remember_parents(study, history, sampler)
        trials = [study.ask(distributions) for _ in range(size)]
    candidates = np.stack([_coordinates(space, trial.params) for trial in trials])
    generations, parents = history.asked, history.parents
    if ages is not None:
        found = [trial.system_attrs[ages] for trial in study.get_trials(deepcopy=False)[-size:]]
        generations = np.asarray(found, np.int32)
        kin = sampler.get_parent_population(study, found[0])
        parents = np.asarray([trial.number for trial in kin], np.int32)
    history = eqx.tree_at(lambda h: (h.asked, h.parents), history, (generations, parents))
    return jnp.asarray(candidates, history.coordinates.dtype), history


def seed(key: Array) -> int:
    """A sampler's seed by a key of JAX."""
    return int(jr.bits(key, (), jnp.uint32))


def optuna_of(who: str) -> Any:
    """The package. Raises `ImportError` where it is not installed."""
    try:
        import optuna  # type: ignore[import-not-found]
    except ImportError:
        raise ImportError(f"{who} needs optuna; install it: pip install 'tvbjax[l2l]'.") from None
    return optuna


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Every new study would be logged, and there is one at every ask."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _elements(space: Space) -> list[tuple[str, AbstractDimension]]:
    return [
        (f"{name}/{number}", dimension)
        for name, dimension in space.dimensions
        for number in range(dimension.size)
    ]


def _distributions(optuna: Any, space: Space) -> dict[str, Any]:
    def one(dimension):
        kinds = optuna.distributions
        if isinstance(dimension, Categorical):
            return kinds.CategoricalDistribution(tuple(range(dimension.each)))
        if isinstance(dimension, Integer):
            return kinds.IntDistribution(dimension.low, dimension.high, log=dimension.log)
        # What has no end by its share of the first normal distribution.
        return kinds.FloatDistribution(0.0, 1.0)

    return {name: one(dimension) for name, dimension in _elements(space)}


def _trials(optuna: Any, history: History, distributions: Any, sampler: Any) -> list:
    key = _generation_key(sampler)
    rows = np.asarray(history.parameters).tolist()
    losses, ages = np.asarray(history.losses), np.asarray(history.generations)
    states, real = optuna.trial.TrialState, optuna.distributions.FloatDistribution

    def named(row):
        return {
            name: value if isinstance(kind, real) else int(value)
            for (name, kind), value in zip(distributions.items(), row, strict=True)
        }

    return [
        optuna.trial.create_trial(
            state=states.COMPLETE if (fine := bool(np.isfinite(values).all())) else states.FAIL,
            values=values.tolist() if fine else None,
            params=named(row),
            distributions=distributions,
            system_attrs={key: int(age)} if key else {},
        )
        for row, values, age in zip(rows, losses, ages, strict=True)
    ]


def _generation_key(sampler: Any) -> str | None:
    """Where a genetic sampler writes which generation a trial belongs to."""
    return getattr(sampler, "_GENERATION_KEY", None)


def _remember_parents(study: Any, history: History, sampler: Any) -> str | None:
    """Tell a genetic sampler the last generation's parents, which it would else find from those
    before, back to the first."""
    key = _generation_key(sampler)
    if key is not None and len(history.generations):
        place = f"{sampler._PARENT_CACHE_KEY_PREFIX}{int(history.generations[-1])}"
        numbers = np.asarray(history.parents).tolist()
        trials = study.get_trials(deepcopy=False)
        identities = [trials[number]._trial_id for number in numbers]
        study._storage.set_study_system_attr(study._study_id, place, identities)
    return key


def _parameters(
    space: Space, coordinates: Float[Array, "candidate width"]
) -> Float[np.ndarray, "candidate element"]:
    """Optuna's parameters of every candidate."""
    from scipy.stats import norm

    columns, first = [], 0
    for _, dimension in space.dimensions:
        part = coordinates[:, first : first + dimension.width]
        first += dimension.width
        if isinstance(dimension, Categorical | Integer):
            column = np.asarray(dimension.decode(part)).reshape(len(part), dimension.size)
        elif dimension.bounded:
            column = np.asarray(mirrored(part))
        else:
            column = norm.cdf(np.asarray(part, float))
        columns.append(column.astype(float))
    return np.concatenate(columns, axis=1)


def _coordinates(space: Space, parameters: dict[str, Any]) -> np.ndarray:
    """Coordinates of one candidate of Optuna's."""
    parts = []
    for name, dimension in space.dimensions:
        values = np.array([parameters[f"{name}/{number}"] for number in range(dimension.size)])
        if isinstance(dimension, Categorical):
            parts.append(np.eye(dimension.each)[values].ravel())
        elif isinstance(dimension, Integer):
            parts.append(dimension.encode(values.reshape(dimension.shape)))
        else:
            parts.append(dimension.spread(values))
    return np.concatenate(parts)
