"""Several programs as one: seizures of a patient, or patients, that share some unknowns, and are
alike in others."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro import handlers

from tvbjax_inference.bayes.likelihoods import AbstractLikelihood
from tvbjax_inference.bayes.program import Program, told_prior


@dataclasses.dataclass(frozen=True, eq=False)
class Pooled:
    """What `pooled` makes: call it for its statements, or give it to numpyro or `sample`.

    Sites of a member are called by its name and theirs: "first/noise". What is shared has its own
    name; of what is alike, that is the middle, and `NAME_deviation` the members' spread about it.
    """

    members: dict[str, Program]
    shared: tuple[str, ...]
    alike: dict[str, dist.Distribution]

    def __call__(self) -> None:
        """Statements of all members."""
        first = next(iter(self.members.values()))
        middles = first.draw({}, (*self.shared, *self.alike))
        spreads = {
            name: numpyro.sample(f"{name}_deviation", prior) for name, prior in self.alike.items()
        }
        for label, member in self.members.items():
            with handlers.scope(prefix=label):
                given = {name: middles[name] for name in self.shared}
                for name in self.alike:
                    shape = jnp.shape(middles[name])
                    away = dist.Normal(0.0, 1.0).expand(shape).to_event(len(shape))
                    apart = numpyro.sample(f"{name}_away", away)
                    value = _moved(member, name, middles[name], spreads[name], apart)
                    given[name] = jnp.asarray(numpyro.deterministic(name, value))
                member.observe(given | member.draw(given))

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """By site, the names of the dims of its values."""
        found = {}
        for label, member in self.members.items():
            for name, dims in member.dims.items():
                own = tuple(d if d == "region" else f"{label}/{d}" for d in dims)
                found[f"{label}/{name}"] = own
                if name in (*self.shared, *self.alike) or name.endswith("_coordinate"):
                    found[name] = dims
        return found

    @property
    def coords(self) -> dict[str, np.ndarray]:
        """By dim, its coordinate."""
        found = {}
        for label, member in self.members.items():
            for dim, values in member.coords.items():
                found[dim if dim == "region" else f"{label}/{dim}"] = values
        return found

    @property
    def likelihoods(self) -> dict[str, AbstractLikelihood]:
        """By the name of their data's site."""
        return {
            f"{label}/{name}": one
            for label, member in self.members.items()
            for name, one in member.likelihoods.items()
        }

    def description(self) -> tuple:
        """All that the posterior depends on, for checkpoints."""
        members = [(label, member.description()) for label, member in self.members.items()]
        spreads = [(name, told_prior(prior)) for name, prior in self.alike.items()]
        return (members, self.shared, spreads)


def _moved(member: Program, name: str, middle: Any, spread: Any, apart: Any) -> Any:
    """A value that is `spread` times `apart` from the middle; if positive, its logarithm is."""
    if member.priors[name].support is dist.constraints.positive:
        return middle * jnp.exp(spread * apart)
    return middle + spread * apart


def pooled(
    members: Mapping[str, Program],
    *,
    shared: Sequence[str] = (),
    alike: Mapping[str, dist.Distribution] | None = None,
) -> Pooled:
    """One model of several programs.

    `members`: by name, such as the seizures of a patient, or patients. `shared`: the names of free
    leaves that are the same number in all. `alike`: of those that are each member's own, but not
    far apart, by name the prior of their standard deviation about what they have in common (partial
    pooling); of positive ones, of their logarithms. Everything else is each member's own. Priors of
    what is shared or alike are those of the first member.

    Raises `TypeError` or `ValueError` for names or shapes that members do not have in common.
    """
    spreads = dict(alike or {})
    if not isinstance(members, Mapping) or len(members) < 2:
        raise TypeError(
            f"pooled: members is {members!r:.60}; give two programs or more by name, e.g. "
            "{'first': program(...), 'second': program(...)}."
        )
    for label, member in members.items():
        if not isinstance(member, Program):
            raise TypeError(
                f"pooled: member '{label}' is {member!r:.60}; give what bayes.program makes."
            )
        if "/" in label:
            raise ValueError(f"pooled: the name '{label}' has a '/', which parts names here.")
    first = next(iter(members.values()))
    for name in (*shared, *spreads):
        for label, member in members.items():
            if name not in member.free:
                raise ValueError(
                    f"pooled: '{name}' is not free in '{label}'; free are {', '.join(member.free)}."
                )
            own, of_first = member.priors[name], first.priors[name]
            if own.event_shape != of_first.event_shape:
                raise ValueError(
                    f"pooled: '{name}' has the shape {own.event_shape} in '{label}' and "
                    f"{of_first.event_shape} in the first; what is shared or alike has one shape."
                )
        if name in spreads and not isinstance(spreads[name], dist.Distribution):
            raise TypeError(
                f"pooled: of '{name}' alike has {spreads[name]!r:.40}; give the prior of a "
                "standard deviation, e.g. numpyro.distributions.HalfNormal(0.3)."
            )
    both = set(shared) & set(spreads)
    if both:
        raise ValueError(f"pooled: '{min(both)}' is given as shared and as alike; choose one.")
    return Pooled(dict(members), tuple(shared), spreads)
