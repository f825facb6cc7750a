"""Spiking networks: populations of LEMS cells, in the same jit as the brain around them."""

from tvbjax.spiking import examples as examples, nest as nest, statistics as statistics
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
from tvbjax.spiking.cosimulating import (
    CosimulationResult as CosimulationResult,
    cosimulate as cosimulate,
    cosimulated_rates as cosimulated_rates,
)
from tvbjax.spiking.cosimulator import CoSimulator as CoSimulator, SpikingRegion as SpikingRegion
from tvbjax.spiking.delivery import Dense as Dense, Events as Events, InEdges as InEdges
from tvbjax.spiking.drives import (
    AbstractDrive as AbstractDrive,
    Current as Current,
    Poisson as Poisson,
    SpikeTimes as SpikeTimes,
)
from tvbjax.spiking.interfaces import (
    AbstractConverter as AbstractConverter,
    GaussianKernel as GaussianKernel,
    InverseSigmoid as InverseSigmoid,
    LowPass as LowPass,
    Mean as Mean,
    Output as Output,
    WongWangExcitatory as WongWangExcitatory,
    WongWangInhibitory as WongWangInhibitory,
)
from tvbjax.spiking.monitors import (
    LocalField as LocalField,
    Means as Means,
    Rates as Rates,
    Spikes as Spikes,
    States as States,
)
from tvbjax.spiking.network import Network as Network
from tvbjax.spiking.outside import (
    AbstractSession as AbstractSession,
    AbstractSpikingSimulator as AbstractSpikingSimulator,
    InJax as InJax,
    Window as Window,
)
from tvbjax.spiking.populations import Population as Population, Projection as Projection
from tvbjax.spiking.result import SpikeTrains as SpikeTrains, SpikingResult as SpikingResult
from tvbjax.spiking.running import (
    DivergenceError as DivergenceError,
    rates as rates,
    simulate as simulate,
)
from tvbjax.spiking.signals import Heard as Heard, HeardEach as HeardEach
from tvbjax.spiking.surrogates import FastSigmoid as FastSigmoid, Triangle as Triangle
