"""A differentiable virtual brain: whole-brain models from LEMS, simulated and fitted in JAX."""

import importlib

from tvbjax import (
    analysis as analysis,
    coupling as coupling,
    datasets as datasets,
    delays as delays,
    equations as equations,
    features as features,
    forward as forward,
    generators as generators,
    imaging as imaging,
    integrators as integrators,
    lems as lems,
    monitors as monitors,
    noise as noise,
    spiking as spiking,
    surface as surface,
    ties as ties,
)
from tvbjax.connectome import Connectome as Connectome
from tvbjax.engine import Forward as Forward, Reverse as Reverse
from tvbjax.explanation import Explanation as Explanation, explain as explain
from tvbjax.free import Free as Free
from tvbjax.mixed import Mixed as Mixed, Population as Population
from tvbjax.result import Result as Result, join as join, load_result as load_result
from tvbjax.simulation import DivergenceError as DivergenceError, simulate as simulate
from tvbjax.simulator import Simulator as Simulator
from tvbjax.stimulus import Stimulus as Stimulus, pattern_of as pattern_of
from tvbjax.supports import (
    Interval as Interval,
    Positive as Positive,
    Real as Real,
    Simplex as Simplex,
    Weights as Weights,
)
from tvbjax.sweep_store import open_sweep as open_sweep
from tvbjax.sweeps import PerMember as PerMember, Points as Points, sweep as sweep
from tvbjax.tuning import tune_cpu as tune_cpu


def __getattr__(name: str):
    """`tvbjax.inference`, `bayes` and `l2l`, imported when they are first asked for: they stand
    above this package."""
    if name in ("inference", "bayes", "l2l"):
        return importlib.import_module(f"tvbjax.{name}")
    raise AttributeError(f"module 'tvbjax' has no attribute '{name}'")
