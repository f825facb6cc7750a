"""In which state a program's runs begin: one that is known, or unknown with a prior."""

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, ArrayLike, Float

from tvbjax import Simulator
from tvbjax.simulation import past_of


class AbstractInitial(eqx.Module):
    """Statements of numpyro about the state at the beginning of a run."""

    @abc.abstractmethod
    def check(self, simulator: Simulator) -> None:
        """Raises `ValueError` where it does not fit a simulator."""

    @abc.abstractmethod
    def draw(self, simulator: Simulator) -> Float[Array, "state node"]:
        """The state. It may use the values that the simulator has by then."""

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """Of its sites, how they are labelled."""
        return {}


class Known(AbstractInitial):
    """Always the same: an array as for `simulate`, or the middle of the model's initial ranges."""

    past: Array | None

    def __init__(self, initial: ArrayLike | None = None):
        self.past = None if initial is None else jnp.asarray(initial, jnp.result_type(float))

    def check(self, simulator):
        past_of(simulator, self.past)

    def draw(self, simulator):
        return past_of(simulator, self.past) if self.past is None else self.past


class Unknown(AbstractInitial):
    """Every state variable of every region by itself, with a prior for each state variable."""

    priors: Mapping[str, dist.Distribution]

    def check(self, simulator):
        variables = simulator.model.state_variables
        if set(self.priors) != set(variables):
            raise ValueError(
                f"initial.Unknown: there are priors of {', '.join(self.priors)}, and the state "
                f"variables are {', '.join(variables)}; give one for each."
            )
        for name, prior in self.priors.items():
            if prior.batch_shape + prior.event_shape not in ((), (simulator.nodes,)):
                raise ValueError(
                    f"initial.Unknown: the prior of '{name}' has the shape "
                    f"{prior.batch_shape + prior.event_shape}; give one of a single number, or of "
                    f"{simulator.nodes}."
                )

    def draw(self, simulator):
        rows = []
        for name in simulator.model.state_variables:
            prior = self.priors[name]
            regional = prior.expand((simulator.nodes,)) if not prior.event_shape else prior
            rows.append(numpyro.sample(f"initial_{name}", regional.to_event()))
        return jnp.stack(rows)

    @property
    def dims(self):
        return {f"initial_{name}": ("region",) for name in self.priors}


def as_initial(given: Any) -> AbstractInitial:
    """What is given as a program's `initial`."""
    if isinstance(given, AbstractInitial):
        return given
    if given is None or isinstance(given, np.ndarray | Array | list | tuple):
        return Known(None if given is None else np.asarray(given, float))
    raise TypeError(
        f"program: initial is {given!r:.60}; give a state (state variable, region), or one of "
        "tvbjax.bayes.initial, such as Unknown({'x': Normal(-2.0, 0.3), ...})."
    )
