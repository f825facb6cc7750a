"""Spiking networks as NEST runs them: populations of `iaf_psc_delta`, connection by connection.

NEST's kernel is global: `spikes` is for a process of its own (tests/apart.py).
"""

from typing import Any

import numpy as np

from tvbjax import spiking

# Those of LifDelta.
LIF = {"tau_m": 20.0, "V_th": 20.0, "V_reset": 10.0, "t_ref": 2.0, "C_m": 1.0, "E_L": 0.0}


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


def spikes(
    into: str,
    size: int,
    connections: list[dict[str, Any]],
    duration: float,
    *,
    dt: float,
    seed: int = 0,
    initial: Any = 0.0,
    poisson: dict[str, float] | None = None,
    given: dict[str, Any] | None = None,
) -> int:
    """Writes `times` (ms) and `cells` of all spikes to the file `into`, and gives their number.

    `initial`: potentials, mV. `poisson`: `rate`, kHz, to every cell, and `weight`. `given`: the
    `times`, ms, at which spikes arrive at `cells`, and their `weight`.
    """
    from tvbjax_inference.l2l.examples._nest import fresh_nest

    nest = fresh_nest("nest_networks", seed, dt)
    cells = nest.Create("iaf_psc_delta", size, params=LIF)
    cells.V_m = np.broadcast_to(initial, size).tolist()
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
