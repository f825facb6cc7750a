"""neurolib: its FitzHugh-Nagumo model, since it has no Montbrio-Pazo-Roxin and no Jansen-Rit.

So this is other work: two variables, Euler instead of Heun, coloured instead of white noise,
float64, and a dense loop over sources compiled by numba. Coupling is additive; diagonal weights
are dropped. NumPy draws the noise at the start of the run, in the timed part. Means are a reshape
of the trajectory, which the library keeps. The ensemble of W3 is one process a core; every member
has its own seed.
"""
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import logging
import multiprocessing
from typing import Any

import common
import numpy as np
from neurolib.models.fhn import FHNModel

STEPS = {"W1": 5_000, "W3": 200, "W5": 5_000, "W6": 200}


def main() -> None:
    logging.disable(logging.WARNING)
    task = common.read_task("neurolib", "neurolib", STEPS)
    facts: dict[str, Any] = {
        "noise": "coloured; NumPy normals, in the timed part, a stream for every simulation",
        "dtype": "float64",
        "note": "FitzHugh-Nagumo by Euler, not the model and scheme of the workload",
    }
    if task.workload in ("W2", "W4"):
        reason = "no Jansen-Rit" if task.workload == "W2" else "no derivative of this kind"
        common.unsupported(task, reason)
    elif task.workload == "W3":
        facts["note"] += f"; multiprocessing, {task.cores} processes"
        share = -(-task.members // (4 * task.cores))
        with multiprocessing.Pool(task.cores, _start, (task,)) as pool:
            members = range(task.members)
            common.measure(task, lambda: np.array(pool.map(_member, members, share)), _end, **facts)
    else:
        simulate = _simulation(task)
        strength = task.strengths[0]
        common.measure(task, lambda: simulate(strength, 0), _end, **facts)


def _end(means: np.ndarray) -> float:
    """Mean of the first variable in the last sample of (..., sample, variable, node)."""
    return means[..., -1, 0, :].mean()


def _simulation(task: common.Task):
    """A function of the coupling strength and a seed for the means."""
    lengths = task.delays * common.DT * common.SPEED
    model = FHNModel(Cmat=task.weights, Dmat=lengths, seed=0)
    model.params.update(
        dt=common.DT,
        duration=task.steps * common.DT,
        signalV=common.SPEED,
        coupling="additive",
        sigma_ou=common.SIGMA[0],
    )

    def simulate(strength: float, seed: int) -> np.ndarray:
        model.params.update(K_gl=strength, seed=seed)
        model.run()
        return common.average(np.stack([model.x, model.y]).transpose(2, 0, 1))

    return simulate


def _start(task: common.Task) -> None:
    """Give a process its simulation."""
    global simulate, strengths
    logging.disable(logging.WARNING)
    simulate = _simulation(task)
    strengths = task.strengths


def _member(index: int) -> np.ndarray:
    return simulate(strengths[index], index)


if __name__ == "__main__":
    main()
