"""Leave-one-out cross-validation of a posterior by its own draws, and models compared by it.

Pareto-smoothed importance sampling: Vehtari, Gelman & Gabry (2017), Statistics and Computing
27:1413; of contacts whose errors are alike, each given all others: Bürkner, Gabry & Vehtari (2021),
Computational Statistics 36:1243.
"""

import dataclasses
import itertools
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tvbjax_inference.bayes._arviz import arviz_stats, pareto_shape
from tvbjax_inference.bayes.diagnosis import LARGEST_SHAPE

if TYPE_CHECKING:
    import xarray as xr

# Sivula, Magnusson, Matamoros & Vehtari (2025), Bayesian Analysis, doi:10.1214/25-BA1569: models
# that differ by less than 4 nats predict alike, and then, or with fewer than about 100 contacts, or
# where both models are wrong by far, the standard error of the difference says little.
FEW = 100
SMALL = 4.0


@dataclasses.dataclass(frozen=True, eq=False)
class Loo:
    """`table`: by contact its `elpd`, log p(contact | all others) in nats, and `pareto_k`. `elpd`:
    their sum; `se`: its standard error, over contacts. `p_loo`: how many parameters the draws use,
    effectively. `problems`: in words; none where the numbers may be used."""

    table: "xr.Dataset"
    elpd: float
    se: float
    p_loo: float
    problems: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        """Whether nothing is wrong that can be seen."""
        return not self.problems

    def __str__(self) -> str:
        said = (
            f"{self.table.sizes['contact']} contacts, each given all others, have log densities of "
            f"{self.elpd:.1f} nats in all, with a standard error of {self.se:.1f}; "
            f"{self.p_loo:.1f} parameters are used, effectively."
        )
        return "\n".join([said, *(f"- {problem}" for problem in self.problems)])


def loo(tree: "xr.DataTree") -> Loo:
    """How well each contact is predicted by all others, from the draws given them all.

    `tree`: of `sample`, with a group `log_likelihood`: in each draw, every contact's log density
    given all others (of `OnsetTimes`, every region's). All likelihoods of a program count, a
    contact of several being called "seeg of A1".

    Needs `pip install 'tvbjax[bayes]'`. Raises `ValueError` for a tree without such a group, for
    densities that are no finite numbers, and for a chain that never moved.
    """
    stats, density = arviz_stats(), by_contact("loo", tree)
    import xarray as xr

    stuck = np.flatnonzero(np.ptp(np.asarray(density), axis=1).max(axis=-1) == 0.0)
    if len(stuck):
        raise ValueError(
            f"loo: chain {stuck[0]} never moved, for all of its draws have the same densities; "
            "look at bayes.diagnose(tree)."
        )

    # ArviZ asks for a posterior for its effective draws, which are those of the densities here:
    # some numbers of a posterior never move, and have none.
    likely = np.exp(density - density.max(("chain", "draw")))
    effective = stats.ess(xr.Dataset({"density": likely}), method="mean")["density"]
    given = xr.Dataset({"density": density})
    groups = xr.DataTree.from_dict({"posterior": given, "log_likelihood": given})
    share = float(effective.mean()) / (density.sizes["chain"] * density.sizes["draw"])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", UserWarning)  # of large k, which is said below
        found = stats.loo(groups, pointwise=True, var_name="density", reff=share)
    columns = np.asarray(density).reshape(-1, density.sizes["contact"]).T
    shapes = [pareto_shape(-column) for column in columns]
    table = xr.Dataset(
        {"elpd": found.elpd_i, "pareto_k": found.pareto_k.where(np.isfinite(shapes), np.inf)}
    )
    used = float(found.p)
    return Loo(table, float(found.elpd), float(found.se), used, _problems(table, used))


def _problems(table: "xr.Dataset", used: float) -> tuple[str, ...]:
    found = _of_shapes(table)
    if used > table.sizes["contact"]:
        found += (
            f"{used:.0f} parameters are used, effectively, and there are "
            f"{table.sizes['contact']} contacts: draws are of several modes with other densities, "
            "or the model is wrong by far; look at bayes.diagnose(tree) and posterior_check(tree).",
        )
    return found


