"""vbjax: make_sdde() for delays and make_sde() without, compiled by the caller's jax.jit.

The history holds the whole run. delay_apply() gathers it densely, for r and V, which measured
faster than a gather of r alone. unroll is 1, which is faster on a CPU than 10. Heun evaluates the
coupling twice a step. mpr_r_positive keeps r positive. The library wants its normals in the
history before the run: they are drawn in the timed part. A delay of zero becomes one step, as
make_sdde() advises, since its corrector would read normals there.

The library has no ensemble: W3 is jax.pmap over the cores and jax.lax.map over the members of
each, with --vmap of them vectorised, 8 having been the fastest of 1 to 128. Jansen-Rit's
sigmoid of the delayed state is written out, since delay_apply() has no such function.
"""
# pyright: reportMissingImports=false

import contextlib
import io
import os

import common
import numpy as np

STEPS = {"W1": 2_000, "W2": 500, "W3": 100, "W4": 2_000, "W5": 20_000, "W6": 100}


def main() -> None:
    task = common.read_task("vbjax", "vbjax", STEPS, _add_options)
    devices = task.cores if task.workload == "W3" else 1
    os.environ["XLA_FLAGS"] = (
        os.environ.get("XLA_FLAGS", "") + f" --xla_force_host_platform_device_count={devices}"
    )
    with contextlib.redirect_stdout(io.StringIO()):  # it greets
        import vbjax  # noqa: F401
    {"W3": _ensemble, "W4": _gradient}.get(task.workload, _single)(task)


def _add_options(parser) -> None:
    parser.add_argument("--vmap", type=int, default=8, help="members vectorised on one device")


def _helper(task: common.Task):
    """The library's delay tables: its weights have rows for sources; 0.5 makes its floor safe."""
    import jax.numpy as jnp
    import vbjax

    weights = jnp.asarray(task.weights, jnp.float32)
    lags = np.maximum(task.delays, 1) + 0.5
    return vbjax.make_delay_helper(weights.T, lags, dt=1.0, v_c=1.0)


def _montbrio(task: common.Task):
    """A function of (G, eta, key) for the trajectory of r and V; no noise without a key."""
    import jax
    import jax.numpy as jnp
    import vbjax

    weights = jnp.asarray(task.weights, jnp.float32)
    initial = jnp.tile(jnp.array(common.INITIAL, jnp.float32)[:, None], (1, task.nodes))
    sigma = 0.0 if task.workload == "W4" else jnp.array(common.SIGMA, jnp.float32)[:, None]
    helper = _helper(task)
    past = int(helper.max_lag)

    def node(x, coupling, eta):
        return vbjax.mpr_dfun(x, coupling, vbjax.mpr_default_theta._replace(eta=eta))

    def instant(x, p):
        strength, eta = p
        return node(x, (strength * (weights @ x[0]), 0.0), eta)

    def delayed(history, x, t, p):
        strength, eta = p
        return node(x, strength * vbjax.delay_apply(helper, t, history), eta)

    bound = vbjax.mpr_r_positive
    if task.workload == "W5":
        _, loop = vbjax.make_sde(common.DT, instant, lambda x, p: sigma, bound, unroll=1)
    else:
        _, loop = vbjax.make_sdde(
            common.DT, past, delayed, lambda x, p: sigma, unroll=1, adhoc=bound
        )

    def run(strength, eta, key):
        shape = task.steps, 2, task.nodes
        normals = jnp.zeros(shape) if key is None else jax.random.normal(key, shape)
        if task.workload == "W5":
            return loop(initial, normals, (strength, eta))
        history = jnp.concatenate([jnp.tile(initial, (past + 1, 1, 1)), normals])
        return loop(history, (strength, eta))[1]

    return run


def _jansen_rit(task: common.Task):
    """A function of G for the trajectory of all six variables."""
    import jax.numpy as jnp
    import vbjax

    weights = jnp.asarray(task.weights, jnp.float32)
    helper = _helper(task)
    past = int(helper.max_lag)

    def dfun(history, x, t, strength):
        past_y1 = history[t - helper.lags, 1, helper.ix_lag_from]
        past_y2 = history[t - helper.lags, 2, helper.ix_lag_from]
        rate = 0.005 / (1 + jnp.exp(0.56 * (6.0 - (past_y1 - past_y2))))
        coupling = strength * (weights * rate).sum(1)
        return vbjax.jr_dfun(x, coupling, vbjax.jr_default_theta)

    _, loop = vbjax.make_dde(common.DT, past, dfun, unroll=1)
    history = jnp.zeros((past + 1 + task.steps, 6, task.nodes), jnp.float32)
    return lambda strength: loop(history, strength)[1]


def _single(task: common.Task) -> None:
    import jax
    import jax.numpy as jnp

    strength = jnp.float32(task.strengths[0])
    if task.workload == "W2":
        simulate = _jansen_rit(task)
        arguments = (strength,)
    else:
        simulate = _montbrio(task)
        arguments = strength, jnp.float32(common.ETA), jax.random.key(0)
    run = jax.jit(lambda *arguments: common.average(simulate(*arguments)))
    kind = "make_sde, dense W @ r" if task.workload == "W5" else "make_sdde, dense delayed gather"
    common.measure(
        task,
        lambda: jax.block_until_ready(run(*arguments)),
        lambda means: means[-1, 0].mean(),
        noise="none"
        if task.workload == "W2"
        else "one stream; drawn in the timed part, whole run in one jax.random call",
        dtype="float32",
        note=kind,
    )


def _ensemble(task: common.Task) -> None:
    import jax
    import jax.numpy as jnp

    simulate = _montbrio(task)
    keys = jax.random.split(jax.random.key(0), task.members)
    members = jnp.asarray(task.strengths, jnp.float32), keys
    members = jax.tree.map(lambda x: x.reshape(task.cores, -1, *x.shape[1:]), members)

    def member(arguments):
        strength, key = arguments
        return common.average(simulate(strength, jnp.float32(common.ETA), key))

    batch = task.options.vmap if task.options.vmap > 1 else None
    run = jax.pmap(lambda members: jax.lax.map(member, members, batch_size=batch))
    common.measure(
        task,
        lambda: jax.block_until_ready(run(members)),
        lambda means: means[:, :, -1, 0].mean(),
        noise="every member its own key; drawn in the timed part, one jax.random call a member",
        dtype="float32",
        note=f"make_sdde, dense delayed gather; jax.pmap over {task.cores} devices, jax.lax.map "
        f"with batch_size {batch}",
    )


def _gradient(task: common.Task) -> None:
    import jax.numpy as jnp

    simulate = _montbrio(task)
    parameters = jnp.float32(common.G), jnp.full(task.nodes, common.ETA, jnp.float32)
    common.measure_gradient(
        task,
        lambda p: (simulate(p[0], p[1], None)[:, 0] ** 2).mean(),
        parameters,
        note="make_sdde, dense delayed gather; no checkpointing",
    )


if __name__ == "__main__":
    main()
