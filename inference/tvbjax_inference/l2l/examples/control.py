"""Control tasks of Gymnasium: a controller's weights are searched, the reward is what it earns.

Towers, Kwiatkowski, Terry et al. (2024), Gymnasium, arXiv:2407.17032.
"""

import dataclasses
from typing import Any

import numpy as np

from tvbjax.kinds import check_count, check_kind
from tvbjax_inference.l2l.examples._engines import engine
from tvbjax_inference.l2l.examples.controllers import AbstractController, Rates
from tvbjax_inference.l2l.space import Space


@dataclasses.dataclass(frozen=True)
class Task:
    """An environment of Gymnasium with discrete actions. `name`: Gymnasium's; `actions`: how many
    there are; `scale`: by which each observed number is divided, to be of about 1 in size;
    `options`: of `gymnasium.make`, pairs of name and value."""

    name: str
    actions: int
    scale: tuple[float, ...]
    options: tuple[tuple[str, Any], ...] = ()


# Position, velocity, angle, its velocity (Barto, Sutton & Anderson 1983). 1 a step, at most 500.
CART_POLE = Task("CartPole-v1", 2, (2.4, 2.0, 0.2, 2.0))
# Position, velocity (Moore 1990). -1 a step, at most 200 steps, until the car is at 0.5.
MOUNTAIN_CAR = Task("MountainCar-v0", 3, (0.6, 0.035))
# Position, velocity, angle, its velocity, the two legs' contact. Solved by 200 (needs Box2D).
LUNAR_LANDER = Task("LunarLander-v3", 4, (0.5, 0.5, 0.7, 0.7, 0.5, 0.7, 1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Control:
    """An optimisee: minus the mean reward of `episodes` of a task, each with a start of its own.

    `Control(CART_POLE, Rates())` is a function of values and a seed; its `space` holds the
    controller's weights. The same seed gives the same episodes. Needs `pip install 'tvbjax[gym]'`.
    """

    task: Task = CART_POLE
    controller: AbstractController = Rates()
    episodes: int = 3

    def __post_init__(self):
        check_kind("Control: task", self.task, Task, "examples.control.CART_POLE")
        check_kind("Control: controller", self.controller, AbstractController, "Rates()")
        check_count("Control: episodes", self.episodes)

    @property
    def space(self) -> Space:
        """The controller's weights."""
        return Space(self.controller.dimensions(len(self.task.scale), self.task.actions))

    def __call__(self, values: dict[str, Any], seed: int) -> dict[str, Any]:
        gymnasium = engine("Control", "gymnasium", "gym")
        environment = gymnasium.make(self.task.name, **dict(self.task.options))
        try:
            # NumPy's sequences of seeds: no two searches and episodes share a start.
            seeds = np.random.SeedSequence(seed).generate_state(self.episodes)
            runs = [self.episode(environment, values, int(one)) for one in seeds]
        finally:
            environment.close()
        rewards = np.array([reward for reward, _ in runs])
        steps = np.array([count for _, count in runs])
        return {"loss": -float(rewards.mean()), "more": {"rewards": rewards, "steps": steps}}

    def episode(self, environment: Any, values: dict[str, Any], seed: int) -> tuple[float, int]:
        """The reward of one episode, and how many steps it had."""
        scale = np.asarray(self.task.scale)
        observed, _ = environment.reset(seed=seed)
        state, total, steps, over = self.controller.begin(), 0.0, 0, False
        while not over:
            scores, state = self.controller.act(values, state, observed / scale)
            observed, reward, fell, out_of_time, _ = environment.step(int(np.argmax(scores)))
            total, steps, over = total + float(reward), steps + 1, fell or out_of_time
        return total, steps
