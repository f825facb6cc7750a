"""How many evaluations the optimisers of `tvbjax.l2l` need, beside pycma's and evosax's.

In ten dimensions, from eleven places that are even from -4 to 4 to an optimum that is even from -2
to 2, with a first standard deviation of 2, until the loss is 1e-8 or 40,000 evaluations are over.
Designs of points know no start, and fill the cube from -6 to 6 in which the optima are.

    python -m benchmarks.l2l_conformance [--optimisers "Cma, 10;Genetic"] [--functions sphere]
        [--peers pycma]

Peers run in their own environments (`make bench-l2l`). Writes
benchmarks/results/l2l_conformance.json and .md, in which what was not run is left as it was.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from benchmarks.compare import BUILD, ENVIRONMENTS, RESULTS, keep, machine, reported
from tvbjax.l2l import (
    AbstractOptimiser,
    Annealing,
    Bayesian,
    Bipop,
    Cma,
    CrossEntropy,
    Differential,
    EnsembleKalman,
    Evaluated,
    ExponentialNes,
    Face,
    FiniteDifferences,
    Fixed,
    FixedSteps,
    FullNormal,
    Genetic,
    GradientDescent,
    Grid,
    Halton,
    Ipop,
    LatinHypercube,
    NormalMixture,
    Nsga2,
    OpenAiEs,
    ParallelTempering,
    Pgpe,
    Random,
    RandomOne,
    Real,
    SeparableNes,
    SimulatedBinary,
    Sobol,
    Space,
    Spsa,
    Swarm,
    Tpe,
    Unbounded,
    functions,
    ladder,
    minimise,
)
from tvbjax_inference.l2l.minimising import candidate_keys, evaluate

# Before optimisers are made, whose numbers are arrays.
jax.config.update("jax_enable_x64", True)

WIDTH, SEEDS, BUDGET, TARGET, DEVIATION = 10, 11, 40_000, 1e-8, 2.0
FUNCTIONS = {
    "sphere": functions.sphere,
    "ellipsoid": functions.ellipsoid,
    "rotated ellipsoid": functions.rotated(functions.ellipsoid, jr.key(1)),
    "discus": functions.discus,
    "bent cigar": functions.bent_cigar,
    "Rosenbrock": functions.rosenbrock,
    "Ackley": functions.ackley,
    "Rastrigin": functions.rastrigin,
}
SPACE = Space(x=Unbounded(0.0, DEVIATION, shape=(WIDTH,)))
CUBE = Space(x=Real(-6.0, 6.0, shape=(WIDTH,)))
RESIDUALS = 2 * (WIDTH - 1)
# Name: the optimiser, and its budget.
OPTIMISERS: dict[str, tuple[AbstractOptimiser, int]] = {
    "Cma, 10": (Cma(size=10), BUDGET),
    "Cma, 40": (Cma(size=40), BUDGET),
    "Cma, 200": (Cma(size=200), 2 * BUDGET),
    "Cma, 10, Ipop": (Cma(size=10, restarts=Ipop(6)), 100_000),
    "Cma, 10, Bipop": (Cma(size=10, restarts=Bipop(6)), 100_000),
    "SeparableNes, 40": (SeparableNes(size=40), BUDGET),
    "ExponentialNes, 40": (ExponentialNes(size=40), BUDGET),
    "OpenAiEs, 40": (OpenAiEs(), BUDGET),
    "Pgpe, 40": (Pgpe(), BUDGET),
    "Differential, 40": (Differential(), BUDGET),
    "Differential, RandomOne, Fixed": (Differential(donors=RandomOne(), control=Fixed()), BUDGET),
    "Genetic, Blend": (Genetic(), BUDGET),
    "Genetic, SimulatedBinary": (Genetic(crossover=SimulatedBinary()), BUDGET),
    "Swarm": (Swarm(), BUDGET),
    "Swarm, ring": (Swarm(reach=2), BUDGET),
    "CrossEntropy": (CrossEntropy(), BUDGET),
    "CrossEntropy, FullNormal": (CrossEntropy(distribution=FullNormal()), BUDGET),
    "CrossEntropy, NormalMixture": (
        CrossEntropy(size=200, distribution=NormalMixture()),
        BUDGET,
    ),
    "Face": (Face(), BUDGET),
    "Annealing": (Annealing(), BUDGET),
    "ParallelTempering": (ParallelTempering(ladder(1e-3, 10.0, 16)), BUDGET),
    "EnsembleKalman, 40": (
        EnsembleKalman(
            np.zeros(RESIDUALS), np.full(RESIDUALS, 1e-10), size=40, steps=FixedSteps(1.0)
        ),
        BUDGET,
    ),
    "GradientDescent, Adam": (GradientDescent(optax.adam(0.1)), BUDGET),
    "FiniteDifferences, Adam": (FiniteDifferences(optax.adam(0.1)), BUDGET),
    "Spsa, Adam": (Spsa(optax.adam(0.1)), BUDGET),
    "Bayesian": (Bayesian(most=100), 100),
    "Tpe": (Tpe(), 100),
    "Nsga2, one objective": (Nsga2(objectives=1, size=40), 2_000),
    "Random": (Random(BUDGET, size=2000), BUDGET),
    "Sobol": (Sobol(2**15, size=2**12), 2**15),
    "Halton": (Halton(BUDGET, size=2000), BUDGET),
    "LatinHypercube": (LatinHypercube(BUDGET, size=2000), BUDGET),
    "Grid, 2 levels": (Grid(2), 2**WIDTH),
}
DESIGNS = (Random, Sobol, Halton, LatinHypercube, Grid)
PEERS = {"pycma": "run_pycma.py", "evosax": "run_evosax.py"}


def main() -> None:
    parser = argparse.ArgumentParser(description="Conformance of the optimisers of l2l.")
    parser.add_argument("--optimisers", help="names, or their beginnings, with ; between")
    parser.add_argument("--functions", default=",".join(FUNCTIONS))
    parser.add_argument("--peers", default=",".join(PEERS))
    options = parser.parse_args()
    wanted = options.optimisers.split(";") if options.optimisers else [""]
    names = options.functions.split(",")
    for name, (optimiser, budget) in OPTIMISERS.items():
        if any(name.startswith(one) for one in wanted):
            by_hand = not optimiser.compiled or isinstance(optimiser, DESIGNS)
            written((asked if by_hand else measured)(name, optimiser, budget, names))
    for name in options.peers.split(",") if options.peers else []:
        written(beside(name, names))


def written(rows: list[dict[str, Any]]) -> None:
    """Puts rows among those of an earlier run, of other optimisers and functions than these."""
    anew = {(row["optimiser"], row["function"]) for row in rows}
    path = RESULTS / "l2l_conformance.json"
    before = json.loads(path.read_text())["rows"] if path.is_file() else []
    rows = [row for row in before if (row["optimiser"], row["function"]) not in anew] + rows
    keep("l2l_conformance", {"machine": machine(), "rows": rows}, table(rows))


def places() -> tuple[np.ndarray, np.ndarray]:
    """Starts and optima, one each seed."""
    draw = np.random.default_rng(0)
    return draw.uniform(-4, 4, (SEEDS, WIDTH)), draw.uniform(-2, 2, (SEEDS, WIDTH))


def measured(
    name: str, optimiser: AbstractOptimiser, budget: int, names: list[str]
) -> list[dict[str, Any]]:
    """One optimiser on every function, all seeds at once in one program."""
    size = optimiser.population(SPACE)
    branches: list[Callable[..., Any]] = list(FUNCTIONS.values())
    if optimiser.needs_outputs:
        quadratic = list(FUNCTIONS)[:5]
        with_residuals = {name: of_squares(FUNCTIONS[name]) for name in quadratic}
        with_residuals["Rosenbrock"] = of_rosenbrock
        names = [name for name in names if name in with_residuals]
        branches = [residuals(with_residuals.get(name, jnp.asarray)) for name in FUNCTIONS]
    starts, optima = places()

    @jax.jit
    def searched(which, keys, offsets):
        def one(key, offset):
            def loss(values, _):
                # The search begins at 0 and the optimum is moved, which is the same.
                return jax.lax.switch(which, branches, values["x"] - offset)

            _, trace = minimise(loss, SPACE, optimiser, key, generations=budget // size)
            return trace.least

        # Side by side the branches of a condition all run, one of which is long there.
        if isinstance(optimiser, Cma) and optimiser.restarts:
            return jax.lax.map(lambda pair: one(*pair), (keys, offsets))
        return jax.vmap(one)(keys, offsets)

    rows = []
    for function in names:
        which = jnp.asarray(list(FUNCTIONS).index(function))
        began = time.perf_counter()
        least = np.asarray(
            searched(which, jr.split(jr.key(0), SEEDS), jnp.asarray(optima - starts))
        )
        seconds = time.perf_counter() - began
        rows.append(row_of(name, function, least, size, budget, seconds))
    return rows


def asked(
    name: str, optimiser: AbstractOptimiser, budget: int, names: list[str]
) -> list[dict[str, Any]]:
    """The same, seed by seed and generation by generation, of what cannot be compiled whole."""
    space = CUBE if isinstance(optimiser, DESIGNS) else SPACE
    size = optimiser.population(space)
    starts, optima = places()
    # Designs fill the space about its middle, whatever the start.
    offsets = optima if isinstance(optimiser, DESIGNS) else optima - starts
    rows = []
    for function in names:
        f = FUNCTIONS[function]

        @jax.jit
        def losses(offset, candidates, keys, f=f):
            def loss(values, _):
                return f(values["x"] - offset)

            return evaluate(loss, space, candidates, keys)[0]

        began = time.perf_counter()
        least = np.full((SEEDS, budget // size), np.inf)
        for seed, offset in enumerate(jnp.asarray(offsets)):
            search = optimiser.init(space, jr.key(seed))
            for generation in range(budget // size):
                candidates, search = optimiser.ask(search)
                keys = candidate_keys(jr.key(0), generation, size)
                search = optimiser.tell(search, candidates, losses(offset, candidates, keys))
                least[seed, generation] = search.least
        seconds = time.perf_counter() - began
        rows.append(row_of(name, function, least, size, budget, seconds))
    return rows


def row_of(
    name: str, function: str, least: np.ndarray, size: int, budget: int, seconds: float
) -> dict[str, Any]:
    """What the least losses (seed, generation) come to."""
    hits = least <= TARGET
    evaluations = [int(size * (hit.argmax() + 1)) if hit.any() else None for hit in hits]
    row = {"optimiser": name, "function": function, "evaluations": evaluations}
    row |= {"least": least[:, -1].tolist(), "budget": budget}
    print(f"{name:28} {function:18} {told(row):24} {seconds:.1f} s", file=sys.stderr, flush=True)
    return row


def of_squares(function: functions.Function) -> functions.Function:
    """The numbers whose squares a quadratic function is the sum of."""
    root = jnp.linalg.cholesky(jax.hessian(function)(jnp.zeros(WIDTH)) / 2.0)
    return lambda x: root.T @ x


def of_rosenbrock(x: jax.Array) -> jax.Array:
    """The same of Rosenbrock's function."""
    return jnp.concatenate([10.0 * (x[1:] - x[:-1] ** 2), 1.0 - x[:-1]])


