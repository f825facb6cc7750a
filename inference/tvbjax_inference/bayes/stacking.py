"""Weights of a posterior's modes by how well they predict, where chains do not go between them.

Chains that sit in a mode each say nothing of the modes' masses. Stacking instead looks for the
mixture that predicts each contact best from all others: Yao, Vehtari, Simpson & Gelman (2018),
Bayesian Analysis 13:917; of chains that do not mix, Yao, Vehtari & Gelman (2022), JMLR 23:79.
"""

import dataclasses
from typing import TYPE_CHECKING

import jax.random as jr
import numpy as np
import scipy.optimize
from jaxtyping import Array, Float
from scipy.special import log_softmax, softmax

from tvbjax.arrays import check_one_key
from tvbjax_inference.bayes.loo import Loo, loo

if TYPE_CHECKING:
    import xarray as xr

_RESAMPLED = ("posterior", "posterior_predictive", "log_likelihood", "unconstrained_posterior")
_KEPT = ("prior", "prior_predictive", "observed_data", "modes")


@dataclasses.dataclass(frozen=True, eq=False)
class Stacked:
    """`weights`: of the modes, in the order of `tree["modes"]`; their sum is 1. `modes`: of each,
    how well it predicts by itself. `chains`: which sit in each. `tree`: as many draws as there
    were, resampled by these weights, as one chain. `problems`: in words."""

    weights: Float[np.ndarray, " mode"]
    modes: tuple[Loo, ...]
    chains: tuple[tuple[int, ...], ...]
    tree: "xr.DataTree"
    problems: tuple[str, ...]

    def __str__(self) -> str:
        lines = [
            "Weights that predict contacts best, each from all others; they are no masses of the "
            "posterior:"
        ]
        for mode, (weight, alone, chains) in enumerate(
            zip(self.weights, self.modes, self.chains, strict=True)
        ):
            which = f"chain{'s' * (len(chains) > 1)} {', '.join(map(str, chains))}"
            lines.append(
                f"mode {mode} ({which}) has {weight:.2f}; alone it predicts with "
                f"{alone.elpd:.1f} nats."
            )
        return "\n".join([*lines, *(f"- {problem}" for problem in self.problems)])


def stacked(tree: "xr.DataTree", *, key: Array) -> Stacked:
    """The modes' stacking weights, and draws by them.

    `tree`: of `sample` with `Nuts(jumps=0)`, whose chain i sits in mode i % modes. Where they
    predict equally well, their weights are equal. The new tree has no `sample_stats`, which belong
    to chains, and one chain, of which R-hat says nothing: diagnose the chains of each mode.

    Raises `ValueError` for a tree of one mode, of fewer chains than modes, or without
    `log_likelihood`, and where chains jumped between modes, whose draws have their weights already.
    """
    check_one_key("stacked", key)
    for group in ("modes", "posterior"):
        if group not in getattr(tree, "children", {}):
            raise ValueError(
                f"stacked: the tree has no group '{group}'; give what sample returned."
            )
    modes, chains = tree["modes"].sizes["mode"], tree["posterior"].sizes["chain"]
    if modes < 2:
        raise ValueError("stacked: the posterior has one mode, and all draws are of it.")
    if "jumped" in getattr(tree.get("sample_stats"), "data_vars", ()):
        raise ValueError(
            "stacked: chains may jump between modes, and draws have the modes' weights already; "
            "for chains that stay where they begin draw with Nuts(jumps=0)."
        )
    if chains < modes:
        raise ValueError(
            f"stacked: there are {modes} modes and {chains} chains, and of some modes no draw; "
            f"draw with Nuts(chains={2 * modes})."
        )
    where = np.arange(chains) % modes
    sitting = tuple(tuple(np.flatnonzero(where == mode).tolist()) for mode in range(modes))
    alone = tuple(loo(_chains(tree, one)) for one in sitting)
    density = np.stack([one.table["elpd"].values for one in alone], axis=1)
    weights = stacking_weights(density)
    shares = np.array([weights[mode] / len(sitting[mode]) for mode in where])
    problems = [f"mode {i}: {said}" for i, one in enumerate(alone) for said in one.problems]
    return Stacked(weights, alone, sitting, _resampled(tree, shares, key), tuple(problems))


def stacking_weights(
    density: Float[np.ndarray, "part component"],
) -> Float[np.ndarray, " component"]:
    """The weights w >= 0 of sum 1 with the greatest sum over parts of log(sum_k w_k exp(density)).

    The sum is concave in w, and searched in logarithms, where gradients are bounded; what is alike
    in all parts has equal weights, as the search begins there.
    """

    def cost(logarithms: np.ndarray) -> tuple[float, np.ndarray]:
        parts = density + log_softmax(logarithms)[None]
        of_components = softmax(parts, axis=1).mean(axis=0)
        return -np.logaddexp.reduce(parts, axis=1).mean(), softmax(logarithms) - of_components

    found = scipy.optimize.minimize(
        cost,
        np.zeros(density.shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-9},
    )
    return softmax(found.x)


def _chains(tree: "xr.DataTree", chains: tuple[int, ...]) -> "xr.DataTree":
    import xarray as xr

    group = tree["log_likelihood"].to_dataset().isel(chain=list(chains))
    return xr.DataTree.from_dict({"log_likelihood": group})


def _resampled(
    tree: "xr.DataTree", shares: Float[np.ndarray, " chain"], key: Array
) -> "xr.DataTree":
    """As many draws, of each chain its share, evenly over its draws (systematic resampling)."""
    import xarray as xr

    chain, draw = (np.asarray(tree["posterior"][dim]) for dim in ("chain", "draw"))
    each = np.repeat(shares / len(draw), len(draw))
    size = len(each)
    ticks = (np.arange(size) + float(jr.uniform(key))) / size
    places = np.minimum(np.searchsorted(np.cumsum(each), ticks), size - 1)
    origin = chain[places // len(draw)], draw[places % len(draw)]
    groups = {}
    for name in _RESAMPLED:
        if name in tree.children:
            group = tree[name].to_dataset()
            # Replicates are of some draws only.
            kept = np.flatnonzero(np.isin(origin[1], group["draw"].values))
            at = {
                dim: xr.DataArray(one[kept], dims="place")
                for dim, one in zip(("chain", "draw"), origin, strict=True)
            }
            taken = group.sel(at).drop_vars(["chain", "draw"]).rename(place="draw")
            groups[name] = taken.assign_coords(draw=kept).expand_dims(chain=[0])
    groups |= {name: tree[name].to_dataset() for name in _KEPT if name in tree.children}
    found = xr.DataTree.from_dict(groups)
    found.attrs = dict(tree.attrs)
    return found
