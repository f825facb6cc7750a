"""Members: simulations side by side in one computation, with their axis last.

A function of one simulator is mapped over the members; leaves that all of them share stay shared,
so that a weight or a delay is read once for all. One simulation is a run of one member.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator


class Members(eqx.Module):
    """`simulator`: with a last axis for the members in those of its arrays that vary among them.

    `varies`: whether they do, for every array in the order of the tree.
    """

    simulator: "Simulator"
    varies: tuple[bool, ...] = eqx.field(static=True)

    def differ_in(self, where: Callable[["Simulator"], Any]) -> bool:
        """Whether members have values of their own for any of the leaves that `where` selects."""
        structure = jax.tree.structure(eqx.filter(self.simulator, eqx.is_array))
        return any(jax.tree.leaves(where(structure.unflatten(self.varies))))

    def first(self) -> "Simulator":
        """The simulator of the first member."""
        arrays, rest = eqx.partition(self.simulator, eqx.is_array)
        leaves, structure = jax.tree.flatten(arrays)
        own = [x[..., 0] if varies else x for x, varies in zip(leaves, self.varies, strict=True)]
        return eqx.combine(structure.unflatten(own), rest)

    def over(self, function: Callable, *arguments, axes: Any = None, out_axes: Any = -1):
        """`function(simulator, *arguments)` for every member.

        `axes`, `out_axes`: where the members are in arguments and results, by default last.
        """
        arrays, rest = eqx.partition(self.simulator, eqx.is_array)
        leaves, structure = jax.tree.flatten(arrays)

        def member(leaves, *arguments):
            return function(eqx.combine(structure.unflatten(leaves), rest), *arguments)

        own = [-1 if varies else None for varies in self.varies]
        axes = (-1,) * len(arguments) if axes is None else axes
        return jax.vmap(member, in_axes=(own, *axes), out_axes=out_axes)(leaves, *arguments)


def one_member(simulator: "Simulator") -> Members:
    """A single simulation, as members."""
    arrays = jax.tree.leaves(eqx.filter(simulator, eqx.is_array))
    return Members(simulator, (False,) * len(arrays))
