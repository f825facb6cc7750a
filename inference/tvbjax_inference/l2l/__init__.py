"""Learning to learn: any optimiser on anything that has a loss, from a gradient to a cluster."""

from tvbjax_inference.l2l import functions as functions
from tvbjax_inference.l2l.dimensions import (
    Categorical as Categorical,
    Integer as Integer,
    Real as Real,
    Unbounded as Unbounded,
)
from tvbjax_inference.l2l.evaluating import Evaluated as Evaluated
from tvbjax_inference.l2l.minimising import Trace as Trace, minimise as minimise
from tvbjax_inference.l2l.optimiser import (
    AbstractOptimiser as AbstractOptimiser,
    Evaluations as Evaluations,
    Search as Search,
)
from tvbjax_inference.l2l.optimisers import (
    AbstractCrossover as AbstractCrossover,
    AbstractMutation as AbstractMutation,
    Adaptive as Adaptive,
    Bipop as Bipop,
    Blend as Blend,
    Cma as Cma,
    Differential as Differential,
    ExponentialNes as ExponentialNes,
    Fixed as Fixed,
    Genetic as Genetic,
    Ipop as Ipop,
    NormalMutation as NormalMutation,
    OpenAiEs as OpenAiEs,
    Pgpe as Pgpe,
    PolynomialMutation as PolynomialMutation,
    RandomOne as RandomOne,
    SeparableNes as SeparableNes,
    SimulatedBinary as SimulatedBinary,
    Swarm as Swarm,
    ToBest as ToBest,
)
from tvbjax_inference.l2l.space import Space as Space
