"""Mixed networks: different models in different regions of one brain.

Each population has a model and its regions, sends quantities of its own on named channels, and
hears channels with its inputs. To the simulator a `Mixed` looks like a model whose inputs are the
channels; its state has the rows of all populations, zero in the regions of others.
"""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from tvbjax_lems import Model

Names = tuple[str, ...]


def _indices(regions: Any) -> tuple[int, ...]:
    found = np.asarray(regions)
    if found.dtype == bool:
        found = np.flatnonzero(found)
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer) or not found.size:
        raise TypeError(
            f"Population: regions is {regions!r:.80}; give numbers of regions, or a mask of all."
        )
    if found.min() < 0 or len(set(found.tolist())) < found.size:
        raise ValueError(
            f"Population: regions are {found.tolist()!r:.80}; give each once, counted from 0."
        )
    return tuple(int(i) for i in found)


def _names(mapping: Any) -> dict[str, Names]:
    try:
        return {k: (v,) if isinstance(v, str) else tuple(v) for k, v in mapping.items()}
    except (AttributeError, TypeError):
        raise TypeError(
            f"Population: sends or hears is {mapping!r:.80}; give a mapping to names, "
            'e.g. sends={"rate": "E"}, hears={"c_0": "rate"}, with () for nothing.'
        ) from None


def _check_name(kind: str, name: Any) -> None:
    # Names are joined with dots and brackets, as in a.V and rate[1].
    if not (isinstance(name, str) and name.isidentifier()):
        raise ValueError(
            f"{kind} cannot be called {name!r:.60}; use letters, digits and _, as in a variable."
        )


def _parsed(variable: str) -> tuple[str, int]:
    """The channel and the number of one of its variables: CHANNEL or CHANNEL[1]."""
    channel, _, number = variable.partition("[")
    return channel, int(number[:-1]) if number else 0


class Population(eqx.Module):
    """Regions of one model.

    `regions`: their numbers in the connectome, or a mask of all regions. `sends`: per channel, a
    state variable or derived value that goes out on it (or several, for a coupling that reads
    several). `hears`: per coupling input of the model, the channel that drives it, or several that
    are added, or () for an input that hears nothing.
    """

    model: Model
    regions: tuple[int, ...] = eqx.field(static=True, converter=_indices)
    sends: dict[str, Names] = eqx.field(static=True, converter=_names)
    hears: dict[str, Names] = eqx.field(static=True, converter=_names)

    def __check_init__(self):
        model = self.model
        if not isinstance(model, Model):
            raise TypeError(
                f"Population: model is {model!r:.60}; give e.g. lems.load('JansenRit')."
            )
        for channel, names in self.sends.items():
            _check_name("Population: a channel", channel)
            if not names:
                raise ValueError(f"Population: nothing is sent on '{channel}'; leave it out.")
            for name in names:
                if name not in (*model.state_variables, *model.spec.sent):
                    known = ", ".join((*model.state_variables, *model.spec.sent))
                    raise ValueError(
                        f"Population: '{name}', sent on '{channel}', is nothing that {model.name} "
                        f"can send; it has {known}. Others need tvbjax:source in its file."
                    )
        if set(self.hears) != set(model.inputs):
            raise ValueError(
                f"Population: hears is about {sorted(self.hears)}, and {model.name} has the inputs "
                f"{sorted(model.inputs)}; say of each which channel drives it, () for none."
            )
        for name, channels in self.hears.items():
            if len(set(channels)) < len(channels):
                raise ValueError(
                    f"Population: '{name}' hears {list(channels)}; name each channel once."
                )

    def unit_of(self, sent: str) -> str:
        """The unit of something that is sent."""
        spec = self.model.spec
        return next(one.unit for one in (*spec.states, *spec.derived) if one.name == sent)


def _populations(given: Any) -> dict[str, Population]:
    if not (isinstance(given, Mapping) and given):
        raise TypeError(
            f"Mixed: populations is {given!r:.80}; give a mapping from names to Populations."
        )
    for name, one in given.items():
        _check_name("Mixed: a population", name)
        if not isinstance(one, Population):
            raise TypeError(f"Mixed: '{name}' is {one!r:.60}; give a Population.")
    return dict(given)


