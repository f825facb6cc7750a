"""Run a brain and its spiking regions together, window by window.

In a window first the spiking regions run, by the coupling inputs that are known by then; what their
converters make of it is what the regions are while the brain runs the same window.
"""

import warnings
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike, Float, Int

from tvbjax import engine, simulation
from tvbjax.arrays import is_traced
from tvbjax.engine import Outside
from tvbjax.kinds import check_kind
from tvbjax.progress import progress_bar
from tvbjax.provenance import describe
from tvbjax.result import Result
from tvbjax.spiking import program
from tvbjax.spiking.cosimulator import CoSimulator, heard_by
from tvbjax.spiking.known import check_known_numbers
from tvbjax.spiking.monitors import averaged
from tvbjax.spiking.network import Network
from tvbjax.spiking.outside import AbstractSession, InJax, Window
from tvbjax.spiking.program import Seen
from tvbjax.spiking.recording import recorded
from tvbjax.spiking.result import SpikingResult, windows
from tvbjax.spiking.running import check_key, raise_trouble
from tvbjax.spiking.signals import HeardEach
from tvbjax.steps import part_of, steps_of

_WINDOW_STEPS_PER_CALL = 4096  # of networks


class CosimulationResult(NamedTuple):
    """`brain`: as of `tvbjax.simulate`; `regions`: what each spiking region's monitors recorded."""

    brain: Result
    regions: dict[str, SpikingResult]


class _Carry(NamedTuple):
    """What goes from window to window. `networks`: of those that run in JAX."""

    brain: engine.Carry
    networks: dict[str, program.Carry]
    converters: dict[str, tuple[Any, ...]]


def cosimulate(
    cosimulator: CoSimulator,
    duration: float,
    *,
    initial: ArrayLike | None = None,
    key: Array | None = None,
    progress: bool = True,
) -> CosimulationResult:
    """Simulate `duration` ms, a multiple of the brain's dt.

    `initial`: of the brain, as in `tvbjax.simulate`: a state or a history, also of what spiking
    regions were before. `key`: of the brain's noise and of the networks; the brain's numbers are
    those that it has alone.

    Raises `tvbjax.DivergenceError` of the brain, or `spiking.DivergenceError` of a network;
    `RuntimeError` where another simulator fails, which is then closed. Ctrl-C ends the run early;
    what was finished comes back.
    """
    check_kind("cosimulate: cosimulator", cosimulator, CoSimulator, "CoSimulator(...)")
    if is_traced((cosimulator, key)):
        raise TypeError(
            "cosimulate: within jit, grad or vmap use "
            "tvbjax.spiking.cosimulated_rates(cosimulator, duration, key=key)."
        )
    if isinstance(initial, CosimulationResult | Result):
        raise TypeError(
            "cosimulate: initial is a result, and co-simulations are not continued; give a state "
            "or a history of the brain, as arrays."
        )
    simulator = cosimulator.simulator
    dt = simulator.integrator.dt
    steps = simulation.whole_steps(duration, dt, "cosimulate")
    simulation.check_key(simulator, key, "cosimulate")
    check_known_numbers("cosimulate", cosimulator.regions)
    for label, region in cosimulator.regions.items():
        check_key(region.described, key, f"cosimulate: region '{label}'")
    window = _window_for(cosimulator, steps)
    run = _outside if cosimulator.outside else _inside
    begin = _begin(cosimulator, initial, key)
    label = f"co-simulating {duration:g} ms in windows of {window * dt:g} ms"
    with progress_bar(label, steps, progress) as bar:
        carry, samples, regions, done = run(cosimulator, begin, key, steps, window, bar)
    complete = done == steps
    provenance = describe(simulator, key, initial=None)
    values = [np.concatenate(x) if x else _none(simulator, i) for i, x in enumerate(samples)]
    brain = simulation.result_of(simulator, 0, done, carry.brain, values, provenance, complete)
    if not complete:
        warnings.warn(
            f"cosimulate: interrupted at {done * dt:g} ms; what was finished is in the result.",
            stacklevel=2,
        )
    for region_label, region in cosimulator.regions.items():
        raise_trouble(region.described, regions[region_label])
    simulation.raise_trouble(simulator, brain)
    return CosimulationResult(brain, regions)


