"""The ants of `ant_colony` in mesa, one after the other in random order: the same rules once more.

ter Hoeven, Kwakkel, Hess et al. (2025), Mesa 3, J. Open Source Softw. 10:7668.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from tvbjax_inference.l2l.examples._engines import engine
from tvbjax_inference.l2l.examples.ant_colony import DROPPED, FAINT, SIDEWAYS, STRONG, World
from tvbjax_inference.l2l.space import Space


@dataclasses.dataclass(frozen=True)
class MesaColony:
    """An optimisee for `Python`: as `AntColony`, by agents that act one after the other, so that
    losses agree in their statistics and not number by number. Needs
    `pip install 'tvbjax[agents]'`."""

    world: World = World()

    @property
    def space(self) -> Space:
        """Of the world."""
        return self.world.space

    def __call__(self, values: dict[str, Any], seed: int) -> dict[str, Any]:
        colony = _colony(self.world, values, seed)
        collected = []
        for number in range(self.world.ticks):
            # The first ants leave first, one more each tick.
            colony.agents.select(lambda ant, n=number: ant.number < n).shuffle_do("step")
            colony.weather()
            collected.append(colony.collected)
        left = 1.0 - np.array(collected) / self.world.food.sum()
        return {"loss": float(left.mean()), "more": {"collected": np.array(collected)}}


def _colony(world: World, values: dict[str, float], seed: int) -> Any:
    """The model with its ants. Its classes are made here, for mesa is imported when used."""
    mesa = engine("MesaColony", "mesa", "agents")
    radius = world.radius

    class Ant(mesa.Agent):
        def __init__(self, model: Any, number: int):
            super().__init__(model)
            self.number, self.x, self.y = number, 0.0, 0.0
            self.heading, self.carries = model.random.uniform(0.0, 360.0), False

        def step(self):
            cell = round(self.x) + radius, round(self.y) + radius
            if self.carries and self.model.nest[cell]:
                self.carries = False
                self.model.collected += 1
                self.heading += 180.0
            elif self.carries:
                self.model.chemical[cell] += DROPPED
                self.climb(self.model.scent)
            elif self.model.food[cell] > 0:
                self.model.food[cell] -= 1
                self.carries = True
                self.heading += 180.0
            elif FAINT <= self.model.chemical[cell] < STRONG:
                self.climb(self.model.chemical)
            self.move()

        def ahead(self, turn: float = 0.0) -> tuple[float, float]:
            angle = math.radians(self.heading + turn)
            return self.x + math.cos(angle), self.y + math.sin(angle)

        def climb(self, field: np.ndarray):
            def smelled(turn: float) -> float:
                x, y = self.ahead(turn)
                if not inside(x, y):
                    return 0.0
                return field[round(x) + radius, round(y) + radius]

            straight, left, right = smelled(0.0), smelled(SIDEWAYS), smelled(-SIDEWAYS)
            if max(left, right) > straight:
                self.heading += -SIDEWAYS if right > left else SIDEWAYS

        def move(self):
            draw = self.model.random.random
            self.heading += values["wiggle"] * (draw() - draw())
            if not inside(*self.ahead()):
                self.heading += 180.0
            if inside(*self.ahead()):
                self.x, self.y = self.ahead()

    class Colony(mesa.Model):
        def __init__(self):
            super().__init__(seed=seed)
            self.nest, self.scent, self.food = world.nest, world.scent, world.food.copy()
            self.chemical = np.zeros((world.side, world.side))
            self.collected = 0
            for number in range(world.ants):
                Ant(self, number)

        def weather(self):
            """Each cell gives its share away, cell by cell of the neighbours it has."""
            given = values["diffusion"] / 8.0 * self.chemical
            after = self.chemical.copy()
            last = world.side
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    if i or j:
                        to = slice(max(0, i), last + min(0, i)), slice(max(0, j), last + min(0, j))
                        of = (
                            slice(max(0, -i), last - max(0, i)),
                            slice(max(0, -j), last - max(0, j)),
                        )
                        after[to] += given[of]
                        after[of] -= given[of]
            self.chemical = after * (1.0 - values["evaporation"])

    def inside(x: float, y: float) -> bool:
        return abs(x) < radius + 0.5 and abs(y) < radius + 0.5

    return Colony()