class Mixed(eqx.Module):
    """Populations of different models, as one model whose inputs are their channels.

    State variables and observables are called `population.name`; a channel can be observed, too,
    by its name, in all regions that send on it.
    """

    populations: dict[str, Population] = eqx.field(converter=_populations)

    def __check_init__(self):
        taken: dict[int, str] = {}
        for name, one in self.populations.items():
            for region in one.regions:
                if region in taken:
                    raise ValueError(
                        f"Mixed: region {region} is in '{taken[region]}' and in '{name}'; every "
                        "region belongs to one population."
                    )
                taken[region] = name
        sent = {channel for one in self.populations.values() for channel in one.sends}
        for name, one in self.populations.items():
            for channel in (c for channels in one.hears.values() for c in channels):
                if channel not in sent:
                    raise ValueError(
                        f"Mixed: '{name}' hears the channel '{channel}', on which nobody sends; "
                        f"there are {', '.join(sorted(sent)) or 'none'}."
                    )
        self._check_units()
        missing = sorted(set(range(len(taken))) - set(taken))
        if missing:
            raise ValueError(f"Mixed: region {missing[0]} is in no population.")

    def _check_units(self) -> None:
        """A sum over the senders of a channel must be a sum of like things."""
        found: dict[str, tuple[str, str, str]] = {}
        for name, one in self.populations.items():
            for channel, sent in one.sends.items():
                for number, variable in enumerate(sent):
                    unit = one.unit_of(variable)
                    key = f"{channel}[{number}]" if number else channel
                    other, theirs, before = found.setdefault(key, (name, variable, unit))
                    if unit != before:
                        raise ValueError(
                            f"Mixed: on the channel '{channel}' '{other}' sends {theirs} in "
                            f"{before or '1'} and '{name}' sends {variable} in {unit or '1'}; give "
                            "each a channel of its own and hear both, with a rule for each."
                        )

    # What the simulator asks of a model.

    @property
    def name(self) -> str:
        return " + ".join(f"{name}: {one.model.name}" for name, one in self.populations.items())

    @property
    def nodes(self) -> int:
        """The number of regions of all populations."""
        return sum(len(one.regions) for one in self.populations.values())

    @property
    def params(self) -> dict[str, Array]:
        """All parameters, as `population.name`; to replace one, go through the population."""
        return {
            f"{name}.{p}": value
            for name, one in self.populations.items()
            for p, value in one.model.params.items()
        }

    @property
    def state_variables(self) -> Names:
        return self._each(lambda model: model.state_variables)

    @property
    def inputs(self) -> Names:
        """The channels."""
        sent = (channel for one in self.populations.values() for channel in one.sends)
        return tuple(dict.fromkeys(sent))

    @property
    def sources(self) -> tuple[Names, ...]:
        """Per channel, its variables: CHANNEL, CHANNEL[1], ... as many as a population sends."""
        widths = [
            max(len(one.sends.get(channel, ())) for one in self.populations.values())
            for channel in self.inputs
        ]
        return tuple(
            tuple(f"{channel}[{i}]" if i else channel for i in range(width))
            for channel, width in zip(self.inputs, widths, strict=True)
        )

    @property
    def observables(self) -> Names:
        return (*self._each(lambda model: model.observables), *self.inputs)

    @property
    def variables_of_interest(self) -> Names:
        return self._each(lambda model: model.variables_of_interest)

    @property
    def bounds(self) -> tuple[tuple[float, float], ...]:
        return tuple(pair for one in self.populations.values() for pair in one.model.bounds)

    @property
    def initial_range(self) -> tuple[tuple[float, float], ...]:
        return tuple(pair for one in self.populations.values() for pair in one.model.initial_range)

    @property
    def nsig(self) -> dict[str, float]:
        return {
            f"{name}.{variable}": value
            for name, one in self.populations.items()
            for variable, value in one.model.nsig.items()
        }

    @property
    def units(self) -> dict[str, str]:
        return {
            f"{name}.{variable}": unit
            for name, one in self.populations.items()
            for variable, unit in one.model.units.items()
        }

    @property
    def members(self) -> np.ndarray:
        """(state, node): whether a region has a state variable."""
        rows = []
        for one in self.populations.values():
            row = np.zeros(self.nodes, bool)
            row[list(one.regions)] = True
            rows += [row] * len(one.model.state_variables)
        return np.array(rows)

    def absent(self, names: Names) -> tuple[tuple[int, ...], ...]:
        """Per observable, the regions that do not have it."""
        return tuple(
            tuple(i for i in range(self.nodes) if not any(i in p.regions for p in self._having(n)))
            for n in names
        )

    def sending(self, reads: Names) -> np.ndarray | None:
        """(node,): which regions send these variables of a channel; None where all do.

        Raises ValueError where a population sends some of them and not all.
        """
        sending = np.zeros(self.nodes, bool)
        for name, one in self.populations.items():
            sent = sum(number < len(one.sends.get(c, ())) for c, number in map(_parsed, reads))
            if 0 < sent < len(reads):
                raise ValueError(
                    f"Simulator: the coupling reads {', '.join(reads)}, and '{name}' sends "
                    f"{sent} of these; send as many, or use another channel or rule."
                )
            sending[list(one.regions)] = sent > 0
        return None if sending.all() else sending

    def hearing(self, channel: str) -> np.ndarray:
        """(node,): which regions hear a channel."""
        hearing = np.zeros(self.nodes, bool)
        for one in self.populations.values():
            if any(channel in channels for channels in one.hears.values()):
                hearing[list(one.regions)] = True
        return hearing

    def dfun(
        self,
        state: Float[Array, "state node"],
        inputs: Float[Array, "channel node"],
        t: ArrayLike = 0.0,
    ) -> Float[Array, "state node"]:
        """The time derivatives; `inputs`: what comes on each channel."""
        channels = {name: inputs[i] for i, name in enumerate(self.inputs)}
        parts = []
        for one, rows in self._rows(state):
            here = jnp.asarray(one.regions)
            heard = [self._heard(one, channels, name)[here] for name in one.model.inputs]
            empty = jnp.zeros((0, len(one.regions)), state.dtype)
            own = jnp.stack(heard) if heard else empty
            slopes = one.model.dfun(rows[:, here], own, t=t)
            parts.append(jnp.zeros_like(rows).at[:, here].set(slopes))
        return jnp.concatenate(parts)

    def _heard(self, one: Population, channels: Mapping[str, Array], name: str) -> Array:
        total = jnp.zeros_like(next(iter(channels.values())))
        for channel in one.hears[name]:
            total = total + channels[channel]
        return total

    def send(self, state: Float[Array, "state node"], names: Names) -> Float[Array, "name node"]:
        """What every region sends of the variables of channels, 0 where it sends nothing."""
        return jnp.stack([self._sent(state, name) for name in names])

    def _sent(self, state: Array, name: str) -> Array:
        channel, which = _parsed(name)
        total = jnp.zeros_like(state[0])
        for one, rows in self._rows(state):
            variables = one.sends.get(channel, ())
            if which < len(variables):
                here = jnp.asarray(one.regions)
                value = one.model.send(rows[:, here], (variables[which],))[0]
                total = total.at[here].set(value)
        return total

    def observe(
        self, state: Float[Array, "state node"], names: Names | None = None
    ) -> Float[Array, "voi node"]:
        """Observables, 0 in the regions that do not have them."""
        chosen = self.variables_of_interest if names is None else names
        parts = dict(zip(self.populations, self._rows(state), strict=True))
        found = []
        for name in chosen:
            if name in self.inputs:
                found.append(self._sent(state, name))
                continue
            population, _, variable = name.partition(".")
            one, rows = parts[population]
            here = jnp.asarray(one.regions)
            value = one.model.observe(rows[:, here], names=(variable,))[0]
            found.append(jnp.zeros_like(state[0]).at[here].set(value))
        return jnp.stack(found)

    def _rows(self, state: Array) -> list[tuple[Population, Array]]:
        """Each population with its rows of the state."""
        found, first = [], 0
        for one in self.populations.values():
            count = len(one.model.state_variables)
            found.append((one, state[first : first + count]))
            first += count
        return found

    def _each(self, names_of) -> Names:
        return tuple(
            f"{name}.{variable}"
            for name, one in self.populations.items()
            for variable in names_of(one.model)
        )

    def _having(self, observable: str) -> list[Population]:
        if observable in self.inputs:
            return [one for one in self.populations.values() if observable in one.sends]
        return [self.populations[observable.partition(".")[0]]]
