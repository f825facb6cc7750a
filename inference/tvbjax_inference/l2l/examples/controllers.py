"""Controllers of what acts in a world: from what is observed to which action, by searched weights.

Plain NumPy, one step at a time: a network of rates, and one of spiking neurons.
"""

import abc
import dataclasses
from typing import Any

import numpy as np

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.dimensions import AbstractDimension, Unbounded


class AbstractController(abc.ABC):
    """A network whose weights are searched."""

    @abc.abstractmethod
    def dimensions(self, observations: int, actions: int) -> dict[str, AbstractDimension]:
        """What is searched, for so many observed numbers and actions."""

    @abc.abstractmethod
    def begin(self) -> Any:
        """The state before an episode."""

    @abc.abstractmethod
    def act(self, values: dict, state: Any, observed: np.ndarray) -> tuple[np.ndarray, Any]:
        """A number for each action, of which the greatest decides, and the state after it.

        `observed`: of about 1 in size.
        """


@dataclasses.dataclass(frozen=True)
class Rates(AbstractController):
    """`hidden` units tanh(W x + b), and actions that are weighted sums of them; without hidden
    units weighted sums of what is observed."""

    hidden: int = 0

    def __post_init__(self):
        check_count("Rates: hidden", self.hidden, 0)

    def dimensions(self, observations, actions):
        last = {
            "outward": Unbounded(shape=(actions, self.hidden or observations)),
            "bias": Unbounded(shape=(actions,)),
        }
        if not self.hidden:
            return last
        return {
            "inward": Unbounded(shape=(self.hidden, observations)),
            "threshold": Unbounded(shape=(self.hidden,)),
        } | last

    def begin(self):
        return None

    def act(self, values, state, observed):
        if self.hidden:
            observed = np.tanh(values["inward"] @ observed + values["threshold"])
        return values["outward"] @ observed + values["bias"], None


@dataclasses.dataclass(frozen=True)
class Spiking(AbstractController):
    """`hidden` leaky integrate-and-fire neurons driven by currents W x + b, read out by filtered
    spikes.

    tau dv/dt = -v + I, a spike and v = 0 where v >= 1, with exact steps of 1 ms (Gerstner, Kistler,
    Naud & Paninski 2014, Neuronal Dynamics, section 1.3). Traces of spikes decay with `trace` and
    are summed with outward weights. `window`: ms that an observation is held for, after which the
    greatest sum decides; state and traces last through an episode.
    """

    hidden: int = 20
    window: int = 10
    tau: float = 10.0
    trace: float = 10.0

    def __post_init__(self):
        check_count("Spiking: hidden", self.hidden)
        check_count("Spiking: window", self.window)

    def dimensions(self, observations, actions):
        return {
            "inward": Unbounded(scale=2.0, shape=(self.hidden, observations)),
            "drive": Unbounded(1.0, shape=(self.hidden,)),
            "outward": Unbounded(shape=(actions, self.hidden)),
        }

    def begin(self):
        return np.zeros(self.hidden), np.zeros(self.hidden)

    def act(self, values, state, observed):
        voltage, traces = state
        current = values["inward"] @ observed + values["drive"]
        for _ in range(self.window):
            voltage, traces, _ = self.step(voltage, traces, current)
        return values["outward"] @ traces, (voltage, traces)

    def step(
        self, voltage: np.ndarray, traces: np.ndarray, current: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Voltages and traces 1 ms later, and which neurons have spiked."""
        voltage = current + (voltage - current) * np.exp(-1.0 / self.tau)
        spiked = voltage >= 1.0
        traces = traces * np.exp(-1.0 / self.trace) + spiked
        return np.where(spiked, 0.0, voltage), traces, spiked
