"""The outer loop: hyper-parameters and initialisations learned over a family of tasks."""

from tvbjax_inference.l2l.meta.family import (
    Family as Family,
    problem_loss as problem_loss,
    problems_as_tasks as problems_as_tasks,
)
from tvbjax_inference.l2l.meta.gradients import (
    AbstractMetaGradient as AbstractMetaGradient,
    FirstOrder as FirstOrder,
    Reptile as Reptile,
    Truncated as Truncated,
    Unrolled as Unrolled,
)
from tvbjax_inference.l2l.meta.implicit import Implicit as Implicit
from tvbjax_inference.l2l.meta.inner import (
    Hyper as Hyper,
    Inner as Inner,
    Proximal as Proximal,
    each_by as each_by,
)
from tvbjax_inference.l2l.meta.learned import Adapted as Adapted, Learned as Learned
from tvbjax_inference.l2l.meta.persistent import PersistentEs as PersistentEs
from tvbjax_inference.l2l.meta.study import MetaStudy as MetaStudy