def residuals(numbers: functions.Function) -> Callable[[jax.Array], Evaluated]:
    """A loss with the numbers whose squares it is the sum of; as many for every function."""

    def found(x):
        outputs = numbers(x)
        padded = jnp.concatenate([outputs, jnp.zeros(RESIDUALS - len(outputs))])
        return Evaluated(jnp.sum(outputs**2), outputs=padded)

    return found


def beside(peer: str, names: list[str]) -> list[dict[str, Any]]:
    """The same of a peer's optimisers, as it reports it."""
    BUILD.mkdir(parents=True, exist_ok=True)
    starts, optima = places()
    path = BUILD / "l2l_conformance.npz"
    np.savez(path, starts=starts, optima=optima, rotation=jr.orthogonal(jr.key(1), WIDTH))
    facts = {"deviation": DEVIATION, "target": TARGET, "budget": BUDGET, "functions": names}
    python = ENVIRONMENTS / peer / "bin" / "python"
    if not python.is_file():
        print(f"{peer} is not there; run `make bench-l2l`", file=sys.stderr)
        return []
    script = PEERS[peer]
    return reported(str(python.absolute()), script, str(path.absolute()), json.dumps(facts))["rows"]


def told(row: dict[str, Any]) -> str:
    """The median of evaluations where more than half succeeded, and else of the least losses."""
    found = [float("inf") if x is None else x for x in row["evaluations"]]
    successes = sum(x is not None for x in row["evaluations"])
    median = statistics.median(found)
    if median < float("inf"):
        return f"{median:,.0f}" + (f" ({successes}/{len(found)})" if successes < len(found) else "")
    return f"{successes}/{len(found)}: {statistics.median(row['least']):.2g}"


