"""Any algorithm of evosax as an optimiser.

Lange (2022), evosax: JAX-based evolution strategies, arXiv:2212.04180.
"""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.optimiser import AbstractOptimiser


class _State(eqx.Module):
    algorithm: Any
    start: Float[Array, " width"]
    told: Int[Array, ""]
    broken: Bool[Array, ""]


class Evosax(AbstractOptimiser):
    """An algorithm of evosax 0.3: `Evosax(evosax.algorithms.CMA_ES, size=16)`.

    `algorithm`: its class. `size`: candidates in a generation. `parameters`: the algorithm's, in
    place of its defaults: `Evosax.defaults(algorithm, size, space)` changed by `replace`. It sees
    coordinates about the start in units of the space's deviations. One that begins with a
    population of known losses gets draws of those deviations. evosax has no guard against its own
    numerical collapse: a state that would not be of numbers any more is not taken, and the search
    ends.
    """

    algorithm: type = eqx.field(static=True)
    size: int = eqx.field(static=True, default=32)
    parameters: Any = None

    stops_when = "its state is no longer of finite numbers"

    def __check_init__(self):
        check_count("Evosax: size", self.size, 2)
        if not (isinstance(self.algorithm, type) and hasattr(self.algorithm, "default_params")):
            raise TypeError(
                f"Evosax: algorithm is {self.algorithm!r:.60}; give a class of evosax.algorithms, "
                "e.g. CMA_ES; evosax is installed by pip install 'tvbjax[evosax]'."
            )

    @staticmethod
    def defaults(algorithm: type, size: int, space: Any) -> Any:
        """The algorithm's own parameters, to change and hand in."""
        with _lenient():
            return _made(algorithm, size, space.width, jnp.result_type(float)).default_params

    def population(self, space):
        return self.size

    def begin(self, space, start, key):
        made = self._made(space, start)
        with _lenient():
            if _by_population(made):
                dummy = jnp.zeros((self.size, space.width), start.dtype)
                losses = jnp.full(self.size, jnp.inf, start.dtype)
                state = made.init(key, dummy, losses, self._parameters(made))
            else:
                state = made.init(key, jnp.zeros_like(start), self._parameters(made))
            state = jax.tree.map(jnp.asarray, state)
        return _State(state, start, jnp.zeros((), jnp.int32), jnp.asarray(False))

    def propose(self, space, inner, key):
        made = self._made(space, inner.start)
        drawn, asked = jr.split(key)
        with _lenient():
            points, state = made.ask(asked, inner.algorithm, self._parameters(made))
            state = _like(state, inner.algorithm)
        if _by_population(made):
            first = jr.normal(drawn, points.shape, points.dtype).at[0].set(0.0)
            points = jnp.where(inner.told == 0, first, points)
            state = _where(inner.told == 0, inner.algorithm, state)
        points = jnp.where(jnp.isfinite(points), points, 0.0).astype(inner.start.dtype)
        deviations = jnp.asarray(space.deviations, points.dtype)
        candidates = inner.start[None] + deviations[None] * points
        return candidates, eqx.tree_at(lambda s: s.algorithm, inner, state)

    def learn(self, space, inner, candidates, evaluations, key):
        made = self._made(space, inner.start)
        deviations = jnp.asarray(space.deviations, candidates.dtype)
        points = (candidates - inner.start[None]) / deviations[None]
        # Infinity times a weight of 0 is no number: failures are as bad as 1e3 times the worst.
        losses, parameters = _finite(evaluations.losses), self._parameters(made)
        with _lenient():
            state, _ = made.tell(key, points, losses, inner.algorithm, parameters)
            state = _like(state, inner.algorithm)
            if _by_population(made):
                begun = _like(made.init(key, points, losses, parameters), inner.algorithm)
                state = _where(inner.told == 0, begun, state)
        fine = jnp.isfinite(evaluations.losses).any() & _numbers(state, inner.algorithm)
        broken = inner.broken | ~_numbers(state, inner.algorithm)
        return _State(_where(fine, state, inner.algorithm), inner.start, inner.told + 1, broken)

    def exhausted(self, space, inner):
        return inner.broken

    def _made(self, space, start):
        return _made(self.algorithm, self.size, space.width, start.dtype)

    def _parameters(self, made):
        if self.parameters is not None:
            return self.parameters
        with _lenient():
            return made.default_params


# evosax compiles by an algorithm's identity: one made anew at every call would be compiled anew.
@functools.cache
def _made(algorithm: type, size: int, width: int, dtype: Any) -> Any:
    with jax.ensure_compile_time_eval(), _lenient():
        return algorithm(population_size=size, solution=jnp.zeros(width, dtype))


def _by_population(made: Any) -> bool:
    # Its kinds are told apart by their base: the package need not be imported for that.
    return any(kind.__name__ == "PopulationBasedAlgorithm" for kind in type(made).__mro__)


class _lenient:
    """evosax leaves shapes and kinds of numbers to JAX."""

    def __enter__(self):
        self.settings = [jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow")]
        for setting in self.settings:
            setting.__enter__()

    def __exit__(self, *error):
        for setting in reversed(self.settings):
            setting.__exit__(*error)


def _like(state: Any, before: Any) -> Any:
    """A state of the same kinds of numbers as before, so that it can be carried by a scan."""
    return jax.tree.map(lambda new, old: jnp.asarray(new).astype(old.dtype), state, before)


def _where(condition: Array, one: Any, other: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), one, other)


def _numbers(state: Any, before: Any) -> Bool[Array, ""]:
    """Whether nothing that was a finite number has become none."""

    def fine(new, old):
        if not jnp.issubdtype(old.dtype, jnp.floating):
            return jnp.asarray(True)
        return (jnp.isfinite(new) | ~jnp.isfinite(old)).all()

    return jax.tree.reduce(jnp.logical_and, jax.tree.map(fine, state, before))


def _finite(losses: Float[Array, " candidate"]) -> Float[Array, " candidate"]:
    fine = jnp.isfinite(losses)
    worst = jnp.max(jnp.where(fine, losses, -jnp.inf))
    size = jnp.max(jnp.where(fine, jnp.abs(losses), 0.0))
    return jnp.where(fine, losses, jnp.where(fine.any(), worst + 1e3 * (1.0 + size), 0.0))
