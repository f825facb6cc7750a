"""The LEMS compiler: neural mass models written in XML become JAX functions."""

from .arclength import BranchEnd as BranchEnd
from .bifurcations import BifurcationKind as BifurcationKind
from .continuation import (
    Bifurcation as Bifurcation,
    Branch as Branch,
    continuation as continuation,
)
from .counts import Statistics as Statistics, statistics as statistics
from .describe import (
    dependencies as dependencies,
    dependency_dot as dependency_dot,
    dependency_text as dependency_text,
    equations_text as equations_text,
)
from .driver import sweep_driver as sweep_driver
from .emit import Model as Model
from .equilibria import (
    FixedPoint as FixedPoint,
    FixedPointKind as FixedPointKind,
    fixed_points as fixed_points,
)
from .errors import (
    Code as Code,
    Diagnostic as Diagnostic,
    LemsError as LemsError,
    LemsWarning as LemsWarning,
    Place as Place,
)
from .evaluate import evaluate as evaluate
from .export import standalone_lems as standalone_lems, values_lems as values_lems
from .flat import (
    FlatCoupling as FlatCoupling,
    FlatModel as FlatModel,
    FlatParameter as FlatParameter,
)
from .hold import hold as hold
from .library import (
    cells as cells,
    check as check,
    citation as citation,
    load as load,
    models as models,
    to_lems as to_lems,
)
from .linear import Jacobian as Jacobian, jacobian as jacobian
from .lyapunov import (
    LyapunovSpectrum as LyapunovSpectrum,
    lyapunov_spectrum as lyapunov_spectrum,
)
from .module import python_module as python_module
from .optimise import separate as separate
from .phase import (
    Plane as Plane,
    nullclines as nullclines,
    plane as plane,
    plane_nullclines as plane_nullclines,
)
from .runtime.cell import Cell as Cell, load_cell as load_cell
from .runtime.cell_parts import Receptor as Receptor
from .runtime.cell_steps import CellSteps as CellSteps
from .runtime.exact import Exact as Exact
from .runtime.graph import network_graph as network_graph
from .runtime.latex import network_latex as network_latex
from .runtime.memory_steps import MemorySteps as MemorySteps
from .runtime.methods import (
    AbstractFlatMethod as AbstractFlatMethod,
    AbstractMethod as AbstractMethod,
    Diffrax as Diffrax,
    Euler as Euler,
    ExponentialEuler as ExponentialEuler,
    Heun as Heun,
    RungeKutta4 as RungeKutta4,
)
from .runtime.module import NetworkSource as NetworkSource, network_module as network_module
from .runtime.module_sweep import network_sweep_driver as network_sweep_driver
from .runtime.network import (
    Network as Network,
    is_network as is_network,
    load_network as load_network,
    load_networks as load_networks,
)
from .runtime.run import DivergenceError as DivergenceError, Recording as Recording, run as run
from .runtime.state import NetworkState as NetworkState
from .runtime.statistics import network_statistics as network_statistics
from .runtime.summary import (
    network_components as network_components,
    network_connections as network_connections,
    network_equations as network_equations,
)
from .source import equations_latex as equations_latex, python_source as python_source
from .units import (
    NEURAL as NEURAL,
    SI as SI,
    DimensionCheck as DimensionCheck,
    UnitSystem as UnitSystem,
)
