"""A cortical column: excitatory and inhibitory cells that are a region of a Wong-Wang brain."""

import jax
from jaxtyping import Array

from tvbjax.spiking.connectivity import FixedInDegree
from tvbjax.spiking.cosimulator import SpikingRegion
from tvbjax.spiking.drives import Poisson
from tvbjax.spiking.interfaces import Output, WongWangExcitatory, WongWangInhibitory
from tvbjax.spiking.monitors import AbstractMonitor, Rates, Spikes
from tvbjax.spiking.network import Network
from tvbjax.spiking.populations import Population, Projection
from tvbjax.spiking.signals import Heard
from tvbjax_lems import Exact, load_cell


def cortical_column(
    excitatory: int = 160,
    inhibitory: int = 40,
    *,
    key: Array | None = None,
    dt: float = 0.1,
    monitors: tuple[AbstractMonitor, ...] | None = None,
) -> Network:
    """Leaky integrate-and-fire cells in the asynchronous irregular regime, at some Hz.

    Brunel's (2000) network with fewer and stronger synapses: each cell hears a fifth of either
    population, 0.6 mV a spike of excitatory and -4.8 mV of inhibitory ones, with a delay of 1.5 ms,
    and Poisson spikes from outside. Excitatory cells hear the coupling input `c_0` of the region as
    further ones, 10 kHz for an input of 1.
    """
    cell = load_cell("LifDelta")
    sizes = {"E": excitatory, "I": inhibitory}
    weights = {"E": 0.6, "I": -4.8}
    projections = {
        f"{source} to {target}": Projection(
            source, target, FixedInDegree(sizes[source] // 5), weight=weights[source], delay=1.5
        )
        for source in sizes
        for target in sizes
    }
    return Network(
        {name: Population(cell, size, method=Exact()) for name, size in sizes.items()},
        projections,
        {
            "background E": Poisson("E", 1.5, weight=0.6),
            "background I": Poisson("I", 1.6, weight=0.6),
            "brain": Poisson("E", Heard("c_0", gain=10.0, unit="1/ms"), weight=0.6),
        },
        dt=dt,
        key=jax.random.key(0) if key is None else key,
        monitors=(Rates(("E", "I")), Spikes("E"), Spikes("I")) if monitors is None else monitors,
    )


def column_region(network: Network) -> SpikingRegion:
    """A column as a region of the model ReducedWongWangExcInh: its rates open the region's
    receptors, S_e and S_i."""
    outputs = (Output("S_e", "E", WongWangExcitatory()), Output("S_i", "I", WongWangInhibitory()))
    return SpikingRegion(network, outputs)
