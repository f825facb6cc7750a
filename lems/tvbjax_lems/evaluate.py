"""Sympy trees to JAX values: a table of operations, walked when a model is traced.

Constants stay Python floats, so that they take the dtype of what they meet. A Piecewise evaluates
each branch on arguments that are harmless where the branch does not hold; otherwise the gradient of
a branch not taken could still be NaN. A node without an entry in the table is an error.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import sympy
from sympy.codegen.cfunctions import expm1, log1p

from . import special
from .functions import greater, lesser, linoid, linoid_slope, sigmoid, softplus
from .harmless import harmless_point

INTEGER_POWER_LIMIT = 32
Value = Any  # a JAX array, or a Python float where there is nothing to broadcast
Environment = Mapping[sympy.Symbol, Value]


def evaluate(
    assignments: Sequence[tuple[sympy.Symbol, sympy.Basic]],
    outputs: Sequence[sympy.Basic],
    environment: Environment,
) -> list[Value]:
    """The outputs, after the assignments in their order. Values broadcast elementwise."""
    known = dict(environment)
    for name, expression in assignments:
        known[name] = value_of(expression, known)
    return [value_of(output, known) for output in outputs]


def value_of(expression: sympy.Basic, environment: Environment) -> Value:
    """The value of one expression; a Python float where it has no symbols."""
    if isinstance(expression, sympy.Symbol):
        return environment[expression]
    if isinstance(expression, sympy.Expr) and expression.is_number:
        return float(expression)
    operation = _OPERATIONS.get(expression.func)
    if operation is None:
        raise NotImplementedError(f"{expression.func.__name__} has no JAX form: {expression}")
    return operation(expression, environment)


def _add(expression: sympy.Basic, environment: Environment) -> Value:
    positive = [term for term in expression.args if not _negative(term)]
    negative = [-term for term in expression.args if _negative(term)]  # pyright: ignore[reportOperatorIssue]
    if not positive:
        return -_sum(negative, environment)
    total = _sum(positive, environment)
    return total - _sum(negative, environment) if negative else total


def _negative(term: sympy.Basic) -> bool:
    return isinstance(term, sympy.Expr) and term.as_coeff_Mul()[0].is_negative is True


def _sum(terms: Sequence[sympy.Basic], environment: Environment):
    return functools.reduce(lambda a, b: a + b, [value_of(t, environment) for t in terms])


def _product(factors: Sequence[sympy.Basic], environment: Environment):
    return functools.reduce(lambda a, b: a * b, [value_of(f, environment) for f in factors])


def _mul(expression: sympy.Basic, environment: Environment) -> Value:
    above, below = [], []
    for factor in expression.args:
        if isinstance(factor, sympy.Pow) and _negative(factor.exp) and not factor.is_number:
            below.append(factor.base**-factor.exp)
        else:
            above.append(factor)
    if not below:
        return _product(above, environment)
    divisor = _product(below, environment)
    if not above:
        return 1.0 / divisor
    if above == [sympy.S.NegativeOne]:
        return -1.0 / divisor
    return _product(above, environment) / divisor


def _pow(expression: sympy.Basic, environment: Environment) -> Value:
    base, exponent = expression.args
    value = value_of(base, environment)
    if not exponent.is_number:
        return jnp.power(value, value_of(exponent, environment))
    power = float(exponent)  # pyright: ignore[reportArgumentType]
    if power < 0.0:
        return 1.0 / _positive_power(value, -power)
    return _positive_power(value, power)


def _positive_power(value: Value, power: float):
    if power == 1.0:
        return value
    if power == int(power) and power <= INTEGER_POWER_LIMIT:
        return jax.lax.integer_pow(value, int(power))
    if power == 0.5:
        return jnp.sqrt(value)
    if power == 1.5:
        return value * jnp.sqrt(value)
    return jnp.power(value, power)


def _heaviside(expression: sympy.Basic, environment: Environment) -> Value:
    value = value_of(expression.args[0], environment)
    return jnp.where(jnp.greater(value, 0.0), 1.0, jnp.where(jnp.less(value, 0.0), 0.0, 0.5))


def _factorial(expression: sympy.Basic, environment: Environment) -> Value:
    return jax.scipy.special.gamma(value_of(expression.args[0], environment) + 1.0)


def _polygamma(expression: sympy.Basic, environment: Environment) -> Value:
    order, argument = expression.args
    if order != sympy.S.Zero:
        raise NotImplementedError(f"polygamma of order {order} has no JAX form: {expression}")
    return jax.scipy.special.digamma(value_of(argument, environment))


def _piecewise(expression: sympy.Basic, environment: Environment) -> Value:
    branches = [(pair.args[0], pair.args[1]) for pair in expression.args]
    if branches[-1][1] != sympy.true:
        raise NotImplementedError(f"a Piecewise without a default has no JAX form: {expression}")
    conditions = [value_of(condition, environment) for _, condition in branches[:-1]]
    taken_before: Value = False
    results = []
    for i, (branch, _) in enumerate(branches):
        chosen = jnp.logical_not(taken_before)
        if i < len(conditions):
            chosen = jnp.logical_and(chosen, conditions[i])
            taken_before = jnp.logical_or(taken_before, conditions[i])
        point = harmless_point(branch)
        guarded = dict(environment)
        for name, safe in point.items():
            guarded[name] = jnp.where(chosen, environment[name], safe)
        results.append(value_of(branch, guarded))
    value = results[-1]
    for condition, result in zip(conditions[::-1], results[-2::-1], strict=True):
        value = jnp.where(condition, result, value)
    return value


def _unary(function: Callable[..., Value]):
    def apply(expression: sympy.Basic, environment: Environment) -> Value:
        return function(value_of(expression.args[0], environment))

    return apply


def _many(function: Callable[..., Value]):
    def apply(expression: sympy.Basic, environment: Environment) -> Value:
        values = [value_of(argument, environment) for argument in expression.args]
        return functools.reduce(function, values)

    return apply


def _constant(value: bool):
    return lambda expression, environment: value


_OPERATIONS: dict[object, Callable[[sympy.Basic, Environment], Value]] = {
    sympy.Add: _add,
    sympy.Mul: _mul,
    sympy.Pow: _pow,
    sympy.exp: _unary(jnp.exp),
    sympy.log: _unary(jnp.log),
    sympy.sin: _unary(jnp.sin),
    sympy.cos: _unary(jnp.cos),
    sympy.tan: _unary(jnp.tan),
    sympy.sinh: _unary(jnp.sinh),
    sympy.cosh: _unary(jnp.cosh),
    sympy.tanh: _unary(jnp.tanh),
    sympy.atan: _unary(jnp.arctan),
    sympy.erf: _unary(jax.scipy.special.erf),
    sympy.erfc: _unary(jax.scipy.special.erfc),
    sympy.atan2: _many(jnp.arctan2),
    sympy.Abs: _unary(jnp.abs),
    sympy.ceiling: _unary(jnp.ceil),
    sympy.floor: _unary(jnp.floor),
    sympy.Heaviside: _heaviside,
    sympy.factorial: _factorial,
    sympy.gamma: _unary(jax.scipy.special.gamma),
    sympy.polygamma: _polygamma,
    expm1: _unary(jnp.expm1),
    log1p: _unary(jnp.log1p),
    sympy.sign: _unary(jnp.sign),
    sigmoid: _unary(jax.nn.sigmoid),
    softplus: _unary(jax.nn.softplus),
    linoid: _unary(special.linoid),
    linoid_slope: _unary(special.linoid_slope),
    greater: _many(jnp.maximum),
    lesser: _many(jnp.minimum),
    sympy.Gt: _many(jnp.greater),
    sympy.Ge: _many(jnp.greater_equal),
    sympy.Lt: _many(jnp.less),
    sympy.Le: _many(jnp.less_equal),
    sympy.Eq: _many(jnp.equal),
    sympy.Ne: _many(jnp.not_equal),
    sympy.And: _many(jnp.logical_and),
    sympy.Or: _many(jnp.logical_or),
    sympy.Not: _unary(jnp.logical_not),
    sympy.Piecewise: _piecewise,
    type(sympy.true): _constant(True),
    type(sympy.false): _constant(False),
}
