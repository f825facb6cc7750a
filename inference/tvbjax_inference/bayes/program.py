"""A model of numpyro from a simulator: priors of what is free in it, a run, and what was measured.

A program is a function without arguments that makes statements of numpyro, as numpyro's own models:
all that numpyro has works with it.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array
from numpyro import handlers

from tvbjax import Free, Result, Simulator, simulate
from tvbjax.arrays import is_traced, strong
from tvbjax.identity import digest
from tvbjax.kinds import check_kind
from tvbjax.near import near
from tvbjax.provenance import describe
from tvbjax.simulation import check_key, whole_steps
from tvbjax.supports import Simplex
from tvbjax_inference.bayes.coordinates import AbstractCoordinate
from tvbjax_inference.bayes.initial import AbstractInitial, as_initial
from tvbjax_inference.bayes.likelihoods import AbstractLikelihood
from tvbjax_inference.bayes.priors import (
    checked_prior,
    default_prior,
    is_in_units,
    prior_text,
)
from tvbjax_inference.bayes.state_noise import StateNoise
from tvbjax_inference.moving_delays import laid_out
from tvbjax_inference.problem import named_free

# What arrays are called where a region each has a number.
_REGION = "region"


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """What `program` makes: call it for its statements, or give it to numpyro or `sample`."""

    simulator: Simulator
    free: dict[str, Free]
    priors: dict[str, dist.Distribution]
    coordinates: dict[str, AbstractCoordinate]
    likelihoods: dict[str, AbstractLikelihood]
    initial: AbstractInitial
    state_noise: StateNoise | None
    length: float
    key: Array | None

    def __call__(self) -> None:
        """Statements: priors, a run, data."""
        self.observe(self.draw({}))

    def draw(
        self, given: Mapping[str, Array], names: Sequence[str] | None = None
    ) -> dict[str, Array]:
        """The values of what is free: those that are given, and of the others statements. `names`:
        of these alone."""
        values = {}
        for name in self.priors if names is None else names:
            prior = self.priors[name]
            if name in given:
                values[name] = given[name]
            elif name in self.coordinates:
                coordinate = self.coordinates[name]
                moved = numpyro.sample(f"{name}_coordinate", coordinate.prior(prior))
                value = coordinate.value(moved)  # type: ignore[arg-type]
                values[name] = numpyro.deterministic(name, value)
            else:
                values[name] = numpyro.sample(name, prior)
        return values

    def observe(self, values: Mapping[str, Array]) -> None:
        """A run with these values, and the statements about the data."""
        simulator, initial = self._begin(values)
        result = _run(simulator, initial, self.key, self.length)
        for likelihood in self.likelihoods.values():
            likelihood.observe(result)

    def begun(self, values: Mapping[str, Array]) -> tuple[Simulator, Array]:
        """The simulator and the state at the beginning by the values of all sites, such as those of
        one draw. Sites that are not given are an error of numpyro's."""
        with handlers.block(), handlers.substitute(data=dict(values)):
            return self._begin(self.draw(values))

    def _begin(self, values: Mapping[str, Array]) -> tuple[Simulator, Array]:
        simulator = self.simulator_at(values)
        if self.state_noise is not None:
            simulator = self.state_noise.draw(simulator)
        return simulator, self.initial.draw(simulator)

    def simulator_at(self, values: Mapping[str, Array]) -> Simulator:
        """The simulator with these values of what is free."""
        simulator = self.simulator
        for name, one in self.free.items():
            simulator = _put(simulator, one, values[name])
        return simulator

    @property
    def begins_by(self) -> tuple[str, ...]:
        """The sites that `begun` needs the values of."""
        noise = {} if self.state_noise is None else self.state_noise.dims
        return (*self.free, *self.initial.dims, *noise)

    @property
    def dims(self) -> dict[str, tuple[str, ...]]:
        """By site, the names of the dims of its values."""
        found = dict(self.initial.dims)
        if self.state_noise is not None:
            found |= self.state_noise.dims
        for name in self.free:
            shape = self.priors[name].batch_shape + self.priors[name].event_shape
            if shape == (self.simulator.regions,):
                found[name] = found[f"{name}_coordinate"] = (_REGION,)
        for likelihood in self.likelihoods.values():
            found[likelihood.name] = likelihood.shown.dims
            found[f"{likelihood.name}_log_likelihood"] = likelihood.parts.dims
        return found

    @property
    def coords(self) -> dict[str, np.ndarray]:
        """By dim, its coordinate."""
        found = {_REGION: np.array(self.simulator.connectome.labels)}
        if self.state_noise is not None:
            found |= self.state_noise.coords(self.simulator)
        for likelihood in self.likelihoods.values():
            found |= likelihood.shown.coordinates | likelihood.parts.coordinates
        return found

    @property
    def attributes(self) -> dict[str, str]:
        """Where it came from, as text: the simulator, priors and the data's digests."""
        said = json.loads(describe(self.simulator, self.key))
        said |= {f"prior of {name}": prior_text(prior) for name, prior in self.priors.items()}
        if self.state_noise is not None:
            deviations = self.state_noise.deviations.items()
            said |= {f"state noise of {name}": _known(one) for name, one in deviations}
        for name, likelihood in self.likelihoods.items():
            said[f"likelihood of {name}"] = type(likelihood).__name__
            said[f"data of {name}, sha256"] = digest(np.asarray(likelihood.measured))
        said["duration"] = self.length
        return {n: v if isinstance(v, str) else json.dumps(v) for n, v in said.items()}

    def description(self) -> tuple:
        """All that the posterior depends on, for checkpoints."""
        said = describe(self.simulator, self.key, versions=None, backend=None)
        priors = {name: told_prior(prior) for name, prior in self.priors.items()}
        free = [(name, one.support, one.tie) for name, one in self.free.items()]
        likelihoods = [(type(one).__name__, _fields(one)) for one in self.likelihoods.values()]
        return (
            said,
            free,
            priors,
            self.coordinates,
            likelihoods,
            _fields(self.initial),
            None if self.state_noise is None else _fields(self.state_noise),
            self.length,
        )


