"""A network in NEST's words: models, parameters in NEST's units, connections as they were drawn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvbjax.equations import AbstractEquation
from tvbjax.spiking.delivery import Uniform
from tvbjax.spiking.drives import AbstractDrive, Current, Poisson, SpikeTimes
from tvbjax.spiking.monitors import LocalField, States, averaged
from tvbjax.spiking.network import Network, Wired, receptor_of
from tvbjax.spiking.populations import Population
from tvbjax.spiking.signals import Heard, HeardEach
from tvbjax_lems import Cell, CellSteps, RungeKutta4
from tvbjax_lems.runtime.cell import states_of

_FACTORS = {"nF": 1e3, "nA": 1e3, "uS": 1e3}  # to pF, pA, nS
_CURRENTS = {"ExponentialCurrent": "exp", "AlphaCurrent": "alpha"}
_CONDUCTANCES = {"ExponentialConductance": "exp", "AlphaConductance": "alpha"}


@dataclass(frozen=True)
class InNest:
    """A population in NEST: model, parameters, and of each receptor its number and sign there.

    `states`: NEST's names of what can be recorded and set. `signs`: of the weights of each receptor
    by its number, where NEST tells receptors by them.
    """

    model: str
    params: Mapping[str, Any]
    receptors: Mapping[str, tuple[int, float]]
    states: Mapping[str, str]
    signs: tuple[int, ...] = ()


def described(network: Network, seed: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The message that builds the network: JSON, and arrays. Raises ValueError."""
    arrays: dict[str, np.ndarray] = {}
    kinds = {name: _kind(name, one) for name, one in network.populations.items()}
    populations = {
        name: _population(network, name, kinds[name], arrays) for name in network.populations
    }
    projections = {}
    for name, one in network.projections.items():
        if network.receptor(one.target, one.receptor).memory is not None:
            raise ValueError(
                f"nest.Nest: the connections of '{name}' remember something, for which NEST's "
                "synapses are other models; run it in tvbjax, or with another receptor."
            )
        number, factor = kinds[one.target].receptors[one.receptor]
        weights = np.asarray(one.weight, float)
        _check_sign(f"the projection '{name}'", kinds[one.target], number, weights)
        sources, targets = _ends(one)
        arrays[f"projection|{name}|sources"] = sources
        arrays[f"projection|{name}|targets"] = targets
        arrays[f"projection|{name}|weights"] = factor * weights
        arrays[f"projection|{name}|delays"] = np.asarray(one.delays)
        port = number if _is_multisynapse(kinds[one.target]) else 0
        projections[name] = {"source": one.source, "target": one.target, "receptor": port}
    drives = {
        name: _drive(network, name, one, kinds, arrays) for name, one in network.drives.items()
    }
    message = {
        "dt": network.dt,
        "seed": seed,
        "populations": populations,
        "projections": projections,
        "drives": drives,
    }
    return message, arrays


def _ends(one: Wired) -> tuple[np.ndarray, np.ndarray]:
    """The ends of all connections, also of those that tvbjax keeps as one."""
    if not isinstance(one.form, Uniform):
        return np.asarray(one.sources), np.asarray(one.targets)
    senders, receivers = (x.ravel() for x in np.indices(one.form.sizes, np.int32))
    others = (senders != receivers) if one.form.apart else np.ones(len(senders), bool)
    return senders[others], receivers[others]


def _population(
    network: Network, name: str, kind: InNest, arrays: dict[str, np.ndarray]
) -> dict[str, Any]:
    one = network.populations[name]
    for monitor in network.monitors:
        if isinstance(monitor, States | LocalField) and monitor.population == name:
            raise ValueError(
                f"nest.Nest: {type(monitor).__name__} of '{name}' is not read from NEST; of its "
                "populations there are Spikes, Rates and Means."
            )
    params = {}
    for key, value in kind.params.items():
        found = np.asarray(value, float)
        if found.ndim and key != "tau_syn":
            arrays[f"population|{name}|{key}"] = np.broadcast_to(found, one.size)
        else:
            params[key] = found.tolist()
    for state, value in one.initial.items():
        if state not in kind.states:
            known = ", ".join(kind.states)
            raise ValueError(
                f"nest.Nest: the initial '{state}' of '{name}' cannot be set in NEST; it has "
                f"{known}."
            )
        arrays[f"population|{name}|{kind.states[state]}"] = np.broadcast_to(
            np.asarray(value, float), one.size
        )
    means = []
    for quantity in averaged(network.monitors, name):
        if quantity not in kind.states:
            known = ", ".join(kind.states)
            raise ValueError(
                f"nest.Nest: '{quantity}' of '{name}' is not recorded by NEST; it has {known}."
            )
        means.append(kind.states[quantity])
    return {"model": kind.model, "size": one.size, "params": params, "means": means}


