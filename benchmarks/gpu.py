"""tvbjax on a GPU: whether it gives the CPU's numbers, and how near it comes to the memory's speed.

`make bench-gpu`, on a machine with one NVIDIA GPU (of several, choose by CUDA_VISIBLE_DEVICES) and
`pip install 'tvbjax[gpu]'`. The network is that of benchmarks/scaling.py, the cortex that of
benchmarks/surface.py, the ten minutes of BOLD those of benchmarks/memory.py. Writes
benchmarks/results/gpu.json and gpu.md.

    python -m benchmarks.gpu [--most 100000] [--repeats 3] [--profile DIR] [--anyway]

`--most`: members of the largest sweep. `--profile`: a trace of one sweep, for TensorBoard or
Perfetto. `--anyway`: small sizes on whatever there is, to try the script; writes nothing.
"""

import argparse
import contextlib
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import tvbjax
from benchmarks import memory as memory_cases, surface
from benchmarks.compare import keep, make_networks
from benchmarks.peers import common
from benchmarks.scaling import (
    GAIN,
    environment,
    initial_of,
    load,
    mean,
    seconds_of,
    simulator_of,
    told,
)
from tvbjax import Connectome, Simulator, monitors, sizes

DURATION = 500.0  # ms, of every sweep whose speed is measured
TILES = (64, 512, 4096)
COMPARED = 64  # members of the sweeps that are compared with the CPU's
GIB = 1 << 30


