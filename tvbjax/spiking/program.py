"""The time loop of a spiking network: blocks of steps, one population after another in each.

What arrives in a block is known when it begins, since no delay is shorter; so each population takes
its steps by itself, and then its spikes are sent. Pure functions of arrays.
"""

import zlib
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from tvbjax.spiking.delivery import Events, sent_together
from tvbjax.spiking.drives import AbstractSpikeDrive, Current
from tvbjax.spiking.monitors import averaged, cells_of, watched
from tvbjax.spiking.network import Network
from tvbjax.spiking.signals import Signals
from tvbjax.steps import part_of
from tvbjax_lems import CellSteps, MemorySteps, NetworkState
from tvbjax_lems.runtime.cell import find, states_of


class Carry(eqx.Module):
    """Everything that a run needs to go on.

    `step`: steps taken. `cells`: per population. `kept`: per projection and state, what is to come.
    `past`: the spikes of the last steps of populations whose connections look back. `memory`: of
    plastic connections. `trouble`: step and population of the first state that was not finite, or
    -1.
    """

    step: Int[Array, ""]
    cells: dict[str, NetworkState]
    kept: dict[str, dict[str, Any]]
    past: dict[str, Float[Array, "step cell"]]
    memory: dict[str, NetworkState]
    trouble: Int[Array, "2"]


class Seen(NamedTuple):
    """What was seen of a population, per step. `spikes`: bits of eight cells in a byte, or numbers
    with a slope; `count`: of spikes; `states`: of single cells; `means`: over all."""

    spikes: Array | np.ndarray
    count: Float[Array | np.ndarray, " step"]
    states: Float[Array | np.ndarray, "step name cell"]
    means: Float[Array | np.ndarray, "step name"]


