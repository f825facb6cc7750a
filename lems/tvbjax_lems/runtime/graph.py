"""A network as a Graphviz graph: what depends on what, what is read elsewhere, who sends events.

Up to `INSIDE` components each is a frame with its names in it; with more each is a node, and with
more than `APART` those of one type are. Then there is one arrow of a kind from one to another.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .formulas import Formula
from .network import Network
from .plan import (
    Action,
    Assign,
    Computed,
    Elsewhere,
    Emit,
    LinkPlan,
    Parameter,
    Phase,
    Plan,
    Selected,
    State,
    Time,
    UnitPlan,
)
from .summary import in_order

INSIDE = 20
APART = 60
_WIDTH = 28  # letters of a path on a line
_NAMED = 3  # names on an arrow
_HEADER = (
    "rankdir=LR; ranksep=0.5; nodesep=0.15; fontname=Helvetica;",
    "node [fontname=Helvetica, fontsize=11, height=0.3, margin=0.08];",
    "edge [fontname=Helvetica, fontsize=9, color=gray50, arrowsize=0.6];",
)
_SHAPES = {
    "state": 'shape=ellipse, style=filled, fillcolor="#bfdcf2"',
    "derived": "shape=box, style=filled, fillcolor=white",
    "constant": "shape=box, style=filled, fillcolor=gray92",
    "parameter": "shape=plaintext, fontcolor=gray35",
    "time": "shape=diamond, style=filled, fillcolor=white",
    "port": 'shape=cds, style=filled, fillcolor="#fde0c5"',
}
_STYLES = {
    "use": "",
    "value": 'color="#1f6fb4", penwidth=1.3',
    "event": 'color="#d9650b", fontcolor="#b3520a", style=dashed, penwidth=1.3',
}
Node = tuple[int, str, bool]  # component, name, whether it is a port


def network_graph(network: Network) -> str:
    """The network as a Graphviz graph; `dot -Tsvg` draws it.

    Blue arrows are values read in another component, dashed orange ones events, with the number of
    connections and their delays. An arrow into a state is a term of its time derivative, or an
    event that sets it.
    """
    plan = network.plan
    lines = [f"digraph {_quoted(plan.name)} {{", *(f"  {line}" for line in _HEADER)]
    if len(plan.units) <= INSIDE:
        body = _Inside(plan, network.time_unit).lines()
    else:
        body = _outside(plan, network.time_unit)
    return "\n".join([*lines, *(f"  {line}" for line in body), "}"]) + "\n"


def _quoted(*lines: str) -> str:
    """Lines of text as a quoted string in which nothing has a meaning of its own."""
    safe = (_one_line(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(line.replace("&", "&amp;") for line in safe) + '"'


def _arrow(kind: str, source: str, target: str, label: Sequence[str] = ()) -> str:
    said = [f"label={_quoted(*label)}"] if label else []
    said += [_STYLES[kind]] if _STYLES[kind] else []
    style = f" [{', '.join(said)}]" if said else ""
    return f"{source} -> {target}{style};"


def _one_line(text: str) -> str:
    return " ".join(text.split())


# Components with their names in them.


class _Inside:
    """The graph of a network of few components."""

    def __init__(self, plan: Plan, time_unit: str):
        self.plan, self.time_unit = plan, time_unit
        self.edges: dict[tuple[Node, Node], str] = {}
        self.labels: dict[tuple[Node, Node], tuple[str, ...]] = {}

    def lines(self) -> Iterator[str]:
        for i, unit in enumerate(self.plan.units):
            self.unit(i, unit)
        for link in self.plan.links:
            ends = (link.source, link.source_port, True), (link.target, link.target_port, True)
            self.join(ends[0], ends[1], "event")
            self.labels[ends] = _connections([link], self.time_unit)
        yield from self.frames()
        for ends, kind in self.edges.items():
            source, target = (self.id(node) for node in ends)
            yield _arrow(kind, source, target, self.labels.get(ends, ()))

    # What depends on what.

    def join(self, source: Node, target: Node, kind: str = "") -> None:
        kind = kind or ("use" if source[0] == target[0] else "value")
        self.edges.setdefault((source, target), kind)

    def unit(self, i: int, unit: UnitPlan) -> None:
        for name, variable in unit.variables.items():
            if self.is_shown(i, name):
                self.variable((i, name, False), variable)
        for phase in (unit.base, *unit.regimes):
            self.phase(i, phase, unit)
        for scheme in unit.schemes:
            for start, end, edge in scheme.edges:
                for rate, k in ((scheme.forward, end), (scheme.reverse, start)):
                    node = (scheme.nodes[k], scheme.state, False)
                    self.join(self.found(edge, rate), node)

    def variable(self, node: Node, variable: object) -> None:
        match variable:
            case Computed(formula=formula):
                self.reads(node, formula)
            case Elsewhere():
                self.join(self.found(variable.unit, variable.name), node)
            case Selected(sources=sources):
                for source in sources:
                    self.join(self.found(source.unit, source.name), node)

    def reads(self, node: Node, formula: Formula, kind: str = "") -> None:
        for name in formula.reads:
            if name not in self.plan.units[node[0]].exponents:
                self.join(self.found(node[0], name), node, kind)

    def phase(self, i: int, phase: Phase, unit: UnitPlan) -> None:
        for name, formula in phase.derivatives:
            self.reads((i, name, False), formula)
        for one in phase.on_conditions:
            for action in one.actions:
                match action:
                    case Assign(variable=name):
                        self.reads((i, name, False), one.test)
                    case Emit(port=port):
                        self.reads((i, port, True), one.test, "event")
            self.assignments(i, one.actions)
        for one in phase.on_events:
            heard = (i, one.port, True)
            for action in one.actions:
                match action:
                    case Assign(variable=name):
                        self.join(heard, (i, name, False), "event")
                    case Emit(port=port):
                        self.join(heard, (i, port, True), "event")
            self.assignments(i, one.actions)
        self.assignments(i, phase.on_entry)

    def assignments(self, i: int, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Assign):
                self.reads((i, action.variable, False), action.value)

    def is_shown(self, i: int, name: str) -> bool:
        """Whether a name has a node: what is only passed on from elsewhere has none."""
        variable = self.plan.units[i].variables.get(name)
        return not isinstance(variable, Elsewhere) or name in self.plan.units[i].derived

    def found(self, i: int, name: str) -> Node:
        """The node that a name stands for."""
        while not self.is_shown(i, name):
            variable = self.plan.units[i].variables[name]
            assert isinstance(variable, Elsewhere)
            i, name = variable.unit, variable.name
        return i, name, False

    # Frames and nodes.

    def frames(self) -> Iterator[str]:
        """A frame for each component, within that of the component that it is part of."""
        used = {node for ends in self.edges for node in ends}
        ids = {unit.path: i for i, unit in enumerate(self.plan.units)}
        below: dict[int | None, list[int]] = {}
        for unit in in_order(self.plan):
            below.setdefault(_above(unit.path, ids), []).append(ids[unit.path])

        def frame(i: int, above: str) -> Iterator[str]:
            unit = self.plan.units[i]
            name = unit.path.removeprefix(above)
            nodes = [node for node in self.nodes(i, unit) if node in used or self.stands(node)]
            yield f"subgraph cluster_{i} {{"
            yield f"  label={_quoted(name, _size(unit))}; fontsize=11;"
            yield "  style=rounded; color=gray60; bgcolor=gray98;"
            for node in nodes or [(i, "", False)]:
                yield f"  {self.id(node)} [{self.look(node)}];"
            for child in below.get(i, ()):
                yield from (f"  {line}" for line in frame(child, f"{unit.path}/"))
            yield "}"

        for i in below.get(None, ()):
            yield from frame(i, "")

    def nodes(self, i: int, unit: UnitPlan) -> list[Node]:
        ports = dict.fromkeys((*unit.in_ports, *unit.out_ports))
        return [
            *((i, name, False) for name in unit.variables),
            *((i, port, True) for port in ports),
        ]

    def stands(self, node: Node) -> bool:
        """Whether a node is shown even where nothing uses it."""
        i, name, port = node
        variable = self.plan.units[i].variables.get(name)
        derived = isinstance(variable, Computed | Selected)
        return not port and (derived or isinstance(variable, State))

    def look(self, node: Node) -> str:
        i, name, port = node
        unit = self.plan.units[i]
        if not name:
            return 'label="", style=invis'
        kind = "port" if port else self.kind(i, name)
        lines = [name]
        variable = unit.variables.get(name)
        if not port and isinstance(variable, Selected):
            lines[0] += f" = {_selected(variable)}"
        if not port and unit.units.get(name):
            lines.append(unit.units[name])
        return f"label={_quoted(*lines)}, {_SHAPES[kind]}"

    def kind(self, i: int, name: str) -> str:
        match self.plan.units[i].variables.get(name):
            case State():
                return "state"
            case Parameter():
                return "parameter"
            case Time():
                return "time"
            case _:
                return "constant" if (i, name) in self.plan.constant else "derived"

    def id(self, node: Node) -> str:
        i, name, port = node
        mark = ":" if port else "/"
        return _quoted(f"{self.plan.units[i].path}{mark}{name}")


def _above(path: str, ids: Mapping[str, int]) -> int | None:
    """The component that the one of that path is part of."""
    while "/" in path:
        path = path.rpartition("/")[0]
        if path in ids:
            return ids[path]
    return None


def _selected(variable: Selected) -> str:
    multiply = variable.reduce == "multiply"
    if not variable.sources:
        return str(int(multiply))
    return "product" if multiply else "sum"


# Components, or types, as nodes.


def _outside(plan: Plan, time_unit: str) -> Iterator[str]:
    apart = len(plan.units) <= APART
    ids = {i: unit.path if apart else unit.type for i, unit in enumerate(plan.units)}
    groups: dict[str, list[UnitPlan]] = {}
    for unit in in_order(plan):
        groups.setdefault(unit.path if apart else unit.type, []).append(unit)
    for name, units in groups.items():
        label = _quoted(*_wrapped(name), _size(units[0]) if apart else _sizes(units))
        yield f"{_quoted(name)} [label={label}, {_SHAPES['derived']}];"
    for (source, target), names in _values(plan, ids).items():
        yield _arrow("value", _quoted(source), _quoted(target), [_listed(names)])
    links: dict[tuple[str, str], list[LinkPlan]] = {}
    for link in plan.links:
        links.setdefault((ids[link.source], ids[link.target]), []).append(link)
    for (source, target), some in links.items():
        said = _connections(some, time_unit)
        yield _arrow("event", _quoted(source), _quoted(target), said)


def _values(plan: Plan, ids: dict[int, str]) -> dict[tuple[str, str], list[str]]:
    """What each node reads of each other one."""
    read: dict[tuple[str, str], dict[str, None]] = {}

    def note(source: int, name: str, target: int) -> None:
        if source != target:
            read.setdefault((ids[source], ids[target]), {})[name] = None

    for i, unit in enumerate(plan.units):
        for variable in unit.variables.values():
            match variable:
                case Elsewhere():
                    note(variable.unit, variable.name, i)
                case Selected(sources=sources):
                    for source in sources:
                        note(source.unit, source.name, i)
        for scheme in unit.schemes:
            for start, end, edge in scheme.edges:
                note(edge, scheme.forward, scheme.nodes[end])
                note(edge, scheme.reverse, scheme.nodes[start])
    return {ends: list(names) for ends, names in read.items()}


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _wrapped(path: str) -> list[str]:
    """A long path in lines, cut behind its slashes."""
    lines = [""]
    for step in re.split(r"(?<=/)", path):
        if lines[-1] and len(lines[-1]) + len(step) > _WIDTH:
            lines.append("")
        lines[-1] += step
    return lines


def _size(unit: UnitPlan) -> str:
    if unit.pool is not None:
        return f"{unit.type}, {unit.pool.size:,} kept as {unit.size:,}"
    return unit.type if unit.size == 1 else f"{unit.type}, {_counted(unit.size, 'instance')}"


def _sizes(units: Sequence[UnitPlan]) -> str:
    instances = sum(unit.pool.size if unit.pool else unit.size for unit in units)
    return f"{_counted(len(units), 'component')}, {_counted(instances, 'instance')}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _connections(links: Sequence[LinkPlan], time_unit: str) -> tuple[str, ...]:
    """The number of connections and the range of their delays."""
    count = sum(len(link.sources) for link in links)
    delays = np.concatenate([link.delays for link in links]) if count else np.zeros(1)
    low, high = float(delays.min()), float(delays.max())
    said = f"{low:g} {time_unit}" if low == high else f"{low:g} to {high:g} {time_unit}"
    return (f"{count:,} x", said) if high else (f"{count:,} x",)
