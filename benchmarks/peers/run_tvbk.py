"""tvbk: C++ kernels that step eight simulations at once, one in each SIMD lane.

A single simulation uses one lane; the other seven are computed all the same, since the kernels
for a whole step have no narrower form. The ensemble of W3 fills all lanes of 32 batches, which
the library steps in threads. One call takes ten steps and returns their means.

Normals come from the library's bit-counting generator, inside the step. A delay of zero is not
supported and becomes one step. The Jansen-Rit kernel couples by y0 and has no sigmoid in its
coupling, so W2 is less work here and its result is another.
"""
# pyright: reportMissingImports=false

import common
import numpy as np
import tvbk

LANES = 8
STEPS = {"W1": 5_000, "W2": 5_000, "W3": 400, "W5": 5_000, "W6": 500}
MONTBRIO = (1.0, 0.0, 1.0, 15.0, common.ETA, 1.0)  # tau, I, Delta, J, eta, cr
JANSEN_RIT = (3.25, 22.0, 0.1, 0.05, 5.52, 0.0025, 0.56, 135.0, 1.0, 0.8, 0.25, 0.25, 0.22, 0.0)


def main() -> None:
    task = common.read_task("tvbk", "tvbk", STEPS)
    if task.workload == "W4":
        common.unsupported(task, "no derivatives")
        return
    notes = ["all eight lanes used" if task.workload == "W3" else "one of eight lanes used"]
    if task.workload == "W2":
        notes.append("couples by y0, without the sigmoid")
    if task.workload == "W5":
        notes.append("delays of one step, since zero is not supported")
    common.measure(
        task,
        lambda: _run(task),
        lambda means: means[-1].mean(),
        noise="none"
        if task.workload == "W2"
        else "approximate normals by counting bits, drawn twice a step; every lane its own stream",
        dtype="float32",
        note="; ".join(notes),
    )


def _run(task: common.Task) -> np.ndarray:
    """Means of the first state variable, (sample, batch, node, lane)."""
    linked = task.weights != 0
    batches = -(-task.members // LANES)
    history = 1 << int(task.delays.max() + 3).bit_length()
    connections = tvbk.Conn(task.nodes, int(linked.sum()))
    rows, columns = np.nonzero(linked)
    connections.weights[:] = task.weights[linked]
    connections.indices[:] = columns
    connections.indptr[:] = np.searchsorted(rows, np.arange(task.nodes + 1))
    # The kernel reads the newest state at 1, and needs one more for its second stage.
    connections.idelays[:] = np.maximum(task.delays[linked], 1) + 1
    buffer = tvbk.Cx8s(task.nodes, history, batches)

    strengths = np.zeros(batches * LANES)
    strengths[: task.members] = task.strengths
    strengths = strengths.reshape(batches, LANES)
    if task.workload == "W2":
        step, initial, parameters, sigma = tvbk.step_jr, np.zeros(6), JANSEN_RIT, np.zeros(6)
        connections.weights[:] *= common.G_JANSEN_RIT
    else:
        step, initial, parameters = tvbk.step_mpr, common.INITIAL, MONTBRIO
        sigma = np.array(common.SIGMA) * common.DT**0.5
    states = len(initial)
    p = np.zeros((batches, 1, len(parameters), LANES), np.float32)
    p[:] = np.reshape(parameters, (-1, 1))
    if task.workload != "W2":
        p[:, 0, -1] = strengths
    x = np.zeros((batches, states, task.nodes, LANES), np.float32)
    x[:] = np.reshape(initial, (-1, 1, 1))
    y = np.zeros_like(x)
    z = np.zeros((batches, states, LANES), np.float32)
    z[:] = sigma[:, None]
    buffer.buf[:] = initial[0]
    seeds = np.random.default_rng(0).integers(1, 1 << 63, (batches, LANES, 4), dtype=np.uint64)

    means = np.empty((task.steps // common.PERIOD, *y.shape), np.float32)
    for sample in range(len(means)):
        start = sample * common.PERIOD
        step(buffer, connections, x, y, z, p, start, common.PERIOD, common.DT, seeds)
        means[sample] = y
    used = means[:, :, 0].swapaxes(2, 3).reshape(len(means), -1, task.nodes)
    return used[:, : task.members]


if __name__ == "__main__":
    main()
