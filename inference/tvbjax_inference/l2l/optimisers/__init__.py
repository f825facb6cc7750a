"""The optimisers of `tvbjax.l2l`, each with the paper it is from."""

from tvbjax_inference.l2l.optimisers.annealing import Annealing as Annealing
from tvbjax_inference.l2l.optimisers.bayesian import Bayesian as Bayesian
from tvbjax_inference.l2l.optimisers.cooling import (
    AbstractCooling as AbstractCooling,
    ExponentialAdditiveCooling as ExponentialAdditiveCooling,
    ExponentialCooling as ExponentialCooling,
    LinearAdditiveCooling as LinearAdditiveCooling,
    LinearCooling as LinearCooling,
    LogarithmicCooling as LogarithmicCooling,
    QuadraticAdditiveCooling as QuadraticAdditiveCooling,
    QuadraticCooling as QuadraticCooling,
    StretchedCooling as StretchedCooling,
    TrigonometricAdditiveCooling as TrigonometricAdditiveCooling,
)
from tvbjax_inference.l2l.optimisers.cross_entropy import CrossEntropy as CrossEntropy, Face as Face
from tvbjax_inference.l2l.optimisers.designs import (
    AbstractDesign as AbstractDesign,
    Grid as Grid,
    Halton as Halton,
    LatinHypercube as LatinHypercube,
    Random as Random,
    Sobol as Sobol,
)
from tvbjax_inference.l2l.optimisers.distributions import (
    AbstractDistribution as AbstractDistribution,
    DiagonalNormal as DiagonalNormal,
    FullNormal as FullNormal,
    NormalMixture as NormalMixture,
)
from tvbjax_inference.l2l.optimisers.ensemble_kalman import (
    AbstractKalmanSteps as AbstractKalmanSteps,
    EnsembleKalman as EnsembleKalman,
    FixedSteps as FixedSteps,
    MisfitSteps as MisfitSteps,
)
from tvbjax_inference.l2l.optimisers.evosax_adapter import Evosax as Evosax
from tvbjax_inference.l2l.optimisers.finite_differences import (
    FiniteDifferences as FiniteDifferences,
)
from tvbjax_inference.l2l.optimisers.gradient_descent import GradientDescent as GradientDescent
from tvbjax_inference.l2l.optimisers.nsga2 import Nsga2 as Nsga2
from tvbjax_inference.l2l.optimisers.parallel_tempering import (
    ParallelTempering as ParallelTempering,
    ladder as ladder,
)
from tvbjax_inference.l2l.optimisers.separable_nes import SeparableNes as SeparableNes
from tvbjax_inference.l2l.optimisers.spsa import Spsa as Spsa, spall_rule as spall_rule
from tvbjax_inference.l2l.optimisers.tpe import Tpe as Tpe
