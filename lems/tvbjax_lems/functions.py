"""Functions of our own in sympy trees, where sympy's would be slow to build or unstable."""

from typing import Any

import sympy
from sympy.codegen.cfunctions import expm1


class sigmoid(sympy.Function):  # noqa: N801  (sympy's functions are lower case)
    """1 / (1 + exp(-x)): a node of its own, since its gradient must not overflow where exp does."""

    nargs = (1,)
    is_real = True

    def _eval_evalf(self, prec: int) -> Any:
        argument: Any = self.args[0]
        return (1 / (1 + sympy.exp(-argument)))._eval_evalf(prec)

    def fdiff(self, argindex: int = 1) -> Any:
        itself: Any = self
        return itself * (1 - itself)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        return _powered(rf"\frac{{1}}{{1 + e^{{{printer._print(-_argument(self))}}}}}", exp)

    def _numpycode(self, printer: Any) -> str:
        name = printer._module_format("scipy.special.expit")
        return f"{name}({printer._print(_argument(self))})"


class derivative(sympy.Function):  # noqa: N801
    """The partial derivative of a derived variable; the compiler puts an equation in its place."""

    nargs = (2,)
    is_real = True


class linoid(sympy.Function):  # noqa: N801
    """x / (exp(x) - 1), 1 at x = 0: the rates of ion channels (GENESIS's name for them)."""

    nargs = (1,)
    is_real = True

    @classmethod
    def eval(cls, x: Any) -> Any:
        return sympy.S.One if x.is_zero else None

    def _eval_evalf(self, prec: int) -> Any:
        argument = _argument(self)
        return (argument / expm1(argument))._eval_evalf(prec)

    def fdiff(self, argindex: int = 1) -> Any:
        return linoid_slope(_argument(self))

    def _latex(self, printer: Any, exp: Any = None) -> str:
        argument = printer._print(_argument(self))
        return _powered(rf"\frac{{{argument}}}{{e^{{{argument}}} - 1}}", exp)

    def _numpycode(self, printer: Any) -> str:
        name = printer._module_format("scipy.special.exprel")
        return f"(1.0 / {name}({printer._print(_argument(self))}))"


class linoid_slope(sympy.Function):  # noqa: N801
    """The derivative of linoid, -1/2 at x = 0."""

    nargs = (1,)
    is_real = True

    @classmethod
    def eval(cls, x: Any) -> Any:
        return -sympy.S.Half if x.is_zero else None

    def _eval_evalf(self, prec: int) -> Any:
        argument = _argument(self)
        opposite: Any = linoid(-argument)
        return ((1 - opposite) / expm1(argument))._eval_evalf(prec + 20)

    def fdiff(self, argindex: int = 1) -> Any:
        argument = _argument(self)
        itself: Any = self
        return (linoid_slope(-argument) - sympy.exp(argument) * itself) / expm1(argument)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        argument = printer._print(_argument(self))
        return _powered(rf"\mathrm{{linoid}}'\left({argument}\right)", exp)


class softplus(sympy.Function):  # noqa: N801
    """log(1 + exp(x)), which must not overflow where exp does."""

    nargs = (1,)
    is_real = True

    def _eval_evalf(self, prec: int) -> Any:
        return sympy.log(1 + sympy.exp(_argument(self)))._eval_evalf(prec)

    def fdiff(self, argindex: int = 1) -> Any:
        return sigmoid(_argument(self))

    def _latex(self, printer: Any, exp: Any = None) -> str:
        argument = printer._print(_argument(self))
        return _powered(rf"\log\left(1 + e^{{{argument}}}\right)", exp)

    def _numpycode(self, printer: Any) -> str:
        name = printer._module_format("numpy.logaddexp")
        return f"{name}(0.0, {printer._print(_argument(self))})"


class greater(sympy.Function):  # noqa: N801
    """The greater of two values; sympy.Max compares every pair of its arguments, for minutes."""

    nargs = (2,)
    is_real = True

    def _eval_evalf(self, prec: int) -> Any:
        arguments: Any = self.args
        left, right = (argument._eval_evalf(prec) for argument in arguments)
        return max(left, right)

    def fdiff(self, argindex: int = 1) -> Any:
        arguments: Any = self.args
        mine, other = arguments if argindex == 1 else arguments[::-1]
        return sympy.Heaviside(mine - other, sympy.S.Half)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        return _in_latex("max", self, printer, exp)

    def _numpycode(self, printer: Any) -> str:
        return f"np.maximum({', '.join(printer._print(a) for a in self.args)})"


class lesser(sympy.Function):  # noqa: N801
    """The lesser of two values."""

    nargs = (2,)
    is_real = True

    def _eval_evalf(self, prec: int) -> Any:
        arguments: Any = self.args
        left, right = (argument._eval_evalf(prec) for argument in arguments)
        return min(left, right)

    def fdiff(self, argindex: int = 1) -> Any:
        arguments: Any = self.args
        mine, other = arguments if argindex == 1 else arguments[::-1]
        return sympy.Heaviside(-(mine - other), sympy.S.Half)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        return _in_latex("min", self, printer, exp)

    def _numpycode(self, printer: Any) -> str:
        return f"np.minimum({', '.join(printer._print(a) for a in self.args)})"


def _in_latex(name: str, node: sympy.Basic, printer: Any, exponent: Any) -> str:
    arguments = ", ".join(printer._print(argument) for argument in node.args)
    power = "" if exponent is None else f"^{{{exponent}}}"
    return rf"\{name}{power}\left({arguments}\right)"


def _argument(node: sympy.Basic) -> Any:
    return node.args[0]


def _powered(text: str, exponent: Any) -> str:
    return text if exponent is None else rf"\left({text}\right)^{{{exponent}}}"
