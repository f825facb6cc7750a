"""How far to trust draws: the sampler's own signs of trouble, said in words, with what to do.

Thresholds are those of Vehtari et al. (2021), Bayesian Analysis 16:667 (R-hat below 1.01, 100
effective draws a chain), and Betancourt (2017), arXiv:1701.02434 (divergences, energy).
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from tvbjax_inference.bayes._arviz import FEWEST_WEIGHED, arviz_stats, pareto_shape

if TYPE_CHECKING:
    import xarray as xr

LARGEST_RHAT = 1.01
FEWEST_DRAWS = 100  # effective, for each chain
FEWEST_JUMPS = 10  # between modes, of each chain
LEAST_BFMI = 0.3
LARGEST_SHAPE = 0.7


@dataclasses.dataclass(frozen=True, eq=False)
class Diagnosis:
    """`problems`: in words, the worst first; none where the draws may be used. `table`: R-hat, and
    effective draws in bulk and tails, of every number. `numbers`: what was counted, by name."""

    problems: tuple[str, ...]
    table: "xr.Dataset"
    numbers: dict[str, float]

    @property
    def trusted(self) -> bool:
        """Whether nothing is wrong that can be seen."""
        return not self.problems

    @property
    def verdict(self) -> str:
        """One line, for above a figure or a table; all of it is `str()`."""
        rhat, *least = (self.numbers[name] for name in ("R-hat", "bulk ESS", "tail ESS"))
        shown = f"R-hat {rhat:.3f}, {min(least):.0f} effective draws at least"
        if self.trusted:
            return f"No sign of trouble with the draws ({shown})."
        return f"The draws are not to be trusted as they are ({shown}): see the diagnosis."

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in self.numbers.items())
        if self.trusted:
            return f"No sign of trouble: {shown}."
        said = "\n".join(f"- {problem}" for problem in self.problems)
        return f"Not to be trusted as it is ({shown}):\n{said}"


def diagnose(tree: "xr.DataTree") -> Diagnosis:
    """What is wrong with the draws of a tree of `sample`, or of any other of ArviZ's.

    Needs `pip install 'tvbjax[bayes]'`. Raises `ValueError` for a tree without a posterior.
    """
    if "posterior" not in getattr(tree, "children", {}):
        raise ValueError("diagnose: the tree has no group 'posterior'; give what sample returned.")
    import xarray as xr

    stats, posterior = arviz_stats(), tree["posterior"].to_dataset()
    rhat, bulk = stats.rhat(posterior), stats.ess(posterior, method="bulk")
    tail = stats.ess(posterior, method="tail")
    kinds = xr.concat([rhat, bulk, tail], "measure").assign_coords(
        measure=["rhat", "ess_bulk", "ess_tail"]
    )
    problems, counted = _of_mixing(kinds, posterior.sizes["chain"])
    more, numbers = _of_chains(tree, counted["R-hat"] < LARGEST_RHAT)
    return Diagnosis(tuple(problems + more), kinds, counted | numbers)


def _of_mixing(table: "xr.Dataset", chains: int) -> tuple[list[str], dict[str, float]]:
    problems: list[str] = []
    worst = _extreme(table.sel(measure="rhat"), np.nanargmax)
    least_bulk = _extreme(table.sel(measure="ess_bulk"), np.nanargmin)
    least_tail = _extreme(table.sel(measure="ess_tail"), np.nanargmin)
    numbers = {"R-hat": worst[1], "bulk ESS": least_bulk[1], "tail ESS": least_tail[1]}
    if chains < 2:
        problems.append(
            "There is one chain, which can't be compared with others; draw with four of Nuts()."
        )
    if not worst[1] < LARGEST_RHAT:
        bad = _count(table.sel(measure="rhat"), lambda x: ~(x < LARGEST_RHAT))
        problems.append(
            f"R-hat is {worst[1]:.3f} for {worst[0]} and {LARGEST_RHAT} or more for {bad} numbers: "
            "chains have not come to the same distribution; draw more, look whether they sit in "
            "several modes (tree['modes']), or give a prior that says more."
        )
    wanted = FEWEST_DRAWS * chains
    for what, (name, value), measure in (
        ("in bulk", least_bulk, "ess_bulk"),
        ("in the tails", least_tail, "ess_tail"),
    ):
        if not value >= wanted:
            bad = _count(table.sel(measure=measure), lambda x: ~(x >= wanted))
            problems.append(
                f"There are {value:.0f} effective draws {what} of {name}, and less than {wanted} "
                f"of {bad} numbers: intervals are rough; draw "
                f"{max(2, int(np.ceil(wanted / max(value, 1.0))))} times as many."
            )
    return problems, numbers


def _of_chains(tree: "xr.DataTree", mixed: bool) -> tuple[list[str], dict[str, float]]:
    """`mixed`: whether chains came to the same distribution."""
    if "sample_stats" not in tree.children:
        return [], {}
    stats, problems = tree["sample_stats"].to_dataset(), []
    diverging = int(stats["diverging"].sum()) if "diverging" in stats else 0
    numbers = {"divergences": float(diverging)} if "diverging" in stats else {}
    if diverging:
        share = diverging / stats["diverging"].size
        problems.append(
            f"{diverging} steps diverged ({share:.2%}), {_where(tree)}: the posterior has corners "
            "that chains did not enter; raise target_accept, or give the model an error, or a "
            "coordinate in which it is less sharp."
        )
    if "reached_max_tree_depth" in stats:
        saturated = float(stats["reached_max_tree_depth"].mean())
        numbers["share at the greatest depth"] = saturated
        if saturated:
            problems.append(
                f"{saturated:.1%} of the draws ended at the greatest depth of the tree, before "
                "they turned: chains creep; raise max_tree_depth, or look for a ridge "
                "(two unknowns that make up for one another)."
            )
    if "n_steps" in stats:
        numbers["steps a draw"] = float(stats["n_steps"].mean())
    if "log_weight" in stats:
        problems += _of_weights(np.asarray(stats["log_weight"]).ravel(), numbers)
    if "energy" in stats:
        energy = np.asarray(stats["energy"])
        bfmi = (np.diff(energy, axis=1) ** 2).mean(axis=1) / energy.var(axis=1)
        numbers["E-BFMI"] = float(bfmi.min())
        if bfmi.min() < LEAST_BFMI:
            problems.append(
                f"E-BFMI is {bfmi.min():.2f}, below {LEAST_BFMI}: the tails are heavier than "
                "chains can follow; reparametrise what is in the tails (a scale, a funnel)."
            )
    if "modes" in tree.children:
        jumped = np.asarray(stats["jumped"]).sum(axis=1) if "jumped" in stats else None
        if jumped is not None:
            numbers["least jumps of a chain"] = float(jumped.min())
        # Chains begin about the modes in turn, particles everywhere.
        everywhere = tree["modes"].sizes["mode"] <= tree["posterior"].sizes["chain"]
        met = mixed and (everywhere or "log_evidence" in stats)
        problems += _of_modes(tree["modes"].to_dataset(), jumped, met)
        problems += _of_search(tree, numbers)
    return problems, numbers


def _of_weights(log_weights: np.ndarray, numbers: dict[str, float]) -> list[str]:
    """Of draws that are not the posterior's own: by the tail of their weights. Yao et al. (2018),
    ICML 80:5581."""
    bad = int(np.isnan(log_weights).sum())
    if bad:
        return [
            f"At {bad} of {log_weights.size} draws the posterior's density is no number: the "
            "approximation reaches where runs fail, and cannot stand for it; draw with Nuts()."
        ]
    if log_weights.size < FEWEST_WEIGHED:
        return [
            f"{log_weights.size} draws are too few to be weighed by the posterior; make "
            f"{FEWEST_WEIGHED} or more."
        ]
    shape = numbers["Pareto k"] = pareto_shape(log_weights)
    if shape < LARGEST_SHAPE:
        return []
    if np.isinf(shape):
        return [
            "Weighed by the posterior, a few draws count and all others are nothing beside them: "
            "the approximation cannot stand for the posterior; draw with Nuts()."
        ]
    return [
        f"Weighed by the posterior, draws have a Pareto k of {shape:.2f}, {LARGEST_SHAPE} or more: "
        "the approximation is not the posterior, and misses a part of it; draw with Nuts()."
    ]


def _of_modes(modes: "xr.Dataset", jumped: np.ndarray | None, met: bool) -> list[str]:
    """`jumped`: how often each chain went from one to another, None where none could. `met`:
    whether chains that began about all of them came to the same distribution."""
    found = []
    few = jumped is None or jumped.min() < FEWEST_JUMPS
    if modes.sizes["mode"] > 1 and few and not met:
        weights = np.exp(modes["log_evidence"].values - modes["log_evidence"].values.max())
        shares = ", ".join(f"{share:.2g}" for share in weights / weights.sum())
        found.append(
            f"The posterior has {modes.sizes['mode']} modes (shares by their normal "
            f"approximations: {shares}), between which chains hardly went: the shares are the "
            "only word on their weights; draw Tempered() particles, weigh by stacked(), or give a "
            "prior that says more."
        )
    if not bool(modes["converged"].all()):
        found.append(
            "A mode was not reached (the gradient there is not small): the whitening is worse "
            "than it could be; give more starts."
        )
    return found


def _of_search(tree: "xr.DataTree", numbers: dict[str, float]) -> list[str]:
    """Whether the best mode was found: draws are below it by half a nat for each unknown."""
    modes = tree["modes"].to_dataset()
    if "reached" in modes:
        numbers["starts at the best mode"] = float(modes["reached"].values[0])
    stats = tree["sample_stats"].to_dataset()
    if "lp" not in stats or "log_density" not in modes:
        return []
    above = float(stats["lp"].mean("draw").max()) - float(modes["log_density"].values[0])
    if not above > 0:
        return []
    return [
        f"Draws of a chain are {above:.0f} nats above the best mode that was found, on average: "
        "the search missed the mode, and there may be more that chains missed; give more starts."
    ]


def _where(tree: "xr.DataTree") -> str:
    """Which number is the most unlike itself where steps diverged."""
    diverging = np.asarray(tree["sample_stats"]["diverging"]).ravel()
    if diverging.all():
        return "all of them"
    largest, where = 0.0, ""
    for values in tree["posterior"].to_dataset().values():
        flat = np.asarray(values).reshape(diverging.size, -1)
        spread = flat.std(axis=0)
        away = np.abs(flat[diverging] - flat.mean(axis=0)).mean(axis=0)
        score = np.where(spread > 0, away / np.where(spread > 0, spread, 1.0), 0.0)
        place = int(np.argmax(score))
        if score[place] > largest:
            largest, where = float(score[place]), _name(values, place)
    return f"most of all where {where} is {largest:.1f} deviations from its mean"


def _extreme(table: "xr.Dataset", pick) -> tuple[str, float]:
    """The name and the value of the number that is the worst."""
    names, values = [], []
    for array in table.values():
        flat = np.asarray(array, float).ravel()
        if np.isnan(flat).all():
            continue
        place = int(pick(flat))
        names.append(_name(array, place))
        values.append(float(flat[place]))
    if not values:
        return "no number", float("nan")
    chosen = int(pick(np.array(values)))
    return names[chosen], values[chosen]


def _count(table: "xr.Dataset", wrong) -> int:
    return int(sum(int(wrong(np.asarray(array)).sum()) for array in table.values()))


def _name(array: "xr.DataArray", place: int) -> str:
    """A number's name with its labels."""
    dims = [dim for dim in array.dims if dim not in ("chain", "draw")]
    if not dims:
        return f"'{array.name}'"
    index = np.unravel_index(place, [array.sizes[dim] for dim in dims])
    labels = []
    for dim, i in zip(dims, index, strict=True):
        labels.append(str(array[dim].values[i]) if dim in array.coords else str(i))
    return f"'{array.name}' of {', '.join(labels)}"
