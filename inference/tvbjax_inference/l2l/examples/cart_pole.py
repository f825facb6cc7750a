"""The pole on a cart as a pure JAX function: thousands of controllers side by side.

Barto, Sutton & Anderson (1983), IEEE Trans. Syst. Man Cybern. 13:834, appendix, without friction,
with the limits and the Euler step of Gymnasium's CartPole-v1.
"""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.dimensions import Unbounded
from tvbjax_inference.l2l.evaluating import Evaluated
from tvbjax_inference.l2l.space import Space

_GRAVITY, _CART, _POLE, _HALF_LENGTH = 9.8, 1.0, 0.1, 0.5  # m/s^2, kg, kg, m
_FORCE, _DT = 10.0, 0.02  # N, s
_FARTHEST, _STEEPEST = 2.4, 12.0 * np.pi / 180.0  # m, rad
_LONGEST = 500  # steps
_SCALE = np.array([2.4, 2.0, 0.2, 2.0])


def step(state: Float[Array, "4"], right: Bool[Array, ""]) -> Float[Array, "4"]:
    """Position (m), velocity, angle (rad) and its velocity, 0.02 s after a push of 10 N."""
    position, velocity, angle, turning = state
    force = jnp.where(right, _FORCE, -_FORCE).astype(state.dtype)
    mass = _CART + _POLE
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    pushed = (force + _POLE * _HALF_LENGTH * turning**2 * sine) / mass
    falling = (_GRAVITY * sine - cosine * pushed) / (
        _HALF_LENGTH * (4.0 / 3.0 - _POLE * cosine**2 / mass)
    )
    moving = pushed - _POLE * _HALF_LENGTH * falling * cosine / mass
    return state + _DT * jnp.stack([velocity, moving, turning, falling])


def fallen(state: Float[Array, "4"]) -> Bool[Array, ""]:
    """Whether the pole has fallen or the cart is out of the track."""
    return (jnp.abs(state[0]) > _FARTHEST) | (jnp.abs(state[2]) > _STEEPEST)


@dataclasses.dataclass(frozen=True)
class CartPole:
    """An optimisee for `minimise`: minus the mean number of steps that the pole stands, of at most
    500, over `episodes`. The controller pushes right where a weighted sum is above zero."""

    episodes: int = 3

    def __post_init__(self):
        check_count("CartPole: episodes", self.episodes)

    @property
    def space(self) -> Space:
        """The controller's weights, of observations that are about 1 in size, and its bias."""
        return Space(weights=Unbounded(shape=(4,)), bias=Unbounded())

    def __call__(self, values: dict[str, Array], key: Array) -> Evaluated:
        starts = jr.uniform(key, (self.episodes, 4), values["weights"].dtype, -0.05, 0.05)
        steps = jax.vmap(lambda start: self.stood(values, start))(starts)
        return Evaluated(-jnp.mean(steps.astype(starts.dtype)), more={"steps": steps})

    def stood(self, values: dict[str, Array], start: Float[Array, "4"]) -> Int[Array, ""]:
        """How many steps the pole stands."""
        weights = values["weights"] / jnp.asarray(_SCALE, start.dtype)

        def one(carry, _):
            state, count, over = carry
            state = step(state, weights @ state + values["bias"] > 0.0)
            # The step in which it falls counts, as in Gymnasium.
            count = count + jnp.where(over, 0, 1).astype(count.dtype)
            return (state, count, over | fallen(state)), None

        begun = start, jnp.zeros((), jnp.int32), jnp.zeros((), bool)
        return jax.lax.scan(one, begun, length=_LONGEST)[0][1]
