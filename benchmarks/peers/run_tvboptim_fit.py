"""The fit with TVB-Optim, by the fastest of its ways that was found.

The functional connectivity, the connectome and the work are TVB-Optim's own; they are written to
--network, so that others do the same. Nearly all pairs of regions are connected, so the dense graph
is faster than the sparse one. --graph, --buffer, --block and --stream choose others: --block
recomputes by blocks of so many steps, and draws the noise by blocks; with --stream too, BOLD is
formed block by block, without the whole trajectory.

In double precision, as the tutorial asks: with --no-x64 the losses are right, but slopes jump from
2 to -189 where losses change by 0.9 per unit, and Adam goes astray.
"""
# pyright: reportMissingImports=false

import argparse

import fit
import numpy as np


def main() -> None:
    options = fit.read_options("TVB-Optim", _add_options, x64=True)
    import jax

    jax.config.update("jax_enable_x64", options.x64)
    weights, lengths, measured = _write_network(options)
    if options.trajectory:
        solve, config = _prepare(options, weights, lengths, noisy=False)
        fit.save_trajectory(options.trajectory, jax.jit(solve)(config).ys[:, 0])
        return
    loss = _loss(options, weights, lengths, measured)
    fit.report("tvboptim", "tvboptim", options, loss, jax.value_and_grad(loss), _note(options))


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--graph", choices=("dense", "sparse"), default="dense")
    parser.add_argument(
        "--buffer", choices=("roll", "circular", "preallocated"), default="circular"
    )
    parser.add_argument("--block", type=int)
    parser.add_argument("--stream", action="store_true")


def _write_network(options: argparse.Namespace):
    """Weights (row = target), lengths in mm and the measured connectivity, in double precision."""
    from tvboptim.data import load_functional_connectivity, load_structural_connectivity

    weights, lengths, labels = load_structural_connectivity("dk_average")
    weights, lengths = np.asarray(weights, np.float64), np.asarray(lengths, np.float64)
    weights = np.sqrt(weights / weights.max())
    measured = np.asarray(load_functional_connectivity("dk_average"), np.float64)
    options.network.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        options.network, weights=weights, lengths=lengths, fc=measured, labels=np.array(labels)
    )
    return weights, lengths, measured


def _prepare(options: argparse.Namespace, weights, lengths, *, noisy: bool = True, reduce=None):
    """The library's compiled-to-be simulation and its configuration."""
    import jax
    import jax.numpy as jnp
    from tvboptim.experimental import network_dynamics as nd
    from tvboptim.experimental.network_dynamics import coupling, dynamics, noise, solvers

    work = fit.SETTINGS
    graph = nd.DenseDelayGraph(jnp.asarray(weights), jnp.asarray(lengths / work["speed"]))
    if options.graph == "sparse":
        graph = nd.SparseDelayGraph.from_dense(graph)
    link = coupling.DelayedLinearCoupling(
        incoming_states="S", G=work["G"], buffer_strategy=options.buffer
    )
    model = dynamics.tvb.ReducedWongWang(
        w=work["w"], I_o=work["I_o"], INITIAL_STATE=(work["initial"],)
    )
    kicks = noise.AdditiveNoise(sigma=work["sigma"], apply_to="S", key=jax.random.key(0))
    network = nd.Network(model, {"delayed": link}, graph, noise=kicks if noisy else None)
    solver = solvers.Heun(block_size=options.block)
    return nd.prepare(network, solver, t0=0.0, t1=options.duration, dt=work["dt"], **(reduce or {}))


def _loss(options: argparse.Namespace, weights, lengths, measured):
    import equinox as eqx
    import jax.numpy as jnp
    from tvboptim.observations.observation import compute_fc, rmse
    from tvboptim.observations.tvb_monitors import SubSampling, TemporalAverage
    from tvboptim.observations.tvb_monitors.bold import HRFBold, streaming_hrf_bold

    work = fit.SETTINGS
    # Its streaming wants samples in place of means.
    fewer = (SubSampling if options.stream else TemporalAverage)(voi=0, period=work["interim"])
    bold = HRFBold(period=work["period"], downsample=fewer, voi=0)
    streamed = {"reduce": streaming_hrf_bold(bold, work["dt"])} if options.stream else None
    solve, config = _prepare(options, weights, lengths, reduce=streamed)
    if options.noise:
        config._internal.noise_samples = jnp.asarray(np.load(options.noise))
    measured = jnp.asarray(measured)

    def loss(strength):
        own = eqx.tree_at(lambda c: c.coupling.delayed.G, config, strength)
        seen = solve(own) if options.stream else bold(solve(own))
        return rmse(compute_fc(seen, skip_t=work["skip"]), measured)

    return loss


def _note(options: argparse.Namespace) -> str:
    blocks = f", block_size {options.block}" if options.block else ", no checkpointing"
    return f"{options.graph} graph, {options.buffer} buffer{blocks}" + (
        ", streamed BOLD" if options.stream else ""
    )


if __name__ == "__main__":
    main()
