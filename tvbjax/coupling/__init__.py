"""Coupling functions: what a region hears of the others."""

from tvbjax.coupling._coupling import (
    AbstractCoupling as AbstractCoupling,
    AbstractPairwise as AbstractPairwise,
)
from tvbjax.coupling._formula import (
    Formula as Formula,
    PairFormula as PairFormula,
    declared as declared,
    formula as formula,
)
from tvbjax.coupling._pairwise import Pairwise as Pairwise
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
    Silent as Silent,
)
from tvbjax.coupling._transport import (
    AbstractCarried as AbstractCarried,
    Instant as Instant,
    Own as Own,
)