def cosimulated_rates(
    cosimulator: CoSimulator,
    duration: float,
    *,
    initial: ArrayLike | None = None,
    key: Array | None = None,
    period: float = 1.0,
) -> tuple[Result, dict[str, dict[str, Array]]]:
    """The brain's result, and by region and population mean rates in windows of `period` ms, kHz.

    A pure function, for `jax.jit`, `vmap`, and, where networks have a surrogate, `jax.grad`, from
    what the brain sees to what is in the network and the other way round. Networks run in JAX.
    Instead of raising, `result.final.trouble` tells of a brain that diverged, and rates are NaN.
    """
    check_kind("cosimulated_rates: cosimulator", cosimulator, CoSimulator, "CoSimulator(...)")
    simulator = cosimulator.simulator
    dt = simulator.integrator.dt
    if cosimulator.outside:
        raise TypeError("cosimulated_rates: a network runs outside of JAX; use cosimulate.")
    steps = simulation.whole_steps(duration, dt, "cosimulated_rates")
    if steps_of(float(period), dt, "cosimulated_rates: the period") > steps:
        raise ValueError(
            f"cosimulated_rates: a period of {period:g} ms is longer than {duration:g} ms of run."
        )
    simulation.check_key(simulator, key, "cosimulated_rates")
    for label, region in cosimulator.regions.items():
        check_key(region.described, key, f"cosimulated_rates: region '{label}'")
    window = _window_for(cosimulator, steps)
    carry, done = _begin(cosimulator, initial, key), 0
    samples: list[list[Array]] = [[] for _ in simulator.monitors]
    counts: dict[str, list[dict[str, Array]]] = {label: [] for label in cosimulator.regions}
    for length, count in ((window, steps // window), (steps % window, 1)):
        if not length * count:
            continue
        phases = phases_at(simulator, done, length, count)
        carry, (found, seen) = _windows(cosimulator, carry, key, length, phases)
        for number, values in enumerate(found):
            samples[number].append(_rows(simulator, number, values, done, length, count))
        for label, own in seen.items():
            counts[label].append({name: one.count.reshape(-1) for name, one in own.items()})
        done += length * count
    values = [jnp.concatenate(x) for x in samples]
    brain = simulation.result_of(simulator, 0, steps, carry.brain, values, "{}", complete=True)
    rates = {
        label: _rates_of(region.described, counts[label], carry, label, period)
        for label, region in cosimulator.regions.items()
    }
    return brain, rates


def _rows(simulator, number: int, values: Array, first: int, steps: int, count: int) -> Array:
    """The rows that hold samples, of windows that have room for as many as there may be."""
    monitor, dt = simulator.monitors[number], simulator.integrator.dt
    held = [len(monitor.times(first + i * steps, steps, dt)) for i in range(count)]
    places = [(i, row) for i, rows in enumerate(held) for row in range(rows)]
    which, rows = np.asarray(places, int).reshape(-1, 2).T
    return values[which, rows]


def _rates_of(
    network: Network, counts, carry: _Carry, label: str, period: float
) -> dict[str, Array]:
    window = steps_of(float(period), network.dt, "cosimulated_rates: the period")
    fine = (carry.networks[label].trouble[0] < 0) & (carry.brain.trouble[0] < 0)
    found = {}
    for name, one in network.populations.items():
        whole = jnp.concatenate([part[name] for part in counts])
        rates = jnp.asarray(windows(whole, window)) / (one.size * network.dt)
        found[name] = jnp.where(fine, rates, jnp.nan)
    return found


def _none(simulator, number: int) -> np.ndarray:
    return np.zeros(simulation.none_of(simulator, number))


def _window_for(cosimulator: CoSimulator, steps: int) -> int:
    """The window in steps."""
    if cosimulator.window is not None:
        return min(cosimulator.window, steps)
    return part_of(steps, cosimulator.longest)


def _begin(cosimulator: CoSimulator, initial: Any, key: Array | None) -> _Carry:
    simulator = cosimulator.simulator
    brain = eqx.filter_jit(engine.start)(simulator, simulation.past_of(simulator, initial))
    networks = {
        label: eqx.filter_jit(program.start)(region.network, _own_key(key, number))
        for number, (label, region) in enumerate(cosimulator.regions.items())
        if isinstance(region.network, Network)
    }
    dt = simulator.integrator.dt
    converters = {
        label: tuple(output.converter.begin(dt) for output in region.outputs)
        for label, region in cosimulator.regions.items()
    }
    return _Carry(brain, networks, jax.tree.map(jnp.asarray, converters))


def _own_key(key: Array | None, number: int) -> Array | None:
    return None if key is None else jax.random.fold_in(key, 1 + number)


# What one side needs of the other.


def told(cosimulator: CoSimulator, brain: engine.Carry, ahead: int, steps: int):
    """What each region's network hears in `steps` steps of the brain, per step of the network."""
    simulator = cosimulator.simulator
    taps = jnp.concatenate(list(cosimulator.taps.values()))
    inputs = engine.inputs_ahead(simulator, brain, taps, ahead, steps)
    found: dict[str, dict[str, Array]] = {}
    for label, number in zip(cosimulator.regions, cosimulator.numbers, strict=True):
        substeps = cosimulator.substeps(label)
        own = {
            name: jnp.repeat(inputs[:, i, number], substeps, axis=0)
            for i, name in enumerate(simulator.model.inputs)
        }
        own |= _of_each(cosimulator, label, brain, ahead, steps)
        found[label] = own
    return found


def _of_each(
    cosimulator: CoSimulator, label: str, brain: engine.Carry, ahead: int, steps: int
) -> dict[str, Array]:
    """What each region sends to one whose drives hear them one by one."""
    simulator = cosimulator.simulator
    drives = cosimulator.regions[label].described.drives.values()
    heard = {h.name: h for h in map(heard_by, drives) if isinstance(h, HeardEach)}
    if not heard:
        return {}
    mine = cosimulator.taps[label]
    sent = engine.signals_ahead(simulator, brain, mine, ahead, steps)
    weights = engine.weights_of(simulator, mine)
    substeps = cosimulator.substeps(label)
    found = {}
    for name, one in heard.items():
        column = _channel(simulator, name)
        found[one.signal] = jnp.repeat(sent[:, :, column], substeps, axis=0)
        found[one.weights] = jnp.broadcast_to(weights, found[one.signal].shape)
    return found


def _channel(simulator, name: str) -> int:
    """The number of the channel that an input of one rule with one signal hears."""
    before = simulator.model.inputs.index(name)
    width = 0
    for rules, reads in zip(simulator.rules[:before], simulator.reads[:before], strict=True):
        for rule, own in zip(rules, reads, strict=True):
            shape = jax.ShapeDtypeStruct((len(own), 1), jnp.result_type(float))
            width += jax.eval_shape(rule.source, shape).shape[0]
    return width


def converted(
    cosimulator: CoSimulator,
    converters: dict[str, tuple[Any, ...]],
    windows: dict[str, Any],
    steps: int,
) -> tuple[dict[str, tuple[Any, ...]], Outside]:
    """What the spiking regions are in the steps of a window, by what their networks did.

    `windows`: per region what has `counts` and `means`, per step of the network.
    """
    simulator = cosimulator.simulator
    dt, states = simulator.integrator.dt, simulator.model.state_variables
    shape = (steps, len(states), simulator.nodes)
    values = jnp.zeros(shape, jnp.result_type(float))
    pushed, done = jnp.zeros_like(values), {}
    mask = np.zeros(shape[1:], bool)
    for label, number in zip(cosimulator.regions, cosimulator.numbers, strict=True):
        region, seen = cosimulator.regions[label], windows[label]
        carried = []
        for output, before in zip(region.outputs, converters[label], strict=True):
            means = _mean(region.described, output, seen, steps)

            def one(carry, mean, converter=output.converter):
                return converter.step(carry, mean, dt)

            after, course = lax.scan(one, before, means)
            carried.append(after)
            row = states.index(output.variable)
            if output.replaces:
                values = values.at[:, row, number].set(course)
                mask[row, number] = True
            else:
                pushed = pushed.at[:, row, number].add(course)
        done[label] = tuple(carried)
    return done, Outside(jnp.asarray(mask), values, pushed)


def _mean(network: Network, output, seen: Window, steps: int) -> Float[Array, " step"]:
    """Per step of the brain the rate of a population, kHz, or the mean of a quantity."""
    name = output.population
    if output.quantity is None:
        size = network.populations[name].size
        rates = jnp.asarray(seen.counts[name], float) / (size * network.dt)
        return rates.reshape(steps, -1).mean(axis=1)
    column = averaged(network.monitors, name).index(output.quantity)
    return jnp.asarray(seen.means[name], float)[:, column].reshape(steps, -1)[:, -1]


def made_of(cosimulator: CoSimulator, converters, brain, windows, key, steps: int, phases):
    """A window of the brain by what networks did in it: converters, the brain, its samples."""
    simulator = cosimulator.simulator
    converters, outside = converted(cosimulator, converters, windows, steps)
    brain, samples = engine.advance(simulator, brain, key, steps, phases, engine.Forward(), outside)
    return converters, brain, samples


# All in one jit.


def _window(cosimulator: CoSimulator, carry: _Carry, key, steps: int, phases):
    """A window of everything: the carry, the brain's samples, what was seen of the networks."""
    signals = told(cosimulator, carry.brain, 0, steps)
    networks, seen = {}, {}
    for number, (label, region) in enumerate(cosimulator.regions.items()):
        assert isinstance(region.network, Network)
        length = steps * cosimulator.substeps(label)
        networks[label], seen[label] = program.advance(
            region.network, carry.networks[label], _own_key(key, number), length, signals[label]
        )
    handed = {label: window_of(own) for label, own in seen.items()}
    converters, brain, samples = made_of(
        cosimulator, carry.converters, carry.brain, handed, key, steps, phases
    )
    return _Carry(brain, networks, converters), samples, seen


def window_of(seen: dict[str, Seen]) -> Window:
    """What is handed over of what was seen."""
    return Window(
        {name: one.count for name, one in seen.items()},
        {name: one.means for name, one in seen.items()},
    )


@eqx.filter_jit
def _windows(cosimulator: CoSimulator, carry: _Carry, key, steps: int, phases):
    """Windows one after another; `phases`: of each monitor in each of them."""

    def one(carry, phases):
        carry, samples, seen = _window(cosimulator, carry, key, steps, phases)
        return carry, (samples, seen)

    return lax.scan(one, carry, phases)


def phases_at(
    simulator, first: int, steps: int, count: int
) -> tuple[Int[np.ndarray, " window"], ...]:
    """Per monitor, the steps of its own window that had passed at the beginning of each of ours."""
    dt = simulator.integrator.dt
    begins = first + steps * np.arange(count)
    return tuple(
        (begins % monitor.window_steps(dt)).astype(np.int32) for monitor in simulator.monitors
    )


def _inside(cosimulator: CoSimulator, begin: _Carry, key, steps: int, window: int, bar):
    simulator = cosimulator.simulator
    finest = max(cosimulator.substeps(label) for label in cosimulator.regions)
    whole = steps // window
    together = part_of(whole, max(1, _WINDOW_STEPS_PER_CALL // (window * finest)))
    calls = [(window, min(together, whole - i)) for i in range(0, whole, together)]
    calls += [(steps % window, 1)] if steps % window else []
    samples: list[list[np.ndarray]] = [[] for _ in simulator.monitors]
    pieces: dict[str, list[dict[str, Seen]]] = {label: [] for label in cosimulator.regions}
    carry, done = begin, 0
    try:
        for length, count in calls:
            phases = phases_at(simulator, done, length, count)
            after, (found, seen) = _windows(cosimulator, carry, key, length, phases)
            found, seen = jax.tree.map(np.asarray, (found, seen))
            carry = after
            _kept(simulator, samples, found, done, length, count)
            for label, own in seen.items():
                flat = jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), own)
                pieces[label].append(flat)
            done += length * count
            bar(length * count)
            if _in_trouble(carry):
                break
    except KeyboardInterrupt:
        pass
    regions = {
        label: recorded(
            region.described, pieces[label], 0, done * cosimulator.substeps(label),
            carry.networks[label], complete=done == steps,
        )
        for label, region in cosimulator.regions.items()
    }  # fmt: skip
    return carry, samples, regions, done


def _kept(simulator, samples, found, first: int, steps: int, count: int) -> None:
    """Add what monitors sampled in windows, without the rows that hold nothing."""
    for number, values in enumerate(found):
        for i in range(count):
            rows = simulation.cut(simulator, number, values[i], first + i * steps, steps)
            samples[number].append(np.asarray(rows))


def _in_trouble(carry: _Carry) -> bool:
    troubles = [carry.brain.trouble[0], *(one.trouble[0] for one in carry.networks.values())]
    return any(int(trouble) >= 0 for trouble in troubles)


# With simulators outside of JAX.

_told = eqx.filter_jit(told)
_made_of = eqx.filter_jit(made_of)


def _outside(cosimulator: CoSimulator, begin: _Carry, key, steps: int, window: int, bar):
    sessions: dict[str, AbstractSession] = {}
    try:
        for number, (label, region) in enumerate(cosimulator.regions.items()):
            network = region.network
            outside = InJax(network) if isinstance(network, Network) else network
            sessions[label] = outside.open(_own_key(key, number))
        carry, samples, done = _by_sessions(cosimulator, begin, key, steps, window, sessions, bar)
        regions = {label: one.result() for label, one in sessions.items()}
        for label, one in regions.items():
            check_kind(f"region '{label}': result()", one, SpikingResult, "a SpikingResult")
        if done < steps:
            regions = {n: replace(one, complete=False) for n, one in regions.items()}
        return carry, samples, regions, done
    finally:
        for one in sessions.values():
            one.close()


def _by_sessions(cosimulator, carry: _Carry, key, steps: int, window: int, sessions, bar):
    simulator = cosimulator.simulator
    samples: list[list[np.ndarray]] = [[] for _ in simulator.monitors]
    done = 0
    lengths = [window] * (steps // window) + ([steps % window] if steps % window else [])
    begun = False
    try:
        for place, length in enumerate(lengths):
            if not begun:
                _tell(cosimulator, sessions, carry.brain, 0, length)
            handed = {
                label: _finished(cosimulator, label, one, length) for label, one in sessions.items()
            }
            begun = cosimulator.interleaved and place + 1 < len(lengths)
            if begun:  # they go on while the brain makes the window that they have made
                _tell(cosimulator, sessions, carry.brain, length, lengths[place + 1])
            phases = tuple(x[0] for x in phases_at(simulator, done, length, 1))
            converters, brain, found = _made_of(
                cosimulator, carry.converters, carry.brain, handed, key, length, phases
            )
            carry = _Carry(brain, carry.networks, converters)
            _kept(simulator, samples, [np.asarray(x)[None] for x in found], done, length, 1)
            done += length
            bar(length)
            if _in_trouble(carry):
                break
        if begun:
            for one in sessions.values():
                one.finish()
    except KeyboardInterrupt:
        pass
    return carry, samples, done


def _finished(cosimulator: CoSimulator, label: str, session: AbstractSession, steps: int) -> Window:
    """What a session made of a window. Raises where it failed, or made something else."""
    who = f"region '{label}': {type(session).__name__}"
    try:
        found = session.finish()
    except RuntimeError as error:
        raise RuntimeError(f"{who}: {error}") from error
    check_kind(f"{who}.finish()", found, Window, "Window(counts, means)")
    network = cosimulator.regions[label].described
    length = steps * cosimulator.substeps(label)
    for name in network.populations:
        quantities = len(averaged(network.monitors, name))
        for what, values, shape in (
            ("counts", found.counts.get(name), (length,)),
            ("means", found.means.get(name), (length, quantities)),
        ):
            if values is None or np.shape(values) != shape:
                there = "nothing" if values is None else f"the shape {np.shape(values)}"
                raise ValueError(
                    f"{who}: {what} of '{name}' have {there}; a window of {length} steps of the "
                    f"network has {shape}."
                )
            if what == "counts" and not (np.asarray(values) >= 0).all():
                raise ValueError(f"{who}: counts of '{name}' are not all numbers of 0 or more.")
    return found


def _tell(cosimulator: CoSimulator, sessions, brain, ahead: int, steps: int) -> None:
    signals = _told(cosimulator, brain, ahead, steps)
    for label, one in sessions.items():
        own = {name: np.asarray(values) for name, values in signals[label].items()}
        one.begin(own, steps * cosimulator.substeps(label))
