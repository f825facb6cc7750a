"""State variables held still: the fast part of a model, the slow variables being parameters."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array

from .algebra import symbol
from .emit import Model
from .flat import FlatModel, FlatParameter, FlatState
from .optimise import program


def hold(model: Model, **values: ArrayLike) -> Model:
    """The model with these state variables held at values, as parameters of the same names.

    What is held no longer moves; everything else, and what is sent and observed, is as before. So
    `fixed_points`, `continuation` and `nullclines` see the fast subsystem of a slow-fast model
    (Rinzel 1987, Lect. Notes Biomath. 71:267), and a value can be followed as any parameter.
    `values`: numbers or (node,), in the model's units.

        fast = lems.hold(lems.load("Epileptor2D"), z=3.5)

    Raises ValueError for what is no state variable, where none is left, and where a coupling that
    the file declares reads what is held, and for values that are no finite numbers within bounds.
    """
    if not isinstance(model, Model):
        raise TypeError(f"hold: the model is {model!r:.60}; give e.g. lems.load('Epileptor').")
    spec = model.spec
    unknown = sorted(set(values) - set(model.state_variables))
    if unknown:
        raise ValueError(
            f"hold: {unknown} are no state variables of {model.name}; "
            f"there are {list(model.state_variables)}."
        )
    if not values or len(values) == len(spec.states):
        raise ValueError(
            f"hold: {sorted(values)} are held of {list(model.state_variables)}; hold some of the "
            "state variables and leave some to move."
        )
    _check_couplings(spec, set(values))
    held = [state for state in spec.states if state.name in values]
    sent = (*spec.sent, *(s.name for s in held if any(s.name in i.sources for i in spec.inputs)))
    moving = [
        (state, equation)
        for state, equation in zip(spec.states, spec.derivatives, strict=True)
        if state.name not in values
    ]
    derivatives = tuple(equation for _, equation in moving)
    flat = replace(
        spec,
        parameters=(*spec.parameters, *(_parameter(state) for state in held)),
        states=tuple(state for state, _ in moving),
        derivatives=derivatives,
        dynamics=program(spec.derived, [equation.expression for equation in derivatives]),
        sent=sent,
        sending=program(spec.derived, [symbol(name) for name in sent]),
    )
    return Model(flat, model.params | {s.name: _value(s, values[s.name]) for s in held})


def _value(state: FlatState, given: ArrayLike) -> Array:
    value = jnp.asarray(given, float)
    if value.ndim > 1:
        raise ValueError(
            f"hold: {state.name} has the shape {value.shape}; give a number, or one for each node."
        )
    low, high = state.bounds
    if not isinstance(value, Tracer) and not ((value >= low) & (value <= high)).all():
        raise ValueError(
            f"hold: {state.name} is {np.asarray(value)}; give finite numbers"
            + (f" from {low:g} to {high:g}." if np.isfinite([low, high]).any() else ".")
        )
    return value


def _parameter(state: FlatState) -> FlatParameter:
    middle = sum(state.initial) / 2
    return FlatParameter(state.name, middle, state.unit, state.initial, state.description)


def _check_couplings(spec: FlatModel, held: set[str]) -> None:
    for coupling in spec.couplings:
        reads = {str(one) for one in coupling.target_symbols} | set(coupling.sources)
        read = reads & held
        if read:
            raise ValueError(
                f"hold: the coupling {coupling.name} of {spec.name} reads {sorted(read)}; "
                "hold other state variables."
            )
