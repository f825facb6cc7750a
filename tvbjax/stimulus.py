"""Stimuli: what is applied to regions from outside, as a function of time.

A stimulus is added to the time derivative of the state variables that it names, held over each step
of the integrator at its value at the step's beginning. Time is that of the simulation, also where a
run is continued: TVB's begins anew at 0.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from tvbjax.arrays import as_floats, is_traced
from tvbjax.connectome import Connectome
from tvbjax.equations import AbstractEquation
from tvbjax.equations._equation import check_equation

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator


def _names(variables: Any) -> tuple[str, ...]:
    names = (variables,) if isinstance(variables, str) else variables
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"Stimulus: variables is {variables!r:.60}; give the name of a state variable, or a "
            "tuple of names."
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(
            f"Stimulus: variables has {twice[0]!r} twice; name each once (and double the pattern, "
            "if that is meant)."
        )
    return tuple(names)


def _weights(pattern: Any) -> Array:
    if jnp.issubdtype(getattr(pattern, "dtype", float), jnp.complexfloating):
        raise TypeError(
            "Stimulus: the pattern is complex; give real weights: pattern.real, or abs(pattern)."
        )
    try:
        return as_floats(pattern)
    except TypeError as error:
        raise TypeError(
            f"Stimulus: the pattern is {pattern!r:.60}; give one weight for each region, such as "
            "pattern_of(connectome, {label: weight, ...}) makes."
        ) from error


class Stimulus(eqx.Module):
    """`pattern[region] * temporal(t)`, added to the derivatives of `variables`.

    `temporal`: an equation of time in ms; its value times the pattern's is in the variable's unit
    per ms. `pattern`: one weight for every region, or for every node of a surface simulation (see
    `pattern_of`). `variables`: names of state variables. All numbers in it are leaves.
    """

    temporal: AbstractEquation
    pattern: Float[Array, " node"] = eqx.field(converter=_weights)
    variables: tuple[str, ...] = eqx.field(static=True, converter=_names)

    def __check_init__(self):
        if not isinstance(self.temporal, AbstractEquation):
            raise TypeError(
                f"Stimulus: temporal is {self.temporal!r:.60}; give an equation of time, e.g. "
                "tvbjax.equations.PulseTrain(onset=100.0)."
            )
        if jnp.ndim(self.pattern) != 1:
            raise ValueError(
                f"Stimulus: the pattern has the shape {jnp.shape(self.pattern)}; give one weight "
                "for each region."
            )
        if not is_traced(self.pattern) and not np.isfinite(np.asarray(self.pattern)).all():
            first = int(np.argmin(np.isfinite(np.asarray(self.pattern))))
            raise ValueError(f"Stimulus: pattern[{first}] is {self.pattern[first]}.")
        check_equation(f"Stimulus: temporal, {type(self.temporal).__name__},", self.temporal)


def pattern_of(connectome: Connectome, weights: Mapping[str, ArrayLike]) -> Float[Array, " region"]:
    """A pattern with these weights in the regions of these names, and 0 in all others.

    `pattern_of(connectome, {"rA1": 1.0, "lA1": 0.5})`. Raises `ValueError` for an unknown region or
    several weights for one, `TypeError` for what is no mapping.
    """
    if not isinstance(connectome, Connectome):
        raise TypeError(f"pattern_of: connectome is {connectome!r:.60}; give a tvbjax.Connectome.")
    if not isinstance(weights, Mapping):
        raise TypeError(
            f'pattern_of: weights is {weights!r:.60}; give a dictionary, e.g. {{"rA1": 1.0}}. (One '
            "weight for each region is a pattern already.)"
        )
    pattern = jnp.zeros(len(connectome.labels))
    for label, weight in weights.items():
        row = connectome.regions.index(label)
        if jnp.shape(weight) != ():
            raise ValueError(
                f"pattern_of: the weight of {label!r} has the shape {jnp.shape(weight)}; give one "
                "number."
            )
        pattern = pattern.at[row].set(jnp.asarray(weight, pattern.dtype))
    return pattern


def check_stimuli(stimuli: tuple[Stimulus, ...], variables: tuple[str, ...], nodes: int) -> None:
    """Raises `ValueError` where stimuli do not fit a network of so many nodes."""
    for number, stimulus in enumerate(stimuli):
        if stimulus.pattern.shape != (nodes,):
            raise ValueError(
                f"Simulator: the pattern of stimulus {number} is for "
                f"{stimulus.pattern.shape[0]} regions, and the network has {nodes}."
            )
        unknown = [name for name in stimulus.variables if name not in variables]
        if unknown or not stimulus.variables:
            raise ValueError(
                f"Simulator: stimulus {number} is applied to {unknown[0] if unknown else 'nothing'}"
                f"; the model has the state variables {', '.join(variables)}."
            )


def check_times(simulator: "Simulator", first: int, steps: int) -> None:
    """Raises `ValueError` for a stimulus that is 0 in all steps of a run from step `first` on."""
    begin, end = (simulator.integrator.dt * step for step in (first, first + steps))
    for number, stimulus in enumerate(simulator.stimulus):
        if is_traced(stimulus):
            continue
        onset, offset = stimulus.temporal.support()
        if onset >= end or offset <= begin:
            raise ValueError(
                f"simulate: stimulus {number} acts from {onset:g} to {offset:g} ms, and the run "
                f"goes from {begin:g} to {end:g} ms; move it (time goes on where a run is "
                "continued), or leave it out."
            )


def applied(simulator: "Simulator", times: Float[Array, " step"]) -> Float[Array, "step stimulus"]:
    """The values of all stimuli at times in ms, without their patterns."""
    return jnp.stack([stimulus.temporal(times) for stimulus in simulator.stimulus], axis=1)


def spread(simulator: "Simulator", values: Float[Array, " stimulus"]) -> Float[Array, "state node"]:
    """What these values add to the derivatives."""
    names = simulator.model.state_variables
    rows = [jnp.zeros(simulator.stimulus[0].pattern.shape, values.dtype) for _ in names]
    for value, stimulus in zip(values, simulator.stimulus, strict=True):
        here = value * stimulus.pattern.astype(values.dtype)
        for name in stimulus.variables:
            rows[names.index(name)] = rows[names.index(name)] + here
    return jnp.stack(rows)
