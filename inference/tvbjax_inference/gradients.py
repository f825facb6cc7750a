"""Ways to find the gradient of a loss: exactly, by reverse or forward mode; or, where exact
gradients are of no use, of the loss smoothed by normal steps, from losses alone.

A way is a pair of functions, as in optax: `init` gives its state, and calling it the losses, the
gradients and the next state.
"""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

import tvbjax
from tvbjax.kinds import check_count, check_number
from tvbjax_inference.problem import AbstractProblem, Position

# From so many numbers on a gradient costs less in reverse mode.
_FORWARD_BELOW = 4


class Slope(NamedTuple):
    """Of several positions: losses, each term's, and the gradients."""

    losses: Float[Array, " start"]
    terms: dict[str, Float[Array, " start"]]
    gradients: Position


class AbstractGradient(eqx.Module):
    """A way to find gradients."""

    def init(self, problem: AbstractProblem, positions: Position) -> Any:
        """The state before the first step."""
        return ()

    @abc.abstractmethod
    def __call__(
        self,
        problem: AbstractProblem,
        positions: Position,
        key: Array | None,
        noise: Array,
        state: Any,
    ) -> tuple[Slope, Any]:
        """Losses and gradients. `key`: of the simulations; `noise`: of this way's own numbers."""


class Reverse(AbstractGradient):
    """Exact, by reverse mode: about four simulations' time, however many numbers are free.

    `horizon`: see `tvbjax.Reverse`.
    """

    horizon: float | None = eqx.field(default=None, static=True)

    def __check_init__(self):
        tvbjax.Reverse(self.horizon)  # its check

    def init(self, problem, positions):
        problem.check_differentiable()
        return ()

    def __call__(self, problem, positions, key, noise, state):
        def total(positions):
            found = problem.evaluate(positions, key, tvbjax.Reverse(self.horizon))
            return found.losses.sum(), found

        gradients, found = jax.grad(total, has_aux=True)(positions)
        return Slope(found.losses, found.terms, gradients), state


class Forward(AbstractGradient):
    """Exact, by forward mode: about half a simulation's time more for every free number, and no
    memory that grows with the duration."""

    def init(self, problem, positions):
        problem.check_differentiable()
        return ()

    def __call__(self, problem, positions, key, noise, state):
        flat, unflatten = _flat(positions)
        directions = jnp.eye(flat.shape[1], dtype=flat.dtype)

        def evaluated(flat):
            found = problem.evaluate(jax.vmap(unflatten)(flat), key, tvbjax.Forward())
            return found.losses, found

        def along(direction):
            dots = jnp.broadcast_to(direction[None], flat.shape)
            _, slopes, found = jax.jvp(evaluated, (flat,), (dots,), has_aux=True)
            return slopes, found

        slopes, found = jax.vmap(along, out_axes=(1, None))(directions)
        return Slope(found.losses, found.terms, jax.vmap(unflatten)(slopes)), state


class EvolutionStrategy(AbstractGradient):
    """The gradient of the loss averaged over normal steps about the position, from `pairs` of
    opposite steps of standard deviation `spread`: needs no derivatives, so that chaos, thresholds
    and jumps do no harm; noisy, and costs two simulations a pair.

    Salimans et al. (2017), arXiv:1703.03864; Nesterov & Spokoiny (2017), Found. Comput. Math. 17.
    """

    pairs: int = eqx.field(default=16, static=True)
    spread: float = eqx.field(default=0.05, static=True)

    def __check_init__(self):
        _check_pairs("EvolutionStrategy", self.pairs, self.spread)

    def __call__(self, problem, positions, key, noise, state):
        flat, unflatten = _flat(positions)
        steps = self.spread * jr.normal(noise, (self.pairs, *flat.shape), flat.dtype)
        places = jnp.stack([flat[None] + steps, flat[None] - steps], axis=1)
        # The position itself, once, tells the loss.
        tried = jnp.concatenate([places.reshape(-1, flat.shape[1]), flat])
        found = problem.evaluate(jax.vmap(unflatten)(tried), key, tvbjax.Forward())
        count = len(flat)
        pairs = found.losses[:-count].reshape(self.pairs, 2, count)
        gradients = _from_pairs(pairs, steps, self.spread)
        losses, terms = jax.tree.map(lambda x: x[-count:], (found.losses, found.terms))
        return Slope(losses, terms, jax.vmap(unflatten)(gradients)), state


