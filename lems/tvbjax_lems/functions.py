"""Functions of our own in sympy trees, where sympy's would be slow to build or unstable."""

from typing import Any

import sympy


class sigmoid(sympy.Function):  # noqa: N801  (sympy's functions are lower case)
    """1 / (1 + exp(-x)): a node of its own, since its gradient must not overflow where exp does."""

    nargs = (1,)

    def _eval_evalf(self, prec: int) -> Any:
        argument: Any = self.args[0]
        return (1 / (1 + sympy.exp(-argument)))._eval_evalf(prec)

    def fdiff(self, argindex: int = 1) -> Any:
        itself: Any = self
        return itself * (1 - itself)


class greater(sympy.Function):  # noqa: N801
    """The greater of two values; sympy.Max compares every pair of its arguments, for minutes."""

    nargs = (2,)

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
