"""Spiking networks: populations of LEMS cells, in the same jit as the brain around them."""

from tvbjax.spiking import statistics as statistics
from tvbjax.spiking.connectivity import (
    AbstractConnectivity as AbstractConnectivity,
    AllToAll as AllToAll,
    Bernoulli as Bernoulli,
    Explicit as Explicit,
    FixedInDegree as FixedInDegree,
    OneToOne as OneToOne,
)
from tvbjax.spiking.correlated import (
    MultipleInteraction as MultipleInteraction,
    SingleInteraction as SingleInteraction,
)
from tvbjax.spiking.delivery import Dense as Dense, Events as Events, InEdges as InEdges
from tvbjax.spiking.drives import (
    AbstractDrive as AbstractDrive,
    Current as Current,
    Poisson as Poisson,
    SpikeTimes as SpikeTimes,
)
from tvbjax.spiking.monitors import (
    LocalField as LocalField,
    Rates as Rates,
    Spikes as Spikes,
    States as States,
)
from tvbjax.spiking.network import Network as Network
from tvbjax.spiking.populations import Population as Population, Projection as Projection
from tvbjax.spiking.result import SpikeTrains as SpikeTrains, SpikingResult as SpikingResult
from tvbjax.spiking.running import (
    DivergenceError as DivergenceError,
    rates as rates,
    simulate as simulate,
)
from tvbjax.spiking.signals import Heard as Heard
from tvbjax.spiking.surrogates import FastSigmoid as FastSigmoid, Triangle as Triangle
