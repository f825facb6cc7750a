"""RateML's derived parameters that are about the simulation: noise gain and conduction speed.

RateML adds nsig * N(0, 1) to each state at each step, and delays by length * rec_speed_dt steps.
"""

from typing import TYPE_CHECKING

import sympy

from ..algebra import number, symbol, to_expression
from ..errors import Code
from ..ir import finding
from ..syntax import ExpressionError

if TYPE_CHECKING:
    from .rateml import RateModel

_DT = sympy.Symbol("dt", positive=True)


def intensity(model: "RateModel") -> float | None:
    """The diffusion D of nsig: nsig**2 / (2 dt); None, with a warning, where it depends on dt."""
    gain = _value(model, "nsig") if "nsig" in model.derived_parameters else sympy.S.One
    if gain is not None:
        diffusion = gain**2 / (2 * _DT)
        if not diffusion.free_symbols:
            return float(diffusion)
    element = model.derived_parameters.get("nsig", (None, model.main))[1]
    model.read.report.add(
        finding(
            Code.RATEML,
            element,
            "ComponentType 'derivatives' > noise",
            "the noise depends on the time step, so the model gets no noise by default",
            "write nsig as sqrt(dt) * sqrt(2.0 * D), or set the noise where you simulate",
            warning=True,
        )
    )
    return None


def conduction_speed(model: "RateModel") -> str:
    """The speed in rec_speed_dt = 1 / speed / dt: a parameter's name or a number, "" for none."""
    rate = _value(model, "rec_speed_dt")
    if rate is None or rate == 0:
        return ""
    speed = 1 / (rate * _DT)
    if isinstance(speed, sympy.Symbol):
        return str(speed)
    return repr(float(speed)) if not speed.free_symbols else ""


def _value(model: "RateModel", name: str) -> sympy.Expr | None:
    """A derived parameter in dt and the swept parameters, constants at their values."""
    if name not in model.derived_parameters:
        return None
    scope: dict[str, sympy.Expr] = {key: symbol(key) for key in (*model.sweeps, "n_node")}
    scope |= {key: number(value) for key, value in model.constants.items()}
    scope["dt"] = _DT
    for key, (node, element) in model.derived_parameters.items():
        try:
            value = to_expression(node, scope)
        except ExpressionError as error:
            if key == name:
                where = f"ComponentType 'derivatives' > DerivedParameter '{key}'"
                found = finding(error.code, element, where, error.message, error.hint)
                model.read.report.add(found)
                return None
            continue
        if key == name:
            return value
        scope[key] = value
    return None
