"""Coupling functions: what a region hears of the others."""

from tvbjax.coupling._coupling import (
    AbstractCoupling as AbstractCoupling,
    AbstractPairwise as AbstractPairwise,
)
from tvbjax.coupling._custom import (
    Formula as Formula,
    PairFormula as PairFormula,
    Pairwise as Pairwise,
    formula as formula,
)
from tvbjax.coupling._declared import (
    Declared as Declared,
    DeclaredPairwise as DeclaredPairwise,
    declared as declared,
)
from tvbjax.coupling._rules import (
    Difference as Difference,
    DynamicPreSigmoidal as DynamicPreSigmoidal,
    HyperbolicTangent as HyperbolicTangent,
    Kuramoto as Kuramoto,
    Linear as Linear,
    PreSigmoidal as PreSigmoidal,
    Scaling as Scaling,
    Sigmoidal as Sigmoidal,
    SigmoidalJansenRit as SigmoidalJansenRit,
)
from tvbjax.coupling._transport import Instant as Instant, Own as Own
