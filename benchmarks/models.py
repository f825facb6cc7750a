"""How long the equations of every model take, per node and step, beside TVB's own functions.

`make bench-models`: each model's dfun inside a compiled Euler loop, and, where `.venv-parity` has
tvb-library, its `dfun` of the same model (numba's where it has one), called from Python as TVB's
simulator does. 76 nodes is a brain; with 20,000 nodes the call itself no longer counts. One thread.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

NODES = (76, 20_000)
EVALUATIONS = 2_000_000  # nodes times steps of one measurement
PARITY = Path(__file__).parents[1] / ".venv-parity" / "bin" / "python"

TVB = """
import json, sys, time, warnings, logging
import numpy as np
warnings.simplefilter("ignore"); logging.disable(logging.ERROR)
from tvb.simulator import models
names, nodes, evaluations = json.loads(sys.argv[1])
for name in names:
    if not hasattr(models, name): continue
    row = []
    for n in nodes:
        model = getattr(models, name)(); model.configure()  # some keep a buffer of this size
        rng = np.random.RandomState(0)
        low, high = np.array([model.state_variable_range[v] for v in model.state_variables]).T
        shape = (len(low), n, model.number_of_modes)
        x = rng.uniform(low[:, None, None], np.maximum(high, low)[:, None, None], shape)
        c = np.zeros((len(model.cvar), n, model.number_of_modes))
        with np.errstate(all="ignore"):
            model.dfun(x, c, 0.0)
            calls = max(3, evaluations // n // 10)
            best = float("inf")
            for _ in range(3):
                began = time.perf_counter()
                for _ in range(calls): model.dfun(x, c, 0.0)
                best = min(best, time.perf_counter() - began)
        row.append(best / calls / n * 1e9)
    print(json.dumps([name, row]), flush=True)
"""


def best_of(function: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of several runs, after one that compiles."""
    function()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        function()
        found.append(time.perf_counter() - began)
    return min(found)


def ours(name: str) -> list[float]:
    """Nanoseconds per node and Euler step."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from tvbjax import lems

    model = lems.load(name)
    row = []
    for nodes in NODES:
        low, high = (np.array(end)[:, None] for end in zip(*model.initial_range, strict=True))
        draw = np.random.default_rng(0).random((len(low), nodes))
        x = jnp.asarray(low + (high - low) * draw)
        inputs = jnp.zeros((len(model.inputs), nodes))
        steps = max(10, EVALUATIONS // nodes)

        @jax.jit
        def run(x, inputs=inputs, steps=steps):
            def step(x, _):
                return x + 1e-6 * model.dfun(x, inputs), None

            return jax.lax.scan(step, x, None, length=steps)[0]

        row.append(best_of(lambda r=run, x=x: r(x).block_until_ready()) / steps / nodes * 1e9)
    return row


def theirs(names: list[str]) -> dict[str, list[float]]:
    """The same of TVB's functions, {} where it is not there."""
    if not PARITY.exists():
        print("TVB: .venv-parity is absent (make parity makes it)\\n")
        return {}
    asked = json.dumps([names, NODES, EVALUATIONS])
    said = subprocess.run(
        [PARITY, "-c", TVB, asked], capture_output=True, text=True, env=os.environ
    )
    if said.returncode:
        print(f"TVB: its part failed:\n{said.stderr[-2000:]}")
    return dict(json.loads(line) for line in said.stdout.splitlines() if line.startswith("["))


def main() -> None:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    import jax

    jax.config.update("jax_enable_x64", True)
    from tvbjax import lems

    chosen = sys.argv[1:] or list(lems.models())
    tvb = theirs(chosen)
    print("ns per node and step, float64; x: how many times faster than TVB's dfun")
    heads = "".join(f"{f'{n} nodes':>12s}{'TVB':>10s}{'x':>7s}" for n in NODES)
    print(f"{'model':30s}{heads}")
    for name in chosen:
        cells = ""
        for i, mine in enumerate(ours(name)):
            other = tvb.get(name)
            cells += f"{mine:12.1f}"
            cells += f"{other[i]:10.1f}{other[i] / mine:7.1f}" if other else f"{'-':>10s}{'-':>7s}"
        print(f"{name:30s}{cells}", flush=True)


if __name__ == "__main__":
    main()
