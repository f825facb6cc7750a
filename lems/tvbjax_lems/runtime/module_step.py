"""Statements of one step by Euler's method, component after component, and of a run's start.

The counterpart of `Euler` and of `Machine.start`, in text and in the same order.
"""

from ..module import one_line
from .module_moment import MomentWriter
from .module_names import Inner, Shared
from .module_values import StartWriter, Text, Writer, listed
from .plan import Phase, Scheme
from .wires import Wire


def start_lines(shared: Shared) -> list[str]:
    """The body of `initial`."""
    plan = shared.plan
    values = StartWriter(shared, {}, "t", "now")
    for unit, name in shared.states():
        values.get(unit, name)
    for unit in plan.units:
        for scheme in unit.schemes:
            for k, node in enumerate(scheme.nodes):
                size = plan.units[node].size
                whole = Text(f"jnp.{'zeros' if k else 'ones'}({size})", size)
                values.known[node, scheme.state] = values.kept(node, scheme.state, whole)
    values.forget()
    early = {}
    for unit, name in plan.early:
        early[unit, name] = values.full(unit, values.get(unit, name))
    moment = MomentWriter(shared, values)
    moment.turned = set(range(len(plan.units)))
    for i, unit in enumerate(plan.units):
        if unit.regimes:
            moment.regimes[i] = f"jnp.full({unit.size}, {unit.initial_regime}, jnp.int32)"
    for i, unit in enumerate(plan.units):
        if unit.regimes and unit.regimes[unit.initial_regime].on_entry:
            moment.act(i, unit.regimes[unit.initial_regime].on_entry, None)
    values.write("return {")
    values.write(*(f"    {line}" for line in _state(moment, "t", "jnp.zeros((), jnp.int32)")))
    for (unit, port), _ in sorted(shared.machine.horizon.items()):
        wires = [w for w in shared.machine.delayed if w.source == (unit, port)]
        lags = ", ".join(_delays(moment, wire) for wire in wires)
        name, size = shared.inner(unit, Inner.SENT, port), plan.units[unit].size
        # What an initial regime sends counts as sent in the step before the first.
        sent = moment.emitted.get((unit, port))
        before = f".at[-1].set({sent})" if sent else ""
        values.write(f'    "{name}": ring(dt, {size}, {lags}){before},')
    for (unit, name), source in early.items():
        values.write(f'    "{shared.name(unit, name)}": {source},')
    values.write("}")
    values.go_ahead(0)
    return values.lines


def step_lines(shared: Shared) -> tuple[list[str], MomentWriter]:
    """The body of `step` up to its new state, and what it has then."""
    values = Writer(shared, {}, "t", "now")
    moment = MomentWriter(shared, values)
    _begin(moment)
    for i in shared.machine.order:
        _turn(moment, i)
    later = "t + dt if t.dtype == jnp.float64 else (steps + 1).astype(float) * dt"
    values.write("", "# What is now.")
    values.put("later", later)
    entries = _state(moment, "later", "steps + 1")
    for unit, port in sorted(shared.machine.horizon):
        ring = shared.inner(unit, Inner.SENT, port)
        row = moment.emitted.get((unit, port), "0")
        slot = f'state["{ring}"].at[steps % len(state["{ring}"])].set({row})'
        entries.append(f'"{ring}": {slot},')
    for unit, name in shared.plan.early:
        source = values.full(unit, values.known[unit, name])
        entries.append(f'"{shared.name(unit, name)}": {source},')
    values.write("after = {", *(f"    {entry}" for entry in entries), "}")
    return values.lines, moment


def _turn(moment: MomentWriter, i: int) -> None:
    """All that a unit does in a step."""
    unit, values = moment.plan.units[i], moment.values
    first = len(values.lines)
    come = moment.take(i)
    for scheme in unit.schemes:
        _advance(moment, i, scheme)
    moment.hear(i, come)
    changing = [name for name in unit.derived if (i, name) not in moment.plan.constant]
    for name in changing:
        values.known.pop((i, name), None)
    for name in changing:
        values.get(i, name)
    _move(moment, i, unit.base, None)
    moment.test(i, unit.base, None)
    if unit.regimes:
        _in_regimes(moment, i)
    if len(values.lines) > first:
        kept = f" kept as {unit.size}" if unit.pool else ""
        number = unit.pool.size if unit.pool else unit.size
        said = f"{unit.path}: {unit.type}, {number} instance{'s'[: number != 1]}{kept}"
        values.go_ahead(first)
        values.lines[first:first] = ["", f"{values.margin}# --- {one_line(said)} ---"]


def _in_regimes(moment: MomentWriter, i: int) -> None:
    unit = moment.plan.units[i]
    active = []
    for k, (regime, name) in enumerate(zip(unit.regimes, unit.regime_names, strict=True)):
        mask = moment.shared.inner(i, Inner.IN_REGIME, name)
        if regime.derivatives or regime.on_conditions:
            moment.values.put(mask, f"{moment.regimes[i]} == {k}")
        active.append((regime, mask))
    for regime, mask in active:
        _move(moment, i, regime, mask)
    for regime, mask in active:
        moment.test(i, regime, mask)
    moment.entered(i)


