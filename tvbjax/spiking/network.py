"""Network: populations, projections and drives, checked and wired when it is put together."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tvbjax.arrays import check_one_key, is_traced
from tvbjax.generators import key_words
from tvbjax.kinds import check_kind, check_number
from tvbjax.spiking.connectivity import AllToAll, Pairs
from tvbjax.spiking.delivery import AbstractForm, InEdges, Uniform, form_for
from tvbjax.spiking.drives import AbstractDrive, AbstractSpikeDrive, Current, Poisson
from tvbjax.spiking.machine_memory import free_bytes
from tvbjax.spiking.monitors import RESERVED, AbstractMonitor, Rates, check_monitors
from tvbjax.spiking.poisson import GREATEST
from tvbjax.spiking.populations import Population, Projection, check_known
from tvbjax.spiking.surrogates import AbstractSurrogate
from tvbjax_lems import Cell, Receptor
from tvbjax_lems.runtime.plan import Assign

LONGEST_BLOCK = 64
_BYTES_PER_CONNECTION = 60  # while it is built: ends, order, rows, weight


class Wired(eqx.Module):
    """A projection whose connections are drawn.

    `weight`: the leaf that one may vary, fit or differentiate: one, or one per connection.
    `sources`, `targets`: the ends of each connection, sorted by the sender but for `Explicit`; none
    where all cells are connected alike.
    `delays`: in steps.
    """

    weight: Float[Array, "*weight"]
    form: AbstractForm
    sources: Int[Array, " connection"]
    targets: Int[Array, " connection"]
    delays: Int[Array, "*delay"]
    source: str = eqx.field(static=True)
    target: str = eqx.field(static=True)
    receptor: str = eqx.field(static=True)
    longest: int = eqx.field(static=True)

    def __len__(self) -> int:
        if isinstance(self.form, Uniform):
            senders, receivers = self.form.sizes
            return senders * receivers - self.form.apart * receivers
        return len(self.sources)


class Network(eqx.Module):
    """A spiking network.

    `populations`, `projections`, `drives`: by names of your own. `dt`: ms. `key`: draws the
    connections, once, now. `monitors`: by default the rates of all populations.
    `surrogate`: gives spikes a slope, so that the network can be fitted by gradients; connections
    are then kept in a form that has gradients. `form`: a function `(pairs, delays, sizes, block)`
    to a form of `tvbjax.spiking.delivery`, for those who know better.

    Leaves are the cells' parameters, initial states, weights, and what drives are given; sizes and
    connections are fixed. Raises ValueError for what does not fit, also into memory.
    """

    populations: dict[str, Population]
    projections: dict[str, Wired]
    drives: dict[str, AbstractDrive]
    surrogate: AbstractSurrogate | None
    monitors: tuple[AbstractMonitor, ...] = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    block: int = eqx.field(static=True)

    def __init__(
        self,
        populations: Mapping[str, Population],
        projections: Mapping[str, Projection] | None = None,
        drives: Mapping[str, AbstractDrive] | None = None,
        *,
        dt: float,
        key: Array | None = None,
        monitors: AbstractMonitor | Sequence[AbstractMonitor] | None = None,
        surrogate: AbstractSurrogate | None = None,
        form: Any = None,
    ):
        check_number("Network: dt", dt, above=0.0)
        self.populations = _named("populations", populations, Population, "Population(cell, 100)")
        _check_names(self.populations)
        given = _named("projections", projections or {}, Projection, "Projection('E', 'I', ...)")
        self.drives = _named("drives", drives or {}, AbstractDrive, "Poisson('E', ...)")
        self.dt, self.surrogate = float(dt), surrogate
        self.monitors = _monitors(monitors, tuple(self.populations))
        check_monitors(self.monitors, self.populations, self.dt)
        if surrogate is not None:
            check_kind("Network: surrogate", surrogate, AbstractSurrogate, "FastSigmoid()")
        if form is not None and not callable(form):
            raise TypeError(
                f"Network: form is {form!r:.40}; give a function (pairs, delays, sizes, block) to "
                "a form, such as lambda *given: spiking.InEdges.of(*given[:3])."
            )
        for name, one in given.items():
            _check_ends(name, one, self.populations)
        _check_cells(self.populations)
        _check_memory(given, self.populations)
        self.projections, self.block = _wired(
            given, self.populations, self.dt, key, surrogate is not None, form
        )
        for name, drive in self.drives.items():
            _check_drive(name, drive, self.populations, self.dt)
        _check_currents(self.drives)

    def receptor(self, population: str, name: str) -> Receptor:
        """The receptor of that name of a population's cells."""
        return self.populations[population].cell.plan.receptors[name]

    @property
    def random(self) -> bool:
        """Whether a run needs a key."""
        drawn = any(isinstance(d, AbstractSpikeDrive) and d.random for d in self.drives.values())
        return drawn or any(one.cell.plan.plan.random_units() for one in self.populations.values())

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return sum(len(one) for one in self.projections.values())


