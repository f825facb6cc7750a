"""Whether data look like those that the model makes: predictive checks of a prior and a posterior.

Box (1980), J. R. Stat. Soc. A 143:383, for priors; Gelman, Meng & Stern (1996), Statistica Sinica
6:733, for posteriors, whose p values are not uniform, but nearer to 1 than chance: data are used
twice. A small one is a sign of a wrong model, and a large one is none of a right one.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

if TYPE_CHECKING:
    import xarray as xr

STATISTICS = ("mean", "deviation", "time of the maximum", "range")
QUANTILES = (0.05, 0.5, 0.95)

LEAST_P = 0.01
# How often a right model may be blamed for one statistic, were channels independent.
_BLAME = 0.05


@dataclasses.dataclass(frozen=True, eq=False)
class PredictiveCheck:
    """`table`, a Dataset: by channel and statistic what is `observed`, what is `replicated` (with a
    third dim `quantile`: 5, 50, 95 %) and `p`, two-sided; by channel also `covered`, the share of
    samples that lie within 5 to 95 % of the replicates. Statistics: mean, deviation and range, in
    the unit of the data, and the sample of the maximum. `problems`: in words."""

    table: "xr.Dataset"
    problems: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        """Whether nothing is wrong that can be seen."""
        return not self.problems

    def __str__(self) -> str:
        size = self.table.sizes["channel"]
        if self.trusted:
            return f"Data of {size} channels look like those of the model."
        return "\n".join(f"- {problem}" for problem in self.problems)


def prior_check(tree: "xr.DataTree") -> PredictiveCheck:
    """The data beside what the model makes of draws of its prior.

    A prior may be vague, and then the data are well within its replicates; where they are not, or
    no sample of a channel is, the prior forbids what was seen.

    `tree`: of `sample`, of a program. Data of one axis, such as onsets by region, count as one
    channel. Raises `ValueError` for a tree without data or replicates.
    """
    table, problems = _checked("prior_check", tree, "prior_predictive")
    never = [str(one["channel"].values) for one in table["covered"] if float(one) == 0.0]
    if never:
        problems.append(
            f"The prior never covers the data of {', '.join(never)}: no sample lies within 5 to "
            "95 % of its replicates; widen the priors of offset, amplitude and noise, or look at "
            "the unit of the data."
        )
    return PredictiveCheck(table, tuple(problems))


def posterior_check(tree: "xr.DataTree") -> PredictiveCheck:
    """The data beside what the model makes of draws of its posterior.

    `tree`: of `sample`, of a program. Data of one axis, such as onsets by region, count as one
    channel. Raises `ValueError` for a tree without data or replicates.
    """
    table, problems = _checked("posterior_check", tree, "posterior_predictive")
    return PredictiveCheck(table, tuple(problems))


def _checked(who: str, tree: "xr.DataTree", group: str) -> "tuple[xr.Dataset, list[str]]":
    import xarray as xr

    for name in ("observed_data", group):
        if name not in getattr(tree, "children", {}):
            raise ValueError(
                f"{who}: the tree has no group '{name}'; give what sample returned, of a program."
            )
    data, replicates = tree["observed_data"].to_dataset(), tree[group].to_dataset()
    tables, problems = [], []
    for name, observed in data.items():
        if name not in replicates:
            raise ValueError(f"{who}: there are data, but no replicates, of '{name}'; draw again.")
        labels, signals = _channels(str(name), observed)
        seen = np.asarray(observed, float).reshape(signals)
        made = np.asarray(replicates[name], float).reshape(-1, *signals)
        finite = np.isfinite(made).all(axis=(1, 2))
        if not finite.all():
            problems.append(
                f"{(~finite).sum()} of {finite.size} replicates of '{name}' are no finite numbers, "
                "and left out here: runs diverge; narrow the priors, or take a smaller step."
            )
        if finite.sum() < 2:
            raise ValueError(f"{who}: fewer than two replicates of '{name}' are finite numbers.")
        if 2.0 / (1 + finite.sum()) >= LEAST_P:
            problems.append(
                f"There are {finite.sum()} replicates of '{name}', of which no p value is below "
                f"{2.0 / (1 + finite.sum()):.2g}; draw with sample(..., replicates=200) or more."
            )
        if len(data) > 1 and observed.ndim > 1:
            labels = [f"{name} of {label}" for label in labels]
        tables.append(_table(seen, made[finite], labels))
    table: xr.Dataset = xr.concat(tables, "channel")  # type: ignore[assignment]
    return table, [*_unlikely(table), *problems]


def _channels(name: str, observed: "xr.DataArray") -> tuple[list[str], tuple[int, int]]:
    """Labels, and the shape as (time, channel)."""
    if observed.ndim < 2:
        return [name], (observed.size, 1)
    labels = [str(label) for label in observed[observed.dims[-1]].values]
    return labels, (observed.size // len(labels), len(labels))


def _table(
    seen: Float[np.ndarray, "time channel"],
    made: Float[np.ndarray, "draw time channel"],
    labels: list[str],
) -> "xr.Dataset":
    import xarray as xr

    observed, replicated = _statistics(seen), _statistics(made)
    low, high = np.quantile(made, [QUANTILES[0], QUANTILES[-1]], axis=0)
    both = ("channel", "statistic")
    return xr.Dataset(
        {
            "observed": (both, observed),
            "replicated": (("quantile", *both), np.quantile(replicated, QUANTILES, axis=0)),
            "p": (both, two_sided(observed, replicated)),
            "covered": ("channel", ((seen >= low) & (seen <= high)).mean(axis=0)),
        },
        coords={"channel": labels, "statistic": list(STATISTICS), "quantile": list(QUANTILES)},
    )


def _statistics(
    signals: Float[np.ndarray, "*draw time channel"],
) -> Float[np.ndarray, "*draw channel statistic"]:
    found = [
        signals.mean(axis=-2),
        signals.std(axis=-2),
        signals.argmax(axis=-2).astype(float),
        np.ptp(signals, axis=-2),
    ]
    return np.stack(found, axis=-1)


def two_sided(
    observed: Float[np.ndarray, "*shape"], replicated: Float[np.ndarray, "draw *shape"]
) -> Float[np.ndarray, "*shape"]:
    """Twice the smaller of the shares of replicates that are no less, and no greater; what is
    observed counts as one of them, so that no p value is 0."""
    draws = len(replicated)
    above = (1.0 + (replicated >= observed).sum(axis=0)) / (1.0 + draws)
    below = (1.0 + (replicated <= observed).sum(axis=0)) / (1.0 + draws)
    return np.minimum(1.0, 2.0 * np.minimum(above, below))


def _unlikely(table: "xr.Dataset") -> list[str]:
    """Statistics that are unlikely in more channels than by chance, the worst first."""
    size, found = table.sizes["channel"], []
    by_chance = stats.binom.ppf(1.0 - _BLAME, size, LEAST_P)
    for name in table["statistic"].values:
        small: Bool[np.ndarray, " channel"] = table["p"].sel(statistic=name).values < LEAST_P
        if small.sum() <= by_chance:
            continue
        one = table.sel(statistic=name).isel(channel=small)
        low, _, high = one["replicated"].transpose("quantile", "channel").values
        shown = [
            f"{label} ({value:.3g}, replicates {a:.3g} to {b:.3g})"
            for label, value, a, b in zip(
                one["channel"].values, one["observed"].values, low, high, strict=True
            )
        ]
        said = (
            f"The {name} of {small.sum()} of {size} channels is hardly ever made by the model (p < "
            f"{LEAST_P}; by chance it would be {by_chance:.0f} at most): {', '.join(shown)}."
        )
        found.append((int(small.sum()), said))
    return [said for _, said in sorted(found, key=lambda one: -one[0])]