class PersistentEvolutionStrategy(AbstractGradient):
    """`EvolutionStrategy` in pieces: every step simulates the problem's duration alone, and goes on
    from the states in which the steps before ended, so that long dynamics are followed at the cost
    of short runs, without the bias of a truncated gradient. After `restart` pieces all begin anew.

    The loss is then that of a piece. Vicol, Metz & Sohl-Dickstein (2021), ICML, PMLR 139:10553.
    """

    pairs: int = eqx.field(default=16, static=True)
    spread: float = eqx.field(default=0.05, static=True)
    restart: int = eqx.field(default=10, static=True)

    def __check_init__(self):
        _check_pairs("PersistentEvolutionStrategy", self.pairs, self.spread)
        check_count("PersistentEvolutionStrategy: restart", self.restart)

    def init(self, problem, positions):
        flat, unflatten = _flat(positions)
        tried = jnp.repeat(flat, 2 * self.pairs, axis=0)
        begun = problem.begun(jax.vmap(unflatten)(tried))
        steps = jnp.zeros((self.pairs, *flat.shape), flat.dtype)
        return begun, begun, steps, jnp.zeros((), jnp.int32)

    def __call__(self, problem, positions, key, noise, state):
        begun, carries, walked, number = state
        flat, unflatten = _flat(positions)
        anew = number % self.restart == 0
        carries = jax.tree.map(lambda a, b: jnp.where(anew, a, b), begun, carries)
        walked = jnp.where(anew, 0.0, walked)
        steps = self.spread * jr.normal(noise, walked.shape, flat.dtype)
        walked = walked + steps
        tried = jnp.stack([flat[None] + steps, flat[None] - steps], axis=1)
        positions = jax.vmap(unflatten)(tried.reshape(-1, flat.shape[1]))
        own = None if key is None else jr.fold_in(key, number)
        found = problem.evaluate(positions, own, tvbjax.Forward(), carries)
        pairs = found.losses.reshape(self.pairs, 2, len(flat))
        gradients = _from_pairs(pairs, walked, self.spread)
        losses, terms = jax.tree.map(
            lambda x: x.reshape(2 * self.pairs, len(flat)).mean(axis=0),
            (found.losses, found.terms),
        )
        state = (begun, found.carries, walked, number + 1)
        return Slope(losses, terms, jax.vmap(unflatten)(gradients)), state


def best_for(problem: AbstractProblem) -> AbstractGradient:
    """Forward mode for very few numbers, else reverse mode."""
    return Forward() if problem.count < _FORWARD_BELOW else Reverse()


def _flat(positions: Position):
    one = jax.tree.map(lambda x: x[0], positions)
    _, unflatten = jax.flatten_util.ravel_pytree(one)
    flat = jax.vmap(lambda p: jax.flatten_util.ravel_pytree(p)[0])(positions)
    return flat, unflatten


def _from_pairs(losses: Float[Array, "pair 2 start"], steps: Array, spread: float) -> Array:
    """A pair that diverged says nothing."""
    differences = (losses[:, 0] - losses[:, 1]) / (2.0 * spread**2)
    told = jnp.isfinite(differences)
    weighted = jnp.where(told, differences, 0.0)[..., None] * steps
    count = jnp.maximum(told.sum(axis=0), 1).astype(losses.dtype)
    return weighted.sum(axis=0) / count[:, None]


def _check_pairs(who: str, pairs: int, spread: float) -> None:
    check_count(f"{who}: pairs", pairs)
    check_number(f"{who}: spread", spread, above=0.0)
