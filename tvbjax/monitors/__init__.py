"""Monitors: what is observed of a simulation, reduced while it runs."""

from tvbjax.monitors._bold import (
    AbstractKernel as AbstractKernel,
    Bold as Bold,
    FirstOrderVolterra as FirstOrderVolterra,
)
from tvbjax.monitors._monitor import (
    RESERVED_NAMES as RESERVED_NAMES,
    AbstractMonitor as AbstractMonitor,
    Chunk as Chunk,
)
from tvbjax.monitors._sampling import (
    Raw as Raw,
    SubSample as SubSample,
    TemporalAverage as TemporalAverage,
)
