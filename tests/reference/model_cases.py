"""Every model of TVB in four simulations: alone, coupled, coupled otherwise, with regional values.

NumPy only: `make_models.py` imports this in TVB's environment, the tests in tvbjax's. One entry of
MODELS for each class of TVB.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from reference.model_table import MODELS

KINDS = ("alone", "coupled", "other coupling", "regional")
DURATION = 100.0  # ms


@dataclass(frozen=True)
class Network:
    """A coupling function and the parameters that make the model listen to it."""

    coupling: str
    gains: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelCase:
    """How a model is compared.

    `model`: TVB's class, and tvbjax's model. `ranges`: of the random past, by TVB's state
    variables. `dt`: ms. `parameters`: other values than TVB's defaults, in all simulations.
    `coupled`, `other`: the two networks. `regional`: a parameter, and its values in the first and
    the last region. `modes`: TVB's modes; tvbjax has a state variable for each, NAME_1, NAME_2.
    `ours`: values of parameters that tvbjax alone has: switches for what TVB does otherwise.
    `units`: TVB's unit of a state variable or parameter over tvbjax's, where it is not 1.
    `duration`: ms, less where the model is chaotic. `tolerance`: of the largest value.
    `reason`: for a shorter duration or another tolerance than 1e-9.
    """

    model: str
    ranges: dict[str, tuple[float, float]]
    coupled: Network
    other: Network
    regional: tuple[str, float, float]
    dt: float = 0.1
    parameters: dict[str, float] = field(default_factory=dict)
    modes: int = 1
    ours: dict[str, float] = field(default_factory=dict)
    units: dict[str, float] = field(default_factory=dict)
    duration: float = DURATION
    tolerance: float = 1e-9
    reason: str = ""
    seed: int = 1


@dataclass(frozen=True)
class Simulation:
    """One simulation of a case; `values`: parameters, numbers or one for each region."""

    case: ModelCase
    kind: str
    network: Network
    values: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.case.model}_{self.kind.replace(' ', '_')}"

    @property
    def steps(self) -> int:
        return round(self.case.duration / self.case.dt)

    @property
    def kept(self) -> np.ndarray:
        """The steps whose states are stored: the first three, and four more up to the last."""
        return np.r_[1:4, self.steps * np.arange(1, 5) // 4]


def cases() -> tuple[ModelCase, ...]:
    """The table's entries."""
    found = []
    for entry in MODELS:
        networks = {name: Network(*entry[name]) for name in ("coupled", "other")}
        found.append(ModelCase(**{**entry, **networks}))
    return tuple(found)


def simulations(case: ModelCase, regions: int) -> tuple[Simulation, ...]:
    """The four simulations of a case."""
    parameter, first, last = case.regional
    nothing = replace(case.coupled, gains=dict.fromkeys(case.coupled.gains, 0.0))
    spread = {parameter: np.linspace(first, last, regions)}
    coupled, other = (case.parameters | one.parameters for one in (case.coupled, case.other))
    return (
        Simulation(case, "alone", nothing, dict(case.parameters)),
        Simulation(case, "coupled", case.coupled, coupled),
        Simulation(case, "other coupling", case.other, other),
        Simulation(case, "regional", case.coupled, coupled | spread),
    )


def past(case: ModelCase, rows: int, regions: int) -> np.ndarray:
    """The history (step, TVB's state variable, region, mode), oldest first."""
    low, high = np.array(list(case.ranges.values())).T[:, :, None, None]
    shape = rows, len(case.ranges), regions, case.modes
    return np.random.RandomState(case.seed).uniform(low, high, shape)
