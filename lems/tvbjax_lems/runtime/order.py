"""What of a plan is constant in time, and what a step reads before it computes it."""

from collections.abc import Sequence

from ..errors import Code, Diagnostic, Place, Report
from .plan import (
    Assign,
    Computed,
    Elsewhere,
    Parameter,
    Phase,
    Selected,
    State,
    Time,
    UnitPlan,
)

Name = tuple[int, str]
CHAIN_LIMIT = 200  # derived values each of which needs the next


class Order:
    """Walks the names of a plan's units."""

    def __init__(self, units: Sequence[UnitPlan], report: Report, place: Place):
        self.units, self.report, self.place = units, report, place
        self.known: dict[Name, bool] = {}
        self.depths: dict[Name, int] = {}

    def constant(self) -> frozenset[Name]:
        """The derived names that do not change in time; reports those that need themselves."""
        for i, unit in enumerate(self.units):
            for name, variable in unit.variables.items():
                if isinstance(variable, Computed | Selected):
                    self._constant((i, name), ())
        return frozenset(name for name, constant in self.known.items() if constant)

    def _constant(self, name: Name, path: tuple[Name, ...]) -> bool:
        if name in self.known:
            return self.known[name]
        if name in path:
            self._cycle((*path[path.index(name) :], name))
            return False
        if len(path) >= CHAIN_LIMIT:
            self._long(path[0])
            return False
        variable = self.units[name[0]].variables.get(name[1])
        match variable:
            case Parameter():
                return True
            case State() | Time() | None:
                return False
            case Elsewhere():
                there = (variable.unit, variable.name)
                constant = self._constant(there, (*path, name))
                self.depths[name] = self.depths.get(there, 0)
                return constant
            case Selected():
                needed = [(source.unit, source.name) for source in variable.sources]
                drawn = False
            case Computed():
                needed = [(name[0], read) for read in variable.formula.reads]
                drawn = bool(variable.formula.draws)
        found = [self._constant(one, (*path, name)) for one in needed]
        self.depths[name] = 1 + max((self.depths.get(one, 0) for one in needed), default=0)
        if self.depths[name] > CHAIN_LIMIT:
            self._long(name)
        self.known[name] = all(found) and not drawn
        return self.known[name]

    def _cycle(self, path: Sequence[Name]) -> None:
        named = " > ".join(f"{self.units[i].path}/{name}".strip("/") for i, name in path)
        message = f"derived values need each other: {named}"
        hint = "make one of them a state variable"
        self.report.add(Diagnostic(Code.VARIABLE_CYCLE, self.place, message, hint))

    def _long(self, name: Name) -> None:
        if not any(one.code is Code.TOO_LARGE for one in self.report.errors):
            named = f"{self.units[name[0]].path}/{name[1]}"
            message = f"'{named}' needs a chain of over {CHAIN_LIMIT} derived values"
            hint = "write some of them as one expression"
            self.report.add(Diagnostic(Code.TOO_LARGE, self.place, message, hint))

    def early(self, order: Sequence[int], constant: frozenset[Name]) -> tuple[Name, ...]:
        """The derived values that a walk over the units reads before it has computed them."""
        walk = _Walk(self.units, constant)
        for i in order:
            walk.unit(i)
        return tuple(walk.early)


class _Walk:
    def __init__(self, units: Sequence[UnitPlan], constant: frozenset[Name]):
        self.units, self.constant = units, constant
        self.done: set[Name] = set()
        self.early: dict[Name, None] = {}

    def unit(self, i: int) -> None:
        unit = self.units[i]
        for scheme in unit.schemes:
            for _, _, edge in scheme.edges:
                self.read((edge, scheme.forward), -1)
                self.read((edge, scheme.reverse), -1)
        self.handlers(i, unit.base)
        for regime in unit.regimes:
            self.handlers(i, regime)
        for name in unit.derived:
            self.read((i, name), i)
        for phase in (unit.base, *unit.regimes):
            formulas = [formula for _, formula in phase.derivatives]
            formulas += [one.test for one in phase.on_conditions]
            actions = [a for one in phase.on_conditions for a in one.actions]
            formulas += [a.value for a in (*actions, *phase.on_entry) if isinstance(a, Assign)]
            for formula in formulas:
                for read in formula.reads:
                    self.read((i, read), -1)

    def handlers(self, i: int, phase: Phase) -> None:
        for one in phase.on_events:
            for action in one.actions:
                if isinstance(action, Assign):
                    for read in action.value.reads:
                        self.read((i, read), -1)

    def read(self, name: Name, computing: int) -> None:
        """Mark a name that is not there yet; `computing` is the unit that computes just now."""
        if name in self.constant or name in self.done:
            return
        variable = self.units[name[0]].variables.get(name[1])
        if isinstance(variable, Elsewhere):
            self.read((variable.unit, variable.name), -1)
            return
        if not isinstance(variable, Computed | Selected):
            return
        if name[0] != computing:
            self.early[name] = None
            return
        self.done.add(name)
        if isinstance(variable, Selected):
            needed = [(source.unit, source.name) for source in variable.sources]
        else:
            needed = [(name[0], read) for read in variable.formula.reads]
        for one in needed:
            self.read(one, computing if one[0] == computing else -1)