def main() -> None:
    parser = argparse.ArgumentParser(description="tvbjax on a GPU.")
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--anyway", action="store_true")
    options = parser.parse_args()
    check_device(options.anyway)
    most = min(options.most, 100) if options.anyway else options.most
    duration = DURATION / 10 if options.anyway else DURATION
    connectome = load(make_networks()["W1"][0])
    simulator = simulator_of(connectome)
    whole = environment() | {
        "agreement": agreement(connectome),
        "bytes_limit": memory("bytes_limit"),
        "bandwidth": copy_bandwidth(GIB // 16 if options.anyway else GIB),
        "bytes_per_node_step": bytes_per_node_step(simulator),
        "duration": duration,
        "cortex": list(cortex(duration, options.repeats, 4 if options.anyway else 64)),
        "sweeps": list(curve(simulator, duration, most, options.repeats)),
        "bold": list(
            ten_minutes(duration, (4,), None)
            if options.anyway
            else ten_minutes(duration, (4, 256, 4096), 256)
        ),
    }
    if options.profile:
        profile(simulator, duration, min(most, 1000), options.profile)
    lines = tables(whole)
    print("\n".join(lines))
    if not options.anyway:
        keep("gpu", whole, lines)


def check_device(anyway: bool) -> None:
    """End here unless there is just one GPU."""
    backend, devices = jax.default_backend(), len(jax.local_devices())
    if backend != "gpu" and not anyway:
        sys.exit(
            f"no GPU: jax sees only {backend}; install jax[cuda12] or jax[cuda13], or try the "
            "script with --anyway"
        )
    if devices > 1:
        sys.exit(f"{devices} devices: choose one, e.g. CUDA_VISIBLE_DEVICES=0")


def memory(name: str) -> int | None:
    """A number of the device's memory statistics, where it has any."""
    return (jax.local_devices()[0].memory_stats() or {}).get(name)


@contextlib.contextmanager
def settings(**values: Any) -> Iterator[None]:
    """Settings of JAX for a while, in all threads: those of its own contexts are one thread's."""
    before = {name: getattr(jax.config, name) for name in values}
    try:
        for name, value in values.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def agreement(connectome: Connectome) -> dict[str, float]:
    """How far the device's numbers are from the CPU's, in the greatest difference.

    `noisy_start`: all states of the first 0.5 ms, in float32: rounding alone. `noisy_means`: every
    member's means over 200 ms, beside `spread`, their standard deviation over members.
    `quiet`: all states of 10 ms without noise, in float64; `quiet_size`: the largest of them.
    """

    def states(noisy: bool, duration: float) -> np.ndarray:
        watched = simulator_of(connectome, noisy=noisy, watch=monitors.Raw())
        return run(watched, COMPARED, duration, measure=None)["raw"].values

    def means() -> np.ndarray:
        return run(simulator_of(connectome), COMPARED, 200.0)["mean"].values

    start, start_cpu = on_both(lambda: states(True, 0.5))
    member, member_cpu = on_both(means)
    with settings(jax_enable_x64=True):
        exact, exact_cpu = on_both(lambda: states(False, 10.0))
    return {
        "noisy_start": float(np.abs(start - start_cpu).max()),
        "noisy_means": float(np.abs(member - member_cpu).max()),
        "spread": float(member_cpu.std(axis=0).max()),
        "quiet": float(np.abs(exact - exact_cpu).max()),
        "quiet_size": float(np.abs(exact_cpu).max()),
    }


def on_both(compute: Callable[[], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What it gives on the device, and on the CPU."""
    cpu, probe = jax.devices("cpu")[0], jnp.zeros(())
    with settings(jax_default_device=cpu):
        if jax.jit(lambda x: x + 1)(probe).devices() != {cpu}:
            raise RuntimeError("what should run on the CPU runs elsewhere")
        reference = compute()
    return compute(), reference


def run(simulator: Simulator, members: int, duration: float, *, measure=mean, tile=None):
    """A sweep over the gain; every member has noise of its own."""
    return tvbjax.sweep(
        simulator,
        {GAIN: np.linspace(0.0, 2 * common.G, members)},
        duration,
        initial=initial_of(simulator),
        key=jax.random.key(0),
        measure=measure,
        tile=tile,
        progress=False,
    )


def curve(
    simulator: Simulator, duration: float, most: int, repeats: int
) -> Iterator[dict[str, Any]]:
    """Speed by members, for the tile that tvbjax chooses and for others."""
    counts = [10**power for power in range(6) if 10**power <= most]
    for members in counts:
        chosen = tvbjax.explain(simulator, members=members).tile
        # Many tiles one after another are as fast as few.
        others = [t for t in TILES if t <= members <= 25 * t and t != chosen]
        for tile in (None, *others):
            case = sweep_case(simulator, members, duration, tile, repeats)
            print(f"sweep: {case}", file=sys.stderr, flush=True)
            yield case


def sweep_case(
    simulator: Simulator, members: int, duration: float, tile: int | None, repeats: int
) -> dict[str, Any]:
    """Seconds of a sweep after a first run, or why it was not run."""
    plan = tvbjax.explain(simulator, members=members, duration=duration)
    side_by_side = tile or plan.tile
    needed = plan.working_bytes // plan.batch * max(plan.batch, side_by_side)
    case = {
        "members": members,
        "tile": side_by_side,
        "chosen": tile is None,
        "node_steps": members * simulator.nodes * round(duration / common.DT),
        "needed_bytes": needed,
    }
    limit = memory("bytes_limit")
    if limit is not None and needed > limit:
        return case | {"left_out": f"needs {sizes.size_text(needed)}"}
    try:
        seconds = [
            seconds_of(lambda: run(simulator, members, duration, tile=tile))
            for _ in range(repeats + 1)
        ]
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return case | {"left_out": f"out of memory, though {sizes.size_text(needed)} were expected"}
    return case | {
        "first_seconds": seconds[0],
        "seconds": seconds[1:],
        "peak_bytes": memory("peak_bytes_in_use"),
    }


def cortex(duration: float, repeats: int, most: int) -> Iterator[dict[str, Any]]:
    """ms a step of a neural field on 16,384 vertices, alone and in a sweep, and how far it is from
    the CPU's numbers."""
    for name, local in surface.neighbourhoods()[0].items():
        yield from field(name, surface.simulator_of(local), duration, repeats, most)


def field(
    name: str, simulator: Simulator, duration: float, repeats: int, most: int
) -> Iterator[dict[str, Any]]:
    state, steps = surface.start_of(simulator), round(duration / surface.DT)

    def values(members: int, steps: int) -> np.ndarray:
        found = surface.sweep_of(simulator, members, steps, state)
        return found["temporal_average"].values

    def timed(members: int) -> float:
        return seconds_of(lambda: values(members, steps))

    here, there = on_both(lambda: values(1, 100))
    for members in (1, most):
        seconds = [timed(members) for _ in range(repeats + 1)]
        case = {
            "local": name,
            "members": members,
            "steps": steps,
            "first_seconds": seconds[0],
            "seconds": seconds[1:],
            "difference": float(np.abs(here - there).max()),
            "size": float(np.abs(there).max()),
        }
        print(f"cortex: {case}", file=sys.stderr, flush=True)
        yield case


def ten_minutes(
    duration: float, counts: tuple[int, ...], whole: int | None
) -> Iterator[dict[str, Any]]:
    """Seconds that ten minutes of BOLD would take of sweeps, from `duration` ms and twice that;
    and really take of `whole` members."""

    def seconds(members: int, duration: float) -> float:
        return seconds_of(lambda: memory_cases.bold_sweep(members, duration))

    for members in counts:
        lengths = (10 * duration, 20 * duration)
        for length in lengths:  # what is compiled once does not count
            seconds(members, length)
        short, long = (seconds(members, length) for length in lengths)
        each = (long - short) / (10 * duration)
        case = {"members": members, "predicted": memory_cases.TEN_MINUTES * each}
        if members == whole:
            case["seconds"] = seconds(members, memory_cases.TEN_MINUTES)
        print(f"BOLD: {case}", file=sys.stderr, flush=True)
        yield case


def copy_bandwidth(most: int) -> float:
    """Bytes read and written a second by y = x + 1, the best of 10, on at most `most` bytes."""
    limit = memory("bytes_limit")
    count = min(most, limit // 8 if limit else most) // 4
    x = jnp.zeros(count, jnp.float32)
    add = jax.jit(lambda x: x + 1.0)
    add(x).block_until_ready()
    return 2 * x.nbytes / min(seconds_of(lambda: add(x).block_until_ready()) for _ in range(10))


def bytes_per_node_step(simulator: Simulator) -> float:
    """What must be moved for a step of a region, in float32, if nothing stayed at hand.

    Every connection reads one number of the past; the state is read and written; noise is free.
    """
    connections = tvbjax.explain(simulator).connections
    variables = len(simulator.model.state_variables)
    return 4 * (connections / simulator.nodes + 2 * variables)


def profile(simulator: Simulator, duration: float, members: int, folder: Path) -> None:
    """A trace of a sweep that has been compiled."""
    run(simulator, members, duration)
    with jax.profiler.trace(str(folder)):
        run(simulator, members, duration)
    print(f"the trace of {members} members is in {folder}", file=sys.stderr)


def tables(whole: dict[str, Any]) -> list[str]:
    differ, limit = whole["agreement"], whole["bytes_limit"]
    bandwidth, each = whole["bandwidth"], whole["bytes_per_node_step"]
    ceiling = bandwidth / each
    verdict = "reached" if differ["quiet"] <= 1e-9 else "missed"
    if whole["backend"] == "cpu":
        verdict = "but both are the CPU here, which shows nothing"
    lines = [
        "# tvbjax on a GPU",
        "",
        told(whole),
        "",
        f"## Agreement with the CPU: {COMPARED} members",
        "",
        "| what | greatest difference | beside |",
        "| --- | ---: | --- |",
        f"| states of 0.5 ms, noise, float32 | {differ['noisy_start']:.2g} | rounding alone |",
        f"| members' means over 200 ms, noise, float32 | {differ['noisy_means']:.2g} | "
        f"{differ['spread']:.2g}, their standard deviation over members |",
        f"| states of 10 ms, no noise, float64 | {differ['quiet']:.2g} | "
        f"{differ['quiet_size']:.3g}, the largest state; 1e-9 is wanted: {verdict} |",
        "",
        "## Speed by members",
        "",
        f"Sweeps of {whole['duration']:g} ms. Speed is in millions of node-steps a second, the "
        "median of the runs after the first, with the least and the greatest. *Compile* is the "
        "first run less that median, in s. A copy moves "
        f"{bandwidth / 1e9:.4g} GB/s (read and written); a node-step moves {each:.0f} bytes if no "
        f"number stays at hand, so that {ceiling / 1e6:.4g} millions a second are what memory "
        "allows. *Share* is the part of it that is reached; caches can bring it above 1. *Peak* is "
        "the most memory that was in use so far, of "
        f"{'unknown' if limit is None else sizes.size_text(limit)}.",
        "",
        "| members | tile | speed | range | share | compile | peak |",
        "| ---: | --- | ---: | --- | ---: | ---: | ---: |",
    ]
    lines += [line_of(case, ceiling) for case in whole["sweeps"]]
    lines += [
        "",
        "## The cortex",
        "",
        "16,384 vertices of the oscillator, 76 regions with delays, Heun with 0.1 ms. Local "
        "connectivity: tvb-data's matrix of neighbours, or TVB's default kernel, a Gaussian of 1 "
        "mm. *Difference*: the greatest in 10 ms, from the CPU's.",
        "",
        "| local connectivity | members | ms a step of one member | range | difference | "
        "largest state |",
        "| --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for case in whole["cortex"]:
        size = case["steps"] * case["members"] / 1e3
        each = [seconds / size for seconds in case["seconds"]]
        lines.append(
            f"| {case['local']} | {case['members']} | {statistics.median(each):.3g} | "
            f"{min(each):.3g} to {max(each):.3g} | {case['difference']:.1e} | {case['size']:.2g} |"
        )
    lines += [
        "",
        "## Ten minutes of BOLD",
        "",
        "76 regions with delays and noise, 6,000,000 steps of 0.1 ms; members in a sweep. "
        "*Predicted*: by the rate of a second run of 1 and 2 s.",
        "",
        "| members | s predicted | s a member | s measured |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for case in whole["bold"]:
        each = case["predicted"] / case["members"]
        measured = f"{case['seconds']:.3g}" if "seconds" in case else "-"
        lines.append(f"| {case['members']} | {case['predicted']:.3g} | {each:.3g} | {measured} |")
    return lines


def line_of(case: dict[str, Any], ceiling: float) -> str:
    """A row of the table. `ceiling`: node-steps a second that memory allows."""
    start = f"| {case['members']} | {case['tile']}{', chosen' if case['chosen'] else ''} |"
    if "left_out" in case:
        return f"{start} - | {case['left_out']} | | | |"
    rates = [case["node_steps"] / seconds for seconds in case["seconds"]]
    median = statistics.median(rates)
    compiling = case["first_seconds"] - statistics.median(case["seconds"])
    peak = case["peak_bytes"]
    return (
        f"{start} {median / 1e6:.4g} | {min(rates) / 1e6:.4g} to {max(rates) / 1e6:.4g} | "
        f"{median / ceiling:.2f} | {compiling:.1f} | {sizes.size_text(peak) if peak else '-'} |"
    )


if __name__ == "__main__":
    main()
