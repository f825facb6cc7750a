"""tvbjax beside The Virtual Brain, model by model: `python -m parity [MODEL ...]` prints the table.

The arrays of TVB are made by `reference/make_models.py`, live with `make parity`. A cell is the
largest difference of any state variable, over its largest value in the simulation.
"""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import tvbjax
from reference import model_cases
from reference.cases import stored
from reference.model_cases import KINDS, ModelCase, Simulation
from tvbjax import coupling, integrators, monitors

SPEED = 3.0


def simulator(simulation: Simulation) -> tuple[tvbjax.Simulator, np.ndarray]:
    """The simulator of a case, and its past."""
    case = simulation.case
    brain = tvbjax.datasets.connectome("tvb76")
    regions = len(brain.labels)
    model = tvbjax.lems.load(case.model)
    names = [
        f"{name}_{mode + 1}" if case.modes > 1 else name
        for name in case.ranges
        for mode in range(case.modes)
    ]
    assert list(model.state_variables) == names, model.state_variables
    values = {name: value * case.units.get(name, 1.0) for name, value in simulation.values.items()}
    for name, value in (values | case.ours).items():
        model = eqx.tree_at(lambda m, n=name: m.params[n], model, jnp.asarray(value, float))
    gains = dict(simulation.network.gains)
    if simulation.network.coupling == "Kuramoto":
        gains["a"] *= regions  # TVB does not divide by the number of regions
    rule = getattr(coupling, simulation.network.coupling)(**gains)
    brain = tvbjax.Connectome(brain.weights, brain.tract_lengths, speed=SPEED)
    built = tvbjax.Simulator(
        model=model,
        connectome=brain,
        coupling=rule if model.inputs else None,
        integrator=integrators.Heun(dt=case.dt),
        monitors=monitors.Raw(variables=model.state_variables),
    )
    rows = int(np.rint(np.asarray(brain.tract_lengths) / SPEED / case.dt).max()) + 1
    past = model_cases.past(case, rows, regions) * units(case)[:, None, None]
    return built, past.transpose(0, 1, 3, 2).reshape(rows, -1, regions)


def units(case: ModelCase) -> np.ndarray:
    """TVB's units of the state variables, over tvbjax's."""
    return np.array([case.units.get(name, 1.0) for name in case.ranges])


def difference(simulation: Simulation, arrays: dict[str, np.ndarray]) -> float:
    """The largest difference from TVB's states, over each variable's largest value."""
    case, kind = simulation.case, simulation.kind.replace(" ", "_")
    built, past = simulator(simulation)
    result = tvbjax.simulate(built, case.duration, initial=past, progress=False)
    ours = np.asarray(result.samples["raw"].values)[simulation.kept - 1]
    ours = ours / np.repeat(units(case), case.modes)[:, None]
    expected = arrays[kind].transpose(0, 1, 3, 2).reshape(ours.shape)
    scale = np.repeat(arrays[f"{kind}_largest"], case.modes)
    scale = np.where(scale > 0, scale, 1.0)
    return float((np.abs(ours - expected).max(axis=(0, 2)) / scale).max())


def row(case: ModelCase) -> list[float]:
    """The differences of a model's simulations, in the order of KINDS."""
    arrays = stored(f"model_{case.model}")
    return [difference(one, arrays) for one in model_cases.simulations(case, 76)]


def main(chosen: list[str]) -> int:
    jax.config.update("jax_enable_x64", True)
    print(f"{'model':28s}" + "".join(f"{kind:>16s}" for kind in KINDS) + "  duration")
    failed = 0
    for case in model_cases.cases():
        if chosen and case.model not in chosen:
            continue
        found = row(case)
        failed += not max(found) <= case.tolerance
        cells = "".join(f"{value:16.1e}" for value in found)
        print(f"{case.model:28s}{cells}  {case.duration:g} ms  {case.reason}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
