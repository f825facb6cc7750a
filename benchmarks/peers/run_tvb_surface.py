# pyright: reportMissingImports=false
"""TVB's surface simulation: `python run_tvb_surface.py TASK.npz STATES.npy`, timed.

The task holds the local connectivity as a sparse matrix, the state and the number of steps; the
rest is tvb-data's cortex and connectome. Prints seconds of the run, after one that is not counted.
"""

import json
import logging
import sys
import time

import numpy as np
import scipy.sparse
from tvb.datatypes.connectivity import Connectivity
from tvb.datatypes.cortex import Cortex
from tvb.simulator import coupling, integrators, models, monitors, simulator


def main(task_file: str, states_file: str) -> None:
    logging.disable(logging.ERROR)
    task = np.load(task_file)
    parts = (task["data"], task["indices"], task["indptr"])
    network = Connectivity.from_file("connectivity_76.zip")
    network.speed = np.array([3.0])
    network.configure()
    sheet = Cortex.from_file(local_connectivity_file="local_connectivity_16384.mat")
    sheet.local_connectivity.matrix = scipy.sparse.csr_matrix(parts)
    sheet.region_mapping_data.connectivity = network
    sheet.coupling_strength = np.array([float(task["strength"])])
    horizon = int(np.rint(network.delays / 0.1).max()) + 1
    past = np.broadcast_to(task["state"][None, :, :, None], (horizon, *task["state"].shape, 1))
    seconds = []
    for _ in range(2):
        sim = simulator.Simulator(
            model=models.Generic2dOscillator(),
            connectivity=network,
            coupling=coupling.Linear(a=np.array([float(task["gain"])]), b=np.array([0.0])),
            integrator=integrators.HeunDeterministic(dt=0.1),
            surface=sheet,
            monitors=[monitors.TemporalAverage(period=1.0)],
            initial_conditions=past.copy(),
        ).configure()
        sim.current_step = 0
        sim.history.buffer = np.roll(sim.history.buffer, 1, axis=0)
        begun = time.perf_counter()
        samples = [found[0][1] for found in sim(n_steps=int(task["steps"])) if found[0] is not None]
        seconds.append(time.perf_counter() - begun)
    np.save(states_file, np.array(samples)[:, 0, :, 0])
    print(json.dumps({"seconds": seconds[-1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
