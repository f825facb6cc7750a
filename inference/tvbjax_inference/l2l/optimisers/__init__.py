"""The optimisers of `tvbjax.l2l`, each with the paper it is from."""

from tvbjax_inference.l2l.optimisers.cma import Cma as Cma
from tvbjax_inference.l2l.optimisers.cma_restarts import Bipop as Bipop, Ipop as Ipop
from tvbjax_inference.l2l.optimisers.crossover import (
    AbstractCrossover as AbstractCrossover,
    Blend as Blend,
    SimulatedBinary as SimulatedBinary,
)
from tvbjax_inference.l2l.optimisers.differential import Differential as Differential
from tvbjax_inference.l2l.optimisers.differential_rules import (
    Adaptive as Adaptive,
    Fixed as Fixed,
    RandomOne as RandomOne,
    ToBest as ToBest,
)
from tvbjax_inference.l2l.optimisers.exponential_nes import ExponentialNes as ExponentialNes
from tvbjax_inference.l2l.optimisers.genetic import Genetic as Genetic
from tvbjax_inference.l2l.optimisers.mutation import (
    AbstractMutation as AbstractMutation,
    NormalMutation as NormalMutation,
    PolynomialMutation as PolynomialMutation,
)
from tvbjax_inference.l2l.optimisers.openai_es import OpenAiEs as OpenAiEs
from tvbjax_inference.l2l.optimisers.pgpe import Pgpe as Pgpe
from tvbjax_inference.l2l.optimisers.separable_nes import SeparableNes as SeparableNes
from tvbjax_inference.l2l.optimisers.swarm import Swarm as Swarm