def program(
    simulator: Simulator,
    free: Free | Sequence[Free] | Mapping[str, Free],
    likelihood: AbstractLikelihood | Sequence[AbstractLikelihood],
    *,
    priors: Mapping[str, dist.Distribution] | None = None,
    coordinates: Mapping[str, AbstractCoordinate] | None = None,
    initial: Any = None,
    state_noise: StateNoise | None = None,
    duration: float | None = None,
    key: Array | None = None,
) -> Program:
    """A numpyro model of a simulator.

    `free`: what is unknown, one `Free`, several, or several by name; none, `{}`, where the state's
    noise is all that is. `likelihood`: what was
    measured, one or more of `bayes.likelihoods`. `priors`: distributions of numpyro by name, of the
    free leaves' own values in their units; what has none has that of its support
    (`priors.default_prior`). `coordinates`: by name, those in which samplers move
    (`bayes.coordinates`). `initial`: the state at the beginning, as for `simulate`, or one of
    `bayes.initial` with priors. `state_noise`: noise in the state of which the path, and may be the
    strength, is unknown. `duration`: ms, by default as long as the data. `key`: of noise that is
    the same in every run.

    Raises `TypeError` or `ValueError` where names, shapes, supports or data do not fit.
    """
    if not isinstance(simulator, Simulator):
        raise TypeError(f"program: {simulator!r:.60} is no tvbjax.Simulator.")
    simulator = strong(simulator)
    nothing = not free and state_noise is not None
    several, names = ((), ()) if nothing else named_free("program", simulator, free)
    unknowns = dict(zip(names, several, strict=True))
    likelihoods = _likelihoods(likelihood)
    if not simulator.monitors:
        raise ValueError(
            "program: the simulator has no monitors, and of a run nothing is kept that data could "
            "be held against; build it with monitors=(monitors.Raw(),)."
        )
    check_key(simulator, key, "program")
    length = (
        max(one.duration(simulator) for one in likelihoods.values())
        if duration is None
        else duration
    )
    whole_steps(length, simulator.integrator.dt)
    if state_noise is not None:
        check_kind("program: state_noise", state_noise, StateNoise, "StateNoise({'x': 0.1})")
        simulator = state_noise.put(simulator, length)
    for one in unknowns.values():
        simulator = one.put(simulator, one.start(simulator))
    simulator = laid_out(simulator, several, names)
    for one in likelihoods.values():
        one.check(simulator, length)
    begins = as_initial(initial)
    begins.check(simulator)
    chosen = _by_name("priors", priors, unknowns, "{'coupling': LogNormal(0.0, 0.5)}")
    moved = _by_name("coordinates", coordinates, unknowns, "{'excitability': Equilibrium()}")
    for name, one in moved.items():
        where = f"program: the coordinate of '{name}'"
        check_kind(where, one, AbstractCoordinate, "tvbjax.bayes.epilepsy.Equilibrium()")
    noisy = () if state_noise is None else state_noise.dims
    hidden = (f"{name}_coordinate" for name in moved)
    _check_sites({*unknowns, *hidden, *begins.dims, *noisy}, likelihoods.values())
    for name, one in unknowns.items():
        given = chosen.get(name, default_prior(simulator, one))
        chosen[name] = checked_prior(simulator, name, one, given, moved.get(name))
    ordered = {name: chosen[name] for name in unknowns}
    return Program(
        simulator=simulator,
        free=unknowns,
        priors=ordered,
        coordinates=moved,
        likelihoods=likelihoods,
        initial=begins,
        state_noise=state_noise,
        length=float(length),
        key=key,
    )


