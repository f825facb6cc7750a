"""One neuron of NEST's, and cells of ours, given the same spikes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tvbjax.lems import Cell
from tvbjax_lems.runtime.cell_steps import CellSteps

DELAY = 0.9  # ms, from NEST's generators to parrots, and from these
Arrivals = Sequence[tuple[Any, float, Sequence[float] | np.ndarray]]


@dataclass(frozen=True)
class Trace:
    """`values`: by name, at ends of steps; `spikes`: the steps at whose end there was one."""

    values: Mapping[str, np.ndarray]
    spikes: np.ndarray


def nest_trace(
    model: str,
    params: Mapping[str, float],
    arrivals: Arrivals,
    dt: float,
    duration: float,
    record: Sequence[str] = ("V_m",),
    synapse: Mapping[str, Any] | None = None,
) -> Trace:
    """`arrivals`: (None, weight, times at which spikes are heard). `synapse`: of another kind."""
    nest = pytest.importorskip("nest", reason="needs pip install 'tvbjax[nest]'")
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    nest.local_num_threads, nest.resolution = 1, dt
    neuron = nest.Create(model, params=dict(params))
    meter = nest.Create("multimeter", params={"interval": dt, "record_from": list(record)})
    recorder = nest.Create("spike_recorder")
    nest.Connect(meter, neuron)
    nest.Connect(neuron, recorder)
    for _, weight, times in arrivals:
        sent = [round((time - 2.0 * DELAY) / dt) * dt for time in times]
        generator = nest.Create("spike_generator", params={"spike_times": sent})
        relay = nest.Create("parrot_neuron")  # synapses with a memory are not for generators
        nest.Connect(generator, relay, syn_spec={"delay": DELAY})
        spec = {"weight": weight, "delay": DELAY, **(synapse or {})}
        nest.Connect(relay, neuron, syn_spec=spec)
    nest.Simulate(duration + 1.0)
    steps = round(duration / dt)
    values = {name: np.asarray(meter.events[name])[:steps] for name in record}
    spikes = np.rint(np.asarray(recorder.events["times"]) / dt).astype(int)
    return Trace(values, spikes[spikes <= steps])


def cell_trace(
    cell: Cell,
    method: Any,
    arrivals: Arrivals,
    dt: float,
    duration: float,
    record: Sequence[str] = ("v",),
) -> Trace:
    """One cell. `arrivals`: (receptor, weight, times at which spikes are heard)."""
    program = stepper(cell, 1, method, arrivals, dt, duration, record)
    values, spikes = jax.jit(program)(cell.params)
    found = {name: np.asarray(value)[:, 0] for name, value in values.items()}
    return Trace(found, 1 + np.flatnonzero(np.asarray(spikes)[:, 0]))


def stepper(
    cell: Cell,
    size: int,
    method: Any,
    arrivals: Arrivals,
    dt: float,
    duration: float,
    record: Sequence[str] = ("v",),
    surrogate: Any = None,
) -> Any:
    """From parameters to what is recorded, by name, and the spikes, (step, cell)."""
    stepping, steps = CellSteps(cell.plan, size, dt, method, surrogate), round(duration / dt)
    heard = np.zeros((steps, len(arrivals)))
    for column, (_, _, times) in enumerate(arrivals):
        at = np.rint(np.asarray(times) / dt).astype(int) - 1
        heard[:, column] = np.bincount(at, minlength=steps)
    found = [stepping.plan.find(name, "").parts[0] for name in record]
    watched = [(one.unit, one.name) for one in found]

    def program(params: Any) -> Any:
        ready = stepping.ready(params)

        def step(state: Any, counts: jax.Array) -> Any:
            arriving = _arriving(stepping, ready, arrivals, counts)
            state, spikes = stepping.step(ready, state, arriving, None)
            values = stepping.observe(ready, state, watched)
            return state, (dict(zip(record, values, strict=True)), spikes)

        start = stepping.start(params, ready[1], None)
        return jax.lax.scan(step, start, jnp.asarray(heard))[1]

    return program


def _arriving(stepping: CellSteps, ready: Any, arrivals: Arrivals, counts: jax.Array) -> Any:
    arriving: dict[Any, jax.Array] = {}
    for (receptor, weight, _), count in zip(arrivals, counts, strict=True):
        unit = stepping.cell.receptors[receptor].unit
        for name, amount in stepping.amounts(ready, receptor, jnp.asarray(weight)).items():
            before = arriving.get((unit, name), jnp.zeros(stepping.size))
            arriving[unit, name] = before + count * amount
    return arriving
