"""A model as a Python module of its own: source to read and to change, which needs only JAX.

tvbjax itself never runs the text. What it computes is what the model computes.
"""

import inspect
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sympy

from . import special
from .algebra import as_written, symbol
from .emit import Model
from .flat import FlatModel
from .optimise import Assignment, in_order, prepared
from .printing import JaxSource, Names
from .resolve import TIME_NAME

_WIDTH = 96
_WORTH_SHARING = 6  # operations; a call of exp and the like always is
# What the module's functions need for themselves.
_TAKEN = (
    *("jax", "jnp", "math", "state", "inputs", "params", "linoid", "linoid_slope", "float"),
    *("dfun", "observe", "zip", "value", "values", "like"),
)
_ROWS = '''
def _rows(values, state):
    """The values as rows of the state's shape and dtype."""
    shape = state.shape[1:]
    return jnp.stack([jnp.broadcast_to(jnp.asarray(v, state.dtype), shape) for v in values])
'''


def python_module(model: Model, file: str = "") -> str:
    """The source of a module with the model's `dfun`, `observe`, names, parameters and units.

    Its `dfun(state, inputs, params=PARAMETERS, t=0.0)` and `observe(state, params=PARAMETERS)` are
    those of the model; it imports only jax. `file`: the name of the file it came from, for its
    first lines. Parameters have the model's present values where these are scalars.
    """
    spec = model.spec
    dfun = _function(spec, [e.written for e in spec.derivatives], _dfun_head(spec))
    chosen = {o.name: o.variable for o in spec.observables}
    seen = [symbol(chosen[name]) for name in spec.variables_of_interest]
    observe = _function(spec, seen, _observe_head())
    functions = "\n\n".join([_ROWS.strip("\n"), "\n".join(dfun), "\n".join(observe)])
    helpers = linoid_source() if "linoid(" in functions else ""
    imports = ["import math\n"] if helpers else []
    imports += ["import jax"] if "jax." in (functions + helpers).replace("jax.numpy", "") else []
    return "\n".join(
        [
            *_head(model, file),
            "",
            *imports,
            "import jax.numpy as jnp",
            "",
            *_tables(model),
            *(["", helpers, ""] if helpers else []),
            "",
            functions,
            "",
        ]
    )


def default_value(model: Model, name: str) -> float:
    """A parameter's present value where it is a scalar, else the one of the file."""
    value = np.asarray(model.params[name])
    if value.ndim:
        return next(p.value for p in model.spec.parameters if p.name == name)
    return float(str(value[()]))  # the shortest that is this number in its own precision


def one_line(text: str) -> str:
    """Text for a comment or a docstring: one line, and nothing that could end either."""
    return " ".join(text.split()).replace("\\", "\\\\").replace('"', "'")


def number_source(value: float) -> str:
    """A float as Python writes it, infinite ones too."""
    return repr(value) if math.isfinite(value) else f'float("{value}")'


def _head(model: Model, file: str) -> list[str]:
    spec = model.spec
    lines = textwrap.wrap(f"{spec.name}: {one_line(spec.description) or 'a neural mass model'}", 96)
    lines[0] = f'"""{lines[0]}'
    origin = f" from {one_line(file)}" if file else ""
    return [
        *lines,
        "",
        f"Written by tvbjax{origin}. Times are in ms. Needs only JAX; change it freely.",
        '"""',
    ]


def _tables(model: Model) -> list[str]:
    spec = model.spec
    lines = ["STATES = (", *_entries(spec.states, spec), ")"]
    lines += ["INPUTS = (", *_entries(spec.inputs, spec), ")"] if spec.inputs else ["INPUTS = ()"]
    observables = ", ".join(f'"{name}"' for name in spec.variables_of_interest)
    lines.append(f"OBSERVABLES = ({observables},)")
    for title, about, intervals in (
        ("INITIAL", "The ranges to start in.", [s.initial for s in spec.states]),
        ("BOUNDS", "Where to keep the states after each step.", [s.bounds for s in spec.states]),
    ):
        lines += [f"{title} = (  # {about}"]
        for state, (low, high) in zip(spec.states, intervals, strict=True):
            lines.append(f"    ({number_source(low)}, {number_source(high)}),  # {state.name}")
        lines.append(")")
    if model.nsig:
        lines.append("# Noise intensities D, for dx = ... + sqrt(2 D) dW.")
        lines += ["NOISE = {", *(f'    "{n}": {d!r},' for n, d in model.nsig.items()), "}"]
    lines.append("PARAMETERS = {")
    for row in spec.parameters:
        said = [part for part in (row.unit, one_line(row.description)) if part]
        if row.domain is not None:
            said.append(f"{row.domain[0]:g} to {row.domain[1]:g}")
        comment = f"  # {'; '.join(said)}" if said else ""
        value = number_source(default_value(model, row.name))
        lines.append(f'    "{row.name}": {value},{comment}')
    return [*lines, "}", ""]


