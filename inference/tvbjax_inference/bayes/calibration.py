"""Whether posteriors are what they say: ranks, coverage, z scores and shrinkage over many truths.

Each of many truths was drawn from the prior, data were simulated with it, and a sampler drew from
the posterior of these data. Knows no sampler: all that it sees is truths and draws.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.stats
from jaxtyping import Float, Int
from numpyro.diagnostics import effective_sample_size

from tvbjax.kinds import check_count
from tvbjax_inference.bayes.ecdf import Uniformity, uniformity

if TYPE_CHECKING:
    import xarray as xr

_LEVELS = (0.5, 0.9, 0.95)
_SURE = 0.95  # of the intervals of shares
_ALARM = 0.01  # how often all of a right sampler's tests of ranks together cry out
_ROWS = 40  # of a table


def ranks(truths: Float[np.ndarray, "n d"], draws: Float[np.ndarray, "n m d"]):
    """How many of the draws are below each truth: of 0 to m, uniform where draws are right.

    Talts et al. (2018), arXiv:1804.06788. Draws must be independent: see `thinned`.
    """
    _check_pair("ranks", truths, draws)
    return (draws < truths[:, None]).sum(axis=1)


def z_score(truths: Float[np.ndarray, "n d"], draws: Float[np.ndarray, "n m d"]):
    """By how many of the posterior's standard deviations its mean is above the truth.

    Betancourt (2018), arXiv:1803.08393.
    """
    _check_pair("z_score", truths, draws)
    return (draws.mean(axis=1) - truths) / draws.std(axis=1, ddof=1)


def shrinkage(draws: Float[np.ndarray, "n m d"], prior_variance: Float[np.ndarray, " d"]):
    """By which share the posterior's variance is below the prior's: 1 where data tell all, 0 where
    they tell nothing, negative where the posterior is wider. Betancourt (2018), arXiv:1803.08393.
    """
    if not (prior_variance > 0).all():
        raise ValueError(f"shrinkage: the prior variances are {prior_variance}; give some above 0.")
    return 1 - draws.var(axis=1, ddof=1) / prior_variance


def thinned(chains: Float[np.ndarray, "chain draw d"], count: int) -> np.ndarray:
    """`count` draws that are as good as independent, evenly from all chains: `(count, d)`.

    Ranks among draws that depend on each other are not uniform even where the sampler is right.
    Raises `ValueError` where the chains are worth fewer independent draws than that, in the
    parameter of which they are worth the least (Geyer 1992, Statistical Science 7:473).
    """
    check_count("thinned: count", count)
    moving = chains[:, :, np.ptp(chains, axis=(0, 1)) > 0]
    if not np.isfinite(chains).all() or not moving.shape[2]:
        raise ValueError("thinned: the chains do not move, or have NaN; look at the sampler.")
    worth = min(float(np.min(effective_sample_size(moving))), chains.shape[0] * chains.shape[1])
    if not worth >= count:
        raise ValueError(
            f"thinned: the chains are worth {worth:.0f} independent draws, and {count} are asked "
            "for; sample longer, or ask for fewer."
        )
    flat = chains.reshape(-1, chains.shape[2])
    return flat[np.linspace(0, len(flat) - 1, count).round().astype(int)]


@dataclasses.dataclass(frozen=True, eq=False)
class Coverage:
    """How often central intervals contain the truth, and between which shares that is for sure.

    `low`, `high`: of Clopper's and Pearson's (1934, Biometrika 26:404) interval, of 95 %.
    """

    levels: tuple[float, ...]
    shares: Float[np.ndarray, "level d"]
    low: Float[np.ndarray, "level d"]
    high: Float[np.ndarray, "level d"]


def coverage(
    truths: Float[np.ndarray, "n d"],
    draws: Float[np.ndarray, "n m d"],
    levels: Sequence[float] = _LEVELS,
) -> Coverage:
    """How often the central interval of each level, between quantiles of the draws, has the truth.

    A quantile q of m draws is at the place (m + 1) q, with which the share is right for few draws
    too. `levels`: between 0 and 1. Raises `ValueError` where there are too few draws for a level.
    """
    _check_pair("coverage", truths, draws)
    wrong = [level for level in levels if not 0 < level < 1]
    if wrong or not len(levels):
        raise ValueError(f"coverage: the levels are {tuple(levels)}; give some between 0 and 1.")
    needed = math.ceil(2 / (1 - max(levels)) - 1 - 1e-9)
    if draws.shape[1] < needed:
        raise ValueError(
            f"coverage: {draws.shape[1]} draws have no interval of the level {max(levels)}; give "
            f"{needed} or more, or lower levels."
        )
    tails = (1 - np.asarray(levels)) / 2
    ends = np.quantile(draws, [*tails, *(1 - tails)], axis=1, method="weibull")
    below, above = np.split(ends, 2)
    hits = ((below <= truths) & (truths <= above)).sum(axis=1)
    low, high = _clopper_pearson(hits, len(truths))
    return Coverage(tuple(levels), hits / len(truths), low, high)


def _clopper_pearson(hits: Int[np.ndarray, "..."], count: int) -> tuple[np.ndarray, np.ndarray]:
    tail = (1 - _SURE) / 2
    # Where nothing or all was hit, the beta distribution has no such quantile.
    low = scipy.stats.beta.ppf(tail, np.maximum(hits, 1), count - hits + 1)
    high = scipy.stats.beta.isf(tail, hits + 1, np.maximum(count - hits, 1))
    return np.where(hits == 0, 0.0, low), np.where(hits == count, 1.0, high)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """What many truths and posteriors tell of a sampler.

    `names`: of the parameters. `ranks`: of the truths among `draws` draws each. `z_scores`,
    `shrinkages`: of each posterior. `failures`: by the data set's number, why it has no posterior.
    """

    names: tuple[str, ...]
    ranks: Int[np.ndarray, "n d"]
    draws: int
    uniformity: Uniformity
    coverage: Coverage
    z_scores: Float[np.ndarray, "n d"]
    shrinkages: Float[np.ndarray, "n d"]
    failures: dict[int, str]

    @staticmethod
    def of(
        truths: Float[np.ndarray, "n d"],
        draws: Float[np.ndarray, "n m d"],
        *,
        names: Sequence[str] | None = None,
        prior_variance: Float[np.ndarray, " d"] | None = None,
        levels: Sequence[float] = _LEVELS,
        failures: dict[int, str] | None = None,
    ) -> "Calibration":
        """`prior_variance`: by default the truths' own, which are drawn from the prior."""
        found = ranks(truths, draws)
        labels = tuple(names) if names is not None else _numbered(truths.shape[1])
        if len(labels) != truths.shape[1]:
            raise ValueError(
                f"Calibration: {len(labels)} names and {truths.shape[1]} parameters; give a name "
                "for each."
            )
        variance = truths.var(axis=0, ddof=1) if prior_variance is None else prior_variance
        return Calibration(
            labels,
            found,
            draws.shape[1],
            uniformity(found, draws.shape[1]),
            coverage(truths, draws, levels),
            z_score(truths, draws),
            shrinkage(draws, variance),
            failures or {},
        )

    @property
    def wrong(self) -> tuple[str, ...]:
        """Parameters whose ranks are not uniform by either test. A right sampler has some here in
        less than 1 of 100 calibrations."""
        limit = _ALARM / len(self.names) / 2
        least = np.minimum(self.uniformity.chi_square, self.uniformity.ecdf)
        return tuple(name for name, p in zip(self.names, least, strict=True) if p < limit)

    def verdict(self, name: str) -> str:
        """What the ranks of a parameter say of its posteriors, in words."""
        if name not in self.names:
            raise KeyError(f"Calibration: there is no '{name}'; there are {', '.join(self.names)}.")
        if name not in self.wrong:
            return "as it should be"
        places = (self.ranks[:, self.names.index(name)] + 0.5) / (self.draws + 1) - 0.5
        count = len(places)
        shift = places.mean() / math.sqrt(1 / 12 / count)
        spread = ((places**2).mean() - 1 / 12) / math.sqrt(1 / 180 / count)
        if max(abs(shift), abs(spread)) < 3:
            return "of another shape"
        if abs(shift) >= abs(spread):
            return "too low" if shift > 0 else "too high"
        return "too narrow" if spread > 0 else "too wide"

    def summary(self) -> str:
        """A table of all parameters, and what follows from it."""
        cover = self.coverage
        head = [f"in {100 * level:g} %" for level in cover.levels]
        lines = [("parameter", "p ranks", *head, "z sd", "shrinkage", "posteriors are")]
        for i, name in enumerate(self.names[:_ROWS]):
            p = min(1.0, 2 * min(self.uniformity.chi_square[i], self.uniformity.ecdf[i]))
            shares = [f"{100 * share:.3g} %" for share in cover.shares[:, i]]
            z, shrunk = self.z_scores[:, i].std(), np.median(self.shrinkages[:, i])
            words = self.verdict(name)
            lines.append((name, f"{p:.2g}", *shares, f"{z:.3g}", f"{shrunk:.3g}", words))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
        if len(self.names) > _ROWS:
            table.append(f"... and {len(self.names) - _ROWS} more; to_xarray() has all.")
        return "\n".join([*table, "", self._conclusion()])

    def _conclusion(self) -> str:
        count = len(self.ranks)
        said = f"{count} data sets, {self.draws} draws each: "
        if self.wrong:
            more = f" and {len(self.wrong) - 8} more" if len(self.wrong) > 8 else ""
            said += f"posteriors are wrong for {', '.join(self.wrong[:8])}{more}."
        else:
            seen = scipy.stats.kstwobign.isf(_ALARM / len(self.names) / 2) / math.sqrt(count)
            said += (
                "no deviation of the ranks' distribution from the uniform one was found, and one "
                f"below {seen:.2f} would hardly be."
            )
        if self.failures:
            number, why = next(iter(self.failures.items()))
            said += (
                f" {len(self.failures)} of {count + len(self.failures)} data sets failed and are "
                f"left out, which may hide what is wrong with them; number {number}: {why}."
            )
        return said

    def to_xarray(self) -> "xr.Dataset":
        """All of it, by `data_set`, `parameter`, `level` and `point`."""
        import xarray as xr

        each, every = ("data_set", "parameter"), ("level", "parameter")
        same, cover = self.uniformity, self.coverage
        found = {
            "ranks": (each, self.ranks),
            "z_scores": (each, self.z_scores),
            "shrinkages": (each, self.shrinkages),
            "coverage": (every, cover.shares),
            "coverage_low": (every, cover.low),
            "coverage_high": (every, cover.high),
            "chi_square": ("parameter", same.chi_square),
            "ecdf": ("parameter", same.ecdf),
            "deviation": ("parameter", same.deviation),
            "paths": (("parameter", "point"), same.paths),
            "band_low": ("point", same.low),
            "band_high": ("point", same.high),
        }
        at = {"parameter": list(self.names), "level": list(cover.levels), "point": same.points}
        return xr.Dataset(found, at, {"draws": self.draws, "failures": len(self.failures)})

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"Calibration of {len(self.names)} parameters: {self._conclusion()}"


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"parameter {i}" for i in range(count))


def _check_pair(who: str, truths: np.ndarray, draws: np.ndarray) -> None:
    """Shapes agree by their types, where those are checked; here for all."""
    if draws.ndim != 3 or truths.shape != (draws.shape[0], draws.shape[2]):
        raise ValueError(
            f"{who}: truths have the shape {truths.shape}, draws {draws.shape}; give (n, d) and "
            "(n, draws, d)."
        )
    if draws.shape[1] < 2 or not len(truths):
        raise ValueError(f"{who}: {draws.shape[1]} draws of {len(truths)} sets; give 2 or more.")
    for what, values in (("truths", truths), ("draws", draws)):
        if not np.isfinite(values).all():
            bad = np.argwhere(~np.isfinite(values))[0].tolist()
            raise ValueError(f"{who}: the {what} have no finite number at {bad}; leave it out.")
