"""A network as a Python module of its own: source to read and to change, for JAX and NumPy alone.

tvbjax itself never runs the text. Its numbers are those of `run(network, method=Euler())`.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.core
import numpy as np

from ..module import linoid_source, number_source, one_line
from .engine import Machine
from .module_moment import MomentWriter
from .module_names import Shared, array_source, has_delays, is_stored, quoted
from .module_recorded import recorded
from .module_step import start_lines, step_lines
from .module_text import CHANGED, CHECK_STEP, HELPERS, RUN
from .module_values import Text, Writer
from .network import Network
from .plan import Parameter, Plan, Recorded, UnitPlan

_WIDTH = 96


@dataclass(frozen=True)
class NetworkSource:
    """A module's text, and the arrays of the .npz file of its name that lies beside it."""

    text: str
    arrays: dict[str, np.ndarray]


def network_module(
    network: Network,
    file: str = "",
    *,
    record: Sequence[str] = (),
    step: float | None = None,
) -> NetworkSource:
    """The source of a module with the network's `initial`, `step` and `run`.

    It integrates as `Euler()` does and imports only jax and numpy. Parameters have the network's
    present values. `file`: the name of the file it came from, for its first lines. `record`: paths
    that its `run` records besides the file's, as in `run`; all states where there are none.
    `step`: the usual one, the file's by default; others may be taken as long as the same
    connections have a delay. Long arrays are not in the text: `numpy.savez` them beside the
    module, under its name.
    """
    plan = network.plan if step is None else replace(network.plan, step=float(step))
    network = Network(plan, network.params)
    machine = Machine(plan, _step(plan))
    shared = Shared(network, machine)
    quantities, events = recorded(plan, record)
    draws = bool(plan.random_units())
    signature = "params=PARAMETERS, dt=DT" if plan.step else "params, dt"
    start = _function(
        f"initial({signature}{', key=None' if draws else ''})",
        "The state at t = 0.",
        ["t = jnp.zeros(())", *(["now = jax.random.fold_in(key, 0)"] if draws else [])],
        start_lines(shared),
    )
    lines, moment = step_lines(shared)
    whole_step = _function(
        f"step(state, {signature}{', key=None' if draws else ''})",
        "The state a step later, what is recorded, and the numbers of events, both by path.",
        [
            't, steps = state["t"], state["steps"]',
            *(["now = jax.random.fold_in(key, steps + 1)"] if draws else []),
        ],
        [*lines, *_seen(moment, quantities, events)],
    )
    look = _function(
        f"observe(state, params=PARAMETERS{', key=None' if draws else ''})",
        "What is recorded, by path, of a state as it stands: of the first row.",
        ["now = jax.random.fold_in(key, 0)"] if draws else [],
        _look(shared, quantities),
    )
    checks = [_check_step_source(machine)] if has_delays(plan) else []
    run = _run_source(plan, draws)
    functions = "\n\n\n".join([start, whole_step, look, *checks, run, CHANGED])
    if not draws:
        functions = functions.replace(", key=key", "")
    helpers = _helpers(functions)
    sources = {name: array_source(value, name) for name, value in shared.arrays.items()}
    arrays = {n: shared.arrays[n] for n, source in sources.items() if is_stored(source)}
    tables = _parameters(network, arrays)
    body = [
        *(["STORED = stored()"] if arrays else []),
        *tables,
        *_numbers(plan),
        *(["# Which instances, connections and delays there are."] if sources else []),
        *(f"{name} = {source}" for name, source in sources.items()),
    ]
    text = "\n\n\n".join(
        [
            "\n".join(_head(network, file) + _imports(helpers, functions, bool(arrays))),
            *([_STORED] if arrays else []),
            "\n".join(body),
            *helpers,
            functions,
        ]
    )
    return NetworkSource(text + "\n", arrays)


_STORED = '''def stored():
    """The long arrays, which lie beside this module under its name."""
    with np.load(Path(__file__).with_suffix(".npz")) as file:
        return dict(file)'''


def _step(plan: Plan) -> float:
    """The file's step; where it has none, one at which all delays are some steps."""
    if plan.step is not None:
        return plan.step
    delays = [float(d) for link in plan.links for d in link.delays if d > 0.0]
    return min(delays, default=1.0)


