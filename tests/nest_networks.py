"""Spiking networks as NEST runs them: populations of `iaf_psc_delta`, connection by connection.

NEST's kernel is global: it runs in a process of its own (tests/apart.py).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tvbjax import spiking

# Those of LifDelta.
LIF = {"tau_m": 20.0, "V_th": 20.0, "V_reset": 10.0, "t_ref": 2.0, "C_m": 1.0, "E_L": 0.0}


def beside(
    call: Callable[..., Any],
    folder: Path,
    network: spiking.Network,
    duration: float,
    *,
    seed: int = 0,
    poisson: dict[str, float] | None = None,
) -> dict[str, spiking.SpikeTrains]:
    """A network's spikes in NEST, with its connections, weights, delays and initial potentials.

    `call`: of `apart`. `poisson`: `rate`, kHz, to every cell, and `weight`; without it the
    network's drives are `SpikeTimes`, which NEST is given, too.
    """
    first, populations = offsets(network), network.populations
    more: dict[str, Any] = {"dt": network.dt, "seed": seed, "poisson": poisson}
    more["initial"] = np.concatenate(
        [np.broadcast_to(one.initial["v"], one.size) for one in populations.values()]
    )
    if poisson is None:
        more["given"] = _given(list(network.drives.values()), first)
    path = folder / "spikes.npz"
    size = sum(one.size for one in populations.values())
    call(spikes, str(path), size, connections(network), duration, more)
    found = np.load(path)
    ends = [*first.values(), size]
    trains = {}
    for (name, begin), end in zip(first.items(), ends[1:], strict=True):
        own = (found["cells"] >= begin) & (found["cells"] < end)
        cells = (found["cells"][own] - begin).astype(np.int32)
        trains[name] = spiking.SpikeTrains(found["times"][own], cells, end - begin, duration)
    return trains


def raster(trains: spiking.SpikeTrains, dt: float) -> np.ndarray:
    """Step and cell of every spike, sorted."""
    found = np.stack([np.rint(trains.times / dt).astype(int), trains.cells], axis=1)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def poisson_spikes(
    rng: np.random.Generator, rate: float, duration: float, cells: int, dt: float, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Times and cells of Poisson trains of `rate` kHz: `count` in all, of which those that are too
    many come too late, so that networks with other rates are of one form.

    NEST can have a spike arrive at the end of the second step at the earliest.
    """
    counts = rng.poisson(rate * dt, (round(duration / dt) - 1, cells))
    steps, own = np.nonzero(counts)
    often = counts[steps, own]
    times, own = np.repeat((steps + 2) * dt, often), np.repeat(own, often)
    late = count - len(times)
    return np.append(times, np.full(late, 2.0 * duration)), np.append(own, np.zeros(late, int))


def offsets(network: spiking.Network) -> dict[str, int]:
    """The number of each population's first cell, where all are numbered one after another."""
    sizes = [one.size for one in network.populations.values()]
    first = np.cumsum([0, *sizes[:-1]]).tolist()
    return dict(zip(network.populations, first, strict=True))


def connections(network: spiking.Network) -> list[dict[str, Any]]:
    """The connections of a network, for `spikes`."""
    first = offsets(network)
    return [
        {
            "sources": np.asarray(one.sources) + first[one.source],
            "targets": np.asarray(one.targets) + first[one.target],
            "weight": np.asarray(one.weight, float),
            "delay": np.asarray(one.delays) * network.dt,
        }
        for one in network.projections.values()
    ]


def _given(drives: list[Any], first: dict[str, int]) -> dict[str, Any]:
    assert all(isinstance(one, spiking.SpikeTimes) for one in drives)
    (weight,) = {float(one.weight) for one in drives}
    return {
        "times": np.concatenate([one.times for one in drives]),
        "cells": np.concatenate([one.cells + first[one.target] for one in drives]),
        "weight": weight,
    }


def spikes(
    into: str, size: int, connections: list[dict[str, Any]], duration: float, more: dict[str, Any]
) -> int:
    """Writes `times` (ms) and `cells` of all spikes to the file `into`, and gives their number.

    `more`: `dt`, `seed`, `initial` potentials, mV; `poisson`: `rate`, kHz, to every cell, and
    `weight`, or `given`: the `times`, ms, at which spikes arrive at `cells`, and their `weight`.
    """
    from tvbjax_inference.l2l.examples._nest import fresh_nest

    dt, poisson, given = more["dt"], more["poisson"], more.get("given")
    nest = fresh_nest("nest_networks", more["seed"], dt)
    cells = nest.Create("iaf_psc_delta", size, params=LIF)
    cells.V_m = more["initial"].tolist()
    first = cells.tolist()[0]
    for one in connections:
        count = len(one["sources"])
        synapses = {n: np.broadcast_to(one[n], count).astype(float) for n in ("weight", "delay")}
        synapses["delay"] = synapses["delay"].round(6)
        senders, receivers = (first + one[n].astype(int) for n in ("sources", "targets"))
        nest.Connect(senders, receivers, "one_to_one", synapses)
    if poisson is not None:
        source = nest.Create("poisson_generator", params={"rate": 1000.0 * poisson["rate"]})
        nest.Connect(source, cells, syn_spec={"weight": poisson["weight"], "delay": dt})
    if given is not None:
        sources = nest.Create("spike_generator", size, params=_generators(given, size, dt))
        synapses = {"weight": given["weight"], "delay": dt}
        nest.Connect(sources, cells, "one_to_one", synapses)
    recorder = nest.Create("spike_recorder")
    nest.Connect(cells, recorder)
    nest.Simulate(duration)
    events = recorder.events
    order = np.lexsort((events["senders"], events["times"]))
    np.savez(into, times=events["times"][order], cells=events["senders"][order] - first)
    return len(order)


def _generators(given: dict[str, Any], size: int, dt: float) -> list[dict[str, Any]]:
    """Each cell's own spikes, which leave a step before they arrive."""
    steps = np.rint(np.asarray(given["times"]) / dt) - 1
    order = np.lexsort((steps, given["cells"]))
    ends = np.cumsum(np.bincount(given["cells"], minlength=size))[:-1]
    return [{"spike_times": (own * dt).round(6)} for own in np.split(steps[order], ends)]
