"""How a rule's signals travel: without delay, or not at all.

A rule by itself is carried by the connectome, with delays. Knows nothing of what the rules compute.
"""

import equinox as eqx
from jaxtyping import Array, Float

from tvbjax.arrays import as_floats
from tvbjax.coupling._coupling import AbstractCoupling


def _checked_rule(rule: AbstractCoupling) -> AbstractCoupling:
    if not isinstance(rule, AbstractCoupling) or isinstance(rule, AbstractCarried):
        raise TypeError(f"coupling: {rule!r:.60} is no plain rule; give e.g. Linear(a=0.01).")
    return rule


def _optional(weights):
    return None if weights is None else as_floats(weights)


class AbstractCarried(AbstractCoupling):
    """A rule whose signals do not travel by the connectome with its delays."""

    rule: eqx.AbstractVar[AbstractCoupling]

    @property
    def arity(self) -> int:
        return self.rule.arity

    def source(self, x):
        return self.rule.source(x)

    def target(self, sums, x, strength):
        return self.rule.target(sums, x, strength)


class Instant(AbstractCarried):
    """A rule whose signals arrive at once, whatever the tract lengths.

    `weights`: `(node, node)`, row = target, in place of the connectome's: local connectivity, say.
    """

    rule: AbstractCoupling = eqx.field(converter=_checked_rule)
    weights: Float[Array, "node node"] | None = eqx.field(default=None, converter=_optional)


class Own(AbstractCarried):
    """What a region would hear of itself alone, by a connection of weight 1 without delay."""

    rule: AbstractCoupling = eqx.field(converter=_checked_rule)