def _entries(rows: Iterable[Any], spec: FlatModel) -> list[str]:
    lines = []
    for row in rows:
        said = [part for part in (row.unit, one_line(row.description)) if part]
        if row in spec.inputs:
            said.append("from " + ", ".join(row.sources))
        lines.append(f'    "{row.name}",' + (f"  # {'; '.join(said)}" if said else ""))
    return lines


def _dfun_head(spec: FlatModel) -> list[str]:
    return [
        "",
        f"def dfun(state, inputs, params=PARAMETERS, {TIME_NAME}=0.0):",
        '    """The time derivatives of the state, per ms, elementwise.',
        "",
        f"    state: ({len(spec.states)}, ...), rows as in STATES.",
        f"    inputs: ({len(spec.inputs)}, ...), rows as in INPUTS.",
        '    """',
    ]


def _observe_head() -> list[str]:
    return [
        "",
        "def observe(state, params=PARAMETERS):",
        '    """The variables in OBSERVABLES, one row each, elementwise."""',
    ]


def _function(spec: FlatModel, outputs: Sequence[sympy.Basic], head: list[str]) -> list[str]:
    names = Names(_TAKEN)
    derivatives = len(outputs) == len(spec.states) and "dfun" in head[1]
    assignments, final = prepared([(symbol(e.name), e.written) for e in spec.derived], outputs)
    assignments, final, shared = _worth_sharing(assignments, final)
    used = {s for e in (*(e for _, e in assignments), *final) for s in e.free_symbols}
    lines = _given(spec, names, used)
    units = {e.name: e.unit for e in spec.derived}
    fresh = {s: names.fresh(f"shared_{i + 1}") for i, s in enumerate(shared)}
    printer = JaxSource(names, {s.name: text for s, text in fresh.items()})
    for name, expression in assignments:
        value = printer.text(expression)
        lines += printer.taken_lines()
        unit = units.get(name.name, "")
        lines.append(
            f"{fresh.get(name) or names[name.name]} = {value}" + (f"  # {unit}" if unit else "")
        )
    results = []
    for i, output in enumerate(final):
        value = printer.text(output)
        lines += printer.taken_lines()
        if derivatives:
            equation = spec.derivatives[i]
            results.append(names.fresh(f"d{equation.name}_dt"))
            unit = f"  # {equation.unit}" if equation.unit else ""
            lines.append(f"{results[-1]} = {value}{unit}")
        else:
            results.append(value)
    lines.append(f"return _rows([{', '.join(results)}], state)")
    return [*head, *(f"    {line}" for line in lines)]


def _given(spec: FlatModel, names: Names, used: set[sympy.Basic]) -> list[str]:
    """Statements that unpack the arguments, and the constants that are used."""
    named = {str(name) for name in used}
    rows = [(s.name, f"state[{i}]", s.unit) for i, s in enumerate(spec.states)]
    rows += [(one.name, f"inputs[{i}]", one.unit) for i, one in enumerate(spec.inputs)]
    rows += [(p.name, f'params["{p.name}"]', p.unit) for p in spec.parameters]
    rows += [(c.name, number_source(c.value), c.unit) for c in spec.constants]
    names_time = names[TIME_NAME]
    assert names_time == TIME_NAME
    return [
        f"{names[name]} = {value}" + (f"  # {unit}" if unit else "")
        for name, value, unit in rows
        if name in named
    ]


def _worth_sharing(
    assignments: list[Assignment], outputs: list[sympy.Basic]
) -> tuple[list[Assignment], list[sympy.Basic], list[sympy.Symbol]]:
    """Common subexpressions that cost something, each with a name; none out of a Piecewise."""
    plain = [(s, e) for s, e in assignments if not e.has(sympy.Piecewise)]
    pieces = [(s, e) for s, e in assignments if e.has(sympy.Piecewise)]
    loose = [output for output in outputs if not output.has(sympy.Piecewise)]
    with as_written():
        fresh = (symbol(f"shared.{i}") for i in range(10**6))
        whole: Any = sympy.cse([*(e for _, e in plain), *loose], symbols=fresh)
        found, reduced = whole
        inlined: dict[sympy.Basic, sympy.Basic] = {}
        kept: list[Assignment] = []
        for name, expression in found:
            expression = expression.xreplace(inlined)
            calls = expression.has(sympy.Function)
            if calls or sympy.count_ops(expression) >= _WORTH_SHARING:
                kept.append((name, expression))
            else:
                inlined[name] = expression
        reduced = [expression.xreplace(inlined) for expression in reduced]
    named = [(s, e) for (s, _), e in zip(plain, reduced, strict=False)]
    rest = iter(reduced[len(plain) :])
    final = [o if o.has(sympy.Piecewise) else next(rest) for o in outputs]
    ordered = in_order([*kept, *named, *pieces])
    return ordered, final, [name for name, _ in ordered if name in dict(kept)]


def linoid_source() -> str:
    """The source of linoid and its slope, as this package has it."""
    text = inspect.getsource(special)
    return text[text.index("# Within it") :].strip()
