# pyright: reportMissingImports=false
"""The loss of `whole_brain_tvb` by tvb-library: `python _tvb_resting.py NETWORK VALUES RESULT`.

A script of its own, run by another Python: it needs NumPy and tvb-library, not tvbjax.
"""

import json
import sys

import numpy as np
from tvb.datatypes.connectivity import Connectivity
from tvb.simulator import coupling, integrators, models, monitors, simulator


def activity(network: dict, values: dict) -> np.ndarray:
    """V of every region every ms, (time, region)."""
    dt, regions = float(network["dt"]), len(network["weights"])
    wired = Connectivity(
        weights=network["weights"],
        tract_lengths=network["tract_lengths"],
        region_labels=np.array([str(i) for i in range(regions)]),
        centres=np.zeros((regions, 3)),
        speed=np.array([float(network["speed"])]),
    )
    wired.configure()
    rows = int(np.rint(wired.delays / dt).max()) + 1
    # The state before t = 0 is that at t = 0.
    past = np.broadcast_to(network["initial"][None, :, :, None], (rows, 2, regions, 1)).copy()
    brain = simulator.Simulator(
        model=models.Generic2dOscillator(
            a=np.array([values["a"]]), variables_of_interest=("V", "W")
        ),
        connectivity=wired,
        coupling=coupling.Linear(a=np.array([values["coupling"]]), b=np.array([0.0])),
        integrator=integrators.HeunDeterministic(dt=dt),
        monitors=[monitors.Raw()],
        initial_conditions=past,
    ).configure()
    steps = int(round(float(network["duration"]) / dt))
    states = [sample[0][1][0, :, 0].copy() for sample in brain(n_steps=steps)]
    each = int(round(1.0 / dt))
    return np.array(states)[each - 1 :: each]


def main(network_path: str, values_path: str, result_path: str) -> None:
    with np.load(network_path) as arrays:
        network = dict(arrays)
    with open(values_path, encoding="utf-8") as file:
        values = json.load(file)
    signals = activity(network, values)[int(network["skip"]) :]
    found = np.corrcoef(signals.T)
    upper = np.triu_indices(len(found), k=1)
    loss = 1.0 - np.corrcoef(found[upper], network["target"][upper])[0, 1]
    with open(result_path, "w", encoding="utf-8") as file:
        json.dump({"loss": float(loss), "more": {"connectivity": found[upper].tolist()}}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
