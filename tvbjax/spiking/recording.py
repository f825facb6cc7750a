"""What a network's monitors recorded, as xarray with units, of the pieces of a run."""

from typing import Any

import numpy as np

from tvbjax.spiking.monitors import (
    LocalField,
    Means,
    Rates,
    Spikes,
    States,
    averaged,
    watched,
)
from tvbjax.spiking.network import Network
from tvbjax.spiking.program import Carry, Seen
from tvbjax.spiking.result import SpikeTrains, SpikingResult, unpacked, windows
from tvbjax.steps import steps_of


def recorded(
    network: Network,
    pieces: list[dict[str, Seen]],
    first: int,
    steps: int,
    carry: Carry | None,
    complete: bool,
) -> SpikingResult:
    """`pieces`: what was seen of all populations, piece by piece, of `steps` steps from `first`."""
    import xarray as xr

    found: dict[str, xr.DataArray] = {}
    spikes: dict[str, SpikeTrains] = {}
    dt = network.dt
    for one in network.monitors:
        match one:
            case Spikes(population=name):
                size = network.populations[name].size
                bits = _joined(pieces, name, "spikes", (-(-size // 8),), np.uint8)
                if bits.dtype != np.uint8:
                    bits = np.packbits(bits > 0, axis=1)
                spikes[name] = unpacked(bits, size, first, dt, max(steps, 1) * dt)
            case Rates():
                found["rates"] = _rates(network, one, pieces, first)
            case States(population=name):
                found[name] = _states(network, one, pieces, first)
            case Means(population=name):
                found[f"means of {name}"] = _means(network, one, pieces, first)
            case LocalField():
                found["lfp"] = _field(network, one, pieces, first)
    return SpikingResult(found, spikes, carry, complete)


def _joined(pieces: list, name: str, what: str, shape: tuple, dtype: Any = float) -> np.ndarray:
    found = [getattr(piece[name], what) for piece in pieces]
    return np.concatenate(found) if found else np.zeros((0, *shape), dtype)


def _rates(network: Network, one: Rates, pieces: list, first: int):
    import xarray as xr

    dt = network.dt
    steps = steps_of(one.period, dt, "Rates: the period")
    columns = [
        windows(_joined(pieces, name, "count", ()), steps) / (network.populations[name].size * dt)
        for name in one.populations
    ]
    time = first * dt + (np.arange(len(columns[0])) + 0.5) * steps * dt
    return xr.DataArray(
        np.stack(columns, axis=1),
        {"time": ("time", time, {"unit": "ms"}), "population": list(one.populations)},
        ("time", "population"),
        name="rates",
        attrs={"unit": "kHz"},
    )


def _states(network: Network, one: States, pieces: list, first: int):
    import xarray as xr

    population = network.populations[one.population]
    names = watched(network.monitors, one.population)
    cells = range(population.size) if one.cells is None else one.cells
    values = _joined(pieces, one.population, "states", (len(names), len(cells)))
    every = 1 if one.period is None else steps_of(one.period, network.dt, "States: the period")
    time = (first + every * (1 + np.arange(len(values) // every))) * network.dt
    return xr.DataArray(
        values[every - 1 :: every],
        {
            "time": ("time", time, {"unit": "ms"}),
            "variable": list(names),
            "cell": list(cells),
            "unit": ("variable", [population.cell.units.get(name, "") for name in names]),
        },
        ("time", "variable", "cell"),
        name=one.population,
    )


def _means(network: Network, one: Means, pieces: list, first: int):
    import xarray as xr

    known = averaged(network.monitors, one.population)
    columns = [known.index(name) for name in one.names]
    values = _joined(pieces, one.population, "means", (len(known),))[:, columns]
    every = 1 if one.period is None else steps_of(one.period, network.dt, "Means: the period")
    time = (first + every * (1 + np.arange(len(values) // every))) * network.dt
    units = network.populations[one.population].cell.units
    return xr.DataArray(
        values[every - 1 :: every],
        {
            "time": ("time", time, {"unit": "ms"}),
            "variable": list(one.names),
            "unit": ("variable", [units.get(name, "") for name in one.names]),
        },
        ("time", "variable"),
        name="means",
    )


def _field(network: Network, one: LocalField, pieces: list, first: int):
    import xarray as xr

    known = averaged(network.monitors, one.population)
    columns = [known.index(name) for name in (one.excitatory, one.inhibitory)]
    means = _joined(pieces, one.population, "means", (len(known),))[:, columns]
    back = round(one.delay / network.dt)
    excitatory = means[: max(len(means) - back, 0), 0]
    values = excitatory + one.balance * means[back:, 1]
    time = (first + back + 1 + np.arange(len(values))) * network.dt
    return xr.DataArray(
        values, {"time": ("time", time, {"unit": "ms"})}, ("time",), name="lfp",
        attrs={"unit": network.populations[one.population].cell.units.get(one.excitatory, "")},
    )  # fmt: skip