class _Program:
    """What a network's steps are made of; made anew for every trace."""

    def __init__(self, network: Network):
        self.network = network
        soft = network.surrogate
        spike = None if soft is None else soft.in_steps_of(network.dt)
        self.steps = {
            name: CellSteps(one.cell.plan, one.size, network.dt, one.method, spike)
            for name, one in network.populations.items()
        }
        self.params = {name: one.cell.params for name, one in network.populations.items()}
        self.ready = {name: s.ready(self.params[name]) for name, s in self.steps.items()}
        self.memories = {
            name: MemorySteps(
                network.populations[one.target].cell.plan,
                network.receptor(one.target, one.receptor),
                len(one),
                network.dt,
            )
            for name, one in network.projections.items()
            if network.receptor(one.target, one.receptor).memory is not None
        }
        self.given = {
            name: steps.ready(self._of_each(name), network.projections[name].weight)
            for name, steps in self.memories.items()
        }
        self.amounts = {
            name: {
                state: one.form.prepared(jnp.asarray(amount, float))
                for state, amount in self._amounts(one.target, one.receptor, one.weight).items()
            }
            for name, one in network.projections.items()
            if name not in self.memories
        }

    def _of_each(self, projection: str) -> dict[str, dict[str, Array]]:
        """The parameters of the receiver of each connection."""
        one = self.network.projections[projection]
        return jax.tree.map(lambda x: x[one.targets] if x.ndim else x, self.params[one.target])

    def _amounts(self, population: str, receptor: str, weight: Array) -> dict[str, Array]:
        """What one spike adds to each state of a receptor."""
        steps = self.steps[population]
        return steps.amounts(self.ready[population], receptor, weight)

    def start(self, key: Array | None) -> Carry:
        network = self.network
        cells = {}
        for name, one in network.populations.items():
            own = None if key is None else key_for(key, "start", name)
            state = self.steps[name].start(self.params[name], self.ready[name][1], own)
            cells[name] = _with_initial(one, state)
        dtype = jnp.result_type(float)
        kept = {
            name: {state: network.projections[name].form.begin(dtype) for state in amounts}
            for name, amounts in self.amounts.items()
        }
        past: dict[str, Array] = {}
        for name, one in network.projections.items():
            if one.form.reads_past or name in self.memories:
                past[one.source] = jnp.zeros((0, network.populations[one.source].size), dtype)
        depths = self.depths()
        past = {name: jnp.zeros((depths[name], x.shape[1]), dtype) for name, x in past.items()}
        memory = {name: s.start(self.given[name]) for name, s in self.memories.items()}
        return Carry(jnp.zeros((), jnp.int32), cells, kept, past, memory, _unknown(network))

    def depths(self) -> dict[str, int]:
        """How many steps of the past are read of each population."""
        found: dict[str, int] = {}
        for one in self.network.projections.values():
            found[one.source] = max(found.get(one.source, 0), one.longest + self.network.block)
        return found

    def advance(
        self, carry: Carry, key: Array | None, steps: int, signals: Signals, begin: Int[Array, ""]
    ) -> tuple[Carry, dict[str, Seen]]:
        block = part_of(steps, self.network.block)
        whole, rest = divmod(steps, block)

        def one(carry, _):
            return self.block(carry, key, block, signals, begin)

        carry, seen = lax.scan(one, carry, None, length=whole)
        seen = jax.tree.map(lambda x: x.reshape(whole * block, *x.shape[2:]), seen)
        if rest:
            carry, last = self.block(carry, key, rest, signals, begin)
            seen = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), seen, last)
        return carry, seen

    def block(
        self, carry: Carry, key: Array | None, length: int, signals: Signals, begin
    ) -> tuple[Carry, dict[str, Seen]]:
        """`length` steps of all populations."""
        network, first = self.network, carry.step
        arriving: dict[str, dict[Any, Array]] = {name: {} for name in network.populations}
        kept = {name: dict(states) for name, states in carry.kept.items()}
        for name, amounts in self.amounts.items():
            one = network.projections[name]
            unit = network.receptor(one.target, one.receptor).unit
            for state, amount in amounts.items():
                come, kept[name][state] = one.form.arriving(
                    amount, kept[name][state], carry.past.get(one.source), first, length
                )
                _add(arriving[one.target], (unit, state), come)
        held = self._driven(arriving, key, first, length, signals, begin)
        cells, memory, seen, sent = {}, dict(carry.memory), {}, {}
        trouble = carry.trouble
        for number, name in enumerate(network.populations):
            mine = {n: self.memories[n] for n in memory if network.projections[n].target == name}
            state, own, spikes, observed = self._population(
                name, carry, {n: memory[n] for n in mine}, arriving[name], held[name], key, length
            )
            cells[name], sent[name] = state, spikes
            memory |= own
            seen[name] = observed
            trouble = _noted(trouble, state, first + length, number)
        past = {name: _written(ring, sent[name], first) for name, ring in carry.past.items()}
        self._send(kept, sent, first)
        return Carry(first + length, cells, kept, past, memory, trouble), seen

    def _send(self, kept, sent, first: Int[Array, ""]) -> None:
        """Puts the spikes of a block into what is kept, for each population at once."""
        network = self.network
        for source, spikes in sent.items():
            places = [
                (name, state, amount)
                for name, amounts in self.amounts.items()
                for state, amount in amounts.items()
                if network.projections[name].source == source
            ]
            events = []
            for name, state, amount in places:
                form = network.projections[name].form
                if isinstance(form, Events):
                    events.append((name, state, (form, amount, kept[name][state])))
                else:
                    kept[name][state] = form.sent(amount, kept[name][state], spikes, first)
            if events:
                rings = sent_together([part for _, _, part in events], spikes, first)
                for (name, state, _), ring in zip(events, rings, strict=True):
                    kept[name][state] = ring

    def _driven(self, arriving, key, first, length: int, signals: Signals, begin):
        """Adds what drives bring to what arrives; gives the states that are set."""
        network = self.network
        held: dict[str, dict[Any, Array]] = {name: {} for name in network.populations}
        for name, drive in network.drives.items():
            target = drive.target
            size, dt = network.populations[target].size, network.dt
            root = network.populations[target].cell.plan.root
            if isinstance(drive, Current):
                values = drive.values(signals, begin, first, length, dt)
                held[target][root, drive.state] = jnp.broadcast_to(values, (length, size))
                continue
            assert isinstance(drive, AbstractSpikeDrive)
            own = key_for(key, "drive", name) if key is not None and drive.random else None
            counts = drive.counts(own, signals, begin, first, length, dt, size)
            at = drive.receptor or network.populations[target].cell.receptors[0]
            receptor = network.receptor(target, at)
            for state, amount in self._amounts(target, at, drive.weight).items():
                each = jnp.broadcast_to(amount, (1, size))
                _add(arriving[target], (receptor.unit, state), counts * each)
        return held

    def _population(self, name, carry, memory, arriving, held, key, length: int):
        """The steps of one population in a block."""
        network, steps, ready = self.network, self.steps[name], self.ready[name]
        plan = network.populations[name].cell.plan
        single = [find(plan, n) for n in watched(network.monitors, name)]
        over_all = [find(plan, n) for n in averaged(network.monitors, name)]
        chosen = cells_of(network.monitors, name)
        draws = bool(plan.plan.random_units())
        moves = key_for(key, "moves", name) if draws and key is not None else None

        def one(loop, given):
            state, memory = loop
            number, come, values = given
            come = dict(come)
            for projection, its in memory.items():
                its, added = self._recalled(projection, its, carry.past, number)
                memory = {**memory, projection: its}
                for place, amount in added.items():
                    _add(come, place, amount)
            state = eqx.tree_at(lambda s: s.states, state, {**state.states, **values})
            own = None if moves is None else jax.random.fold_in(moves, number)
            state, spikes = steps.step(ready, state, come, own)
            for projection, its in memory.items():
                heard = spikes[network.projections[projection].targets]
                its = self.memories[projection].returned(self.given[projection], its, heard)
                memory = {**memory, projection: its}
            found = steps.observe(ready, state, [*single, *over_all])
            cells = [x if chosen is None else x[chosen] for x in found[: len(single)]]
            width = steps.size if chosen is None else len(chosen)
            states = jnp.stack(cells) if cells else jnp.zeros((0, width))
            means = [x.mean() for x in found[len(single) :]]
            means = jnp.stack(means) if means else jnp.zeros(0)
            return (state, memory), (spikes, states, means)

        numbers = carry.step + jnp.arange(length, dtype=jnp.int32)
        loop = (carry.cells[name], memory)
        (state, memory), (spikes, states, means) = _scan(one, loop, (numbers, arriving, held))
        soft = network.surrogate is not None
        count = spikes.sum(axis=1, dtype=jnp.result_type(float))
        shown = spikes if soft else jnp.packbits(spikes, axis=1)
        return state, memory, spikes, Seen(shown, count, states, means)

    def _recalled(self, projection: str, memory: NetworkState, past, step):
        """A step of what connections remember, and what arrives by them at its end."""
        one = self.network.projections[projection]
        receptor = self.network.receptor(one.target, one.receptor)
        ring, size = past[one.source], self.network.populations[one.target].size
        come = ring[(step - one.delays) % ring.shape[0], one.sources]
        memory, added = self.memories[projection].arrived(self.given[projection], memory, come)
        sums = {
            (receptor.unit, state): jnp.zeros(size, amount.dtype).at[one.targets].add(amount)
            for state, amount in added.items()
        }
        return memory, sums


