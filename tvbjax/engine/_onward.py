"""Derivatives of delayed sums: what a block's signals will add to later sums.

The sums themselves are read from the past, connection by connection. Were that differentiated as it
is, reverse mode would add up a whole ring for every block. So the derivative goes the other way: a
block's signals are *sent on* to the sums of the steps in which they will arrive, which in reverse
mode reads contiguous slices of the later sums' cotangents, as quick as the sums themselves were;
and a weight's derivative is found with it, from what was sent alone.

All values here are zero: what counts are their derivatives, which nothing computes unless asked.
"""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from equinox.internal import create_vprim
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Bool, Float, Int

Sent = Float[Array, "step region channel member"]
Sums = Float[Array, "step region channel member"]


class Onward(eqx.Module):
    """A bundle of connections from some regions; a slot that is none has the weight 0."""

    senders: Int[Array, " row"]
    targets: Int[Array, "row slot"]
    present: Bool[Array, "row slot"]
    weights: Float[Array, "row slot *member"] | None
    delays: Int[Array, "row slot *own"]


class Later(eqx.Module):
    """What has been sent on to sums that are still to come: step s is in the columns `s % slots`
    and `s % slots + slots`, and their sum counts."""

    columns: Float[Array, "node column channel member"]

    @property
    def slots(self) -> int:
        return self.columns.shape[1] // 2


def later_of(past: Sent, wires: tuple[Onward, ...], slots: int) -> Later:
    """What the past, oldest first, has sent on to step 0 and after."""
    weights, routes = _apart(wires)
    (columns,) = _of_past(past, weights, routes, slots=slots)
    return Later(columns)


def sent_on(later: Later, sent: Sent, wires: tuple[Onward, ...], position: Int[Array, ""]) -> Later:
    """With what was sent in the steps that begin at column `position`."""
    weights, routes = _apart(wires)
    (columns,) = _sent_on(later.columns, sent, weights, routes, position)
    return Later(columns)


def received(sums: Sums, later: Later, position: Int[Array, ""]) -> tuple[Sums, Later]:
    """The sums of the steps from column `position` on, and what is left for others."""
    sums, columns = _received(sums, later.columns, position)
    return sums, Later(columns)


def _apart(wires: tuple[Onward, ...]) -> tuple[tuple[Array | None, ...], tuple[Onward, ...]]:
    """The weights, and all that has no derivative."""
    routes = tuple(dataclasses.replace(part, weights=None) for part in wires)
    return tuple(part.weights for part in wires), routes


def _with_rule(name: str, function: Callable, rule: Callable) -> Callable:
    """A function of trees of arrays, and static keywords, whose derivative is that of a rule.

    `rule`: of primals and tangents, None where there is none, gives the tangents of the results.
    A primitive, for inside of a scan JAX may forget a `custom_jvp`'s rule when it takes a second
    derivative, and would find that of the function.
    """

    def flat(*leaves, tree, static):
        return jax.tree.leaves(function(*tree.unflatten(leaves), **dict(static)))

    def shapes(*avals, tree, static):
        leaves = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
        found = jax.eval_shape(lambda *x: flat(*x, tree=tree, static=static), *leaves)
        return [ShapedArray(one.shape, one.dtype) for one in found]

    def pushed(primals, tangents, *, tree, static):
        out = primitive.bind(*primals, tree=tree, static=static)
        known = [None if _is_zero(one) else one for one in tangents]
        arguments, dots = tree.unflatten(primals), tree.unflatten(known)
        found = rule(arguments, dots, **dict(static))
        zeros = [ad.Zero(ShapedArray(one.shape, one.dtype)) for one in out]
        return out, [zero if one is None else one for one, zero in zip(found, zeros, strict=True)]

    primitive = create_vprim(name, flat, shapes, pushed, None)

    def bound(*arguments, **static):
        leaves, tree = jax.tree.flatten(arguments)
        return primitive.bind(*leaves, tree=tree, static=tuple(static.items()))

    return bound


def _is_zero(tangent) -> bool:
    return type(tangent) is ad.Zero or tangent.dtype == jax.dtypes.float0


def _nothing(past, weights, routes, *, slots):
    steps, nodes, channels, members = past.shape
    return (jnp.zeros((nodes, 2 * slots, channels, members), past.dtype),)


def _of_past_rule(primals, tangents, *, slots):
    past, weights, routes = primals
    # Step -len(past) is at column 0 of these, and step 0 at column len(past).
    (columns,) = _nothing(past, weights, routes, slots=slots)
    columns = jnp.concatenate([jnp.zeros_like(columns[:, : len(past)]), columns], axis=1)
    start = jnp.zeros((), jnp.int32)
    return (_with_products(columns, primals[:2], tangents[:2], routes, start)[:, len(past) :],)


