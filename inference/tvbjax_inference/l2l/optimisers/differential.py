"""Differential evolution: each member tries a place that differences of others lead to.

Storn & Price (1997), J. Glob. Optim. 11:341; adaptation and current-to-p-best after Zhang &
Sanderson (2009), IEEE Trans. Evol. Comput. 13:945 (JADE, without its archive).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from tvbjax.kinds import check_count, check_kind
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, as_hyper, within
from tvbjax_inference.l2l.optimisers.differential_rules import (
    AbstractControl,
    AbstractDonors,
    Adaptive,
    Control,
    ToBest,
)
from tvbjax_inference.l2l.optimisers.populations import about, frozen, is_over


class _State(eqx.Module):
    """`trials`: to be asked for, made with `factors` and `crossings`; one each member."""

    trials: Float[Array, "member width"]
    factors: Float[Array, " member"]
    crossings: Float[Array, " member"]
    members: Float[Array, "member width"]
    losses: Float[Array, " member"]
    control: Control


class Differential(AbstractOptimiser):
    """Differential evolution. `size`: of members, by default 40. `donors`: from where trials get
    coordinates, `RandomOne()` or `ToBest()`; `control`: of the factor of differences and of how
    many coordinates are changed, `Fixed()` or `Adaptive()`. `sigma`: first deviation, in the
    space's. Beyond an end, a trial is mirrored."""

    size: int = eqx.field(static=True, default=40)
    donors: AbstractDonors = eqx.field(default_factory=ToBest)
    control: AbstractControl = eqx.field(default_factory=Adaptive)
    sigma: Array = eqx.field(converter=as_hyper, default=1.0)

    stops_when = "all members are one point, or beyond all measure"

    def __check_init__(self):
        check_count("Differential: size", self.size, 4)
        check_kind("Differential: donors", self.donors, AbstractDonors, "ToBest()")
        check_kind("Differential: control", self.control, AbstractControl, "Adaptive()")

    def population(self, space):
        return self.size

    def begin(self, space, start, key):
        members = about(space, start, self.sigma, key, self.size)
        control = self.control.begin(start.dtype)
        return _State(
            trials=members,
            factors=jnp.broadcast_to(control.factor, self.size),
            crossings=jnp.broadcast_to(control.crossing, self.size),
            members=members,
            losses=jnp.full(self.size, jnp.inf, start.dtype),
            control=control,
        )

    def propose(self, space, inner, key):
        return inner.trials, inner

    def learn(self, space, inner, candidates, evaluations, key):
        won = evaluations.losses <= inner.losses
        # The first members had nobody to win against.
        counts = (evaluations.losses < inner.losses) & jnp.isfinite(inner.losses)
        control = self.control.learnt(inner.control, inner.factors, inner.crossings, counts)
        members = jnp.where(won[:, None], candidates, inner.members)
        losses = jnp.where(won, evaluations.losses, inner.losses)
        drawn, chosen, crossed, forced = jr.split(key, 4)
        factors, crossings = self.control.drawn(control, drawn, self.size)
        donors = self.donors.donors(chosen, members, losses, factors)
        taken = jr.uniform(crossed, members.shape, members.dtype) < crossings[:, None]
        # One coordinate at least.
        place = jr.randint(forced, (self.size,), 0, space.width)
        taken = taken | jax.nn.one_hot(place, space.width, dtype=bool)
        trials = within(space, jnp.where(taken, donors, members))
        after = _State(trials, factors, crossings, members, losses, control)
        return frozen(self.exhausted(space, inner), inner, after)

    def exhausted(self, space, inner):
        return jnp.isfinite(inner.losses).all() & is_over(space, inner.members)
