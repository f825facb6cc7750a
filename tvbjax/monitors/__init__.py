"""Monitors: what is observed of a simulation, reduced while it runs."""

from tvbjax.monitors._balloon import (
    BalloonWindkessel as BalloonWindkessel,
    Haemodynamics as Haemodynamics,
)
from tvbjax.monitors._bold import Bold as Bold
from tvbjax.monitors._kernels import (
    AbstractKernel as AbstractKernel,
    DoubleExponential as DoubleExponential,
    FirstOrderVolterra as FirstOrderVolterra,
    Gamma as Gamma,
    MixtureOfGammas as MixtureOfGammas,
)
from tvbjax.monitors._monitor import (
    RESERVED_NAMES as RESERVED_NAMES,
    AbstractMonitor as AbstractMonitor,
    Chunk as Chunk,
)
from tvbjax.monitors._places import (
    AbstractOver as AbstractOver,
    AfferentCoupling as AfferentCoupling,
    GlobalAverage as GlobalAverage,
    Projection as Projection,
    SpatialAverage as SpatialAverage,
)
from tvbjax.monitors._sampling import (
    Raw as Raw,
    SubSample as SubSample,
    TemporalAverage as TemporalAverage,
)
from tvbjax.monitors._statistics import (
    AbstractStatistic as AbstractStatistic,
    Covariance as Covariance,
    FunctionalConnectivity as FunctionalConnectivity,
    FunctionalConnectivityDynamics as FunctionalConnectivityDynamics,
    PowerSpectrum as PowerSpectrum,
)
