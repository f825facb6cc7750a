"""Learning to learn: any optimiser on anything that has a loss, from a gradient to a cluster."""

from tvbjax_inference.l2l import plots as plots, stops as stops
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
from tvbjax_inference.l2l.optimisers import SeparableNes as SeparableNes
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