def _sent_on_rule(primals, tangents):
    columns, sent, weights, routes, position = primals
    tangent = jnp.zeros_like(columns) if tangents[0] is None else tangents[0]
    return (_with_products(tangent, (sent, weights), tangents[1:3], routes, position),)


# To reverse mode the places where signals arrive are not worth keeping: they are found again.
@eqx.filter_checkpoint
def _with_products(columns, primals, tangents, routes, position):
    """With the derivative of the products of weights and signals in the columns where they arrive.

    `primals`, `tangents`: of what is sent, and of the weights of each bundle.
    """
    (sent, weights), (sent_dot, weights_dot) = primals, tangents
    for part, weight, weight_dot in zip(routes, weights, weights_dot, strict=True):
        for signals, factor in ((sent_dot, weight), (sent, weight_dot)):
            if signals is not None and factor is not None:
                updates = _products(factor, signals[:, part.senders])
                columns = _added(columns, updates, part.targets, position + part.delays)
    return columns


def _products(weights: Array, signals: Array) -> Float[Array, "row slot step channel member"]:
    if weights.ndim == 3:
        return jnp.einsum("rsm,krcm->rskcm", weights, signals, precision=lax.Precision.HIGHEST)
    rest = (signals.shape[0], *signals.shape[2:])
    flat = jnp.moveaxis(signals, 1, 0).reshape(len(weights), -1)
    # In reverse mode this is a product of matrices, which is quick on a CPU.
    found = jnp.einsum("rs,rk->rsk", weights, flat, precision=lax.Precision.HIGHEST)
    return found.reshape(*weights.shape, *rest)


def _added(columns: Array, updates: Array, targets: Array, first: Array) -> Array:
    start = jnp.stack([targets, jnp.broadcast_to(first, targets.shape)], axis=-1)
    dimensions = lax.ScatterDimensionNumbers(
        update_window_dims=(2, 3, 4),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0, 1),
    )
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return lax.scatter_add(columns, start, updates, dimensions, mode=mode)


def _received_rule(primals, tangents):
    sums, _, position = primals
    here, columns_dot, _ = tangents
    if columns_dot is not None:
        block, columns_dot = _taken_p.bind(columns_dot, position, length=len(sums))
        block = jnp.moveaxis(block, 1, 0)
        here = block if here is None else here + block
    return here, columns_dot


_of_past = _with_rule("of_past", _nothing, _of_past_rule)
_sent_on = _with_rule("sent_on", lambda columns, *_: (columns,), _sent_on_rule)
_received = _with_rule("received", lambda sums, columns, _: (sums, columns), _received_rule)


# Takes a block's columns out of all of them. A primitive, for its transpose puts them back in place
# where JAX's own would add up two whole arrays.
_taken_p = Primitive("taken")
_taken_p.multiple_results = True


def _take(columns: Array, position: Array, *, length: int) -> tuple[Array, Array]:
    half = columns.shape[1] // 2
    block = 0.0
    for place in (position, position + half):
        block = block + lax.dynamic_slice_in_dim(columns, place, length, axis=1)
    return block, _put(columns, jnp.zeros_like(block), position)


def _put(columns: Array, block: Array, position: Array) -> Array:
    for place in (position, position + columns.shape[1] // 2):
        columns = lax.dynamic_update_slice_in_dim(columns, block, place, axis=1)
    return columns


def _taken_shapes(columns, position, *, length):
    return columns.update(shape=(columns.shape[0], length, *columns.shape[2:])), columns


def _taken_jvp(primals, tangents, *, length):
    columns, position = primals
    out = _taken_p.bind(columns, position, length=length)
    if type(tangents[0]) is ad.Zero:
        return out, [ad.Zero(ShapedArray(one.shape, one.dtype)) for one in out]
    return out, _taken_p.bind(tangents[0], position, length=length)


def _taken_transpose(cotangents, columns, position, *, length):
    block, rest = (ad.instantiate_zeros(one) for one in cotangents)
    return _put(rest, block, position), None


def _taken_batched(arguments, axes, *, length):
    columns, position = arguments
    if axes[1] is not None:
        raise NotImplementedError("the place of a block is the same in all simulations")
    # More of them are as good as more members.
    columns = jnp.moveaxis(columns, axes[0], -1)
    flat = columns.reshape(*columns.shape[:3], -1)
    found = _taken_p.bind(flat, position, length=length)
    shaped = [one.reshape(*one.shape[:3], *columns.shape[3:]) for one in found]
    return shaped, [one.ndim - 1 for one in shaped]


_taken_p.def_impl(jax.jit(_take, static_argnames="length"))
_taken_p.def_abstract_eval(_taken_shapes)
ad.primitive_jvps[_taken_p] = _taken_jvp
ad.primitive_transposes[_taken_p] = _taken_transpose
batching.primitive_batchers[_taken_p] = _taken_batched
mlir.register_lowering(_taken_p, mlir.lower_fun(_take, multiple_results=True))
