"""Expressions as JAX source: readable, with each branch of a Piecewise guarded as in evaluation."""

import keyword
from collections.abc import Iterable, Mapping
from typing import Any

import sympy
from sympy.printing.codeprinter import CodePrinter
from sympy.printing.precedence import PRECEDENCE, precedence

from .harmless import harmless_point


class Names:
    """Python names for a model's names: each its own, none that Python or the module has taken."""

    def __init__(self, taken: Iterable[str]):
        self._used = set(taken)
        self._given: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._given:
            self._given[name] = self.fresh(name)
        return self._given[name]

    def fresh(self, wanted: str) -> str:
        """The wanted name, with _ behind it as long as that is taken."""
        while keyword.iskeyword(wanted) or keyword.issoftkeyword(wanted) or wanted in self._used:
            wanted += "_"
        self._used.add(wanted)
        return wanted

    def numbered(self, word: str) -> str:
        """The first of word_1, word_2, ... that is free."""
        number = 1
        while f"{word}_{number}" in self._used:
            number += 1
        return self.fresh(f"{word}_{number}")


class JaxSource(CodePrinter):
    """JAX source of one expression at a time; `lines` collects the statements it needs before."""

    language = "JAX"
    printmethod = "_jaxcode"

    def __init__(self, names: Names, own: Mapping[str, str]):
        """`own`: names that are Python names already."""
        super().__init__()
        self.names = names
        self.lines: list[str] = []
        self._guarded = dict(own)

    def text(self, expression: Any) -> str:
        """The source of an expression, which may need the statements in `lines` before it."""
        coefficient, whole = expression.as_coeff_Mul()
        if coefficient == -1 and isinstance(whole, sympy.Add):  # read x - y, not -(y - x)
            expression = whole.func(*(-term for term in whole.args))
        return _bare(self._print(expression))

    def taken_lines(self) -> list[str]:
        """The statements so far, which are then forgotten."""
        lines, self.lines = self.lines, []
        return lines

    def _call(self, function: str, expr: Any) -> str:
        return f"{function}({', '.join(self._print(argument) for argument in expr.args)})"

    def _print_Symbol(self, expr: Any) -> str:  # noqa: N802
        return self._guarded.get(expr.name) or self.names[expr.name]

    def _print_Float(self, expr: Any) -> str:  # noqa: N802
        return repr(float(expr))

    def _print_Pi(self, expr: Any) -> str:  # noqa: N802
        return "jnp.pi"

    def _print_Rational(self, expr: Any) -> str:  # noqa: N802
        return f"{expr.p}/{expr.q}"

    def _print_Pow(self, expr: Any, rational: bool = False) -> str:  # noqa: N802
        base, exponent = expr.args
        if exponent.is_number and exponent.is_negative:
            below = base**-exponent
            return f"1/{self.parenthesize(below, PRECEDENCE['Mul'], strict=False)}"
        if exponent.is_number and float(exponent) == 0.5:
            return f"jnp.sqrt({self._print(base)})"
        left = self.parenthesize(base, PRECEDENCE["Pow"], strict=False)
        return f"{left}**{self.parenthesize(exponent, PRECEDENCE['Pow'], strict=False)}"

    def _print_Relational(self, expr: Any) -> str:  # noqa: N802
        left, right = (self.parenthesize(side, PRECEDENCE["Add"]) for side in expr.args)
        return f"({left} {expr.rel_op} {right})"

    def _print_And(self, expr: Any) -> str:  # noqa: N802
        return f"({' & '.join(self._print(a) for a in expr.args)})"

    def _print_Or(self, expr: Any) -> str:  # noqa: N802
        return f"({' | '.join(self._print(a) for a in expr.args)})"

    def _print_Not(self, expr: Any) -> str:  # noqa: N802
        return f"jnp.logical_not({self._print(expr.args[0])})"

    def _print_BooleanTrue(self, expr: Any) -> str:  # noqa: N802
        return "True"

    def _print_BooleanFalse(self, expr: Any) -> str:  # noqa: N802
        return "False"

    def _print_Heaviside(self, expr: Any) -> str:  # noqa: N802
        inner = self._print(expr.args[0])
        return f"(0.5 * (1.0 + jnp.sign({inner})))"

    def _print_factorial(self, expr: Any) -> str:  # noqa: N802
        return f"jax.scipy.special.gamma({self._print(expr.args[0])} + 1.0)"

    def _print_Function(self, expr: Any) -> str:  # noqa: N802
        function = _FUNCTIONS.get(expr.func.__name__)
        if function is None:
            raise NotImplementedError(f"{expr.func.__name__} has no JAX source: {expr}")
        return self._call(function, expr)

    def _print_Piecewise(self, expr: Any) -> str:  # noqa: N802
        """Nested where, each branch with harmless arguments where it does not hold."""
        texts, chosen_before = [], []
        for branch, condition in (pair.args for pair in expr.args):
            chosen = self._chosen(condition, chosen_before)
            texts.append((chosen, self._branch(branch, chosen, chosen_before)))
            chosen_before.append(chosen)
        text = texts[-1][1]
        for chosen, value in texts[-2::-1]:
            text = f"jnp.where({chosen}, {value}, {text})"
        return text

    def _chosen(self, condition: Any, before: list[str]) -> str:
        if condition == True:  # noqa: E712  (sympy's true)
            return "True"
        name = self.names.numbered("case")
        self.lines.append(f"{name} = {_bare(self._print(condition))}")
        return name

    def _branch(self, branch: Any, chosen: str, before: list[str]) -> str:
        point = harmless_point(branch)
        if not point:
            return self._print(branch)
        holds = [chosen] if chosen != "True" else []
        holds += [f"jnp.logical_not({other})" for other in before]
        outer = dict(self._guarded)
        for symbol, safe in sorted(point.items(), key=str):
            inside = self._print(symbol)
            name = self.names.numbered(f"{self.names[symbol.name]}_inside")
            self.lines.append(f"{name} = jnp.where({' & '.join(holds)}, {inside}, {safe!r})")
            self._guarded = {**self._guarded, symbol.name: name}
        text = self._print(branch)
        self._guarded = outer
        return text

    def parenthesize(self, item: Any, level: Any, strict: bool = False) -> str:
        text = self._print(item)
        looser = precedence(item) < level or (not strict and precedence(item) <= level)
        wrapped = text.startswith("(") and _bare(text) != text
        return f"({text})" if looser and not wrapped else text


def _bare(text: str) -> str:
    """Text without the parentheses around all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for place, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[1:-1] if place == len(text) - 1 else text
    return text


_FUNCTIONS = {
    **{name: f"jnp.{name}" for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{"atan": "jnp.arctan", "atan2": "jnp.arctan2", "Abs": "jnp.abs", "sign": "jnp.sign"},
    **{"ceiling": "jnp.ceil", "floor": "jnp.floor", "expm1": "jnp.expm1", "log1p": "jnp.log1p"},
    **{name: f"jax.scipy.special.{name}" for name in ("erf", "erfc")},
    **{"sigmoid": "jax.nn.sigmoid", "softplus": "jax.nn.softplus", "linoid": "linoid"},
    **{"greater": "jnp.maximum", "lesser": "jnp.minimum"},
}
