"""How much memory runs take: peak of the whole process, and what of it Python, JAX and imports are.

`make bench-memory`. Each case is a process of its own, on the CPU in float32, with 76 regions of
Montbrió-Pazó-Roxin, delays and noise. Writes benchmarks/results/memory.md.

- bold: ten minutes at 0.1 ms steps, of which BOLD alone is kept.
- balloon: the same with the balloon's equations in the loop.
- bold_sweep: 256 members of the first, with noise of their own (a quarter of an hour).
- features: 10,000 members of 2 s, of which means and functional connectivity are kept.
- store: 100,000 members of a model of one variable and 20 regions, to a store on disk.
"""

import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
CASES = ("bold", "balloon", "bold_sweep", "features", "store")
TEN_MINUTES = 600_000.0  # ms


def main() -> None:
    if len(sys.argv) > 1:
        _case(sys.argv[1])
        return
    lines = [
        "# Memory",
        "",
        f"Python {platform.python_version()}, {os.cpu_count()} cores. Peak resident memory of the "
        "process, and that of a process that has imported tvbjax and built the simulator.",
        "",
        "| case | peak MB | before the run MB | seconds | what came back |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for case in CASES:
        command = [sys.executable, "-m", "benchmarks.memory", case]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        lines.append(done.stdout.strip().splitlines()[-1])
        print(lines[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "memory.md").write_text("\n".join(lines) + "\n")


def _peak() -> float:
    """The most memory that this process had at any time, MB."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _case(name: str) -> None:
    prepare = {
        "bold": _bold,
        "balloon": _balloon,
        "bold_sweep": _bold_sweep,
        "features": _features,
        "store": _store,
    }
    run = prepare[name]()
    before, begun = _peak(), time.perf_counter()
    what = run()
    seconds = time.perf_counter() - begun
    print(f"| {name} | {_peak():.0f} | {before:.0f} | {seconds:.0f} | {what} |")


def _network(watch):
    import tvbjax
    from tvbjax import coupling, integrators, noise

    model = tvbjax.lems.load("MontbrioPazoRoxin")
    rules = {model.inputs[0]: coupling.Linear(a=0.02), model.inputs[1]: coupling.Silent()}
    connectome = tvbjax.datasets.connectome("tvb76", speed=3.0).normalise()
    kicks = noise.Additive({"r": 5e-5, "V": 2e-4})
    return tvbjax.Simulator(model, connectome, rules, integrators.Heun(dt=0.1), kicks, watch)


def _bold():
    from tvbjax import monitors

    simulator = _network(monitors.Bold(1000.0))
    return lambda: _alone(simulator)


def _balloon():
    from tvbjax import monitors

    simulator = _network(monitors.BalloonWindkessel(1000.0))
    return lambda: _alone(simulator)


def _alone(simulator) -> str:
    import jax

    import tvbjax

    result = tvbjax.simulate(simulator, TEN_MINUTES, key=jax.random.key(0), progress=False)
    (samples,) = result.samples.values()
    return f"BOLD {samples.values.shape}"


def _bold_sweep():
    return lambda: f"BOLD {bold_sweep(256, TEN_MINUTES).shape}"


def bold_sweep(members: int, duration: float):
    """BOLD of members of different gains, with noise of their own, on JAX's device."""
    import jax
    import numpy as np

    import tvbjax
    from tvbjax import monitors

    gain = tvbjax.Free(lambda s: s.coupling[s.model.inputs[0]].a)
    space = {gain: np.linspace(0.0, 0.04, members)}
    simulator = _network(monitors.Bold(1000.0))
    found = tvbjax.sweep(simulator, space, duration, key=jax.random.key(0), progress=False)
    return found["bold"].values


def _features():
    import jax
    import numpy as np

    import tvbjax
    from tvbjax import features, monitors

    simulator = _network(monitors.TemporalAverage(10.0))
    gain = tvbjax.Free(lambda s: s.coupling[s.model.inputs[0]].a)
    keep = features.Together(
        features.Mean(variable="r"), features.FunctionalConnectivity(variable="r")
    )

    def run():
        found = tvbjax.sweep(
            simulator,
            {gain: np.linspace(0.0, 0.04, 10_000)},
            2000.0,
            key=jax.random.key(0),
            measure=keep,
            progress=False,
        )
        return f"{found.nbytes / 1e6:.0f} MB of features"

    return run


def _store():
    import jax
    import numpy as np

    import tvbjax
    from tvbjax import coupling, features, integrators, noise

    connectome = tvbjax.datasets.synthetic_connectome(20, key=jax.random.key(0))
    model = tvbjax.lems.load("OrnsteinUhlenbeck")
    kicks = noise.Additive(0.01)
    simulator = tvbjax.Simulator(
        model, connectome, coupling.Linear(a=0.01), integrators.Heun(dt=1.0), kicks
    )
    gain = tvbjax.Free(lambda s: s.coupling.a)
    folder = tempfile.TemporaryDirectory()

    def run():
        with folder as path:
            store = Path(path) / "sweep.zarr"
            found = tvbjax.sweep(
                simulator,
                {gain: np.linspace(0.0, 0.02, 100_000)},
                500.0,
                key=jax.random.key(0),
                measure=features.Variance(),
                store=store,
                progress=False,
            )
            assert bool(found["finished"].all())
            size = sum(f.stat().st_size for f in store.rglob("*") if f.is_file())
        return f"{len(found['member'])} members, a store of {size / 1e6:.0f} MB"

    return run


if __name__ == "__main__":
    main()
