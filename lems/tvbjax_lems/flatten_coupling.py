"""Coupling functions that a file declares, and the ranges of its global parameters.

A ComponentType with tvbjax:coupling="c" is a coupling function of the input c. Its DerivedVariables
pre and post are summed over the network; Requirements with tvbjax:source are states of the sending
node, other Requirements states of the receiving one.
"""

from collections.abc import Mapping

from . import ir
from .context import Context
from .flat import FlatCoupling, FlatInput, Interval


def flat_couplings(
    context: Context, types: Mapping[str, ir.ComponentType], inputs: tuple[FlatInput, ...]
) -> tuple[FlatCoupling, ...]:
    return ()


def sweeps(context: Context) -> tuple[tuple[tuple[str, Interval], ...], str]:
    return (), ""