def _limits(machine: Machine) -> tuple[float, float]:
    """The steps, from and below, at which the same connections have a delay."""
    early = [
        wire.link.delays.max(initial=0.0) for wires in machine.instant.values() for wire in wires
    ]
    late = [wire.link.delays.min(initial=math.inf) for wire in machine.delayed]
    return 2.0 * float(max(early, default=0.0)), 2.0 * float(min(late, default=math.inf))


# The parts of the text.


def _function(signature: str, about: str, first: Sequence[str], lines: Sequence[str]) -> str:
    body = [f"    {line}" for line in ("params = arrays(params)", *first)]
    if not any("params[" in line for line in lines):
        body = body[1:]
    text = "\n".join([*body, *lines])
    return f'def {signature}:\n    """{about}"""\n{text}'


def _head(network: Network, file: str) -> list[str]:
    plan = network.plan
    instances = sum(unit.pool.size if unit.pool else unit.size for unit in plan.units)
    about = (
        f"{plan.name}: a network of {len(plan.units)} components, {instances} instances in all, by "
        "Euler's method, component after component as in PyLEMS."
    )
    units = (
        "Units: ms, mV, nA, uS, nF, mM." if plan.system == "neural" else "Units: SI, so times in s."
    )
    origin = f" from {one_line(file)}" if file else ""
    lines = textwrap.wrap(one_line(about), _WIDTH)
    lines[0] = f'"""{lines[0]}'
    example = next(((p, n) for p, named in network.params.items() for n in named), None)
    usage = ["    time, quantities, events, final = run()"]
    if example is not None:
        path, name = (one_line(part) for part in example)
        usage.append(f'    run(changed("{path}", "{name}", 1.0), steps=1000)')
    return [
        *lines,
        "",
        *textwrap.wrap(f"Written by tvbjax{origin}. {units} Needs only JAX and NumPy.", _WIDTH),
        "Change it freely: `step` is one step, component after component, children before parents.",
        'Call jax.config.update("jax_enable_x64", True) first for double precision.',
        "",
        *usage,
        '"""',
        "",
    ]


def _imports(helpers: Sequence[str], functions: str, stored: bool) -> list[str]:
    helped = "\n".join(helpers)
    return [
        *(["import math"] if "math." in helped else []),
        *(["from pathlib import Path"] if stored else []),
        *([""] if stored or "math." in helped else []),
        "import jax",
        "import jax.numpy as jnp",
        "import numpy as np",
    ]


def _parameters(network: Network, arrays: dict[str, np.ndarray]) -> list[str]:
    """The table of parameters; long ones join the arrays that are stored."""
    lines = ["PARAMETERS = {"]
    for unit in network.plan.units:
        named = network.params.get(unit.path)
        if not named:
            continue
        lines.append(f"    {quoted(unit.path)}: {{  # {one_line(unit.type)}")
        for name in named:
            value = _present(unit, name, named[name])
            key = f"{unit.path} {name}"
            source = array_source(value, key) if value.ndim else number_source(float(value))
            if is_stored(source):
                source = f"STORED[{quoted(key)}]"
                arrays[key] = value
            said = unit.units.get(name, "")
            comment = f"  # {one_line(said)}" if said else ""
            lines.append(f"        {quoted(name)}: {source},{comment}")
        lines.append("    },")
    return [*lines, "}"]


def _present(unit: UnitPlan, name: str, value: Any) -> np.ndarray:
    """A parameter's value: the file's in full where it has not been changed."""
    default = unit.variables[name]
    assert isinstance(default, Parameter)
    if isinstance(value, jax.core.Tracer):
        raise TypeError(
            f"network_module: '{name}' of '{unit.path}' is being traced; call it outside of jit."
        )
    found = np.asarray(value)
    file = np.asarray(default.value, float)
    single = file.astype(found.dtype) if np.issubdtype(found.dtype, np.floating) else file
    return file if np.array_equal(found, single) else found.astype(float)