def _drive(
    network: Network, name: str, drive: AbstractDrive, kinds: Mapping[str, InNest], arrays: dict
) -> dict[str, Any]:
    who = f"nest.Nest: the drive '{name}'"
    kind = kinds[drive.target]
    if isinstance(drive, Current):
        return _current(who, network, drive)
    if not isinstance(drive, Poisson | SpikeTimes):
        raise ValueError(
            f"{who} is a {type(drive).__name__}, for which NEST has no counterpart here."
        )
    cell = network.populations[drive.target].cell
    number, factor = kind.receptors[receptor_of(who, cell, drive.receptor)]
    weights = factor * np.asarray(drive.weight, float)
    _check_sign(who, kind, number, np.asarray(drive.weight, float))
    port = number if _is_multisynapse(kind) else 0
    arrays[f"drive|{name}|weights"] = weights
    found = {"target": drive.target, "receptor": port}
    if isinstance(drive, SpikeTimes):
        if drive.times.size and np.rint(drive.times.min() / network.dt) < 2:
            raise ValueError(
                f"{who} has a spike at {drive.times.min():g} ms, which NEST would have to send "
                f"before 0; give times of {2 * network.dt:g} ms or more."
            )
        arrays[f"drive|{name}|times"] = drive.times
        arrays[f"drive|{name}|cells"] = drive.cells
        return {**found, "kind": "spikes"}
    if weights.ndim:
        raise ValueError(f"{who} has a weight for each cell; give one for NEST.")
    rate = drive.rate
    if drive.correlation is not None or isinstance(rate, AbstractEquation):
        raise ValueError(
            f"{who} has a rate that is an equation, or correlated spikes, which are not made in "
            "NEST here; give a number, or Heard(name)."
        )
    if isinstance(rate, Heard | HeardEach):
        scale = {"gain": 1e3 * float(rate.gain), "offset": 1e3 * float(rate.offset)}
        signal = rate.name if isinstance(rate, Heard) else rate.signal
        found |= {"kind": "heard", "signal": signal, **scale}
        if isinstance(rate, HeardEach):
            found["each"] = rate.weights
        return found
    if np.ndim(rate):
        raise ValueError(f"{who} has a rate for each cell; give one for NEST.")
    return {**found, "kind": "poisson", "rate": 1e3 * float(np.asarray(rate))}


def _current(who: str, network: Network, drive: Current) -> dict[str, Any]:
    cell = network.populations[drive.target].cell
    value = drive.value
    if not isinstance(value, Heard) or cell.units.get(drive.state) != "nA":
        raise ValueError(f"{who} is no current that is heard; for NEST give Heard(name), or I_e.")
    factor = _FACTORS["nA"]
    scale = {"gain": factor * float(value.gain), "offset": factor * float(value.offset)}
    return {"target": drive.target, "kind": "current", "signal": value.name, **scale}


def _is_multisynapse(kind: InNest) -> bool:
    return kind.model.endswith("multisynapse")


def _check_sign(who: str, kind: InNest, number: int, weights: np.ndarray) -> None:
    """Raise ValueError for a weight whose sign would be that of another receptor in NEST."""
    if not kind.signs or not weights.size:
        return
    sign = kind.signs[number]
    worst = float((sign * weights).min())
    if worst < 0:
        raise ValueError(
            f"{who} has a weight of {sign * worst:g}; {kind.model} tells receptors by the sign of "
            f"weights, and this one's are {'positive' if sign > 0 else 'negative'}."
        )


def _kind(name: str, population: Population) -> InNest:
    """What a population is in NEST. Raises ValueError where there is no counterpart."""
    cell = population.cell
    make = _KINDS.get(cell.kind)
    if make is None:
        raise ValueError(
            f"nest.Nest: the population '{name}' is of {cell.kind}, which is not translated to "
            f"NEST; those are {', '.join(_KINDS)}."
        )
    return make(name, cell)


def _params(cell: Cell, names: Mapping[str, str], path: str | None = None) -> dict[str, Any]:
    """Parameters by NEST's names, in its units."""
    own = cell.params[cell.name if path is None else path]
    found = {}
    for ours, theirs in names.items():
        unit = cell.units.get(ours if path is None else f"{path}/{ours}", "")
        found[theirs] = _FACTORS.get(unit, 1.0) * np.asarray(own[ours], float)
    return found


_MEMBRANE = {n: n for n in ("E_L", "V_th", "V_reset", "t_ref", "I_e")}


def _delta(name: str, cell: Cell) -> InNest:
    params = _params(cell, {**_MEMBRANE, "tau": "tau_m", "C": "C_m"})
    params["V_m"] = params["E_L"]
    _only(name, cell, ())
    return InNest("iaf_psc_delta", params, {"in": (0, 1.0)}, {"v": "V_m"})