def _move(moment: MomentWriter, i: int, phase: Phase, mask: str | None) -> None:
    """x += dt f, all derivatives from the old states."""
    values = moment.values
    slopes = {}
    for name, formula in phase.derivatives:
        slopes[name] = moment.shared.inner(i, Inner.SLOPE, name)
        time = moment.shared.network.time_unit
        unit = f"{moment.shared.unit_of(i, name) or 1}/{time}"
        unit = unit.replace(f"/{time}/{time}", f"/{time}^2")
        values.put(slopes[name], values.formula(i, formula).source, unit)
    for name, slope in slopes.items():
        old = values.get(i, name).source
        new = f"{old} + dt * {slope}"
        moment.set(i, name, new if mask is None else f"jnp.where({mask}, {new}, {old})")


def _advance(moment: MomentWriter, i: int, scheme: Scheme) -> None:
    """The occupancies of a kinetic scheme a step later."""
    values, size = moment.values, moment.plan.units[i].size
    old = [values.get(node, scheme.state).source for node in scheme.nodes]
    edges = []
    for source, target, edge in scheme.edges:
        for start, end, name in (
            (source, target, scheme.forward),
            (target, source, scheme.reverse),
        ):
            edges.append(f"({start}, {end}, {values.get(edge, name).source}),")
    new = [moment.shared.name(node, scheme.state) for node in scheme.nodes]
    values.write(f"{listed(new)} = markov(")
    values.write(f"    {listed(old)},", "    (  # from, to, rate")
    values.write(*(f"        {edge}" for edge in edges), "    ),")
    values.write(f"    {size},", "    dt,", ")")
    for node, name in zip(scheme.nodes, new, strict=True):
        values.known[node, scheme.state] = Text(name, moment.plan.units[node].size)
        values.gathers = {}


def _begin(moment: MomentWriter) -> None:
    """Unpack the state, and let arrive what a delay has held up until now."""
    shared, values = moment.shared, moment.values
    values.write("# What was.")
    for unit, name in shared.states():
        target = shared.name(unit, name)
        values.put(target, f'state["{target}"]', shared.unit_of(unit, name))
        values.known[unit, name] = Text(target, moment.plan.units[unit].size)
    for i, unit in enumerate(moment.plan.units):
        if unit.regimes:
            moment.regimes[i] = shared.inner(i, Inner.REGIME)
            named = ", ".join(f"{k} {name}" for k, name in enumerate(unit.regime_names))
            values.put(moment.regimes[i], f'state["{moment.regimes[i]}"]', named)
    for unit, name in moment.plan.early:
        target = shared.name(unit, name)
        values.put(target, f'state["{target}"]', "of the last step")
        values.known[unit, name] = Text(target, moment.plan.units[unit].size)
    for unit, port in moment.pending:
        come = shared.inner(unit, Inner.COME, port)
        values.put(come, f'state["{shared.inner(unit, Inner.WAITING, port)}"]')
        moment.pending[unit, port] = come
    if shared.machine.delayed:
        values.write("", "# Events whose delay is over.")
    first = len(values.lines)
    for wire in shared.machine.delayed:
        _arrive_late(moment, wire)
    values.go_ahead(first)


def _arrive_late(moment: MomentWriter, wire: Wire) -> None:
    ring = moment.shared.inner(wire.source[0], Inner.SENT, wire.source[1])
    target = moment.shared.inner(wire.link.target, Inner.COME, _first_port(moment.shared, wire))
    lag = moment.values.names.numbered(f"{moment.shared.prefixes[wire.link.target]}_lag")
    come = moment.values.names.numbered(f"{target}_late")
    sources = moment.shared.array(f"{ring}_sources", wire.sources)
    moment.values.put(lag, f"delay_steps({_delays(moment, wire)}, dt)", "steps")
    moment.values.put(come, f'delayed(state["{ring}"], steps, {lag}, {sources})')
    moment.arrive(wire, come)


def _delays(moment: MomentWriter, wire: Wire) -> str:
    """The name of the array of a wire's delays."""
    prefix = moment.shared.prefixes[wire.link.target]
    return moment.shared.array(f"{prefix}_delays", wire.link.delays)


def _state(moment: MomentWriter, t: str, steps: str) -> list[str]:
    """The source of the state's entries."""
    shared, values = moment.shared, moment.values
    found = [f'"t": {t},', f'"steps": {steps},']
    for unit, name in shared.states():
        found.append(f'"{shared.name(unit, name)}": {values.get(unit, name).source},')
    for i, regime in moment.regimes.items():
        found.append(f'"{shared.inner(i, Inner.REGIME)}": {regime},')
    for unit, port in moment.pending:
        name = shared.inner(unit, Inner.WAITING, port)
        kind = "float" if moment.ports[unit, port] is float else "jnp.int32"
        zeros = f"jnp.zeros({moment.plan.units[unit].size}, {kind})"
        found.append(f'"{name}": {moment.pending[unit, port] or zeros},')
    return found


def _first_port(shared: Shared, wire: Wire) -> str:
    """A port of the target as `Shared` names it: of a pool, that of a state."""
    pool, port = shared.plan.units[wire.link.target].pool, wire.link.target_port
    return port if pool is None else f"{port}.{next(iter(pool.increments[port]))}"