def _of_shapes(table: "xr.Dataset") -> tuple[str, ...]:
    shapes = table["pareto_k"].values
    bad = np.flatnonzero(~(shapes < LARGEST_SHAPE))
    if not len(bad):
        return ()
    worst = bad[np.argsort(-shapes[bad])]
    names = ", ".join(f"{table['contact'].values[i]} ({shapes[i]:.2f})" for i in worst)
    return (
        f"Pareto k is above {LARGEST_SHAPE} for {len(bad)} of {len(shapes)} contacts: {names}. "
        "Without one of these the posterior is another, and the draws cannot tell how well it is "
        "predicted: refit without it, bayes.leave_out(program, [contact], ...), look whether its "
        "signal is sound, or give the model a larger error.",
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """`table`: by model, the best first, `elpd`, `se` and `p_loo`; `difference` of elpd from the
    best, 0 or less, and `difference_se`, the standard error of that, over contacts; in nats.
    `problems`: in words, by model."""

    table: "xr.Dataset"
    problems: tuple[str, ...]

    def __str__(self) -> str:
        names = [str(name) for name in self.table["model"].values]
        best, lines = names[0], []
        for name in names[1:]:
            one = self.table.sel(model=name)
            less, error = -float(one["difference"]), float(one["difference_se"])
            if less < SMALL:
                verdict = f": less than {SMALL:g} is too little to tell them apart, whatever it is."
            elif less < 2.0 * error:
                verdict = ": less than two of them is too little to tell them apart."
            else:
                verdict = "."
            lines.append(
                f"'{best}' predicts contacts better than '{name}' by {less:.1f} nats, with a "
                f"standard error of {error:.1f}{verdict}"
            )
        return "\n".join([*lines, *(f"- {problem}" for problem in self.problems)])


def compare_models(trees: "Mapping[str, xr.DataTree]") -> Comparison:
    """Models of the same data by how well they predict each contact from all others.

    `trees`: two or more of `sample`, by name. The difference of two models is a sum over contacts,
    and sqrt(contacts) times its deviation over them is its standard error.

    Raises `TypeError` for what is no mapping of trees, and `ValueError` for trees of other contacts
    or other data.
    """
    if not isinstance(trees, Mapping) or len(trees) < 2:
        raise TypeError(
            f"compare_models: trees is {trees!r:.60}; give two or more of bayes.sample by name, "
            "e.g. {'with delays': tree, 'without': other}."
        )
    import xarray as xr

    first = next(iter(trees))
    for name, tree in trees.items():
        _check_same_data(first, trees[first], name, tree)
    found = {name: loo(tree) for name, tree in trees.items()}
    names = sorted(found, key=lambda name: -found[name].elpd)
    best = found[names[0]].table["elpd"].values
    away = [found[name].table["elpd"].values - best for name in names]
    columns = {
        "elpd": [found[name].elpd for name in names],
        "se": [found[name].se for name in names],
        "p_loo": [found[name].p_loo for name in names],
        "difference": [one.sum() for one in away],
        "difference_se": [one.std() * np.sqrt(len(best)) for one in away],
    }
    table = xr.Dataset({n: ("model", x) for n, x in columns.items()}, coords={"model": names})
    problems = [f"'{name}': {said}" for name in names for said in found[name].problems]
    if len(best) < FEW:
        problems.append(
            f"There are {len(best)} contacts, fewer than {FEW}: standard errors of differences are "
            "rough, and too small rather than too large."
        )
    return Comparison(table, tuple(problems))


def _check_same_data(first: str, tree: "xr.DataTree", name: str, other: "xr.DataTree") -> None:
    contacts = [list(by_contact("compare_models", t)["contact"].values) for t in (tree, other)]
    if contacts[0] != contacts[1]:
        apart = sorted(set(contacts[0]) ^ set(contacts[1]))
        what = f"{', '.join(apart[:3])} only in one" if apart else "in another order"
        raise ValueError(
            f"compare_models: '{first}' and '{name}' are of other contacts ({what}); densities of "
            "other data cannot be compared: fit both to the same channels."
        )
    if all("observed_data" in t.children for t in (tree, other)):
        data, others = (t["observed_data"].to_dataset() for t in (tree, other))
        if not data.equals(others):
            raise ValueError(
                f"compare_models: the data of '{first}' and '{name}' differ, as far as they are in "
                "the trees; densities of other data cannot be compared."
            )


def by_contact(who: str, tree: "xr.DataTree") -> "xr.DataArray":
    """Log densities (chain, draw, contact) of all likelihoods. Raises `ValueError` for `who`."""
    import xarray as xr

    if "log_likelihood" not in getattr(tree, "children", {}):
        raise ValueError(
            f"{who}: the tree has no group 'log_likelihood'; give what sample returned, of a "
            "program, or of a model with a deterministic site called NAME_log_likelihood."
        )
    group, labels, parts = tree["log_likelihood"].to_dataset(), [], []
    for name, array in group.items():
        own = [dim for dim in array.dims if dim not in ("chain", "draw")]
        places = itertools.product(*(array[dim].values for dim in own))
        found = [", ".join(map(str, place)) or str(name) for place in places]
        labels += [f"{name} of {one}" for one in found] if len(group) > 1 else found
        lead = np.asarray(array.transpose("chain", "draw", *own), float)
        parts.append(lead.reshape(*lead.shape[:2], -1))
    density = np.concatenate(parts, axis=-1)
    bad = np.flatnonzero(~np.isfinite(density).all(axis=(0, 1)))
    if len(bad):
        raise ValueError(
            f"{who}: the log density of {labels[bad[0]]} is no finite number in some draws; look "
            "at bayes.diagnose(tree)."
        )
    return xr.DataArray(density, dims=("chain", "draw", "contact"), coords={"contact": labels})