def _current_based(name: str, cell: Cell) -> InNest:
    params = _params(cell, {**_MEMBRANE, "tau": "tau_m", "C": "C_m"})
    params["V_m"] = params["E_L"]
    shape = _only(name, cell, _CURRENTS)
    taus = [np.asarray(cell.params[r]["tau"], float) for r in cell.receptors]
    if any(tau.ndim for tau in taus):
        raise ValueError(f"nest.Nest: '{name}' has a tau of synapses for each cell; give one.")
    params["tau_syn"] = np.asarray(taus)
    receptors = {r: (i + 1, 1e3) for i, r in enumerate(cell.receptors)}
    return InNest(f"iaf_psc_{shape or 'exp'}_multisynapse", params, receptors, {"v": "V_m"})


def _conductance_based(model: str, names: Mapping[str, str]) -> Callable[[str, Cell], InNest]:
    def kind(name: str, cell: Cell) -> InNest:
        params = _params(cell, {**_MEMBRANE, **names, "g_L": "g_L", "C": "C_m"})
        params["V_m"] = params["E_L"]
        shape = _only(name, cell, _CONDUCTANCES)
        if len(cell.receptors) > 2:
            raise ValueError(f"nest.Nest: '{name}' has more than two kinds of synapses.")
        receptors = {}
        for number, receptor in enumerate(cell.receptors):
            end = ("ex", "in")[number]
            own = _params(cell, {"tau": f"tau_syn_{end}", "erev": f"E_{end}"}, receptor)
            params |= own
            receptors[receptor] = (number, (1e3, -1e3)[number])
        called = f"{model}_cond_{shape or 'exp'}"
        return InNest(called, params, receptors, {"v": "V_m"}, signs=(1, 1))

    return kind


def _hodgkin_huxley(name: str, cell: Cell) -> InNest:
    own = ("g_Na", "g_K", "g_L", "E_Na", "E_K", "E_L", "I_e")
    params = _params(cell, {**{n: n for n in own}, "C": "C_m"})
    if _only(name, cell, _CURRENTS) == "exp" or len(cell.receptors) > 2:
        raise ValueError(
            f"nest.Nest: '{name}' has exponential currents or more than two receptors; NEST's "
            "hh_psc_alpha has two of AlphaCurrent, the first for positive weights, the second for "
            "negative ones."
        )
    for end, receptor in zip(("ex", "in"), cell.receptors, strict=False):
        params |= _params(cell, {"tau": f"tau_syn_{end}"}, receptor)
    states = {"v": "V_m", "m": "Act_m", "h": "Inact_h", "n": "Act_n"}
    params |= {states[name]: value for name, value in _start(cell).items() if name in states}
    receptors = {r: (i, 1e3) for i, r in enumerate(cell.receptors)}
    return InNest("hh_psc_alpha", params, receptors, states, signs=(1, -1))


def _start(cell: Cell) -> dict[str, np.ndarray]:
    """The states that a cell starts in, by name."""
    size = max((np.size(x) for own in cell.params.values() for x in own.values()), default=1)
    steps = CellSteps(cell.plan, size, 0.1, RungeKutta4())
    states = steps.start(cell.params, steps.ready(cell.params)[1], None).states
    found = {name: np.asarray(states[place], float) for name, place in states_of(cell.plan)}
    return {name: value[0] if size == 1 else value for name, value in found.items()}


def _izhikevich(name: str, cell: Cell) -> InNest:
    names = {"a": "a", "b": "b", "c": "c", "d": "d", "V_th": "V_th", "I_e": "I_e"}
    params = _params(cell, names)
    _only(name, cell, ())
    params["V_m"] = np.asarray(cell.params[cell.name]["v0"], float)
    params["U_m"] = params["b"] * params["V_m"]
    return InNest("izhikevich", params, {"in": (0, 1.0)}, {"v": "V_m", "u": "U_m"})


def _only(name: str, cell: Cell, known: Mapping[str, str] | tuple[()]) -> str:
    """The one shape that all synapses have. Raises ValueError for others."""
    kinds = {cell.type_of(r) for r in cell.receptors if cell.type_of(r) != cell.kind}
    wrong = sorted(kinds - set(known))
    if wrong or len(kinds) > 1:
        raise ValueError(
            f"nest.Nest: '{name}' has synapses of {', '.join(sorted(kinds))}; in NEST a "
            f"{cell.kind} has {' or '.join(known) or 'no others'}, one kind at a time."
        )
    return dict(known)[kinds.pop()] if kinds else ""


_KINDS: dict[str, Callable[[str, Cell], InNest]] = {
    "LifDelta": _delta,
    "LifCurrent": _current_based,
    "LifConductance": _conductance_based("iaf", {}),
    "AdEx": _conductance_based(
        "aeif", {"Delta_T": "Delta_T", "V_peak": "V_peak", "a": "a", "b": "b", "tau_w": "tau_w"}
    ),
    "Izhikevich": _izhikevich,
    "HodgkinHuxley": _hodgkin_huxley,
}
