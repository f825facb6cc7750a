"""The Model: a flat model as a frozen equinox Module with its equations as JAX functions."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from .algebra import symbol
from .evaluate import Environment, evaluate
from .flat import FlatCoupling, FlatModel, Interval, Program
from .resolve import TIME_NAME


class Model(eqx.Module):
    """A neural mass model: equations, parameters, and what a simulation must know of them.

    `params`: the parameters, scalars or one value per node, the leaves that one may vary, fit or
    differentiate. `spec`: everything else, static. Units: ms, mm, mV, nA and what follows.
    """

    params: dict[str, Array]
    spec: FlatModel = eqx.field(static=True)

    def __init__(self, spec: FlatModel, params: dict[str, Array] | None = None):
        defaults = {p.name: jnp.asarray(p.value, float) for p in spec.parameters}
        self.params = defaults if params is None else params
        self.spec = spec

    def __check_init__(self):
        wanted = {p.name for p in self.spec.parameters}
        if set(self.params) != wanted:
            missing, extra = wanted - set(self.params), set(self.params) - wanted
            raise ValueError(
                f"{self.name}: params lacks {sorted(missing)} and has the unknown {sorted(extra)}; "
                "give every parameter of the model once."
            )

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def description(self) -> str:
        return self.spec.description

    @property
    def state_variables(self) -> tuple[str, ...]:
        return tuple(state.name for state in self.spec.states)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The coupling inputs, in the order of dfun's second argument."""
        return tuple(one.name for one in self.spec.inputs)

    @property
    def sources(self) -> tuple[tuple[str, ...], ...]:
        """Per input, what a coupling may transmit into it: states, or derived values."""
        return tuple(one.sources for one in self.spec.inputs)

    @property
    def observables(self) -> tuple[str, ...]:
        """All that can be observed: exposures and state variables."""
        return tuple(observable.name for observable in self.spec.observables)

    @property
    def variables_of_interest(self) -> tuple[str, ...]:
        """What is observed unless one asks for something else."""
        return self.spec.variables_of_interest

    @property
    def bounds(self) -> tuple[Interval, ...]:
        """Per state variable, (-inf, inf) where there are none."""
        return tuple(state.bounds for state in self.spec.states)

    @property
    def initial_range(self) -> tuple[Interval, ...]:
        return tuple(state.initial for state in self.spec.states)

    @property
    def nsig(self) -> dict[str, float]:
        """The noise intensity D of the state variables that have noise by default."""
        return {state.name: state.nsig for state in self.spec.states if state.nsig > 0.0}

    @property
    def units(self) -> dict[str, str]:
        """The unit of each parameter, input, state variable and exposure; "" is a pure number."""
        spec = self.spec
        named = (*spec.parameters, *spec.inputs, *spec.observables, *spec.states)
        return {one.name: one.unit for one in named}

    @property
    def domains(self) -> dict[str, Interval]:
        """The range in which to vary a parameter, of those that have one."""
        return {p.name: p.domain for p in self.spec.parameters if p.domain is not None}

    @property
    def couplings(self) -> tuple[FlatCoupling, ...]:
        """The coupling functions that the file declares."""
        return self.spec.couplings

    def dfun(
        self,
        state: Float[Array, "state *shape"],
        inputs: Float[Array, "input *shape"],
        params: dict[str, Any] | None = None,
        t: ArrayLike = 0.0,
    ) -> Float[Array, "state *shape"]:
        """The time derivatives of the state, per ms, elementwise over everything but axis 0.

        `inputs`: what the network sends, one row per name in `inputs`. `params`: in place of the
        model's own. `t`: time in ms.
        """
        return self.compute(self.spec.dynamics, state, inputs, params, t)

    def compute(
        self,
        program: Program,
        state: Float[Array, "state *shape"],
        inputs: Float[Array, "input *shape"],
        params: Mapping[str, Any] | None = None,
        t: ArrayLike = 0.0,
    ) -> Float[Array, "output *shape"]:
        """The outputs of a program in the symbols of this model; arguments as in `dfun`."""
        spec = self.spec
        if state.shape[0] != len(spec.states) or inputs.shape[0] != len(spec.inputs):
            raise ValueError(
                f"{self.name}: dfun got {state.shape[0]} states and {inputs.shape[0]} inputs; pass "
                f"{len(spec.states)} {self.state_variables} and {len(spec.inputs)} {self.inputs}."
            )
        environment = self._environment(state, params)
        environment |= {symbol(n): row for n, row in zip(self.inputs, inputs, strict=True)}
        environment[symbol(TIME_NAME)] = t
        return _rows(program, environment, state)

    def observe(
        self,
        state: Float[Array, "state *shape"],
        params: dict[str, Any] | None = None,
        names: tuple[str, ...] | None = None,
    ) -> Float[Array, "voi *shape"]:
        """The variables of interest at a state, or the observables of these names."""
        program = self.spec.observation
        known = self.observables
        chosen = self.variables_of_interest if names is None else names
        if all(name in self.state_variables for name in chosen):
            return _taken(state, [self.state_variables.index(name) for name in chosen])
        outputs = tuple(program.outputs[known.index(name)] for name in chosen)
        environment = self._environment(state, params)
        return _rows(Program(program.assignments, outputs), environment, state)

    def send(
        self,
        state: Float[Array, "state *shape"],
        names: tuple[str, ...],
        params: dict[str, Any] | None = None,
    ) -> Float[Array, "name *shape"]:
        """State variables, or derived values that an input names as its sources, at a state."""
        spec = self.spec
        rows = {name: i for i, name in enumerate(self.state_variables)}
        if all(name in rows for name in names):
            return _taken(state, [rows[name] for name in names])
        outputs = tuple(
            symbol(name) if name in rows else spec.sending.outputs[spec.sent.index(name)]
            for name in names
        )
        environment = self._environment(state, params)
        return _rows(Program(spec.sending.assignments, outputs), environment, state)

    def _environment(self, state: Array, params: Mapping[str, Any] | None) -> dict[Any, ArrayLike]:
        values = self.params if params is None else params
        rows = {symbol(n): row for n, row in zip(self.state_variables, state, strict=True)}
        return {symbol(name): values[name] for name in self.params} | rows


def _taken(state: Array, rows: list[int]) -> Array:
    """Rows of a state: a slice where they follow one another, which costs next to nothing."""
    if rows and rows == list(range(rows[0], rows[0] + len(rows))):
        return state[rows[0] : rows[0] + len(rows)]
    return state[jnp.asarray(rows, dtype=jnp.int32)]


def _rows(program: Program, environment: Environment, like: Array) -> Array:
    values = evaluate(program.assignments, program.outputs, environment)
    rows = [jnp.broadcast_to(jnp.asarray(v, like.dtype), like.shape[1:]) for v in values]
    return jnp.stack(rows)
