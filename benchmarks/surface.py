"""Neural fields on TVB's cortex, beside TVB: the same work in turns, several times.

`make bench-surface`. 16,384 vertices of the oscillator, 76 regions with delays, Heun with 0.1 ms,
means over 1 ms; both programs may use all cores. Two kinds of local connectivity: the matrix that
tvb-data ships (neighbours, 98,280 connections), and TVB's default kernel (a Gaussian of 1 mm to 40
mm, 6 million connections, most of them below 1e-9 of the largest, which tvbjax leaves out). Writes
benchmarks/results/surface.md.

    python -m benchmarks.surface [--rounds 5]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import numpy as np
import scipy.io
import scipy.sparse

import tvbjax
from benchmarks.compare import BUILD, HERE, RESULTS, SCRIPTS, machine
from tvbjax import Simulator, coupling, datasets, integrators, monitors, surface
from tvbjax.datasets._package import tvb_data
from tvbjax.equations import Gaussian

STRENGTH, GAIN, MEMBERS = 2.0**-6, 2.0**-8, 8
DT = 0.1  # ms
STEPS = {"neighbours": 2000, "kernel": 500}


def main() -> None:
    parser = argparse.ArgumentParser(description="Surface simulations beside TVB.")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    tvbjax.tune_cpu()
    BUILD.mkdir(parents=True, exist_ok=True)
    here = machine()
    lines = [
        "# Surface simulations",
        "",
        f"{here['processor']}, {here['cores']} cores, float32. ms a step, median (range) of "
        f"{options.rounds} runs in turns, after one that is not counted. *Sweep*: 8 members, ms a "
        "step of one member.",
        "",
        "| local connectivity | TVB | tvbjax | ratio | sweep | ratio | largest difference |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, (matrix, local) in connectivities().items():
        lines.append(case(name, matrix, local, options.rounds))
        print(lines[-1], flush=True)
    (RESULTS / "surface.md").write_text("\n".join(lines) + "\n")


def connectivities():
    """For TVB as a matrix, for tvbjax as it is built."""
    ours, distances = neighbourhoods()
    every = surface.local_kernel(distances, Gaussian(sigma=1.0), negligible=0.0).matrix()
    # With what is too small for float32, as TVB keeps it.
    zeros = scipy.sparse.csr_array(
        (np.full(len(distances.data), 1e-300), distances.indices, distances.indptr)
    )
    return {
        "neighbours": (shipped_matrix(), ours["neighbours"]),
        "kernel": (scipy.sparse.csr_array(every + zeros), ours["kernel"]),
    }


def neighbourhoods():
    """Both local connectivities, and the distances to 40 mm."""
    distances = surface.edge_distances(datasets.surface(), 40.0)
    local = {
        "neighbours": surface.local_connectivity(shipped_matrix()),
        "kernel": surface.local_kernel(distances, Gaussian(sigma=1.0)),
    }
    return local, distances


def shipped_matrix() -> scipy.sparse.csr_matrix:
    """The weights of neighbours that tvb-data has."""
    shipped = tvb_data() / "local_connectivity" / "local_connectivity_16384.mat"
    return scipy.io.loadmat(shipped)["LocalCoupling"].tocsr()


def case(name: str, matrix, local, rounds: int) -> str:
    simulator = simulator_of(local)
    state = start_of(simulator)
    task, states = BUILD / f"surface_{name}.npz", BUILD / f"surface_{name}.npy"
    parts = dict(data=matrix.data, indices=matrix.indices, indptr=matrix.indptr)
    steps = STEPS[name]
    np.savez(task, **parts, state=state, strength=STRENGTH, gain=GAIN, steps=steps)
    python = HERE.parent / ".venv-parity" / "bin" / "python"  # with tvb-data
    command = [str(python), str(SCRIPTS / "run_tvb_surface.py"), str(task), str(states)]

    def alone():
        return tvbjax.simulate(simulator, DT * steps, initial=state, progress=False)

    def swept():
        return sweep_of(simulator, MEMBERS, steps, state)

    ours = np.asarray(alone().samples["temporal_average"].values[:, 0])
    swept()
    theirs, single, many = [], [], []
    for _ in range(rounds):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        theirs.append(1e3 * json.loads(done.stdout.splitlines()[-1])["seconds"] / steps)
        single.append(1e3 * timed(alone) / steps)
        many.append(1e3 * timed(swept) / steps / MEMBERS)
    difference = np.abs(ours - np.load(states)).max()
    ratios = [statistics.median(theirs) / statistics.median(part) for part in (single, many)]
    return (
        f"| {name} | {told(theirs)} | {told(single)} | {ratios[0]:.1f} | {told(many)} | "
        f"{ratios[1]:.1f} | {difference:.1e} |"
    )


def simulator_of(local) -> Simulator:
    """The oscillator on the cortex, with the regions' tracts."""
    connectome = datasets.connectome("tvb76")
    return Simulator(
        tvbjax.lems.load("Generic2dOscillator"),
        connectome,
        coupling.Linear(a=GAIN),
        integrators.Heun(dt=DT),
        monitors=monitors.TemporalAverage(1.0),
        cortex=surface.Cortex(
            datasets.surface(),
            datasets.region_mapping("tvb76"),
            connectome.regions,
            local,
            coupling.Linear(a=STRENGTH),
        ),
    )


def start_of(simulator: Simulator) -> np.ndarray:
    """The oscillator's states at time 0."""
    return np.random.default_rng(0).uniform(-1.0, 1.0, (2, simulator.nodes))


def sweep_of(simulator: Simulator, members: int, steps: int, state: np.ndarray):
    """Members with different strengths of the local connections."""
    free = tvbjax.Free(lambda s: s.cortex.coupling.a)
    space = {free: np.linspace(0.5, 1.0, members) * STRENGTH}
    return tvbjax.sweep(simulator, space, DT * steps, initial=state, progress=False)


def timed(run) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def told(times: list[float]) -> str:
    return f"{statistics.median(times):.3g} ({min(times):.3g} to {max(times):.3g})"


if __name__ == "__main__":
    sys.exit(main())
