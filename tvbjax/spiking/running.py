"""Run a spiking network: in chunks, with a progress bar, stopped and continued without loss."""

import math
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from tvbjax.arrays import check_one_key, is_traced
from tvbjax.kinds import check_kind, check_number
from tvbjax.progress import progress_bar
from tvbjax.spiking import program
from tvbjax.spiking.known import check_known_numbers
from tvbjax.spiking.machine_memory import free_bytes
from tvbjax.spiking.monitors import Spikes, States
from tvbjax.spiking.network import Network
from tvbjax.spiking.program import Carry
from tvbjax.spiking.recording import recorded
from tvbjax.spiking.result import SpikingResult, windows
from tvbjax.steps import part_of, steps_of
from tvbjax_lems.runtime.cell import states_of

# A chunk is some tenths of a second, so that a progress bar moves and Ctrl-C is heard.
_CELL_STEPS_PER_CHUNK = 20_000_000

_start = eqx.filter_jit(program.start)
_advance = eqx.filter_jit(program.advance)


class DivergenceError(FloatingPointError):
    """A state of a network became infinite or NaN. `result` holds what was simulated."""

    def __init__(self, message: str, result: SpikingResult):
        super().__init__(message, result)
        self.result = result

    def __str__(self) -> str:
        return self.args[0]


def simulate(
    network: Network,
    duration: float,
    *,
    initial: SpikingResult | None = None,
    key: Array | None = None,
    progress: bool = True,
) -> SpikingResult:
    """Simulate `duration` ms, a multiple of dt.

    `initial`: an earlier result, which is then continued. `key`: needed where spikes or cells are
    random. The same key gives the same run, however it is cut.

    Ctrl-C ends the run early; what was finished comes back, with `complete` False.
    Raises `DivergenceError` where a state is no longer finite. For use inside `jax.jit`, `grad` and
    `vmap` there is `rates`.
    """
    check_kind("simulate: network", network, Network, "spiking.Network(...)")
    if is_traced((network, key)):
        raise TypeError(
            "simulate: within jit, grad or vmap use tvbjax.spiking.rates(network, duration, "
            "key=key), whose result has a fixed shape."
        )
    check_number("simulate: the duration (ms)", duration)
    steps = steps_of(float(duration), network.dt, "simulate: the duration")
    check_key(network, key, "simulate")
    check_known_numbers("simulate", network)
    _check_room(network, steps)
    carry = _start(network, key) if initial is None else _continued(network, initial, key)
    first, complete = int(carry.step), True
    if first + steps >= 2**31:
        raise ValueError(f"simulate: {first + steps:.3g} steps are more than a run can count.")
    chunk, finished = _chunk(network, steps), (carry, [], 0)
    label = f"simulating {duration:g} ms of {network.connections} connections"
    try:
        with progress_bar(label, steps, progress and steps > chunk) as bar:
            while finished[2] < steps:
                carry, pieces, done = finished
                length = min(chunk, steps - done)
                carry, seen = _advance(network, carry, key, length)
                seen = jax.tree.map(np.asarray, seen)
                finished = carry, [*pieces, seen], done + length
                bar(length)
                if int(carry.trouble[0]) >= 0:
                    break
    except KeyboardInterrupt:
        complete = False
    carry, pieces, done = finished
    result = recorded(network, pieces, first, done, carry, complete)
    if not complete:
        warnings.warn(
            f"simulate: interrupted at {(first + done) * network.dt:g} ms; "
            "simulate(network, ..., initial=result, key=key) goes on from there.",
            stacklevel=2,
        )
    raise_trouble(network, result)
    return result


def rates(
    network: Network, duration: float, *, key: Array | None = None, period: float = 1.0
) -> dict[str, Array]:
    """The mean rates of all populations in windows of `period` ms, kHz, (window,) each.

    A pure function, for `jax.jit`, `vmap` over parameters and keys, and, with
    `Network(surrogate=...)`, `jax.grad`. NaN where a state is no longer finite.
    """
    check_kind("rates: network", network, Network, "spiking.Network(...)")
    steps = steps_of(float(duration), network.dt, "rates: the duration")
    window = steps_of(float(period), network.dt, "rates: the period")
    if window > steps:
        raise ValueError(f"rates: a period of {period:g} ms is longer than {duration:g} ms of run.")
    check_key(network, key, "rates")
    return _rates(network, key, steps, window)


