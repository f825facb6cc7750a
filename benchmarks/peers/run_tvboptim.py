"""TVB-Optim, with its default strategy or with the fastest one found (--strategy).

default: dense delay graph, "roll" history buffer, TemporalAverage monitor, ensembles by
ParallelExecution with its default n_vmap of 1.
best: sparse delay graph; "preallocated" history buffer, or "circular" for the ensemble and the
gradient, where it measured faster (--buffer chooses); means by a reshape of the trajectory;
ensembles by ParallelExecution with n_vmap 16. Streaming the noise by block_size (--block) measured
no faster, and is off.
Both give ParallelExecution one pmap device for each core.

r is bounded below by BoundedSolver. Heun evaluates the coupling once per step. The library's own
noise source draws the whole run's normals by one jax.random call inside the compiled function, so
drawing is part of the time.
"""
# pyright: reportMissingImports=false

import copy
import os

import common

STEPS = {"W1": 20_000, "W2": 10_000, "W3": 1_000, "W4": 2_000, "W5": 20_000, "W6": 1_000}


def main() -> None:
    task = common.read_task("tvboptim", "tvboptim", STEPS, _add_options)
    options = task.options
    best = options.strategy == "best"
    measured = "circular" if task.workload in ("W3", "W4") else "preallocated"
    options.buffer = options.buffer or (measured if best else "roll")
    options.vmap = options.vmap or (16 if best else 1)
    if task.workload == "W3":
        os.environ["XLA_FLAGS"] = (
            os.environ.get("XLA_FLAGS", "")
            + f" --xla_force_host_platform_device_count={task.cores}"
        )
    {"W3": _ensemble, "W4": _gradient}.get(task.workload, _single)(task)


def _add_options(parser) -> None:
    parser.add_argument("--strategy", choices=("best", "default"), default="best")
    parser.add_argument("--buffer", choices=("roll", "circular", "preallocated"))
    parser.add_argument("--block", type=int, help="block_size of the solver: streams the noise")
    parser.add_argument("--vmap", type=int, help="members vectorised on one device")


def _prepare(task: common.Task):
    """The library's compiled-to-be simulation and its configuration."""
    import jax.numpy as jnp
    from tvboptim.experimental import network_dynamics as nd
    from tvboptim.experimental.network_dynamics import coupling, dynamics, noise, solvers

    options = task.options
    best = options.strategy == "best"
    weights = jnp.asarray(task.weights, jnp.float32)
    delays = jnp.asarray(task.delays * common.DT, jnp.float32)
    strength = {"G": jnp.asarray(task.strengths[0], jnp.float32)}
    if task.workload == "W5":
        graph = nd.DenseGraph(weights)
    else:
        graph = nd.DenseDelayGraph(weights, delays)
        if best:
            graph = nd.SparseDelayGraph.from_dense(graph)
        strength["buffer_strategy"] = options.buffer
    solver = solvers.Heun(block_size=options.block)
    process = None
    if task.workload == "W2":
        model = dynamics.tvb.JansenRit(INITIAL_STATE=(0.0,) * 6)
        link = coupling.DelayedSigmoidalJansenRit(incoming_states=("y1", "y2"), **strength)
    else:
        model = dynamics.tvb.MontbrioPazoRoxin(INITIAL_STATE=common.INITIAL, eta=common.ETA)
        kind = coupling.LinearCoupling if task.workload == "W5" else coupling.DelayedLinearCoupling
        link = kind(incoming_states="r", **strength)
        solver = solvers.BoundedSolver(solver, low=jnp.array([0.0, -jnp.inf]))
        if task.workload != "W4":
            process = noise.AdditiveNoise(sigma=jnp.array(common.SIGMA)[:, None])
    links = {"instant" if task.workload == "W5" else "delayed": link}
    network = nd.Network(model, links, graph, noise=process)
    return nd.prepare(network, solver, t0=0.0, t1=task.steps * common.DT, dt=common.DT)


def _averager(task: common.Task):
    """What makes means of every 1 ms of a solution."""
    from tvboptim.observations.tvb_monitors import TemporalAverage

    if task.options.strategy == "default":
        monitor = TemporalAverage(period=common.PERIOD * common.DT)
        return lambda solution: monitor(solution).ys
    return lambda solution: common.average(solution.ys)


def _single(task: common.Task) -> None:
    import jax

    solve, config = _prepare(task)
    means = _averager(task)
    run = jax.jit(lambda config: means(solve(config)))
    common.measure(
        task,
        lambda: jax.block_until_ready(run(config)),
        lambda ys: ys[-1, 0].mean(),
        noise="none" if task.workload == "W2" else _noise(task, "one stream"),
        dtype="float32",
        note=_note(task),
    )


def _ensemble(task: common.Task) -> None:
    import jax
    import jax.numpy as jnp
    from tvboptim.execution import ParallelExecution
    from tvboptim.types.spaces import DataAxis, Space

    solve, config = _prepare(task)
    means = _averager(task)
    state = copy.deepcopy(config)
    state.coupling.delayed.G = DataAxis(jnp.asarray(task.strengths, jnp.float32))
    state.member = DataAxis(jnp.arange(task.members))

    def model(state):
        state.noise.key = jax.random.fold_in(state.noise.key, state.member)
        return means(solve(state))

    space = Space(state, mode="zip")
    execution = ParallelExecution(model, space, n_vmap=task.options.vmap, n_pmap=task.cores)
    common.measure(
        task,
        lambda: execution.run().results,
        lambda ys: ys[..., -1, 0, :].mean(),
        noise=_noise(task, "every member its own key"),
        dtype="float32",
        note=f"{_note(task)}; ParallelExecution(n_pmap={task.cores}, n_vmap={task.options.vmap})",
    )


def _gradient(task: common.Task) -> None:
    import jax.numpy as jnp

    solve, config = _prepare(task)

    def loss(parameters):
        state = copy.deepcopy(config)
        state.coupling.delayed.G, state.dynamics.eta = parameters
        return (solve(state).ys[:, 0] ** 2).mean()

    parameters = jnp.float32(common.G), jnp.full(task.nodes, common.ETA, jnp.float32)
    checkpointing = "" if task.options.block else "; no checkpointing"
    common.measure_gradient(task, loss, parameters, note=_note(task) + checkpointing)


def _noise(task: common.Task, streams: str) -> str:
    how = "block by block in the loop" if task.options.block else "whole run in one jax.random call"
    return f"{streams}; drawn in the timed part, {how}"


def _note(task: common.Task) -> str:
    if task.workload == "W5":
        kind = "DenseGraph"
    else:
        graph = "SparseDelayGraph" if task.options.strategy == "best" else "DenseDelayGraph"
        kind = f"{graph}, {task.options.buffer} buffer"
    block = f", block_size {task.options.block}" if task.options.block else ""
    return f"{kind}{block}, Heun with coupling once per step"


if __name__ == "__main__":
    main()
