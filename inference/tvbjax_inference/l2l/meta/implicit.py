"""The gradient through what a converged inner fit solves, not through the way there."""

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
from jaxtyping import Array, Float

from tvbjax.arrays import matmul
from tvbjax.kinds import check_count, check_number
from tvbjax_inference.l2l.meta.gradients import AbstractMetaGradient, Slope
from tvbjax_inference.l2l.meta.inner import length


class Implicit(AbstractMetaGradient):
    """The gradient by the implicit function theorem, of an inner fit that converges: where the
    gradient of the whole inner loss is 0, the end changes with what is learned by minus the inverse
    Hessian times the mixed derivatives, whichever rule led there. Rajeswaran, Finn, Kakade & Levine
    (2019), NeurIPS, algorithm 1; Pedregosa (2016), ICML, PMLR 48:737.

    The Hessian is inverted by at most `iterations` steps of conjugate gradients on products with
    it, until the residual is `tolerance` of the right side. `damping` is added to its diagonal,
    where it may be singular. What is learned must be in the penalty: the end of a converged fit
    does not depend on rates, nor without a `Proximal` on the start.

    The residual of a task is the greater of two: the length of the inner gradient at the end, as a
    share of that at the start, and that of conjugate gradients. Where it is above `accepted`, a run
    warns.
    """

    iterations: int = eqx.field(default=50, static=True)
    tolerance: float = eqx.field(default=1e-8, static=True)
    damping: float = eqx.field(default=0.0, static=True)
    accepted: float = eqx.field(default=1e-2, static=True)

    def __check_init__(self):
        check_count("Implicit: iterations", self.iterations)
        check_number("Implicit: tolerance", self.tolerance, least=0.0)
        check_number("Implicit: damping", self.damping, least=0.0)
        check_number("Implicit: accepted", self.accepted, above=0.0)

    def check(self, levels, meta):
        if levels.along:
            raise ValueError("Implicit: it knows the end of the inner loop alone; leave along out.")
        if levels.inner.penalty is None:
            raise ValueError(
                "Implicit: the end of a converged fit depends on what is learned by a penalty "
                "alone, and there is none; give Inner(..., penalty=Proximal('strength'), "
                "hyper={'strength': 1.0}), or use Unrolled()."
            )

    def __call__(self, levels, meta, task, key, noise, state):
        begun = levels.begin(meta)
        moving, told = levels.path(meta, begun, task, key, count=levels.inner.steps)
        flat, unflatten = jax.flatten_util.ravel_pytree(moving.params)

        def slope(flat, meta):
            def whole(flat):
                return levels.whole(meta, unflatten(flat), task, key)[0]

            return jax.grad(whole)(flat)

        def times_hessian(vector):
            curved = jax.jvp(lambda x: slope(x, meta), (flat,), (vector,))[1]
            return curved + self.damping * vector

        loss, wanted = jax.value_and_grad(lambda x: levels.outer(unflatten(x), task, key))(flat)
        solved, left = conjugate_gradients(times_hessian, wanted, self.iterations, self.tolerance)
        _, pull = jax.vjp(lambda m: slope(flat, m), meta)
        gradient = jax.tree.map(jnp.negative, pull(solved)[0])
        # A start at which nothing is left to do has converged.
        before = jnp.maximum(told.lengths[0], jnp.finfo(flat.dtype).tiny)
        residual = jnp.maximum(length(slope(flat, meta)) / before, left)
        return Slope(loss, gradient, residual), state


def conjugate_gradients(
    times, right: Float[Array, " n"], iterations: int, tolerance: float
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """x of A x = `right`, for A symmetric and positive definite given as a product with vectors,
    and the length of the residual as a share of that of `right`. Hestenes & Stiefel (1952), J. Res.
    Natl. Bur. Stand. 49:409."""
    target = (tolerance * length(right)) ** 2

    def onwards(state):
        _, _, _, square, number = state
        return (square > target) & (number < iterations)

    def step(state):
        x, residual, direction, square, number = state
        product = times(direction)
        share = square / matmul(direction, product)
        x, residual = x + share * direction, residual - share * product
        after = matmul(residual, residual)
        return x, residual, residual + after / square * direction, after, number + 1

    begun = (jnp.zeros_like(right), right, right, matmul(right, right), jnp.zeros((), jnp.int32))
    x, residual, *_ = jax.lax.while_loop(onwards, step, begun)
    size = length(right)
    return x, jnp.where(size > 0, length(residual) / jnp.where(size > 0, size, 1.0), 0.0)
