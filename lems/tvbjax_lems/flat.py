"""The flat model: one frozen, hashable value with everything that a simulation asks of a model.

All numbers are in the units of one coherent system (tvbjax's own: ms, mm, mV, nA). Two loads of one
file give equal values, so they share compiled code.
"""

from dataclasses import dataclass

import sympy

Interval = tuple[float, float]


@dataclass(frozen=True)
class FlatParameter:
    name: str
    value: float
    unit: str
    domain: Interval | None
    description: str


@dataclass(frozen=True)
class FlatConstant:
    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class FlatState:
    """`initial`: the range to start in; `nsig`: noise intensity D, 0 where there is none."""

    name: str
    unit: str
    bounds: Interval
    initial: Interval
    nsig: float
    description: str


@dataclass(frozen=True)
class FlatInput:
    """A coupling input; `sources`: what may be sent into it, states or derived values."""

    name: str
    unit: str
    sources: tuple[str, ...]
    description: str


@dataclass(frozen=True)
class Equation:
    """`name` = `expression`; `written` is the same with the constants' names in place of values."""

    name: str
    expression: sympy.Basic
    written: sympy.Basic
    unit: str


@dataclass(frozen=True)
class Observable:
    """A public name (an Exposure) of a state or derived variable."""

    name: str
    variable: str
    unit: str
    description: str


@dataclass(frozen=True)
class FlatCoupling:
    """A coupling function of the file: input = scale * sum_j w_ij * post * pre.

    `pre` and `post` are in the symbols `source_symbols` (what node j sends, delayed; `sources` are
    its names in the model), `target_symbols` (states of node i) and the names of `parameters`.
    `scale` None
    is no scaling; `pre` None is a function without a sum.
    """

    name: str
    input: str
    sources: tuple[str, ...]
    source_symbols: tuple[sympy.Symbol, ...]
    target_symbols: tuple[sympy.Symbol, ...]
    pre: sympy.Basic | None
    post: sympy.Basic | None
    scale: sympy.Basic | None
    parameters: tuple[FlatParameter, ...]


@dataclass(frozen=True)
class Program:
    """Assignments in the order of evaluation, then the outputs."""

    assignments: tuple[tuple[sympy.Symbol, sympy.Basic], ...]
    outputs: tuple[sympy.Basic, ...]


@dataclass(frozen=True)
class FlatModel:
    """A model with inheritance resolved and every name bound.

    `derived` holds derived parameters and variables in order of evaluation, `derivatives` one
    equation per state. `dynamics` and `observation` are what is evaluated for them and for the
    observables; `sending` for the derived values `sent` that inputs or couplings name as sources.
    `sweeps` and `speed` are RateML's ranges of global parameters and the
    conduction speed that it names.
    """

    name: str
    component: str
    description: str
    parameters: tuple[FlatParameter, ...]
    constants: tuple[FlatConstant, ...]
    states: tuple[FlatState, ...]
    inputs: tuple[FlatInput, ...]
    derived: tuple[Equation, ...]
    derivatives: tuple[Equation, ...]
    observables: tuple[Observable, ...]
    variables_of_interest: tuple[str, ...]
    couplings: tuple[FlatCoupling, ...]
    sweeps: tuple[tuple[str, Interval], ...]
    speed: str
    dynamics: Program
    observation: Program
    sent: tuple[str, ...]
    sending: Program
