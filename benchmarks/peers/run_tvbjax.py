"""tvbjax, as its users call it: `simulate` and `sweep` with their defaults, results and all.

--generator: where noise comes from, Threefry (the default of tvbjax) or CounterHash. --untuned:
without `tvbjax.tune_cpu()`, which the README advises. Every member of an ensemble has noise of its
own. Ensembles keep all samples of all members.
"""

import common

STEPS = {
    "W1": 200_000,
    "W2": 100_000,
    "W3": 4_000,
    "W4": 2_000,
    "W5": 200_000,
    "W6": 30_000,
}


def main() -> None:
    task = common.read_task("tvbjax", "tvbjax", STEPS, _add_options)
    if not task.options.untuned:
        import tvbjax

        tvbjax.tune_cpu()
    {"W3": _ensemble, "W4": _gradient}.get(task.workload, _single)(task)


def _add_options(parser) -> None:
    parser.add_argument("--generator", choices=("Threefry", "CounterHash"), default="Threefry")
    parser.add_argument("--untuned", action="store_true")


def _simulator(task: common.Task, *, noisy: bool = True, watch=None):
    import equinox as eqx
    import jax.numpy as jnp
    import numpy as np

    import tvbjax
    from tvbjax import coupling, generators, integrators, monitors, noise

    lengths = task.delays * common.DT * common.SPEED
    connectome = tvbjax.Connectome(task.weights, lengths, speed=common.SPEED)
    watch = watch or monitors.TemporalAverage(common.PERIOD * common.DT)
    heun = integrators.Heun(dt=common.DT)
    if task.workload == "W2":
        model = tvbjax.lems.load("JansenRit")
        rule = coupling.SigmoidalJansenRit(a=common.G_JANSEN_RIT)
        return tvbjax.Simulator(model, connectome, rule, heun, monitors=watch)
    model = tvbjax.lems.load("MontbrioPazoRoxin")
    values = {"eta": jnp.full(task.nodes, common.ETA), "J": jnp.asarray(15.0)}
    model = eqx.tree_at(lambda m: m.params, model, model.params | values)
    hears, other = model.inputs
    rules = {hears: coupling.Linear(a=common.G), other: coupling.Silent()}
    kicks = None
    if noisy:
        diffusion = {name: sd**2 / 2 for name, sd in zip("rV", common.SIGMA, strict=True)}
        source = getattr(generators, task.options.generator)()
        kicks = noise.Additive(diffusion, generator=source)
    assert np.isclose(float(model.params["Delta"]), 1.0)
    return tvbjax.Simulator(model, connectome, rules, heun, kicks, watch)


def _initial(simulator, task: common.Task):
    import numpy as np

    if task.workload == "W2":
        return None
    return np.repeat([[value] for value in common.INITIAL], simulator.nodes, axis=1)


def _facts(task: common.Task, noise: str) -> dict:
    return dict(noise=noise, dtype="float32", note=_note(task))


def _note(task: common.Task) -> str:
    return "engine's own choices" + (", 2 cores by threads" if task.workload == "W3" else "")


def _single(task: common.Task) -> None:
    import jax

    import tvbjax

    simulator = _simulator(task)

    def run():
        return tvbjax.simulate(
            simulator,
            task.steps * common.DT,
            initial=_initial(simulator, task),
            key=jax.random.key(0),
            progress=False,
        )

    kind = "none" if task.workload == "W2" else f"drawn in the run, {task.options.generator}"
    common.measure(
        task,
        run,
        lambda result: result.samples["temporal_average"].values[-1, 0].mean(),
        **_facts(task, kind),
    )


def _ensemble(task: common.Task) -> None:
    import jax

    import tvbjax

    simulator = _simulator(task)
    gain = tvbjax.Free(lambda s: s.coupling[s.model.inputs[0]].a)

    def run():
        return tvbjax.sweep(
            simulator,
            tvbjax.Points({gain: task.strengths}),
            task.steps * common.DT,
            initial=_initial(simulator, task),
            key=jax.random.key(0),
            progress=False,
        )

    common.measure(
        task,
        run,
        lambda result: result["temporal_average"].values[:, -1, 0].mean(),
        **_facts(task, f"each member its own, {task.options.generator}"),
    )


def _gradient(task: common.Task) -> None:
    import equinox as eqx
    import jax.numpy as jnp

    import tvbjax
    from tvbjax import monitors

    simulator = _simulator(task, noisy=False, watch=monitors.Raw(variables=("r",)))
    hears = simulator.model.inputs[0]
    initial = _initial(simulator, task)

    def loss(free):
        own = eqx.tree_at(
            lambda s: (s.coupling[hears].a, s.model.params["eta"]), simulator, tuple(free)
        )
        run = tvbjax.simulate(own, task.steps * common.DT, initial=initial)
        return (run.samples["raw"].values ** 2).mean()

    free = (jnp.asarray(common.G), jnp.full(task.nodes, common.ETA))
    common.measure_gradient(task, loss, free, note=_note(task))


if __name__ == "__main__":
    main()
