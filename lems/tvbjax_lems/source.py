"""Products for people: a model's equations as readable Python source and as LaTeX.

The text is for reading and pasting; tvbjax itself never runs it.
"""

import keyword
import re
import textwrap
from typing import Any

import numpy as np
from sympy.printing.latex import LatexPrinter
from sympy.printing.numpy import NumPyPrinter

from .emit import Model
from .flat import FlatModel
from .resolve import TIME_NAME

_WIDTH = 100
_GREEK = frozenset(
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)


class _Source(NumPyPrinter):
    """NumPy source with functions under np."""

    def _print_Float(self, expr: Any) -> str:  # noqa: N802
        return repr(float(expr))

    def _print_Symbol(self, expr: Any) -> str:  # noqa: N802
        return safe_name(expr.name)

    def _print_Piecewise(self, expr: Any) -> str:  # noqa: N802
        *cases, (last, _) = expr.args
        text = self._print(last)
        for value, condition in reversed(cases):
            text = f"np.where({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_Relational(self, expr: Any) -> str:  # noqa: N802
        left, right = (self._print(side) for side in expr.args)
        return (
            f"({left}) {expr.rel_op} ({right})"
            if expr.args[0].args
            else f"{left} {expr.rel_op} {right}"
        )

    def _print_factorial(self, expr: Any) -> str:  # noqa: N802
        return f"scipy.special.factorial({self._print(expr.args[0])})"

    def _print_erf(self, expr: Any) -> str:
        return f"scipy.special.erf({self._print(expr.args[0])})"

    def _print_erfc(self, expr: Any) -> str:
        return f"scipy.special.erfc({self._print(expr.args[0])})"

    def _module_format(self, fqn: str, register: bool = True) -> str:
        return re.sub(r"^numpy\.", "np.", super()._module_format(fqn, register))


def safe_name(name: str) -> str:
    """The name itself, with _ behind it where Python has taken it."""
    taken = keyword.iskeyword(name) or name in ("np", "scipy")
    return f"{name}_" if taken else name


def python_source(model: Model) -> str:
    """NumPy source of one function: states, inputs and parameters in, derivatives out.

    Parameters have the model's present values for defaults where these are scalars.
    """
    spec = model.spec
    lines = ["import numpy as np"]
    body = _body(spec)
    if any("scipy." in line for line in body):
        lines.append("import scipy")
    lines += ["", "", f"def {safe_name(spec.name)}("]
    lines += [f"    {safe_name(state.name)}," for state in spec.states]
    lines += [f"    {safe_name(one.name)}=0.0," for one in spec.inputs]
    lines += ["    *,"]
    lines += [f"    {safe_name(name)}={_default(model, name)}," for name in model.params]
    lines += [f"    {TIME_NAME}=0.0,", "):"]
    lines += _docstring(spec) + body
    return "\n".join(lines) + "\n"


def _default(model: Model, name: str) -> str:
    value = model.params[name]
    if value.ndim:
        value = next(p.value for p in model.spec.parameters if p.name == name)
    return str(np.asarray(value)[()])  # the shortest that is this number in its own precision


def _docstring(spec: FlatModel) -> list[str]:
    lines = [
        f'    """{_text(spec.description) or "The time derivatives of " + spec.name + "."}',
        "",
    ]
    for title, rows in (
        ("States", spec.states),
        ("Inputs", spec.inputs),
        ("Parameters", spec.parameters),
    ):
        lines += [f"    {title}:"] if rows else []
        for row in rows:
            unit = f" [{row.unit}]" if row.unit else ""
            text = f": {_text(row.description)}" if row.description else ""
            lines.append(f"        {safe_name(row.name)}{unit}{text}")
    wrapped = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()))
        wrapped += textwrap.wrap(
            line, _WIDTH, subsequent_indent=f"{indent}    ", drop_whitespace=True
        ) or [""]
    return [*wrapped, '    """']


def _text(text: str) -> str:
    """Text that cannot end the docstring that it goes into."""
    return text.replace("\\", "\\\\").replace('"', "'")


def _body(spec: FlatModel) -> list[str]:
    printer = _Source({"fully_qualified_modules": True})
    lines = [
        f"    {safe_name(constant.name)} = {constant.value!r}"
        + (f"  # {constant.unit}" if constant.unit else "")
        for constant in spec.constants
    ]
    for equation in spec.derived:
        lines.append(f"    {safe_name(equation.name)} = {printer.doprint(equation.written)}")
    names = []
    for equation in spec.derivatives:
        names.append(f"d{equation.name}_dt")
        lines.append(f"    {names[-1]} = {printer.doprint(equation.written)}")
    return [*lines, f"    return np.stack(np.broadcast_arrays({', '.join(names)}))"]


def equations_latex(model: Model) -> str:
    """The equations as a LaTeX align environment: derivatives first, then what they use."""
    spec = model.spec
    used = {s for e in (*spec.derivatives, *spec.derived) for s in e.written.free_symbols}
    printer = LatexPrinter({"symbol_names": {s: latex_name(str(s)) for s in used}})
    rows = [
        rf"\frac{{d {latex_name(e.name)}}}{{d t}} &= {printer.doprint(e.written)}"
        for e in spec.derivatives
    ]
    rows += [
        f"{latex_name(e.name)} &= {printer.doprint(e.written)}" for e in reversed(spec.derived)
    ]
    joined = " \\\\\n".join(f"    {row}" for row in rows)
    return f"\\begin{{align}}\n{joined}\n\\end{{align}}\n"


def latex_name(name: str) -> str:
    r"""`nu_max` as \nu_{\mathrm{max}}, `y0` as y_{0}, other words upright."""
    numbered = re.fullmatch(r"([A-Za-z])(\d+)", name)
    head, tail = numbered.groups() if numbered else name.strip("_").partition("_")[::2]
    first = _word(head or name)
    return f"{first}_{{{_word(tail)}}}" if tail else first


def _word(text: str) -> str:
    if text in _GREEK:
        return f"\\{text}"
    if len(text) == 1 or text.isdigit():
        return text
    escaped = text.replace("_", r"\_")
    return rf"\mathrm{{{escaped}}}"