def _likelihoods(given: Any) -> dict[str, AbstractLikelihood]:
    several = tuple(given) if isinstance(given, Sequence) else (given,)
    if not several or not all(isinstance(one, AbstractLikelihood) for one in several):
        raise TypeError(
            f"program: the likelihood is {given!r:.60}; give one of tvbjax.bayes.likelihoods, "
            "such as Seeg(gain, data)."
        )
    names = [one.name for one in several]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"program: two likelihoods are called '{name}'; give them names.")
    return {one.name: one for one in several}


def _by_name(what: str, given: Any, unknowns: Mapping[str, Free], example: str) -> dict[str, Any]:
    """What is given for some of what is free."""
    if given is None:
        return {}
    check_kind(f"program: {what}", given, Mapping, example)
    for name in given:
        if name not in unknowns:
            hint = near(name, tuple(unknowns)) or f"free are {', '.join(unknowns)}."
            raise ValueError(f"program: {what} names '{name}', which is not free; {hint}")
    return dict(given)


def _check_sites(taken: set[str], likelihoods: Iterable[AbstractLikelihood]) -> None:
    """Raises `ValueError` where a likelihood's site is called as one that is `taken`, or as
    another's."""
    for one in likelihoods:
        who = type(one).__name__
        for site in one.unknowns:
            if site in taken:
                raise ValueError(
                    f"program: '{site}' is unknown in {who}, '{one.name}', and there is a site of "
                    "that name already; call the free leaf otherwise, or give the likelihood a "
                    "number in the place of the prior."
                )
        taken |= {*one.unknowns}
        for site in (one.name, f"{one.name}_log_likelihood"):
            if site in taken:
                raise ValueError(
                    f"program: {who} is called '{one.name}', and there is a site '{site}' already; "
                    f"give it another name, such as {who}(..., name='data')."
                )
            taken.add(site)


def _put(simulator: Simulator, free: Free, value: Array) -> Simulator:
    """The simulator with the values of a free leaf, which priors are of."""
    if not is_in_units(free):
        return free.put(simulator, value)
    leaf = free.leaf(simulator)
    if isinstance(free.support, Simplex):
        return free.replace(simulator, value)
    shape = free.tie.shape(leaf.shape, simulator.regions)
    return free.replace(simulator, free.tie.spread(value.astype(leaf.dtype), shape))


def _run(simulator: Simulator, initial: Array, key: Array | None, duration: float) -> Result:
    """A run in one piece; where a model is looked at number by number, compiled once."""
    if is_traced((simulator, initial)):
        return simulate(simulator, duration, initial=initial, key=key, progress=False)
    return _compiled(simulator, initial, key, duration)


@eqx.filter_jit
def _compiled(simulator: Simulator, initial: Array, key: Array | None, duration: float) -> Result:
    return simulate(simulator, duration, initial=initial, key=key, progress=False)


def _known(value: dist.Distribution | float) -> str:
    """A prior, or a number that is known."""
    return prior_text(value) if isinstance(value, dist.Distribution) else f"{value:g}"


# What distributions that are made of others hold beside the parameters that they name themselves.
_INNER = (
    "base_dist",
    "transforms",
    "low",
    "high",
    "mixing_distribution",
    "component_distributions",
)


def told_prior(prior: Any) -> tuple:
    """A distribution by its parameters. numpyro flattens it in an order of the day."""
    if isinstance(prior, tuple | list):
        return tuple(told_prior(part) for part in prior)
    if isinstance(prior, dist.Distribution):
        names = sorted({*prior.arg_constraints, *(n for n in _INNER if hasattr(prior, n))})
        said = [(name, told_prior(getattr(prior, name))) for name in names]
        return (type(prior).__name__, prior.batch_shape, prior.event_shape, *said)
    if isinstance(prior, dist.transforms.Transform):
        return (type(prior).__name__, *sorted(vars(prior).items(), key=lambda item: item[0]))
    return (np.asarray(prior),)


def _fields(module: Any) -> tuple:
    """A Module's fields, priors by what they are."""
    found = []
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if isinstance(value, Mapping):
            value = tuple((name, _field(part)) for name, part in value.items())
        found.append((field.name, _field(value)))
    return tuple(found)


def _field(value: Any) -> Any:
    return told_prior(value) if isinstance(value, dist.Distribution) else value
