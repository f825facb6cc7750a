"""A coupling function of the user's, as JAX functions of two regions."""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike

from tvbjax.arrays import as_floats
from tvbjax.coupling._coupling import AbstractPairwise

Parameters = Mapping[str, Array]
Variables = tuple[Array, ...]  # so that a number beyond them is an error, as it is not in JAX


def _leaves(params: Mapping[str, ArrayLike]) -> dict[str, Array]:
    return {name: as_floats(value) for name, value in params.items()}


class Pairwise(AbstractPairwise):
    """`post(sum_j w_ij pre(x_j, x_i, params), x_i, params)` with JAX functions of yours.

    `pre` gets what is sent, `arity` arrays `(node, degree)`, and the receiver's own, `arity` arrays
    `(node, 1)`, and gives one that broadcasts to `(node, degree)`; `post` gets the sum `(node,)`
    and the own variables, `(node,)` each; without it the sum is the input. `arity`: how many
    variables are read, the first of those that the model names. `params`: numbers, or `(node,)`
    for one value per receiving region; they are leaves.
    """

    pre: Callable[[Variables, Variables, Parameters], Array] = eqx.field(static=True)
    post: Callable[[Array, Variables, Parameters], Array] | None = eqx.field(
        static=True, default=None
    )
    params: dict[str, Array] = eqx.field(converter=_leaves, default_factory=dict)
    arity: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        for name, function in (("pre", self.pre), ("post", self.post)):
            if not callable(function) and not (name == "post" and function is None):
                raise TypeError(f"Pairwise: {name} is {function!r:.60}; give a function.")

    def source(self, x):
        return x

    def pair(self, sent, own):
        # One value for each receiving region must meet arrays (node, degree).
        params = {n: v[:, None] if v.ndim else v for n, v in self.params.items()}
        return jnp.broadcast_to(self.pre(tuple(sent), tuple(own), params), sent.shape[1:])[None]

    def target(self, sums, x, strength):
        return sums[0] if self.post is None else self.post(sums[0], tuple(x), self.params)
