"""What the functions of a network's Python module share: names for what is in it, and arrays."""

import re
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from ..module import number_source
from ..printing import Names
from .engine import Machine
from .network import Network
from .plan import Plan, State, UnitPlan
from .values import Name

LITERAL = 50  # longer arrays are stored in a file beside the module
# What the module's functions need for themselves.
TAKEN = frozenset(
    "Path STORED PARAMETERS STEPS DT SEED acts amount apart arrays at change changed check_step "
    "come count delay_steps delayed dict dt every events final first float full held initial int "
    "jax jnp key lag later linoid linoid_slope markov math max multiplied np now observe one "
    "params quantities range ring rows row run sent state step steps stored sum summed t time "
    "turn uniform value values zip".split()
)


class Inner(StrEnum):
    """What a component has besides its variables, as a pattern for its Python name."""

    SLOPE = "d{}_dt"
    REGIME = "regime"
    NEXT_REGIME = "next_regime"
    IN_REGIME = "in_{}"
    COME = "{}_come"
    WAITING = "{}_waiting"
    OUT = "{}_out"
    SENT = "{}_sent"


class Shared:
    """The names and arrays of a network's module.

    `machine`: says which events wait for a delay, and how many may arrive in a step.
    """

    def __init__(self, network: Network, machine: Machine):
        self.network, self.plan, self.machine = network, network.plan, machine
        self.prefixes = _prefixes(self.plan.units)
        self.arrays: dict[str, np.ndarray] = {}
        self._names = Names(TAKEN)
        self._given: dict[tuple[int, str], str] = {}
        # Apart from the variables, whose names are the file's: one may be called dv_dt or regime.
        self._inner: dict[tuple[int, Inner, str], str] = {}
        for i, unit in enumerate(self.plan.units):
            for name in unit.variables:
                self._given[i, name] = self._fresh(i, name)
            for inner, of in _inner_names(unit):
                self._inner[i, inner, of] = self._fresh(i, inner.format(of))
        self._same: dict[tuple[str, bytes], str] = {}

    def _fresh(self, unit: int, word: str) -> str:
        return self._names.fresh(f"{self.prefixes[unit]}_{_identifier(word)}")

    def name(self, unit: int, variable: str) -> str:
        """The Python name of a variable of a unit."""
        return self._given[unit, variable]

    def inner(self, unit: int, inner: Inner, of: str = "") -> str:
        """The Python name of what a unit has besides its variables. `of`: which of several."""
        return self._inner[unit, inner, of]

    def local_names(self) -> Names:
        """Names for what one function alone has."""
        names = Names(TAKEN)
        for given in (*self._given.values(), *self._inner.values(), *self.arrays):
            names[given]  # a name that is looked up is taken
        return names

    def array(self, wanted: str, value: np.ndarray) -> str:
        """The name of a constant array; equal arrays have one name."""
        key = (value.dtype.kind, np.ascontiguousarray(value).tobytes())
        if key not in self._same:
            self._same[key] = self._names.fresh(_identifier(wanted).upper())
            self.arrays[self._same[key]] = value
        return self._same[key]

    def states(self) -> list[Name]:
        """The state variables."""
        return [
            (i, name)
            for i, unit in enumerate(self.plan.units)
            for name, variable in unit.variables.items()
            if isinstance(variable, State)
        ]

    def unit_of(self, unit: int, name: str) -> str:
        """The unit of measurement of a variable, "" where there is none."""
        return self.plan.units[unit].units.get(name, "")


def array_source(value: np.ndarray, stored: str) -> str:
    """The source of an array: short, or regular, or the one stored under a name."""
    flat = value.tolist()
    whole = value.dtype.kind in "iu"
    if whole and len(flat) > 3 and (step := flat[1] - flat[0]) > 0:
        stop = flat[-1] + 1
        if flat == list(range(flat[0], stop, step)):
            return f"np.arange({f'{flat[0]}, {stop}, {step}' if flat[0] or step > 1 else stop})"
    written = [str(one) if whole else number_source(one) for one in flat]
    if len(flat) > 3 and len(set(written)) == 1:
        return f"np.full({len(flat)}, {written[0]})"
    if len(flat) > LITERAL:
        return f'STORED["{stored}"]'
    return f"np.array([{', '.join(written)}]{'' if flat else ', int' if whole else ', float'})"


def is_stored(source: str) -> bool:
    """Whether the source of an array reads it from the file beside the module."""
    return source.startswith("STORED[")


def quoted(text: str) -> str:
    """A string literal, in double quotes where that may be."""
    plain = repr(text)
    return f'"{plain[1:-1]}"' if plain[0] == "'" and '"' not in plain else plain


def has_delays(plan: Plan) -> bool:
    """Whether any event arrives later than it is sent, so that not every step will do."""
    return any((link.delays > 0.0).any() for link in plan.links)


def _identifier(text: str) -> str:
    return re.sub(r"\W", "_", text, flags=re.ASCII)


def _inner_names(unit: UnitPlan) -> list[tuple[Inner, str]]:
    """What a unit has besides its variables."""
    phases = (unit.base, *unit.regimes)
    found = [(Inner.SLOPE, name) for phase in phases for name, _ in phase.derivatives]
    found += [(Inner.REGIME, ""), (Inner.NEXT_REGIME, "")] if unit.regimes else []
    found += [(Inner.IN_REGIME, name) for name in unit.regime_names]
    heard = [one.port for phase in phases for one in phase.on_events]
    if unit.pool is not None:
        heard = [f"{port}.{name}" for port, named in unit.pool.increments.items() for name in named]
    found += [(inner, port) for port in heard for inner in (Inner.COME, Inner.WAITING)]
    found += [(inner, port) for port in unit.out_ports for inner in (Inner.OUT, Inner.SENT)]
    return list(dict.fromkeys(found))


def _prefixes(units: Sequence[UnitPlan]) -> list[str]:
    """Per unit the last parts of its path that no other path ends in."""
    paths = [[_identifier(part) for part in unit.path.split("/")] for unit in units]
    ends = Counter(tuple(path[-k:]) for path in paths for k in range(1, len(path) + 1))
    found = []
    for path in paths:
        own = [path[-k:] for k in range(1, len(path) + 1)]
        text = "_".join(next((end for end in own if ends[tuple(end)] == 1), path))
        found.append(text if re.match(r"[A-Za-z]", text) else f"c{text}")
    return found
