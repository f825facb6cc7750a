"""A small brain with a spiking region, for the tests of co-simulation."""

import jax
import numpy as np

import tvbjax
from tvbjax import lems, spiking

LABELS = ("left", "middle", "right", "spiking")


def brain(dt=0.1, coupling=None, noise=None, monitors=None, shortest=9.0):
    """Four Wong-Wang regions; the spiking one is `shortest` mm from the nearest."""
    rng = np.random.default_rng(3)
    weights = rng.uniform(0.2, 1.0, (4, 4)) * (1 - np.eye(4))
    lengths = rng.uniform(20.0, 60.0, (4, 4))
    lengths[3, 1] = shortest
    lengths[0, 1] = 1.0  # of no account for the spiking region
    connectome = tvbjax.Connectome(weights, lengths, speed=3.0, labels=LABELS)
    return tvbjax.Simulator(
        lems.load("ReducedWongWangExcInh"),
        connectome,
        tvbjax.coupling.Linear(a=0.05) if coupling is None else coupling,
        tvbjax.integrators.Heun(dt=dt),
        noise=noise,
        monitors=[tvbjax.monitors.SubSample(dt * 7)] if monitors is None else monitors,
    )


def column(dt=0.1, heard=None, monitors=None, cells=(40, 10)):
    """Excitatory and inhibitory cells that hear the brain."""
    cell = lems.load_cell("LifDelta")
    excitatory, inhibitory = (spiking.Population(cell, size, method=lems.Exact()) for size in cells)
    heard = spiking.Heard("c_0", gain=20.0, offset=6.0) if heard is None else heard
    return spiking.Network(
        {"E": excitatory, "I": inhibitory},
        {
            "E to E": spiking.Projection("E", "E", spiking.FixedInDegree(8), weight=0.4, delay=1.5),
            "E to I": spiking.Projection("E", "I", spiking.FixedInDegree(8), weight=0.4, delay=1.5),
            "I to E": spiking.Projection(
                "I", "E", spiking.FixedInDegree(2), weight=-1.5, delay=1.0
            ),
        },
        {
            "brain": spiking.Poisson("E", heard, weight=0.4),
            "background": spiking.Poisson("I", 7.0, weight=0.3),
        },
        dt=dt,
        key=jax.random.key(0),
        monitors=[spiking.Rates(("E", "I")), spiking.Spikes("E")] if monitors is None else monitors,
    )


def outputs():
    return (
        spiking.Output("S_e", "E", spiking.WongWangExcitatory()),
        spiking.Output("S_i", "I", spiking.WongWangInhibitory()),
    )