def receptor_of(who: str, cell: Cell, name: str | None) -> str:
    """The receptor's name, the only one where none is given. Raises ValueError."""
    known = cell.receptors
    if name is None and len(known) == 1:
        return known[0]
    if name is None or name not in known:
        what = "no receptor is named" if name is None else f"there is no receptor '{name}'"
        raise ValueError(
            f"{who}: {what}, and {cell.name} has {', '.join(known) or 'none'}; "
            "give receptor=..., or load the cell with that synapse."
        )
    return name


def _named(what: str, given: Any, kind: type, example: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise TypeError(f"Network: {what} is {given!r:.60}; give a mapping from names.")
    for name, one in given.items():
        if not (isinstance(name, str) and name):
            raise TypeError(f"Network: {what} has the name {name!r:.40}; give a text.")
        check_kind(f"Network: {what} '{name}'", one, kind, example)
    return dict(given)


def _monitors(given: Any, names: tuple[str, ...]) -> tuple[AbstractMonitor, ...]:
    if given is None:
        return (Rates(names),)
    found = (given,) if isinstance(given, AbstractMonitor) else tuple(given)
    for one in found:
        check_kind("Network: monitors", one, AbstractMonitor, "spiking.Rates(('E',))")
    return found


def _check_names(populations: Mapping[str, Population]) -> None:
    if not populations:
        raise ValueError("Network: there is no population; give one, as {'E': Population(...)}.")
    for name in RESERVED:
        if name in populations:
            raise ValueError(
                f"Network: a population is called '{name}', under which results keep something "
                "else; call it otherwise."
            )


def _check_ends(name: str, one: Projection, populations: Mapping[str, Population]) -> None:
    for end in (one.source, one.target):
        check_known(f"Network: '{name}'", end, populations)
    receptor_of(f"Network: '{name}'", populations[one.target].cell, one.receptor)


def _check_cells(populations: Mapping[str, Population]) -> None:
    """Raise MemoryError where the states of the cells would not fit, of which a few are held."""
    needed = {name: 4 * 8 * one.size * len(one.cell.states) for name, one in populations.items()}
    free = free_bytes()
    if free is not None and sum(needed.values()) > 0.9 * free:
        name = max(needed, key=lambda one: needed[one])
        raise MemoryError(
            f"Network: the states of all cells need about {sum(needed.values()) / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free; most are of '{name}' ({populations[name].size:.3g} "
            "cells). Make it smaller."
        )


def _check_conductance(who: str, cell: Cell, receptor: Receptor, weight: Any) -> None:
    """Raise ValueError for negative conductances, which would pull away from their reversal."""
    unit = cell.plan.plan.units[receptor.unit].units.get(receptor.weight, "")
    if unit.endswith("S") and not is_traced(weight) and np.size(weight) and np.min(weight) < 0:
        raise ValueError(
            f"{who} has a weight of {float(np.min(weight)):g} {unit}, and conductances are not "
            "negative; what inhibits is a receptor with a low reversal potential."
        )


def _check_memory(
    projections: Mapping[str, Projection], populations: Mapping[str, Population]
) -> None:
    """Raise MemoryError, before anything is built, where it would not fit."""
    connections = {
        name: one.connectivity.expected(populations[one.source].size, populations[one.target].size)
        for name, one in projections.items()
        if not one.alike
    }
    needed, free = _BYTES_PER_CONNECTION * sum(connections.values()), free_bytes()
    if max(connections.values(), default=0.0) >= 2**31:
        name = max(connections, key=connections.__getitem__)
        raise MemoryError(
            f"Network: '{name}' would have {connections[name]:.3g} connections, and at most 2^31 "
            "can be numbered; make the populations smaller or the connectivity sparser."
        )
    if free is not None and needed > 0.9 * free:
        name = max(connections, key=connections.__getitem__)
        raise MemoryError(
            f"Network: {sum(connections.values()):.3g} connections need about "
            f"{needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; most are in '{name}' "
            f"({connections[name]:.3g}). Make it sparser, or the populations smaller."
        )


def _wired(
    projections: Mapping[str, Projection],
    populations: Mapping[str, Population],
    dt: float,
    key: Array | None,
    differentiable: bool,
    form: Any,
) -> tuple[dict[str, Wired], int]:
    """The connections drawn, and the steps that may be taken together."""
    drawn = {}
    for name, one in projections.items():
        sizes = populations[one.source].size, populations[one.target].size
        rng = np.random.default_rng(_seed(key, name) if one.draws else 0)
        if _in_one(one, populations, form):
            drawn[name] = Pairs(*_NONE), *one.laid(rng, name, 0, dt)
        else:
            drawn[name] = one.drawn(rng, name, sizes, one.source == one.target, dt)
    heard = [
        int(delays.min())
        for name, (pairs, _, delays) in drawn.items()
        if len(pairs) or _in_one(projections[name], populations, form)
    ]
    block = min([*heard, LONGEST_BLOCK])
    for name, (_, _, delays) in drawn.items():
        one = projections[name]
        cells = max(populations[one.source].size, populations[one.target].size)
        _check_past(name, int(np.max(delays, initial=1)), cells, dt)
    found = {}
    for name, (pairs, weight, delays) in drawn.items():
        one = projections[name]
        sizes = populations[one.source].size, populations[one.target].size
        cell = populations[one.target].cell
        receptor = receptor_of(f"Network: '{name}'", cell, one.receptor)
        _check_conductance(f"Network: '{name}'", cell, cell.plan.receptors[receptor], weight)
        longest = int(np.max(delays, initial=1))
        with jax.ensure_compile_time_eval():
            if _in_one(one, populations, form):
                apart = one.source == one.target and not _hears_itself(one)
                laid: AbstractForm = Uniform(sizes, longest, longest + block, apart)
            elif cell.plan.receptors[receptor].memory is not None:
                laid = InEdges.of(pairs, delays, sizes)
            elif form is not None:
                laid = form(pairs, delays, sizes, block)
            else:
                laid = form_for(pairs, delays, sizes, block, differentiable)
        ends = jnp.asarray(pairs.sources), jnp.asarray(pairs.targets), jnp.asarray(delays)
        found[name] = Wired(weight, laid, *ends, one.source, one.target, receptor, longest)
    return found, block


def _check_past(name: str, steps: int, cells: int, dt: float) -> None:
    needed, free = 8 * steps * cells, free_bytes()
    if free is not None and needed > 0.9 * free:
        raise MemoryError(
            f"Network: a delay of '{name}' is {steps * dt:g} ms, and so long a past of {cells} "
            f"cells needs {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free. Shorten the delay."
        )


_NONE = np.zeros(0, np.int32), np.zeros(0, np.int32)


def _hears_itself(one: Projection) -> bool:
    return isinstance(one.connectivity, AllToAll) and one.connectivity.autapses


def _in_one(one: Projection, populations: Mapping[str, Population], form: Any) -> bool:
    """Whether the connections are kept as one, without a list of them."""
    cell = populations[one.target].cell
    receptor = receptor_of("Network", cell, one.receptor)
    return one.alike and form is None and cell.plan.receptors[receptor].memory is None


def _seed(key: Array | None, name: str) -> list[int]:
    if key is None:
        raise ValueError(
            f"Network: the connections of '{name}' are drawn at random, so a key is needed: "
            "Network(..., key=jax.random.key(0))."
        )
    check_one_key("Network", key)
    with jax.ensure_compile_time_eval():
        words = np.asarray(key_words(key))
    return [*(int(word) for word in words), zlib.crc32(name.encode())]


def _check_drive(
    name: str, drive: AbstractDrive, populations: Mapping[str, Population], dt: float
) -> None:
    who = f"Network: the drive '{name}'"
    check_known(who, drive.target, populations)
    one = populations[drive.target]
    drive.check(who, one.size)
    if isinstance(drive, AbstractSpikeDrive):
        receptor = receptor_of(who, one.cell, drive.receptor)
        if one.cell.plan.receptors[receptor].memory is not None:
            raise ValueError(
                f"{who} comes to '{receptor}', whose connections remember something; only "
                "projections do. Drive a population of relays, or another receptor."
            )
        _check_conductance(who, one.cell, one.cell.plan.receptors[receptor], drive.weight)
    rate = drive.greatest if isinstance(drive, Poisson) else None
    if rate is not None and rate * dt > GREATEST:
        raise ValueError(
            f"{who} draws from a rate of {rate:g} kHz, over {GREATEST:g} spikes a step; use a "
            "smaller dt, a higher correlation, or a current."
        )
    if isinstance(drive, Current):
        known = held_states(one.cell)
        if drive.state not in known:
            raise ValueError(
                f"{who} sets the state '{drive.state}', which {one.cell.name} does not leave "
                f"alone; it has {', '.join(known) or 'no state without a TimeDerivative'}."
            )


def _check_currents(drives: Mapping[str, AbstractDrive]) -> None:
    taken: dict[tuple[str, str], str] = {}
    for name, drive in drives.items():
        if isinstance(drive, Current):
            place = drive.target, drive.state
            if place in taken:
                raise ValueError(
                    f"Network: the drives '{taken[place]}' and '{name}' both set the state "
                    f"'{drive.state}' of '{drive.target}'; give their sum in one."
                )
            taken[place] = name


def held_states(cell: Cell) -> tuple[str, ...]:
    """The states of a cell that its equations leave as they are."""
    unit = cell.plan.plan.units[cell.plan.root]
    phases = (unit.base, *unit.regimes)
    changed = {name for phase in phases for name, _ in phase.derivatives}
    for phase in phases:
        handled = (*phase.on_conditions, *phase.on_events)
        actions = [a for one in handled for a in one.actions] + [*phase.on_entry]
        changed |= {a.variable for a in actions if isinstance(a, Assign)}
    return tuple(name for name in cell.states if "/" not in name and name not in changed)