def key_for(key: Array, what: str, name: str) -> Array:
    """The key of a part of a network: by its name, so that it does not depend on other parts."""
    return jax.random.fold_in(key, zlib.crc32(f"{what} {name}".encode()))


def start(network: Network, key: Array | None) -> Carry:
    """The carry at t = 0."""
    return _Program(network).start(key)


def advance(
    network: Network,
    carry: Carry,
    key: Array | None,
    steps: int,
    signals: Signals | None = None,
    begin: Int[Array, ""] | None = None,
) -> tuple[Carry, dict[str, Seen]]:
    """Take `steps` steps: the new carry, and what was seen of every population.

    `signals`: by name what is heard from outside, per step from step `begin` on, by default from
    now on.
    """
    begin = carry.step if begin is None else begin
    return _Program(network).advance(carry, key, steps, signals or {}, begin)


def _unknown(network: Network) -> Int[Array, "2"]:
    """Trouble at step 0 where any number of the network is NaN: a NaN rate gives no spikes, and a
    NaN threshold is never passed, without a state that would tell."""
    leaves = [x for x in jax.tree.leaves(network) if eqx.is_inexact_array(x)]
    bad = [jnp.isnan(lax.stop_gradient(x)).any() for x in leaves]
    none = jnp.full(2, -1, jnp.int32)
    return jnp.where(jnp.stack(bad).any(), 0, none) if bad else none


def _scan(step, loop, given):
    """`lax.scan`, with a single step as a branch that is always taken.

    XLA makes one program of a single step and what is computed before it, and adds products without
    rounding them, which it does not where they reach a loop: bits would depend on how time is cut.
    """
    numbers = given[0]
    if len(numbers) > 1:
        return lax.scan(step, loop, given)

    def taken():
        after, seen = step(loop, jax.tree.map(lambda x: x[0], given))
        return after, jax.tree.map(lambda x: x[None], seen)

    seen = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(taken)[1])
    return lax.cond(numbers[0] >= 0, taken, lambda: (loop, seen))


def _add(total: dict[Any, Array], place: Any, value: Array) -> None:
    total[place] = total[place] + value if place in total else value


def _written(ring: Array, spikes: Array, first: Int[Array, ""]) -> Array:
    rows = (first + jnp.arange(len(spikes), dtype=jnp.int32)) % ring.shape[0]
    return ring.at[rows].set(spikes.astype(ring.dtype))


def _noted(trouble: Array, state: NetworkState, step: Array, number: int) -> Array:
    sums = [jnp.sum(lax.stop_gradient(value)) for value in state.states.values()]
    fine = jnp.isfinite(jnp.stack(sums)).all() if sums else jnp.asarray(True)
    here = jnp.stack([jnp.asarray(step, jnp.int32), jnp.int32(number)])
    return jnp.where(fine | (trouble[0] >= 0), trouble, here)


def _with_initial(population, state: NetworkState) -> NetworkState:
    """With what a population's initial states are said to be."""
    if not population.initial:
        return state
    named = dict(states_of(population.cell.plan))
    given = {
        named[name]: jnp.broadcast_to(value, (population.size,))
        for name, value in population.initial.items()
    }
    return eqx.tree_at(lambda s: s.states, state, {**state.states, **given})
