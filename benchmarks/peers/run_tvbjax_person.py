"""A person's fit with tvbjax, by `jax.grad` of `simulate`, or a random search (--random)."""

import numpy as np
import person


def main() -> None:
    options = person.read_options()
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import tvbjax
    from tvbjax import analysis

    tvbjax.tune_cpu()
    work = person.SETTINGS
    with np.load(options.network) as network:
        connectome = tvbjax.Connectome(
            network["weights"], network["lengths"], work["speed"], network["labels"].tolist()
        )
        measured = jnp.asarray(network["fc"])
    simulator = person.tvbjax_simulator(connectome)
    initial = np.full((1, simulator.nodes), work["initial"])
    pairs = np.triu_indices(simulator.nodes, k=1)

    def loss(G, I_o):
        changed = (jnp.asarray(G, jnp.float32), jnp.asarray(I_o, jnp.float32))
        own = eqx.tree_at(lambda s: (s.coupling.a, s.model.params["I_o"]), simulator, changed)
        run = tvbjax.simulate(
            own,
            work["samples"] * work["period"],
            initial=initial,
            key=jax.random.key(0),
            derivatives=tvbjax.Reverse(),
        )
        seen = run.samples["bold"].values[work["skip"] :, 0]
        found = analysis.functional_connectivity(seen)
        return jnp.sqrt(((found - measured)[pairs] ** 2).mean())

    person.search("tvbjax", loss, options)


if __name__ == "__main__":
    main()
