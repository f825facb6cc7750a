"""The Virtual Brain's own tvb-library, by its simulator or by its numba backend (--backend).

numpy: Simulator.run() with a TemporalAverage monitor, for any model.
numba: NbMPRBackend, for Montbrio-Pazo-Roxin alone, in its compatibility mode, which evaluates the
coupling once a step as the simulator does; with a Raw monitor and means by a reshape, since its
chunked TemporalAverage draws one chunk of noise too many. The library renders and compiles its
kernel anew in every run; here it is kept, so that the time is that of running.
Unless said, Jansen-Rit and 998 regions run with numpy and all else with numba, as is faster.

Normals come from NumPy's generator in the timed part. The ensemble of W3 is one process a core,
as the library has no other way; every member has its own seed.
"""
# pyright: reportMissingImports=false

import logging
import multiprocessing
from typing import Any

import common
import numpy as np
from tvb.datatypes.connectivity import Connectivity
from tvb.simulator import coupling, integrators, models, monitors, noise, simulator
from tvb.simulator.backend.nb_mpr import NbMPRBackend

STEPS = {
    "numpy": {"W1": 2_000, "W2": 2_000, "W3": 20, "W5": 2_000, "W6": 200},
    "numba": {"W1": 10_000, "W3": 200, "W5": 10_000, "W6": 200},
}


class Backend(NbMPRBackend):
    """The library's backend, keeping what it compiled."""

    compiled = None

    def build_py_func(self, *arguments, **options):
        if self.compiled is None:
            self.compiled = super().build_py_func(*arguments, **options)
        return self.compiled


def main() -> None:
    logging.disable(logging.WARNING)
    task = common.read_task("tvb-library", "tvb-library", {}, _add_options)
    backend = task.options.backend or ("numpy" if task.workload in ("W2", "W6") else "numba")
    task.steps = task.options.steps or STEPS[backend].get(task.workload, 100)
    facts: dict[str, Any] = {
        "noise": "none" if task.workload == "W2" else "NumPy normals, in the timed part",
        "dtype": "float64",
        "note": "Simulator.run" if backend == "numpy" else "NbMPRBackend, without its compile time",
    }
    if task.workload == "W4":
        common.unsupported(task, "no derivatives")
    elif backend == "numba" and task.workload == "W2":
        common.unsupported(task, "the numba backend has Montbrio-Pazo-Roxin alone")
    elif task.workload == "W3":
        facts["noise"] += ", every member its own seed"
        facts["note"] += f"; multiprocessing, {task.cores} processes"
        share = -(-task.members // (4 * task.cores))
        with multiprocessing.Pool(task.cores, _start, (task, backend)) as pool:
            members = range(task.members)
            common.measure(task, lambda: np.array(pool.map(_member, members, share)), _end, **facts)
    else:
        simulate = _simulation(task, backend)
        strength = task.strengths[0]
        common.measure(task, lambda: simulate(strength, 0), _end, **facts)


def _add_options(parser) -> None:
    parser.add_argument("--backend", choices=("numpy", "numba"))


def _end(means: np.ndarray) -> float:
    """Mean of the first variable in the last sample of (..., sample, variable, node)."""
    return means[..., -1, 0, :].mean()


def _simulation(task: common.Task, backend: str):
    """A function of G and a seed for the means."""
    kept = Backend()

    def simulate(strength: float, seed: int) -> np.ndarray:
        configured = _simulator(task, backend, strength, seed)
        if backend == "numpy":
            ((_, means),) = configured.run()
            return means[..., 0]
        # The kernel has G as a constant, so G is a factor of the weights that it is given.
        configured.connectivity.weights = strength * task.weights
        ((_, trace),) = kept.run_sim(configured, task.steps, compatibility_mode=True)
        return common.average(trace[..., 0])

    return simulate


def _simulator(task: common.Task, backend: str, strength: float, seed: int):
    """A configured simulator; for numba its coupling has factor one."""
    if task.workload == "W2":
        names = ("y0", "y1", "y2", "y3", "y4", "y5")
        model = models.JansenRit(variables_of_interest=names)
        initial = np.zeros(6)
        link = coupling.SigmoidalJansenRit(a=np.array([strength]))
        integrator = integrators.HeunDeterministic(dt=common.DT)
    else:
        model = models.MontbrioPazoRoxin(eta=np.array([common.ETA]))
        initial = np.array(common.INITIAL)
        link = coupling.Linear(a=np.array([1.0 if backend == "numba" else strength]))
        additive = noise.Additive(nsig=np.array(common.SIGMA) ** 2 / 2, noise_seed=seed)
        integrator = integrators.HeunStochastic(dt=common.DT, noise=additive)
    period = common.PERIOD * common.DT
    monitor = monitors.Raw() if backend == "numba" else monitors.TemporalAverage(period=period)
    nodes = task.nodes
    network = Connectivity(
        weights=task.weights,
        tract_lengths=task.delays * common.DT * common.SPEED,
        speed=np.array([common.SPEED]),
        region_labels=np.array([str(node) for node in range(nodes)]),
        centres=np.zeros((nodes, 3)),
    )
    past = int(task.delays.max()) + 1
    return simulator.Simulator(
        model=model,
        connectivity=network,
        coupling=link,
        integrator=integrator,
        monitors=(monitor,),
        initial_conditions=np.tile(initial[None, :, None, None], (past, 1, nodes, 1)),
        simulation_length=task.steps * common.DT,
    ).configure()


def _start(task: common.Task, backend: str) -> None:
    """Give a process its simulation."""
    global simulate, strengths
    logging.disable(logging.WARNING)
    simulate = _simulation(task, backend)
    strengths = task.strengths


def _member(index: int) -> np.ndarray:
    return simulate(strengths[index], index)


if __name__ == "__main__":
    main()
