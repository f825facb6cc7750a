"""tvbjax alone: its speed over regions, delays and members, and what compiling costs.

`make bench-scaling`. The Montbrió-Pazó-Roxin network of benchmarks/peers, with noise, on the device
that JAX takes by default. Cases have about equally many node-steps and run in turns, so that a slow
phase of the machine hits all of them. Writes benchmarks/results/scaling.json and scaling.md.

    python -m benchmarks.scaling [--repeats 3] [--quick]

`--quick`: fewer steps and members, about a minute; prints the table and writes nothing.
"""

import argparse
import dataclasses
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import tvbjax
from benchmarks.compare import keep, machine, make_networks
from benchmarks.peers import common
from tvbjax import Connectome, Free, Result, Simulator, coupling, integrators, monitors, noise

NODE_STEPS, MEMBERS = 30_000_000, (1, 4, 16, 64, 256, 1024, 4096)
QUICK_NODE_STEPS, QUICK_MEMBERS = 2_000_000, (1, 16, 64)
GAIN = Free(lambda s: s.coupling[s.model.inputs[0]].a)


@dataclasses.dataclass(frozen=True)
class Case:
    """A run and its size. `run` returns when its results are there."""

    name: str
    nodes: int
    members: int
    steps: int
    run: Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description="The speed of tvbjax over sizes.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    tvbjax.tune_cpu()
    chosen = (
        make_cases(QUICK_NODE_STEPS, QUICK_MEMBERS)
        if options.quick
        else make_cases(NODE_STEPS, MEMBERS)
    )
    whole = environment() | {"cases": in_turns(chosen, options.repeats)}
    lines = tables(whole)
    print("\n".join(lines))
    if not options.quick:
        keep("scaling", whole, lines)


def make_cases(node_steps: int, members: tuple[int, ...]) -> list[Case]:
    """All cases, of about `node_steps` each. The first is what the others are compared with."""
    networks = make_networks()
    small, large = (load(networks[name][0]) for name in ("W1", "W6"))
    middle = tvbjax.datasets.connectome("tvb192").normalise()
    instant = dataclasses.replace(small, speed=jnp.inf)
    short = dataclasses.replace(small, speed=median_length(small))  # 1 ms for the median tract
    single = [
        ("76 regions, long delays", small),
        ("76 regions, short delays", short),
        ("76 regions, no delays", instant),
        ("192 regions, long delays", middle),
        (f"998 regions ({networks['W6'][1]}), long delays", large),
    ]
    return [
        *(single_case(name, simulator_of(connectome), node_steps) for name, connectome in single),
        *(sweep_case(simulator_of(small), count, node_steps) for count in members),
    ]


def load(path: Path) -> Connectome:
    """A network that `make_networks` wrote."""
    with np.load(path) as network:
        return Connectome(network["weights"], network["lengths"], speed=common.SPEED)


def median_length(connectome: Connectome) -> float:
    """Median length of the tracts in mm."""
    return float(jnp.median(connectome.tract_lengths[connectome.weights > 0]))


def simulator_of(connectome: Connectome, *, noisy: bool = True, watch=None) -> Simulator:
    """Workload W1 of benchmarks/peers, on this connectome."""
    model = tvbjax.lems.load("MontbrioPazoRoxin")
    values = {"eta": jnp.asarray(common.ETA), "J": jnp.asarray(15.0)}
    model = eqx.tree_at(lambda m: m.params, model, model.params | values)
    hears, other = model.inputs
    diffusion = {name: sd**2 / 2 for name, sd in zip("rV", common.SIGMA, strict=True)}
    return Simulator(
        model,
        connectome,
        {hears: coupling.Linear(a=common.G), other: coupling.Silent()},
        integrators.Heun(dt=common.DT),
        noise.Additive(diffusion) if noisy else None,
        watch or monitors.TemporalAverage(common.PERIOD * common.DT),
    )


def initial_of(simulator: Simulator) -> np.ndarray:
    return np.repeat([[value] for value in common.INITIAL], simulator.nodes, axis=1)


