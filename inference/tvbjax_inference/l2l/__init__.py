"""Learning to learn: any optimiser on anything that has a loss, from a gradient to a cluster."""

from tvbjax_inference.l2l import (
    examples as examples,
    functions as functions,
    plots as plots,
    stops as stops,
)
from tvbjax_inference.l2l.dimensions import (
    Categorical as Categorical,
    Integer as Integer,
    Real as Real,
    Unbounded as Unbounded,
)
from tvbjax_inference.l2l.engines import (
    AbstractEngine as AbstractEngine,
    Dask as Dask,
    Futures as Futures,
    Inline as Inline,
    Processes as Processes,
    Submitit as Submitit,
)
from tvbjax_inference.l2l.evaluating import Evaluated as Evaluated
from tvbjax_inference.l2l.failures import (
    Redraw as Redraw,
    Stop as Stop,
    StudyError as StudyError,
    Worst as Worst,
)
from tvbjax_inference.l2l.meta import (
    AbstractMetaGradient as AbstractMetaGradient,
    Adapted as Adapted,
    Family as Family,
    FirstOrder as FirstOrder,
    Hyper as Hyper,
    Implicit as Implicit,
    Inner as Inner,
    Learned as Learned,
    MetaStudy as MetaStudy,
    PersistentEs as PersistentEs,
    Proximal as Proximal,
    Reptile as Reptile,
    Truncated as Truncated,
    Unrolled as Unrolled,
    each_by as each_by,
    problem_loss as problem_loss,
    problems_as_tasks as problems_as_tasks,
)
from tvbjax_inference.l2l.minimising import Trace as Trace, minimise as minimise
from tvbjax_inference.l2l.optimisees import (
    Command as Command,
    Function as Function,
    Python as Python,
)
from tvbjax_inference.l2l.optimiser import (
    AbstractOptimiser as AbstractOptimiser,
    Evaluations as Evaluations,
    Search as Search,
)
from tvbjax_inference.l2l.optimisers import (
    AbstractCooling as AbstractCooling,
    AbstractCrossover as AbstractCrossover,
    AbstractDesign as AbstractDesign,
    AbstractDistribution as AbstractDistribution,
    AbstractKalmanSteps as AbstractKalmanSteps,
    AbstractMutation as AbstractMutation,
    Adaptive as Adaptive,
    Annealing as Annealing,
    Bayesian as Bayesian,
    Bipop as Bipop,
    Blend as Blend,
    Cma as Cma,
    CrossEntropy as CrossEntropy,
    DiagonalNormal as DiagonalNormal,
    Differential as Differential,
    EnsembleKalman as EnsembleKalman,
    Evosax as Evosax,
    ExponentialAdditiveCooling as ExponentialAdditiveCooling,
    ExponentialCooling as ExponentialCooling,
    ExponentialNes as ExponentialNes,
    Face as Face,
    FiniteDifferences as FiniteDifferences,
    Fixed as Fixed,
    FixedSteps as FixedSteps,
    FullNormal as FullNormal,
    Genetic as Genetic,
    GradientDescent as GradientDescent,
    Grid as Grid,
    Halton as Halton,
    Ipop as Ipop,
    LatinHypercube as LatinHypercube,
    LinearAdditiveCooling as LinearAdditiveCooling,
    LinearCooling as LinearCooling,
    LogarithmicCooling as LogarithmicCooling,
    MisfitSteps as MisfitSteps,
    NormalMixture as NormalMixture,
    NormalMutation as NormalMutation,
    Nsga2 as Nsga2,
    OpenAiEs as OpenAiEs,
    ParallelTempering as ParallelTempering,
    Pgpe as Pgpe,
    PolynomialMutation as PolynomialMutation,
    QuadraticAdditiveCooling as QuadraticAdditiveCooling,
    QuadraticCooling as QuadraticCooling,
    Random as Random,
    RandomOne as RandomOne,
    SeparableNes as SeparableNes,
    SimulatedBinary as SimulatedBinary,
    Sobol as Sobol,
    Spsa as Spsa,
    StretchedCooling as StretchedCooling,
    Swarm as Swarm,
    ToBest as ToBest,
    Tpe as Tpe,
    TrigonometricAdditiveCooling as TrigonometricAdditiveCooling,
    ladder as ladder,
    spall_rule as spall_rule,
)
from tvbjax_inference.l2l.outcome import Outcome as Outcome, load_outcome as load_outcome
from tvbjax_inference.l2l.space import Space as Space
from tvbjax_inference.l2l.stops import (
    MaxEvaluations as MaxEvaluations,
    MaxGenerations as MaxGenerations,
    Stalled as Stalled,
    Target as Target,
    Walltime as Walltime,
)
from tvbjax_inference.l2l.study import Study as Study
