"""A person's fit with TVB-Optim, by the fastest of its ways that was found."""
# pyright: reportMissingImports=false

import numpy as np
import person


def main() -> None:
    options = person.read_options()
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    from tvboptim.experimental import network_dynamics as nd
    from tvboptim.experimental.network_dynamics import coupling, dynamics, noise, solvers
    from tvboptim.observations.observation import compute_fc
    from tvboptim.observations.tvb_monitors import TemporalAverage
    from tvboptim.observations.tvb_monitors.bold import HRFBold

    jax.config.update("jax_enable_x64", True)  # in single precision its slopes are wrong
    work = person.SETTINGS
    with np.load(options.network) as network:
        weights, lengths = (np.asarray(network[name], float) for name in ("weights", "lengths"))
        measured = jnp.asarray(network["fc"], float)
    graph = nd.DenseDelayGraph(jnp.asarray(weights), jnp.asarray(lengths / work["speed"]))
    if options.sparse:
        graph = nd.SparseDelayGraph.from_dense(graph)
    link = coupling.DelayedLinearCoupling(
        incoming_states="S", G=work["begin"]["G"], buffer_strategy="circular"
    )
    model = dynamics.tvb.ReducedWongWang(
        w=work["w"],
        I_o=jnp.full(len(weights), work["begin"]["I_o"]),
        INITIAL_STATE=(work["initial"],),
    )
    kicks = noise.AdditiveNoise(sigma=work["sigma"], apply_to="S", key=jax.random.key(0))
    network = nd.Network(model, {"delayed": link}, graph, noise=kicks)
    duration = work["samples"] * work["period"]
    solve, config = nd.prepare(network, solvers.Heun(), t0=0.0, t1=duration, dt=work["dt"])
    means = TemporalAverage(voi=0, period=work["interim"])
    bold = HRFBold(period=work["period"], downsample=means, voi=0)
    pairs = np.triu_indices(len(weights), k=1)

    def loss(G, I_o):
        own = eqx.tree_at(lambda c: (c.coupling.delayed.G, c.dynamics.I_o), config, (G, I_o))
        found = compute_fc(bold(solve(own)), skip_t=work["skip"])
        return jnp.sqrt(((found - measured)[pairs] ** 2).mean())

    person.search("TVB-Optim", loss, options)


if __name__ == "__main__":
    main()
