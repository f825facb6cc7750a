"""What is recorded of a spiking network: spikes, rates, states, means, a proxy of the field."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import numpy as np

from tvbjax.kinds import check_number, names_of
from tvbjax.spiking.connectivity import cell_numbers
from tvbjax.spiking.populations import Population, check_known
from tvbjax.steps import steps_of
from tvbjax_lems.runtime.cell import find
from tvbjax_lems.runtime.paths import PathError

RESERVED = ("rates", "lfp")  # what results call a quantity of the network


class AbstractMonitor(eqx.Module):
    """Something that is recorded."""

    @abc.abstractmethod
    def check(self, populations: Mapping[str, Population], dt: float) -> None:
        """Raises `ValueError` where it does not fit."""


class Spikes(AbstractMonitor):
    """Who spikes when in a population: `result.spikes[population]`."""

    population: str = eqx.field(static=True)

    def check(self, populations, dt):
        check_known("Spikes", self.population, populations)


class Rates(AbstractMonitor):
    """The mean rates of populations over windows of `period` ms, kHz: `result["rates"]`."""

    populations: tuple[str, ...] = eqx.field(static=True)
    period: float = eqx.field(static=True)

    def __init__(self, populations: Sequence[str], period: float = 1.0):
        self.populations = names_of("Rates: populations", populations, "('E', 'I')")
        if not self.populations:
            raise ValueError("Rates: populations is empty; name one or more, e.g. ('E', 'I').")
        check_number("Rates: period (ms)", period, above=0.0)
        self.period = period

    def check(self, populations, dt):
        for name in self.populations:
            check_known("Rates", name, populations)
        steps_of(self.period, dt, "Rates: the period")


class States(AbstractMonitor):
    """Quantities of cells of a population every `period` ms, by default every step:
    `result[population]`.

    `names`: states or derived values, those of synapses as `synapse/name`. `cells`: their numbers;
    None is all.
    """

    population: str = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    cells: tuple[int, ...] | None = eqx.field(static=True)
    period: float | None = eqx.field(static=True)

    def __init__(
        self,
        population: str,
        names: Sequence[str],
        cells: Sequence[int] | None = None,
        period: float | None = None,
    ):
        self.population, self.period = population, period
        self.names = names_of("States: names", names, "('v',)")
        self.cells = None if cells is None else tuple(cell_numbers("States")(cells).tolist())

    def check(self, populations, dt):
        check_known("States", self.population, populations)
        one = populations[self.population]
        _check_names("States", one, self.names)
        wrong = [cell for cell in self.cells or () if not 0 <= cell < one.size]
        if wrong:
            raise ValueError(
                f"States: there is no cell {wrong[0]} in '{self.population}', which has {one.size}."
            )
        if self.period is not None:
            steps_of(self.period, dt, "States: the period")


class Means(AbstractMonitor):
    """Means of quantities over the cells of a population every `period` ms, by default every step:
    `result["means of E"]`."""

    population: str = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    period: float | None = eqx.field(static=True)

    def __init__(self, population: str, names: Sequence[str], period: float | None = None):
        self.population, self.period = population, period
        self.names = names_of("Means: names", names, "('v',)")

    def check(self, populations, dt):
        check_known("Means", self.population, populations)
        _check_names("Means", populations[self.population], self.names)
        if self.period is not None:
            steps_of(self.period, dt, "Means: the period")


class LocalField(AbstractMonitor):
    """A proxy of the local field potential, in the unit of the currents: `result["lfp"]`.

    The mean over cells of the excitatory current `delay` ms ago, less `balance` times the
    inhibitory one's magnitude; Mazzoni et al. (2015), PLoS Comput. Biol. 11, e1004584, their
    reference weighted sum, with the sign of the sum of currents.
    `excitatory`, `inhibitory`: quantities of the cells, such as `excitatory/i`. Current that
    depolarises is positive here.
    """

    population: str = eqx.field(static=True)
    excitatory: str = eqx.field(static=True)
    inhibitory: str = eqx.field(static=True)
    delay: float = eqx.field(static=True, default=6.0)
    balance: float = eqx.field(static=True, default=1.65)

    def check(self, populations, dt):
        check_known("LocalField", self.population, populations)
        _check_names("LocalField", populations[self.population], (self.excitatory, self.inhibitory))
        if self.delay:
            steps_of(self.delay, dt, "LocalField: the delay")


def check_monitors(
    monitors: tuple[AbstractMonitor, ...], populations: Mapping[str, Population], dt: float
) -> None:
    """Raises `ValueError` where one does not fit, or two would have the same place in a result."""
    taken: set[Any] = set()
    for one in monitors:
        one.check(populations, dt)
        place = (type(one), one.population if isinstance(one, Spikes | States | Means) else None)
        if place in taken:
            of = f" of '{place[1]}'" if place[1] else ""
            raise ValueError(
                f"Network: there are two monitors {type(one).__name__}{of}, and a result has room "
                "for one; ask for all in one, or run the network twice."
            )
        taken.add(place)


def watched(monitors: tuple[AbstractMonitor, ...], population: str) -> tuple[str, ...]:
    """The quantities that are observed of a population's single cells."""
    found: dict[str, None] = {}
    for one in monitors:
        if isinstance(one, States) and one.population == population:
            found |= dict.fromkeys(one.names)
    return tuple(found)


def averaged(monitors: tuple[AbstractMonitor, ...], population: str) -> tuple[str, ...]:
    """The quantities whose mean over all cells is observed."""
    found: dict[str, None] = {}
    for one in monitors:
        if isinstance(one, Means) and one.population == population:
            found |= dict.fromkeys(one.names)
        if isinstance(one, LocalField) and one.population == population:
            found |= dict.fromkeys((one.excitatory, one.inhibitory))
    return tuple(found)


def cells_of(monitors: tuple[AbstractMonitor, ...], population: str) -> np.ndarray | None:
    """The cells that are observed, None for all."""
    for one in monitors:
        if isinstance(one, States) and one.population == population and one.cells is not None:
            return np.asarray(one.cells, np.int32)
    return None


def _check_names(who: str, population: Population, names: Sequence[str]) -> None:
    for name in names:
        try:
            find(population.cell.plan, name)
        except PathError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise ValueError(
                f"{who}: '{name}' cannot be observed of {population.cell.name}: {error.message}"
                f"{hint}."
            ) from None
