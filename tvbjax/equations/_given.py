"""Equations of the user's own: samples, functions of JAX, text in LEMS's expression language."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import sympy
from jaxtyping import Array, ArrayLike, Float

from tvbjax.arrays import as_floats, check_finite, is_traced
from tvbjax.equations._equation import AbstractEquation, check_equation, check_number
from tvbjax_lems import evaluate
from tvbjax_lems.algebra import symbol, to_expression
from tvbjax_lems.errors import echo
from tvbjax_lems.syntax import PI, ExpressionError, names, parse


class Sampled(AbstractEquation):
    """Samples, each held until the next: `values[i]` from `onset + i period` on; 0 before the first
    and after the last. The values are leaves, e.g. for stimuli that are optimised.

    `period`, `onset`: ms.
    """

    values: Float[Array, " sample"] = eqx.field(converter=as_floats)
    period: float = eqx.field(static=True, converter=float)
    onset: float = eqx.field(static=True, default=0.0, converter=float)

    def __check_init__(self):
        check_number("Sampled: onset", self.onset)
        if jnp.ndim(self.values) != 1 or not len(self.values) or not 0 < self.period < np.inf:
            raise ValueError(
                f"Sampled: values of shape {jnp.shape(self.values)} and period {self.period} ms; "
                "give one value for each sample, and the time from one to the next."
            )
        if not is_traced(self.values) and not np.isfinite(np.asarray(self.values)).all():
            first = int(np.argmin(np.isfinite(np.asarray(self.values))))
            raise ValueError(f"Sampled: values[{first}] is {self.values[first]}.")

    def __call__(self, x):
        # Times are multiples of dt as far as floats go: a hair early is on time.
        x = jnp.asarray(x)
        number = jnp.floor((x - self.onset) / self.period + 1e-4).astype(jnp.int32)
        inside = (number >= 0) & (number < len(self.values))
        there = self.values[jnp.clip(number, 0, len(self.values) - 1)].astype(x.dtype)
        return jnp.where(inside, there, jnp.zeros_like(there))

    def support(self):
        return self.onset, self.onset + len(self.values) * self.period


class Windowed(AbstractEquation):
    """Another equation from `begin` to `end` (ms), and 0 outside."""

    of: AbstractEquation
    begin: float = eqx.field(static=True, converter=float)
    end: float = eqx.field(static=True, converter=float)

    def __check_init__(self):
        if not isinstance(self.of, AbstractEquation):
            raise TypeError(
                f"Windowed: of is {self.of!r:.60}; give an equation, e.g. "
                "tvbjax.equations.Linear(a=0.0, b=5.0) for the number 5."
            )
        if not self.begin < self.end:
            raise ValueError(
                f"Windowed: it ends at {self.end} and begins at {self.begin}; give begin < end."
            )

    def __call__(self, x):
        values = self.of(x)
        return jnp.where((x >= self.begin) & (x < self.end), values, jnp.zeros_like(values))

    def support(self):
        first, last = self.of.support()
        return max(first, self.begin), min(last, self.end)


def _named_floats(given: Any) -> dict[str, Array]:
    if not isinstance(given, Mapping):
        raise TypeError(
            f'Function: params is {given!r:.60}; give a dictionary, e.g. {{"amp": 1.0}}.'
        )
    return {name: as_floats(value) for name, value in given.items()}


class Function(AbstractEquation):
    """A function of JAX, `function(x, params)`; `params`: any leaves that it takes, by name.

    `Function(lambda t, p: p["amp"] * jnp.sin(t / p["tau"]), {"amp": 1.0, "tau": 5.0})`

    It is given arrays of any shape, and gives a value for every entry, or one for all. Raises
    `ValueError` where it does not.
    """

    function: Callable[[Array, Any], ArrayLike] = eqx.field(static=True)
    params: dict[str, Array] = eqx.field(default_factory=dict, converter=_named_floats)

    def __check_init__(self):
        for name, value in self.params.items():
            check_finite(f"Function: '{name}'", value)
        check_equation("Function: its function", self)

    def __call__(self, x):
        x = jnp.asarray(x)
        return jnp.broadcast_to(self.function(x, self.params), x.shape).astype(x.dtype)


class Expression(AbstractEquation):
    """Text in LEMS's expression language, in the variable `t` (ms) or `x`, and in parameters:
    `Expression("amp * exp(-t / tau) * H(t - 10)", amp=2.0, tau=5.0)`. Nothing of it is evaluated by
    Python. Raises `ValueError` for text that is none, for names without a value, and for values
    without a name in the text.
    """

    text: str = eqx.field(static=True)
    params: dict[str, Array]
    expression: sympy.Expr = eqx.field(static=True)

    def __init__(self, text: str, **params: ArrayLike):
        if not isinstance(text, str):
            raise TypeError(f"Expression: the text is {text!r:.60}; give a string, '2.0 * t'.")
        try:
            node = parse(text)
            found = {name.name for name in names(node)} - {PI}
            reserved = sorted(params.keys() & {"t", "x", PI})
            if reserved:
                raise ValueError(
                    f"Expression: a value is given for '{reserved[0]}', which is the variable (t "
                    f"or x) or {PI}; give the parameter another name."
                )
            unused = sorted(params.keys() - found)
            if unused:
                raise ValueError(
                    f"Expression: '{unused[0]}' is given and not in {text!r}, which has the names "
                    f"{', '.join(sorted(found)) or 'none'}; leave it out or put it right."
                )
            unknown = sorted(found - params.keys() - {"t", "x"})
            if unknown:
                raise ValueError(
                    f"Expression: '{unknown[0]}' in {text!r} has no value; pass it, e.g. "
                    f"{unknown[0]}=1.0. The variable is called t or x."
                )
            self.expression = to_expression(node, {name: symbol(name) for name in found})
        except ExpressionError as error:
            raise ValueError(
                f"Expression: {error.message} {error.hint}".strip()
                + f"\n{echo(text, error.offset)}"
            ) from error
        self.text = text
        self.params = {name: as_floats(value) for name, value in params.items()}
        for name, value in self.params.items():
            check_number(f"Expression: '{name}'", value)

    def __call__(self, x):
        x = jnp.asarray(x)
        known: dict[sympy.Symbol, Any] = {symbol(n): v for n, v in self.params.items()}
        known |= {symbol("t"): x, symbol("x"): x}
        return jnp.broadcast_to(evaluate((), (self.expression,), known)[0], x.shape).astype(x.dtype)
