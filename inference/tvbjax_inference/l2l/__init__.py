"""Learning to learn: any optimiser on anything that has a loss, from a gradient to a cluster."""

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
    AbstractCooling as AbstractCooling,
    AbstractDesign as AbstractDesign,
    AbstractDistribution as AbstractDistribution,
    AbstractKalmanSteps as AbstractKalmanSteps,
    Annealing as Annealing,
    Bayesian as Bayesian,
    CrossEntropy as CrossEntropy,
    DiagonalNormal as DiagonalNormal,
    EnsembleKalman as EnsembleKalman,
    Evosax as Evosax,
    ExponentialAdditiveCooling as ExponentialAdditiveCooling,
    ExponentialCooling as ExponentialCooling,
    Face as Face,
    FiniteDifferences as FiniteDifferences,
    FixedSteps as FixedSteps,
    FullNormal as FullNormal,
    GradientDescent as GradientDescent,
    Grid as Grid,
    Halton as Halton,
    LatinHypercube as LatinHypercube,
    LinearAdditiveCooling as LinearAdditiveCooling,
    LinearCooling as LinearCooling,
    LogarithmicCooling as LogarithmicCooling,
    MisfitSteps as MisfitSteps,
    NormalMixture as NormalMixture,
    Nsga2 as Nsga2,
    ParallelTempering as ParallelTempering,
    QuadraticAdditiveCooling as QuadraticAdditiveCooling,
    QuadraticCooling as QuadraticCooling,
    Random as Random,
    SeparableNes as SeparableNes,
    Sobol as Sobol,
    Spsa as Spsa,
    StretchedCooling as StretchedCooling,
    Tpe as Tpe,
    TrigonometricAdditiveCooling as TrigonometricAdditiveCooling,
    ladder as ladder,
    spall_rule as spall_rule,
)
from tvbjax_inference.l2l.space import Space as Space
