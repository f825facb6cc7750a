"""The sweep driver beside a model's Python module: a short script for its user to change."""

import math

from .algebra import symbol
from .emit import Model
from .flat import FlatParameter
from .module import default_value, number_source, one_line

_SCRIPT = '''"""Sweep parameters of {name}, one node, and keep what it does: a script to change.

    python {module}_sweep.py --points 8 --duration 1000 --out {module}_sweep.npz

Every combination of values is simulated at once (vmap), by Heun's method in a plain
jax.lax.scan. It needs only JAX, NumPy and {module}.py.
"""

import argparse
import itertools
import os

import jax
import jax.numpy as jnp
import numpy as np

import {module} as model

jax.config.update("jax_enable_x64", True)  # without this line: single precision, faster

# What to vary: parameter, lowest value, highest value. Add lines or take some out.
SWEEP = (
{sweep}
)


def inputs(state, t):
    """What the node receives: one row for each of model.INPUTS. Put a network here."""
    return jnp.zeros((len(model.INPUTS), *state.shape[1:]), state.dtype)


def step(state, t, dt, params):
    """One step of Heun's method, then the bounds."""
    slope = model.dfun(state, inputs(state, t), params, t)
    guess = state + dt * slope
    later = model.dfun(guess, inputs(guess, t + dt), params, t + dt)
    low, high = jnp.asarray(model.BOUNDS).T
    return jnp.clip(state + 0.5 * dt * (slope + later), low, high)


def simulate(params, samples, dt, every):
    """What can be observed, after every `every` steps: (sample, observable)."""
    start = jnp.asarray(model.INITIAL).mean(axis=1)  # the middle of each range

    def advance(state, number):
        return step(state, number * dt, dt, params), None

    def sample(state, number):
        numbers = number * every + jnp.arange(every)
        state = jax.lax.scan(advance, state, numbers)[0]
        return state, model.observe(state, params)

    return jax.lax.scan(sample, start, jnp.arange(samples))[1]


def sweep(points, steps, dt, every):
    """Times, the values of each swept parameter, and (value, ..., sample, observable)."""
    values = {{name: np.linspace(low, high, points) for name, low, high in SWEEP}}
    grid = np.array(list(itertools.product(*values.values())))
    samples = steps // every

    def run(row):
        params = model.PARAMETERS | dict(zip(values, row, strict=True))
        return simulate(params, samples, dt, every)

    observed = np.asarray(jax.jit(jax.vmap(run))(jnp.asarray(grid)))
    shape = [len(column) for column in values.values()]
    return np.arange(1, samples + 1) * dt * every, values, observed.reshape(*shape, samples, -1)


{arguments}

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=positive(int), default=8, help="values per parameter")
    parser.add_argument("--duration", type=positive(float), default=1000.0, help="ms")
    parser.add_argument("--dt", type=positive(float), default=0.05, help="integration step, ms")
    parser.add_argument("--every", type=positive(int), help="of so many steps keep one")
    parser.add_argument("--out", default="{module}_sweep.npz", help="the file to write")
    given = arguments(parser)
    time, values, observed = sweep(given.points, given.steps, given.dt, given.every)
    columns = {{f"parameter_{{name}}": column for name, column in values.items()}}
    np.savez(given.out, time=time, observed=observed, observables=model.OBSERVABLES, **columns)
    failed = int((~np.isfinite(observed)).any(axis=(-2, -1)).sum())
    said = f", of which {{failed}} diverged (try a smaller --dt)" if failed else ""
    runs = f"{{observed[..., 0, 0].size}} runs of {{time[-1]:g}} ms"
    print(f"{{given.out}}: {{runs}}{{said}}; observed", observed.shape)


if __name__ == "__main__":
    main()
'''


# Of the network's driver, too. {check}: what is refused besides.
ARGUMENTS = '''def positive(kind):
    """The type of an argument that is a finite number above 0."""

    def number(text):
        if not 0 < kind(text) < float("inf"):
            raise argparse.ArgumentTypeError(f"{{text}} is no finite number above 0")
        return kind(text)

    return number


def arguments(parser):
    """The arguments, with the number of steps. Refuses what cannot be run before it is computed."""
    given = parser.parse_args()
    given.out = given.out.removesuffix(".npz") + ".npz"  # as NumPy would
    if not os.access(os.path.dirname(given.out) or ".", os.W_OK):
        parser.error(f"{{given.out}} cannot be written: its folder is not there, or is read-only")
{check}    ratio = given.duration / given.dt
    given.steps = steps = max(1, round(min(ratio, 2e9)))
    if abs(ratio - steps) > 1e-3:
        parser.error(
            f"--duration {{given.duration:g}} is not a whole number of steps of {{given.dt:g}}, "
            f"up to 2e9; {{steps * given.dt:.9g}} is"
        )
    if given.every is None:  # keep a thousand or more
        given.every = next(n for n in range(steps // 1000 or 1, 0, -1) if steps % n == 0)
    if steps % given.every:
        parser.error(f"--every {{given.every}} does not divide the {{steps}} steps of the duration")
    return given
'''


def sweep_driver(model: Model, module: str) -> str:
    """The source of a script that sweeps two parameters with the module of `python_module`.

    `module`: the name to import that by. RateML's own ranges come first, else two parameters that
    the equations use, about their values. It integrates with Heun's method and writes an npz file.
    """
    lines = [_line(model, row) for row in _swept(model)]
    return _SCRIPT.format(
        name=one_line(model.name).replace("%", ""),
        module=module,
        sweep="\n".join(lines),
        arguments=ARGUMENTS.format(check=""),
    )


def _swept(model: Model) -> list[FlatParameter]:
    spec = model.spec
    used = {s for e in (*spec.derived, *spec.derivatives) for s in e.expression.free_symbols}
    named = [name for name, _ in spec.sweeps]
    rows = [row for row in spec.parameters if symbol(row.name) in used]
    return sorted(rows, key=lambda row: row.name not in named)[:2]


def _line(model: Model, row: FlatParameter) -> str:
    low, high = dict(model.spec.sweeps).get(row.name) or _about(model, row)
    said = [row.unit] if row.unit else []
    said += [f"{row.domain[0]:g} to {row.domain[1]:g} make sense"] if row.domain else []
    comment = f"  # {'; '.join(said)}" if said else ""
    return f'    ("{row.name}", {number_source(low)}, {number_source(high)}),{comment}'


def _about(model: Model, row: FlatParameter) -> tuple[float, float]:
    """Half the value to one and a half, within the domain; about 0 a tenth of the domain."""
    value = default_value(model, row.name)
    least, most = row.domain or (-math.inf, math.inf)
    half = abs(value) / 2 or (0.1 * (most - least) if math.isfinite(most - least) else 1.0)
    return max(value - half, least), min(value + half, most)
