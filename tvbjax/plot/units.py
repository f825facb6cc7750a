"""The unit of a plot's axis: what one gets by dividing SI numbers by a scale that a file gives."""

import math
import re

from tvbjax_lems.units import SI, dimension

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_POWERS = {prefix: power for power, prefix in _PREFIXES.items()} | {"u": -6}
_NAMED = re.compile(r"([fpnuµmkMG]?)(V|A|S|Ohm|F|C|s|m|mol|M)")
_BASES = {"pg": "kg", "mm": "m", "ms": "s", "nA": "A", "nmol": "mol", "K": "K", "cd": "cd"}
_BASES |= {name: name for name in _BASES.values()}
_BASE = re.compile(r"[A-Za-z]+")
_POWER = re.compile(r"([A-Za-z]+)(?:\^(-?\d+))?")
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_VOLT = dimension(m=1, l=2, t=-3, i=-1)
_AMPERE = dimension(i=1)
_SI = {
    SI.unit(one): name
    for one, name in (
        (_VOLT, "V"),
        (_AMPERE / _VOLT, "S"),
        (_VOLT / _AMPERE, "Ohm"),
        (dimension(i=1, t=1) / _VOLT, "F"),
        (dimension(i=1, t=1), "C"),
        (dimension(t=-1), "1/s"),
    )
}


def scaled_unit(unit: str, power: float | int, scale: float) -> str:
    """The name of the unit that is `scale` in SI, such as pA for 1e-12.

    `unit` is one of the same dimension that is 10^`power` in SI: mV with -3; "" has no dimension.
    Where the unit has no name, it is a multiple of `unit`: "0.1 nA".
    """
    unit = _SI.get(unit, unit)
    parts = [_POWER.fullmatch(part) for part in unit.split()]
    if unit and all(part is not None and part.group(1) in _BASES for part in parts):
        if math.isclose(scale, 1.0):
            unit, power = _BASE.sub(lambda found: _BASES[found.group()], unit), 0.0
        unit = _tidy(unit)
    ratio = scale / 10.0**power
    if math.isclose(ratio, 1.0, rel_tol=1e-9):
        return unit.replace("u", "µ", 1) if _NAMED.fullmatch(unit) else unit
    if ratio <= 0.0:
        return f"{ratio:g} {unit}".strip()
    if unit.startswith("1/") and "/" not in unit[2:]:
        below = scaled_unit(unit[2:], -power, 1.0 / scale)
        return f"1/{below}" if not below[:1].isdigit() else f"{ratio:g} {unit}"
    named = _NAMED.fullmatch(unit)
    order = round(math.log10(ratio))
    if named and math.isclose(ratio, 10.0**order, rel_tol=1e-9):
        wanted = _POWERS[named.group(1)] + order
        if wanted in _PREFIXES:
            return f"{_PREFIXES[wanted]}{named.group(2)}"
    return f"{ratio:g} {unit}".strip()


def _tidy(unit: str) -> str:
    """`mm^-2 nA`, a product of powers, as nA/mm²."""
    above, below = [], []
    for symbol, exponent in _POWER.findall(unit):
        power = int(exponent or 1)
        text = symbol + (str(abs(power)).translate(_RAISED) if abs(power) > 1 else "")
        (above if power > 0 else below).append(text)
    return "/".join([" ".join(above) or "1", *below])
