"""The sweep driver beside a network's Python module: a short script for its user to change."""

import math

import numpy as np

from ..driver import ARGUMENTS
from ..module import number_source, one_line
from .module_names import has_delays, quoted
from .network import Network
from .plan import Plan, State, UnitPlan

_SCRIPT = '''"""Sweep parameters of {name} and keep what it does: a script to change.

    python {module}_sweep.py --points 8 --out {module}_sweep.npz

Every combination of values is simulated at once (vmap). It needs only JAX, NumPy and {module}.py.
"""

import argparse
import itertools
import os

import jax
import jax.numpy as jnp
import numpy as np

import {module} as model

jax.config.update("jax_enable_x64", True)  # without this line: single precision, faster

# What to vary: component, parameter, lowest value, highest value. Add lines or take some out.
SWEEP = (
{sweep}
)


def simulate(params, steps, dt, every{key}):
    """What is recorded, and the number of events of each kind in the whole run."""
    time, quantities, events, _ = model.run(params, steps, dt, every=every{given_key})
    return time, quantities, {{path: count.sum(axis=0) for path, count in events.items()}}


def sweep(points, steps, dt, every{key}):
    """The values of each swept parameter; times; what is recorded, and the events, by path."""
    values = [np.linspace(low, high, points) for _, _, low, high in SWEEP]
    grid = np.array(list(itertools.product(*values)))

    def run(row):
        params = model.PARAMETERS
        for (path, name, _, _), value in zip(SWEEP, row, strict=True):
            params = model.changed(path, name, value, params)
        return simulate(params, steps, dt, every{pass_key})

    time, quantities, events = jax.jit(jax.vmap(run))(jnp.asarray(grid))

    def shaped(found):
        return {{
            path: np.asarray(value).reshape(*map(len, values), *value.shape[1:])
            for path, value in found.items()
        }}

    return values, np.asarray(time[0]), shaped(quantities), shaped(events)


{arguments}

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=positive(int), default=8, help="values per parameter")
    parser.add_argument("--duration", type=positive(float), {duration}, help="{time}")
    parser.add_argument("--dt", type=positive(float), {dt}, help="integration step, {time}")
    parser.add_argument("--every", type=positive(int), help="of so many steps keep one")
{seed}    parser.add_argument("--out", default="{module}_sweep.npz", help="the file to write")
    given = arguments(parser)
    values, time, quantities, events = sweep(
        given.points, given.steps, given.dt, given.every{main_key}
    )
    columns = {{f"parameter {{p}} {{n}}": v for (p, n, _, _), v in zip(SWEEP, values, strict=True)}}
    columns |= {{f"quantity {{path}}": value for path, value in quantities.items()}}
    columns |= {{f"events {{path}}": value for path, value in events.items()}}
    np.savez(given.out, time=time, **columns)
    runs = np.prod([len(column) for column in values], dtype=int)
    failed = sum(not np.isfinite(value).all() for value in quantities.values())
    said = f"; {{failed}} quantities are not finite (try a smaller --dt)" if failed else ""
    print(f"{{given.out}}: {{runs}} runs of {{given.steps}} steps, {{time[-1]:g}} {time}{{said}}")


if __name__ == "__main__":
    main()
'''

_CHECK = """    try:
        model.check_step(given.dt)
    except ValueError as error:
        parser.error(str(error))
"""


def network_sweep_driver(network: Network, module: str) -> str:
    """The source of a script that sweeps a parameter with the module of `network_module`.

    `module`: the name to import that by. It varies one parameter of the first cell, about its
    value, and writes an npz file.
    """
    plan = network.plan
    time, duration = network.time_unit, _duration(plan)
    draws = bool(plan.random_units())
    seed = '    parser.add_argument("--seed", type=int, default={0}, help="of random numbers")\n'
    return _SCRIPT.format(
        name=one_line(plan.name).replace("%", ""),
        module=module,
        sweep=_line(network),
        duration="required=True" if duration is None else f"default={duration!r}",
        dt="required=True" if plan.step is None else f"default={plan.step!r}",
        arguments=ARGUMENTS.format(check=_CHECK if has_delays(plan) else ""),
        time=time,
        key=", key" if draws else "",
        given_key=", key=key" if draws else "",
        pass_key=", key" if draws else "",
        main_key=", jax.random.key(given.seed)" if draws else "",
        seed=seed.format(plan.seed or 0) if draws else "",
    )


def _duration(plan: Plan) -> float | None:
    """The file's duration, in whole steps: as long as `run` takes."""
    if plan.duration is None or plan.step is None:
        return plan.duration
    steps = math.floor(plan.duration / plan.step + 1e-6)
    whole = abs(plan.duration / plan.step - steps) < 1e-6
    return plan.duration if whole else round(max(1, steps) * plan.step, 9)


def _line(network: Network) -> str:
    found = _swept(network)
    if found is None:
        return '    # ("component", "parameter", 0.0, 1.0),'
    unit, name, value = found
    half = abs(value) / 2 or 1.0
    said = one_line(unit.units.get(name, ""))
    comment = f"  # {said}" if said else ""
    low, high = number_source(value - half), number_source(value + half)
    return f"    ({quoted(unit.path)}, {quoted(name)}, {low}, {high}),{comment}"


def _swept(network: Network) -> tuple[UnitPlan, str, float] | None:
    """A parameter of the first cell: of what is recorded first, else of what has states."""
    plan = network.plan
    shown = [plan.units[one.unit] for one in (*plan.quantities, *plan.events)]
    states = [u for u in plan.units if any(isinstance(v, State) for v in u.variables.values())]
    for unit in (*shown, *states, *plan.units):
        for name, value in network.params.get(unit.path, {}).items():
            if np.ndim(value) == 0 and math.isfinite(float(value)):
                return unit, name, float(str(np.asarray(value)[()]))
    return None
