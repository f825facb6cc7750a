"""Learning to learn: any optimiser on anything that has a loss, from a gradient to a cluster."""

from tvbjax_inference.l2l.dimensions import (
    Categorical as Categorical,
    Integer as Integer,
    Real as Real,
    Unbounded as Unbounded,
)
from tvbjax_inference.l2l.evaluating import Evaluated as Evaluated
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
from tvbjax_inference.l2l.optimiser import (
    AbstractOptimiser as AbstractOptimiser,
    Evaluations as Evaluations,
    Search as Search,
)
from tvbjax_inference.l2l.optimisers import SeparableNes as SeparableNes
from tvbjax_inference.l2l.space import Space as Space
