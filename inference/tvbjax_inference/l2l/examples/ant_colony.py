"""Ants that find food and mark the way home, as a pure JAX function: colonies side by side.

The rules are those of the model Ants of NetLogo as it is described (Wilensky 1997, Center for
Connected Learning, Northwestern University), with all ants of a tick at once. Angles in degrees.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.dimensions import Real
from tvbjax_inference.l2l.evaluating import Evaluated
from tvbjax_inference.l2l.space import Space

DROPPED = 60.0  # chemical that an ant with food leaves in a tick
FAINT, STRONG = 0.05, 2.0  # chemical from which an ant follows it, and from which it is there
SIDEWAYS = 45.0  # degrees to which an ant smells
NETLOGO = {"diffusion": 0.5, "evaporation": 0.1, "wiggle": 40.0}


@dataclasses.dataclass(frozen=True)
class World:
    """A square of cells from -`radius` to `radius`, with a nest in the middle, three sources of
    food, and `ants` that leave one a tick for `ticks`."""

    radius: int = 20
    ants: int = 60
    ticks: int = 400

    def __post_init__(self):
        check_count("World: radius", self.radius, 7)
        check_count("World: ants", self.ants)
        check_count("World: ticks", self.ticks)

    @property
    def side(self) -> int:
        """How many cells there are along a side."""
        return 2 * self.radius + 1

    def away(self, x: float, y: float) -> Float[np.ndarray, "x y"]:
        """How far each cell is from a place."""
        line = np.arange(-self.radius, self.radius + 1.0)
        return np.hypot(line[:, None] - x, line[None, :] - y)

    @property
    def nest(self) -> Bool[np.ndarray, "x y"]:
        """The cells of the nest."""
        return self.away(0.0, 0.0) < self.radius / 7

    @property
    def scent(self) -> Float[np.ndarray, "x y"]:
        """What leads home: the nearer, the more."""
        return 200.0 - self.away(0.0, 0.0)

    @property
    def food(self) -> Int[np.ndarray, "x y"]:
        """1 and 2 in turns where there is food."""
        far = self.radius * np.array([[0.6, 0.0], [-0.6, -0.6], [-0.8, 0.8]])
        there = np.any([self.away(x, y) < self.radius / 7 for x, y in far], axis=0)
        return there * (1 + np.indices(there.shape).sum(axis=0) % 2)

    @property
    def space(self) -> Space:
        """Which share of the chemical goes to neighbours in a tick, which is gone, and how far an
        ant turns at random to either side, degrees."""
        return Space(
            diffusion=Real(0.0, 0.99),
            evaporation=Real(0.001, 0.5, log=True),
            wiggle=Real(0.0, 90.0),
        )


class _State(NamedTuple):
    x: Float[Array, " ant"]
    y: Float[Array, " ant"]
    heading: Float[Array, " ant"]
    carries: Bool[Array, " ant"]
    chemical: Float[Array, "x y"]
    food: Int[Array, "x y"]


@dataclasses.dataclass(frozen=True)
class AntColony:
    """An optimisee for `minimise` and `Function`: the share of the food that is not in the nest,
    as a mean over the ticks and over `colonies`, each with random numbers of its own. Kept with it:
    `collected`, the mean of the pieces in the nest after each tick."""

    world: World = World()
    colonies: int = 4

    def __post_init__(self):
        check_count("AntColony: colonies", self.colonies)

    @property
    def space(self) -> Space:
        """Of the world."""
        return self.world.space

    def __call__(self, values: dict[str, Array], key: Array) -> Evaluated:
        keys = jr.split(key, self.colonies)
        several = jax.vmap(lambda own: self.collected(values, own))(keys)
        collected = jnp.mean(several.astype(jnp.asarray(values["diffusion"]).dtype), axis=0)
        left = 1.0 - collected / int(self.world.food.sum())
        return Evaluated(jnp.mean(left), more={"collected": collected})

    def collected(self, values: dict[str, Array], key: Array) -> Int[Array, " tick"]:
        """The pieces of food in the nest after each tick."""
        dtype = jnp.asarray(values["diffusion"]).dtype
        ants, side = self.world.ants, self.world.side
        headed, key = jr.split(key)
        begun = _State(
            jnp.zeros(ants, dtype),
            jnp.zeros(ants, dtype),
            jr.uniform(headed, (ants,), dtype, 0.0, 360.0),
            jnp.zeros(ants, bool),
            jnp.zeros((side, side), dtype),
            jnp.asarray(self.world.food, jnp.int32),
        )

        def tick(state, number):
            state, brought = self._tick(state, values, jr.fold_in(key, number), number)
            return state, brought

        _, brought = jax.lax.scan(tick, begun, jnp.arange(self.world.ticks))
        return jnp.cumsum(brought, dtype=jnp.int32)

    def _tick(self, state: _State, values: dict, key: Array, number: Array):
        out = jnp.arange(self.world.ants) < number
        nest = jnp.asarray(self.world.nest)
        here = self._cells(state.x, state.y)
        home = state.carries & nest[here] & out
        away = state.carries & ~nest[here] & out
        found = ~state.carries & out & _served(here, ~state.carries & out, state.food)
        smelled = state.chemical[here]
        led = ~state.carries & ~found & out & (smelled >= FAINT) & (smelled < STRONG)
        food = state.food.at[here].add(-found.astype(state.food.dtype))
        marked = DROPPED * away.astype(state.chemical.dtype)
        chemical = state.chemical.at[here].add(marked)
        scent = jnp.asarray(self.world.scent, chemical.dtype)
        heading = state.heading + 180.0 * (found | home).astype(scent.dtype)
        heading = jnp.where(away, self._uphill(scent, state, heading), heading)
        heading = jnp.where(led, self._uphill(state.chemical, state, heading), heading)
        right, left = jr.uniform(key, (2, self.world.ants), heading.dtype)
        heading = jnp.where(out, heading + values["wiggle"] * (left - right), heading)
        heading = jnp.where(self._inside(*_ahead(state, heading)), heading, heading + 180.0)
        x, y = _ahead(state, heading)
        goes = out & self._inside(x, y)
        spread = self._spread(chemical, values["diffusion"]) * (1.0 - values["evaporation"])
        moved = _State(
            jnp.where(goes, x, state.x),
            jnp.where(goes, y, state.y),
            heading % 360.0,
            (state.carries | found) & ~home,
            spread,
            food,
        )
        return moved, jnp.sum(home, dtype=jnp.int32)

    def _cells(self, x: Float[Array, " ant"], y: Float[Array, " ant"]):
        radius = self.world.radius

        def cell(place: Float[Array, " ant"]) -> Int[Array, " ant"]:
            return jnp.clip(jnp.rint(place).astype(jnp.int32) + radius, 0, 2 * radius)

        return cell(x), cell(y)

    def _inside(self, x: Float[Array, " ant"], y: Float[Array, " ant"]) -> Bool[Array, " ant"]:
        edge = self.world.radius + 0.5
        return (jnp.abs(x) < edge) & (jnp.abs(y) < edge)

    def _uphill(
        self, field: Float[Array, "x y"], state: _State, heading: Float[Array, " ant"]
    ) -> Float[Array, " ant"]:
        """45 degrees to the side where there is more than ahead, if there is."""

        def smelled(turn: float) -> Float[Array, " ant"]:
            x, y = _ahead(state, heading + turn)
            return jnp.where(self._inside(x, y), field[self._cells(x, y)], 0.0)

        ahead, left, right = smelled(0.0), smelled(SIDEWAYS), smelled(-SIDEWAYS)
        side = jnp.where(right > left, -SIDEWAYS, SIDEWAYS).astype(heading.dtype)
        return jnp.where((right > ahead) | (left > ahead), heading + side, heading)

    def _spread(self, chemical: Float[Array, "x y"], share: Float[Array, ""]):
        """An eighth of the share to each neighbour; what would leave the world stays."""
        side = self.world.side
        wide = jnp.pad(chemical, 1)
        steps = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
        given = sum(wide[i : i + side, j : j + side] for i, j in steps)
        line = np.full(side, 3.0)
        line[[0, -1]] = 2.0
        neighbours = jnp.asarray(np.outer(line, line) - 1.0, chemical.dtype)
        return chemical + share / 8.0 * (given - neighbours * chemical)


def _ahead(state: _State, heading: Float[Array, " ant"]):
    """The places one cell ahead."""
    angle = jnp.deg2rad(heading)
    return state.x + jnp.cos(angle), state.y + jnp.sin(angle)


def _served(
    here: tuple[Int[Array, " ant"], Int[Array, " ant"]],
    wants: Bool[Array, " ant"],
    food: Shaped[Array, "x y"],
) -> Bool[Array, " ant"]:
    """Which ants find food: of those in one cell the first ones, as many as there are pieces."""
    cell = here[0] * food.shape[1] + here[1]
    same = (cell[:, None] == cell[None, :]) & wants[None, :]
    before = jnp.sum(jnp.tril(same, k=-1), axis=1, dtype=food.dtype)
    return wants & (before < food[here])
