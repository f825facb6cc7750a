"""The fit with tvbjax: `simulate` with its defaults, and its derivative in forward mode, which
`fit` takes for up to three free numbers; --reverse: inside `jax.value_and_grad`.

The network and the measured connectivity are those that run_tvboptim_fit.py wrote. What differs:
the noise is another draw of the same strength (--noise gives both the same, for a few seconds of
activity: recorded noise is slow here), S is kept within 0 and 1, and the kernel of BOLD meets every
mean at its middle (TVB-Optim: 5,000 points from 0 s to 20 s, its means are a step late). Activity
before the start is that at the start, not zero, but the samples that it is seen in are skipped.
"""

import argparse

import fit
import numpy as np


def main() -> None:
    options = fit.read_options("tvbjax", _add_options, x64=False)
    import jax

    import tvbjax

    jax.config.update("jax_enable_x64", options.x64)
    if not options.untuned:
        tvbjax.tune_cpu()
    if options.trajectory:
        simulator = _simulator(options, noisy=False)
        run = tvbjax.simulate(simulator, options.duration, initial=_initial(simulator))
        fit.save_trajectory(options.trajectory, run.samples["raw"].values[:, 0])
        return
    loss = _loss(options)
    ways = {False: (_forwards(loss), "forward mode"), True: (jax.value_and_grad(loss), "reverse")}
    slope, note = ways[options.reverse]
    fit.report("tvbjax", "tvbjax", options, loss, slope, f"{note}, engine's own choices")


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--generator", choices=("Threefry", "CounterHash"), default="Threefry")
    parser.add_argument("--untuned", action="store_true")
    parser.add_argument("--reverse", action="store_true")


def _simulator(options: argparse.Namespace, *, noisy: bool = True):
    import equinox as eqx
    import jax.numpy as jnp

    import tvbjax
    from tvbjax import coupling, generators, integrators, monitors, noise

    work = fit.SETTINGS
    with np.load(options.network) as network:
        connectome = tvbjax.Connectome(
            network["weights"], network["lengths"], work["speed"], network["labels"].tolist()
        )
    model = tvbjax.lems.load("ReducedWongWang")
    values = {name: jnp.asarray(work[name]) for name in ("w", "I_o")}
    model = eqx.tree_at(lambda m: m.params, model, model.params | values)
    if options.noise:
        kicks = noise.Recorded(work["sigma"] * work["dt"] ** 0.5 * np.load(options.noise))
    else:
        source = getattr(generators, options.generator)()
        kicks = noise.Additive({"S": work["sigma"] ** 2 / 2}, generator=source)
    return tvbjax.Simulator(
        model,
        connectome,
        coupling.Linear(a=work["G"]),
        integrators.Heun(dt=work["dt"]),
        kicks if noisy else None,
        monitors.Bold(work["period"], interim=work["interim"]) if noisy else monitors.Raw(),
    )


def _forwards(loss):
    import jax
    import jax.numpy as jnp

    return lambda strength: jax.jvp(loss, (strength,), (jnp.ones_like(strength),))


def _initial(simulator):
    return np.full((1, simulator.nodes), fit.SETTINGS["initial"])


def _loss(options: argparse.Namespace):
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import tvbjax
    from tvbjax import analysis

    simulator = _simulator(options)
    initial, key = _initial(simulator), jax.random.key(0)
    with np.load(options.network) as network:
        measured = jnp.asarray(network["fc"])
    others = 1.0 - jnp.eye(len(measured))
    derivatives = tvbjax.Reverse() if options.reverse else tvbjax.Forward()

    def loss(strength):
        own = eqx.tree_at(lambda s: s.coupling.a, simulator, strength)
        run = tvbjax.simulate(
            own, options.duration, initial=initial, key=key, derivatives=derivatives
        )
        seen = run.samples["bold"].values[fit.SETTINGS["skip"] :, 0]
        found = others * analysis.functional_connectivity(seen)
        # Over all pairs, the diagonal of zeros too: so does TVB-Optim.
        return jnp.sqrt(((found - measured) ** 2).mean())

    return loss


if __name__ == "__main__":
    main()
