"""The optimisers of `tvbjax.l2l`, each with the paper it is from."""

from tvbjax_inference.l2l.optimisers.annealing import Annealing as Annealing
from tvbjax_inference.l2l.optimisers.bayesian import Bayesian as Bayesian
from tvbjax_inference.l2l.optimisers.cma import Cma as Cma
from tvbjax_inference.l2l.optimisers.cma_restarts import Bipop as Bipop, Ipop as Ipop
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
from tvbjax_inference.l2l.optimisers.crossover import (
    AbstractCrossover as AbstractCrossover,
    Blend as Blend,
    SimulatedBinary as SimulatedBinary,
)
from tvbjax_inference.l2l.optimisers.designs import (
    AbstractDesign as AbstractDesign,
    Grid as Grid,
    Halton as Halton,
    LatinHypercube as LatinHypercube,
    Random as Random,
    Sobol as Sobol,
)
from tvbjax_inference.l2l.optimisers.differential import Differential as Differential
from tvbjax_inference.l2l.optimisers.differential_rules import (
    Adaptive as Adaptive,
    Fixed as Fixed,
    RandomOne as RandomOne,
    ToBest as ToBest,
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
from tvbjax_inference.l2l.optimisers.exponential_nes import ExponentialNes as ExponentialNes
from tvbjax_inference.l2l.optimisers.finite_differences import (
    FiniteDifferences as FiniteDifferences,
)
from tvbjax_inference.l2l.optimisers.genetic import Genetic as Genetic
from tvbjax_inference.l2l.optimisers.gradient_descent import GradientDescent as GradientDescent
from tvbjax_inference.l2l.optimisers.mutation import (
    AbstractMutation as AbstractMutation,
    NormalMutation as NormalMutation,
    PolynomialMutation as PolynomialMutation,
)
from tvbjax_inference.l2l.optimisers.nsga2 import Nsga2 as Nsga2
from tvbjax_inference.l2l.optimisers.openai_es import OpenAiEs as OpenAiEs
from tvbjax_inference.l2l.optimisers.parallel_tempering import (
    ParallelTempering as ParallelTempering,
    ladder as ladder,
)
from tvbjax_inference.l2l.optimisers.pgpe import Pgpe as Pgpe
from tvbjax_inference.l2l.optimisers.separable_nes import SeparableNes as SeparableNes
from tvbjax_inference.l2l.optimisers.spsa import Spsa as Spsa, spall_rule as spall_rule
from tvbjax_inference.l2l.optimisers.swarm import Swarm as Swarm
from tvbjax_inference.l2l.optimisers.tpe import Tpe as Tpe