def mean(result: Result) -> dict[str, jax.Array]:
    """Of one member: the mean of each variable over time and regions."""
    return {"mean": jnp.mean(result.samples["temporal_average"].values, axis=(0, 2))}


def single_case(name: str, simulator: Simulator, node_steps: int) -> Case:
    steps = round_steps(node_steps / simulator.nodes)

    def run():
        return tvbjax.simulate(
            simulator,
            steps * common.DT,
            initial=initial_of(simulator),
            key=jax.random.key(0),
            progress=False,
        )

    return Case(name, simulator.nodes, 1, steps, run)


def sweep_case(simulator: Simulator, members: int, node_steps: int) -> Case:
    steps = round_steps(node_steps / simulator.nodes / members)

    def run():
        return tvbjax.sweep(
            simulator,
            {GAIN: np.linspace(0.0, 2 * common.G, members)},
            steps * common.DT,
            initial=initial_of(simulator),
            key=jax.random.key(0),
            measure=mean,
            progress=False,
        )

    name = f"sweep of {members} member{'s' if members > 1 else ''}, 76 regions, long delays"
    return Case(name, simulator.nodes, members, steps, run)


def round_steps(steps: float) -> int:
    """To two digits, and whole samples: `simulate` then runs in equal parts, which compile once."""
    return common.PERIOD * max(1, round(float(f"{steps:.2g}") / common.PERIOD))


def in_turns(cases: list[Case], repeats: int) -> list[dict[str, Any]]:
    """Seconds of all cases: one after another, then all again, after a first run that compiles."""
    rounds = []
    for number in range(repeats + 1):
        rounds.append([seconds_of(case.run) for case in cases])
        print(f"round {number} of {repeats} done", file=sys.stderr, flush=True)
    first, *later = rounds
    return [
        {
            "name": case.name,
            "nodes": case.nodes,
            "members": case.members,
            "steps": case.steps,
            "first_seconds": first[i],
            "seconds": [seconds[i] for seconds in later],
        }
        for i, case in enumerate(cases)
    ]


def seconds_of(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def environment() -> dict[str, Any]:
    """The machine and the versions."""
    return {
        "machine": machine(),
        "device": f"{len(jax.local_devices())} x {jax.local_devices()[0].device_kind}",
        "backend": jax.default_backend(),
        "dtype": str(jnp.result_type(float)),
        "python": platform.python_version(),
        "jax": jax.__version__,
    }


def told(facts: dict[str, Any]) -> str:
    """What `environment` found, in one line."""
    name = facts["machine"]
    return (
        f"{name['processor']}, {name['cores']} cores, {name['system']}; Python {facts['python']}, "
        f"JAX {facts['jax']} on {facts['backend']} ({facts['device']}), {facts['dtype']}."
    )


def rates(case: dict[str, Any]) -> list[float]:
    """Millions of node-steps a second, by round."""
    size = case["nodes"] * case["members"] * case["steps"]
    return [size / seconds / 1e6 for seconds in case["seconds"]]


def compile_seconds(case: dict[str, Any]) -> float:
    return case["first_seconds"] - statistics.median(case["seconds"])


def tables(whole: dict[str, Any]) -> list[str]:
    cases = whole["cases"]
    base = rates(cases[0])
    lines = [
        "# How tvbjax scales",
        "",
        f"{told(whole)} Every case has run {len(base)} times after a first run, in turns. Speed is "
        "in millions of node-steps a second, the median of the runs, with the least and the "
        "greatest; a node-step is one step of one region of one member. The ratio is that to the "
        "first row in the same round, median. *Compile* is the first run less the median of the "
        "later, in s.",
        "",
        "| case | steps | speed | range | ratio | compile |",
        "| --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for case in cases:
        speed = rates(case)
        ratio = statistics.median(mine / its for mine, its in zip(speed, base, strict=True))
        lines.append(
            f"| {case['name']} | {case['steps']} | {statistics.median(speed):.3g} | "
            f"{min(speed):.3g} to {max(speed):.3g} | {ratio:.2f} | {compile_seconds(case):.1f} |"
        )
    return lines


if __name__ == "__main__":
    main()