@eqx.filter_jit
def _rates(network: Network, key: Array | None, steps: int, window: int) -> dict[str, Array]:
    carry, seen = program.advance(network, program.start(network, key), key, steps)
    fine = carry.trouble[0] < 0
    return {
        name: jnp.where(
            fine,
            windows(one.count, window) / (network.populations[name].size * network.dt),
            jnp.nan,
        )
        for name, one in seen.items()
    }


def check_key(network: Network, key: Array | None, who: str) -> None:
    """Raises where a network that draws random numbers is given no key."""
    if key is not None:
        check_one_key(who, key)
    elif network.random:
        raise ValueError(
            f"{who}: the network draws random numbers, so a key is needed: key=jax.random.key(0)."
        )


def _continued(network: Network, initial: SpikingResult, key: Array | None) -> Carry:
    """Where an earlier run ended. Raises where it was of a network of another make."""
    check_kind("simulate: initial", initial, SpikingResult, "an earlier result of simulate")

    final = initial.final
    if final is None:
        raise ValueError("simulate: initial is the result of another simulator; leave it out.")

    def made(carry: Carry):
        whole = jax.tree.map(lambda x: (x.shape, x.dtype), carry, is_leaf=eqx.is_array_like)
        return jax.tree.structure(carry), jax.tree.leaves(whole)

    if made(final) != made(eqx.filter_eval_shape(program.start, network, key)):
        raise ValueError(
            "simulate: initial is the result of another network: with other populations, "
            "connections, delays, or dt. Leave it out, or give a result of this one."
        )
    return final


def _check_room(network: Network, steps: int) -> None:
    """Raise MemoryError, before the run, where what is recorded would not fit."""
    size, needed = jnp.result_type(float).itemsize, {}
    for one in network.monitors:
        if isinstance(one, Spikes):
            needed[f"Spikes of '{one.population}'"] = network.populations[one.population].size / 8
        if isinstance(one, States):
            own = network.populations[one.population].size
            cells = own if one.cells is None else len(one.cells)
            needed[f"States of '{one.population}'"] = size * cells * len(one.names)
    whole, free = steps * sum(needed.values()), free_bytes()
    if free is not None and whole > 0.8 * free:
        most = max(needed, key=lambda what: needed[what])
        raise MemoryError(
            f"simulate: what is recorded of {steps} steps needs about {whole / 1e9:.1f} GB, most "
            f"of it {most}, and {free / 1e9:.1f} GB are free; record fewer cells, or run it in "
            "pieces with initial=result."
        )


def _chunk(network: Network, steps: int) -> int:
    cells = sum(one.size for one in network.populations.values()) + network.connections // 100
    count = max(1, math.ceil(steps * cells / _CELL_STEPS_PER_CHUNK))
    return part_of(steps, math.ceil(steps / count))


def raise_trouble(network: Network, result: SpikingResult) -> None:
    """Raise DivergenceError where a state was no finite number."""
    if result.final is None:
        return
    step, number = (int(i) for i in result.final.trouble)
    if step < 0:
        return
    name = list(network.populations)[number]
    states = result.final.cells[name].states
    known = states_of(network.populations[name].cell.plan)
    bad = [called for called, place in known if not np.isfinite(states[place]).all()]
    told = ", ".join(bad[:4]) or "a state"
    raise DivergenceError(
        f"simulate: {told} of '{name}' {'were' if len(bad) > 1 else 'was'} no finite number by "
        f"{step * network.dt:g} ms; look at its parameters and weights for 0 and infinity, or try "
        f"a smaller dt than {network.dt:g} ms, another method, or weaker weights.",
        result,
    )
