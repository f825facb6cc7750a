"""Objectives: how far a simulation is from data, as numbers with gradients.

An objective is a frozen Module that takes a `Result` and gives the loss; any function of a `Result`
that gives one number serves as well.

    objective = objectives.FunctionalConnectivity(measured, monitor="bold", skip=10_000.0)
    objective.check(simulator, 120_000.0)
    loss = objective(tvbjax.simulate(simulator, 120_000.0))
"""

from tvbjax_inference.objectives._objective import (
    AbstractObjective as AbstractObjective,
    AbstractOfSamples as AbstractOfSamples,
    Comparison as Comparison,
    Function as Function,
    Kind as Kind,
    as_objective as as_objective,
)
from tvbjax_inference.objectives._seen import Seen as Seen
from tvbjax_inference.objectives._target import Target as Target
from tvbjax_inference.objectives.connectivity import (
    EnvelopeCorrelation as EnvelopeCorrelation,
    FunctionalConnectivity as FunctionalConnectivity,
    FunctionalConnectivityDynamics as FunctionalConnectivityDynamics,
)
from tvbjax_inference.objectives.distances import (
    KolmogorovSmirnov as KolmogorovSmirnov,
    correlation_distance as correlation_distance,
    mean_square as mean_square,
    root_mean_square as root_mean_square,
    wasserstein_distance as wasserstein_distance,
)
from tvbjax_inference.objectives.events import (
    EventRate as EventRate,
    OnsetTime as OnsetTime,
    PeakAmplitude as PeakAmplitude,
    PeakLatency as PeakLatency,
)
from tvbjax_inference.objectives.series import TimeSeries as TimeSeries
from tvbjax_inference.objectives.spectra import PowerSpectrum as PowerSpectrum
from tvbjax_inference.objectives.sums import Sum as Sum, comparisons as comparisons
from tvbjax_inference.objectives.values import Feature as Feature