def _numbers(plan: Plan) -> list[str]:
    lines = []
    unit = {-3.0: "ms", 0.0: "s"}.get(plan.time_power, "")
    if plan.step:
        lines.append(f"DT = {number_source(plan.step)}  # {unit}")
    if plan.step and plan.duration:
        steps = math.floor(plan.duration / plan.step + 1e-6)
        lines.append(f"STEPS = {steps}  # {plan.duration:g} {unit}")
    return lines


def _seen(
    moment: MomentWriter, quantities: Sequence[Recorded], events: Sequence[Recorded]
) -> list[str]:
    """The rest of `step`: what is recorded."""
    values, shared = moment.values, moment.shared
    first = len(values.lines)
    found = _observed(values, quantities)
    values.go_ahead(first)
    lines = values.lines[first:] + ["    recorded = {", *found, "    }", "    sent = {"]
    for one in events:
        parts = []
        for part in one.parts:
            zeros = f"jnp.zeros({shared.plan.units[part.unit].size}, jnp.int32)"
            count = moment.emitted.get((part.unit, part.name), zeros)
            parts.append(_picked(shared, count, part.instances, one.every))
        lines.append(f"        {quoted(one.path)}: {_joined(parts)},")
    return [*lines, "    }", "    return after, recorded, sent"]


def _look(shared: Shared, quantities: Sequence[Recorded]) -> list[str]:
    """The body of `observe`."""
    units = shared.plan.units
    known = {
        (i, name): Text(f'state["{shared.name(i, name)}"]', units[i].size)
        for i, name in shared.states()
    }
    values = Writer(shared, known, 'state["t"]', "now")
    found = _observed(values, quantities)
    values.go_ahead(0)
    return [*values.lines, "    return {", *found, "    }"]


def _observed(values: Writer, quantities: Sequence[Recorded]) -> list[str]:
    """The entries of a dictionary of what is recorded."""
    lines = []
    for one in quantities:
        parts = []
        for part in one.parts:
            value = values.full(part.unit, values.get(part.unit, part.name))
            parts.append(_picked(values.shared, value, part.instances, one.every))
        unit = values.shared.unit_of(one.unit, one.name)
        comment = f"  # {one_line(unit)}" if unit else ""
        lines.append(f"        {quoted(one.path)}: {_joined(parts)},{comment}")
    return lines


def _picked(shared: Shared, value: str, instances: tuple[int, ...] | None, every: bool) -> str:
    if not every:
        return f"{value}[{instances[0] if instances else 0}]"
    if instances is None:
        return value
    return f"{value}[{shared.array('recorded', np.asarray(instances, np.int32))}]"


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"jnp.concatenate([{', '.join(parts)}])"


def _check_step_source(machine: Machine) -> str:
    low, high = (number_source(limit) for limit in _limits(machine))
    return CHECK_STEP.format(low=low, high=high)


def _run_source(plan: Plan, draws: bool) -> str:
    arguments = ["params=PARAMETERS"]
    arguments += ["steps=STEPS"] if plan.step and plan.duration else ["steps=1000"]
    arguments += ["dt=DT"] if plan.step else ["dt=None"]
    arguments += ["key=None"] if draws else []
    checks = []
    if not plan.step:
        checks += [
            "    if dt is None:",
            '        raise ValueError("run: the file says no step; give dt=..., a number.")',
        ]
    checks += ["    check_step(dt)"] if has_delays(plan) else []
    if draws and plan.seed is not None:
        checks += ["    if key is None:", f"        key = jax.random.key({plan.seed})"]
    elif draws:
        checks += [
            "    if key is None:",
            '        raise ValueError("run: it draws random numbers; give key=jax.random.key(0).")',
        ]
    time = {-3.0: "ms", 0.0: "s"}.get(plan.time_power, "the unit of time")
    return RUN.format(
        arguments=", ".join(arguments), checks="".join(f"{line}\n" for line in checks), time=time
    )


def _helpers(functions: str) -> list[str]:
    """The helper functions that are called, and those that they call."""
    text, found = functions, {}
    for name, source in reversed(HELPERS.items()):
        if f"{name}(" in text:
            found[name] = source
            text += source
    helpers = [source for name, source in HELPERS.items() if name in found]
    if "linoid(" in functions:
        helpers.append(linoid_source())
    return helpers
