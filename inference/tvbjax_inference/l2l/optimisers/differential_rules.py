"""Parts of differential evolution: where trials come from, and how its two numbers are chosen.

Papers are those of `differential`.
"""

import abc
import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float

from tvbjax_inference.l2l.optimiser import as_hyper

Members = Float[Array, "member width"]


class AbstractDonors(eqx.Module):
    """From where trials get the coordinates that they change."""

    @abc.abstractmethod
    def donors(
        self,
        key: Array,
        members: Members,
        losses: Float[Array, " member"],
        factors: Float[Array, " member"],
    ) -> Members:
        """One each member."""


class RandomOne(AbstractDonors):
    """rand/1: another member, moved by the difference of two more."""

    def donors(self, key, members, losses, factors):
        first, second, third = _others(key, len(members), 3)
        return members[first] + factors[:, None] * (members[second] - members[third])


class ToBest(AbstractDonors):
    """current-to-p-best/1: the member itself, moved towards one of the best (that `share` of all,
    two at least) and by the difference of two others."""

    share: float = eqx.field(static=True, default=0.1)

    def __check_init__(self):
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"ToBest: share is {self.share}; give a number above 0 and up to 1.")

    def donors(self, key, members, losses, factors):
        of_best, of_others = jr.split(key)
        count = len(members)
        best = jnp.argsort(losses, stable=True)[: max(2, math.ceil(self.share * count))]
        chosen = best[jr.randint(of_best, (count,), 0, len(best))]
        first, second = _others(of_others, count, 2)
        moved = members[chosen] - members + members[first] - members[second]
        return members + factors[:, None] * moved


class Control(eqx.Module):
    """About which `factor`s of differences, and `crossing` (shares of coordinates that are changed)
    are drawn."""

    factor: Float[Array, ""]
    crossing: Float[Array, ""]


class AbstractControl(eqx.Module):
    """How the two numbers of each trial are chosen, and learnt."""

    @abc.abstractmethod
    def begin(self, dtype) -> Control:
        """At first."""

    @abc.abstractmethod
    def drawn(
        self, control: Control, key: Array, count: int
    ) -> tuple[Float[Array, " count"], Float[Array, " count"]]:
        """Factors and crossings of so many trials."""

    @abc.abstractmethod
    def learnt(
        self,
        control: Control,
        factors: Float[Array, " member"],
        crossings: Float[Array, " member"],
        won: Bool[Array, " member"],
    ) -> Control:
        """After some trials won with theirs."""


class Fixed(AbstractControl):
    """Always the same."""

    factor: Array = eqx.field(converter=as_hyper, default=0.5)
    crossing: Array = eqx.field(converter=as_hyper, default=0.9)

    def begin(self, dtype):
        return Control(self.factor.astype(dtype), self.crossing.astype(dtype))

    def drawn(self, control, key, count):
        return jnp.full(count, control.factor), jnp.full(count, control.crossing)

    def learnt(self, control, factors, crossings, won):
        return control


class Adaptive(AbstractControl):
    """Drawn about what won before (JADE, equations 10 to 14). `rate`: of learning, c there."""

    rate: Array = eqx.field(converter=as_hyper, default=0.1)
    factor: Array = eqx.field(converter=as_hyper, default=0.5)
    crossing: Array = eqx.field(converter=as_hyper, default=0.5)

    def begin(self, dtype):
        return Control(self.factor.astype(dtype), self.crossing.astype(dtype))

    def drawn(self, control, key, count):
        of_factor, of_crossing = jr.split(key)
        dtype = control.factor.dtype
        # Cauchy above 0, by the inverse of its distribution; it may be large, and ends at 1.
        least = 0.5 + jnp.arctan(-control.factor / 0.1) / math.pi
        even = least + (1.0 - least) * jr.uniform(of_factor, (count,), dtype)
        factors = control.factor + 0.1 * jnp.tan(math.pi * (even - 0.5))
        crossings = control.crossing + 0.1 * jr.normal(of_crossing, (count,), dtype)
        return jnp.clip(factors, 1e-3, 1.0), jnp.clip(crossings, 0.0, 1.0)

    def learnt(self, control, factors, crossings, won):
        count = jnp.sum(won)
        total = jnp.sum(jnp.where(won, factors, 0.0))
        lehmer = jnp.sum(jnp.where(won, factors**2, 0.0)) / jnp.where(count > 0, total, 1.0)
        mean = jnp.sum(jnp.where(won, crossings, 0.0)) / jnp.maximum(count, 1).astype(total.dtype)
        rate = jnp.where(count > 0, self.rate, 0.0)
        return Control(
            factor=(1.0 - rate) * control.factor + rate * lehmer,
            crossing=(1.0 - rate) * control.crossing + rate * mean,
        )


def _others(key: Array, count: int, many: int) -> tuple[Array, ...]:
    """So many places for each member, none of them its own and no two alike."""
    keys = jr.split(key, many)
    taken = [jnp.arange(count)]
    for number, one in enumerate(keys, start=1):
        place = jr.randint(one, (count,), 0, count - number)
        # Passing over what is taken, from the least on, leaves every other place as likely.
        for other in jnp.sort(jnp.stack(taken), axis=0):
            place = place + (place >= other).astype(place.dtype)
        taken.append(place)
    return tuple(taken[1:])
