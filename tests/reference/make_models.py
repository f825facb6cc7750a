# pyright: reportMissingImports=false
"""Run every model of model_table.py with The Virtual Brain: `python make_models.py FOLDER [MODEL]`.

Needs tvb-library and tvb-data (requirements.txt), not tvbjax. TVB runs with a delay buffer in
float64, and, where that makes a difference, once more as it is.
"""

import logging
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from tvb.datatypes.connectivity import Connectivity
from tvb.simulator import coupling, integrators, models, monitors, simulator

from reference import model_cases
from reference.exact_zerlaut import ExactZerlautAdaptationSecondOrder
from reference.make_tvb import float64_history, store
from reference.model_cases import ModelCase, Simulation

SPEED = 3.0
INSTEAD = {"ZerlautAdaptationSecondOrder": ExactZerlautAdaptationSecondOrder}


def attribute(model: type, name: str, value: np.ndarray | float) -> np.ndarray:
    """A value in the type that TVB's attribute of this name has."""
    default = getattr(model, name).default
    return np.atleast_1d(value).astype(default.dtype if default is not None else float)


def configured(simulation: Simulation) -> simulator.Simulator:
    """TVB's simulator at t = 0: its clock is put back from the end of the past."""
    case = simulation.case
    network = Connectivity.from_file("connectivity_76.zip")
    network.speed = np.array([SPEED])
    kind = INSTEAD.get(case.model) or getattr(models, case.model)
    model = kind(**{n: attribute(kind, n, v) for n, v in simulation.values.items()})
    rule = getattr(coupling, simulation.network.coupling)
    rows = int(np.rint(network.tract_lengths / SPEED / case.dt).max()) + 1
    sim = simulator.Simulator(
        model=model,
        connectivity=network,
        coupling=rule(**{n: attribute(rule, n, v) for n, v in simulation.network.gains.items()}),
        integrator=integrators.HeunDeterministic(dt=case.dt),
        monitors=[monitors.Raw()],
        initial_conditions=model_cases.past(case, rows, len(network.weights)),
    ).configure()
    assert tuple(case.ranges) == tuple(model.state_variables)
    assert sim.current_step == len(sim.initial_conditions) - 1 == sim.history.n_time - 1
    sim.history.buffer = np.roll(sim.history.buffer, 1, axis=0)
    sim.current_step = 0
    sim.model.observe = lambda state: state  # some of SlowMod's are no variables of interest
    return sim


def trajectory(simulation: Simulation) -> np.ndarray:
    """States after t = 0, (step, state variable, region, mode)."""
    sim = configured(simulation)
    return np.array([samples[0][1].copy() for samples in sim(n_steps=simulation.steps)])


def make(case: ModelCase, folder: Path) -> None:
    regions = 76
    arrays = {}
    for simulation in model_cases.simulations(case, regions):
        with float64_history():
            double = trajectory(simulation)
        if not np.isfinite(double).all():
            sys.exit(f"{simulation.name}: TVB's states are not finite; choose other ranges.")
        kind = simulation.kind.replace(" ", "_")
        arrays[kind] = double[simulation.kept - 1]
        largest = np.abs(double).max(axis=(0, 2, 3))
        arrays[f"{kind}_largest"] = largest
        moved = np.abs(double[-1] - double[0]).max(axis=(1, 2))
        print(f"{simulation.name:45s} largest {largest.max():9.3g}  moved {moved.min():9.3g}")
    for kind in ("coupled", "other_coupling", "regional"):
        if np.array_equal(arrays[kind], arrays["alone" if kind != "regional" else "coupled"]):
            sys.exit(f"{case.model}: '{kind}' makes no difference.")
    store(folder / f"model_{case.model}.npz", **arrays)


def main(folder: Path, chosen: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.ERROR)
    for case in model_cases.cases():
        if not chosen or case.model in chosen:
            make(case, folder)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python make_models.py FOLDER [MODEL ...]")
    main(Path(sys.argv[1]), sys.argv[2:])
