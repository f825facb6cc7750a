"""Where evaluations of Python functions and commands run."""

from tvbjax_inference.l2l.engines._engine import AbstractEngine as AbstractEngine
from tvbjax_inference.l2l.engines._futures import Dask as Dask, Futures as Futures
from tvbjax_inference.l2l.engines._inline import Inline as Inline
from tvbjax_inference.l2l.engines._processes import Processes as Processes
from tvbjax_inference.l2l.engines._submitit import Submitit as Submitit