def table(rows: list[dict[str, Any]]) -> list[str]:
    facts = machine()
    lines = [
        "# Optimisers beside their peers",
        "",
        f"{WIDTH} dimensions, {SEEDS} seeds; medians of evaluations until {TARGET:g}, successes in "
        "brackets where some failed; where half or more failed, the successes and the median of "
        "the least losses. Seeds that failed count in medians, as more than all others. The budget "
        f"is {BUDGET:,}, where no other is given. GradientDescent is given each evaluation's "
        "gradient, and EnsembleKalman the numbers whose squares a loss is the sum of; all others "
        "see losses alone. evosax's optimisers have its defaults, and this first deviation where "
        "they take one. "
        f"{facts['processor']}.",
        "",
        "| | " + " | ".join(FUNCTIONS) + " |",
        "| --- |" + " ---: |" * len(FUNCTIONS),
    ]
    for name in dict.fromkeys([*OPTIMISERS, *(row["optimiser"] for row in rows)]):
        cells = {row["function"]: row for row in rows if row["optimiser"] == name}
        if cells:
            budget = next(iter(cells.values()))["budget"]
            label = name if budget == BUDGET else f"{name} ({budget:,})"
            text = [told(cells[f]) if f in cells else "" for f in FUNCTIONS]
            lines.append(f"| {label} | " + " | ".join(text) + " |")
    return lines


if __name__ == "__main__":
    main()
