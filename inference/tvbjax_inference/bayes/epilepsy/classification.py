"""How well probabilities of regions find the ones that are epileptogenic, over patients.

The truth is only compared with; nothing here labels a region by it. Measures are pooled over all
regions of all patients (micro), and means over patients (macro), with intervals by bootstrap over
patients: regions of one brain are not independent.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from tvbjax.forward import Gain
from tvbjax.kinds import check_count, check_kind, check_number
from tvbjax_inference.bayes.epilepsy.regions import check_level

if TYPE_CHECKING:
    import xarray as xr

AVERAGES = ("micro", "macro")
_BOUNDS = ("estimate", "low", "high")


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One patient's regions: `scores`, larger where a region is more likely epileptogenic, such as
    probabilities; `true`, whether it is; `centres`, mm, for distances.

    Raises `ValueError` for shapes that differ, NaN, and a patient without a true region.
    """

    scores: Float[np.ndarray, " region"]
    true: Bool[np.ndarray, " region"]
    centres: Float[np.ndarray, "region 3"] | None = None

    def __post_init__(self):
        size = len(self.scores)
        if self.true.shape != (size,):
            raise ValueError(
                f"Case: there are {size} scores and true has the shape {self.true.shape}; give one "
                "of each for every region."
            )
        if self.centres is not None and self.centres.shape != (size, 3):
            raise ValueError(
                f"Case: centres has the shape {self.centres.shape}; give (region, 3) for the "
                f"{size} regions, in mm."
            )
        if not np.isfinite(self.scores).all():
            raise ValueError(
                f"Case: the score of region {int(np.argmin(np.isfinite(self.scores)))} is not "
                "finite; give a number for every region."
            )
        if not self.true.any() or self.true.all():
            raise ValueError(
                "Case: all regions or none are truly epileptogenic, and nothing can be found "
                "among them; leave the patient out."
            )


def precision(scores: np.ndarray, true: np.ndarray, at: float = 0.5) -> float:
    """The share of the regions with a score above `at` that are true; NaN where there are none."""
    found = scores > at
    return float(true[found].mean()) if found.any() else math.nan


def recall(scores: np.ndarray, true: np.ndarray, at: float = 0.5) -> float:
    """The share of the true regions with a score above `at`."""
    return float((scores[true] > at).mean())


def f1(scores: np.ndarray, true: np.ndarray, at: float = 0.5) -> float:
    """The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN)."""
    found = scores > at
    return float(2 * (found & true).sum() / (found.sum() + true.sum()))


def roc_auc(scores: np.ndarray, true: np.ndarray) -> float:
    """The probability that a true region has a higher score than another; ties count half."""
    others = np.sort(scores[~true])
    below = np.searchsorted(others, scores[true], "left")
    up_to = np.searchsorted(others, scores[true], "right")
    return float((below + up_to).mean() / 2 / len(others))


def pr_auc(scores: np.ndarray, true: np.ndarray) -> float:
    """The average precision: the sum of precisions at every score, each weighted by the rise of
    recall there. No interpolation, which would be too good."""
    order = np.argsort(-scores, kind="stable")
    hits, ranked = np.cumsum(true[order]), scores[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    rises = np.diff(hits[last], prepend=0) / hits[-1]
    return float((rises * hits[last] / (last + 1)).sum())


def hit(scores: np.ndarray, true: np.ndarray, k: int) -> float:
    """Whether one of the `k` regions of the highest scores is true: 1 or 0, or the chance of it
    where scores that are equal leave open which regions those are."""
    k = min(k, len(scores))
    border = np.sort(scores)[-k]
    if true[scores > border].any():
        return 1.0
    equal = scores == border
    open_places, wrong = k - int((scores > border).sum()), int((equal & ~true).sum())
    return 1.0 - math.comb(wrong, open_places) / math.comb(int(equal.sum()), open_places)


def false_distances(case: Case, at: float = 0.5) -> Float[np.ndarray, " region"]:
    """How far each region that is found and not true is from the nearest true one, mm."""
    if case.centres is None:
        return np.zeros(0)
    wrong = case.centres[(case.scores > at) & ~case.true]
    away = np.linalg.norm(wrong[:, None] - case.centres[case.true][None], axis=2)
    return away.min(axis=1)


def compare(
    methods: Mapping[str, Sequence[Case]],
    *,
    generator: np.random.Generator,
    at: float = 0.5,
    k: int = 3,
    level: float = 0.95,
    resamples: int = 1000,
) -> "xr.Dataset":
    """Measures of several methods on the same patients, in the same order.

    `precision`, `recall`, `f1` at scores above `at`; `roc_auc`, `pr_auc`; `hit`, one of the `k`
    highest is true; `distance` of false positives, mm. Dims: `by` (method), `average`
    (micro, macro) and `bound` (estimate, low, high: a bootstrap's interval of probability `level`,
    in which all methods have the same patients in turn). A hit is a patient's, so that both its
    averages agree. NaN where a measure has no value: a precision where nothing is found, a mean
    over patients where that is so of all.

    Raises `TypeError` or `ValueError` where methods do not have the same patients.
    """
    import xarray as xr

    check_kind("compare: generator", generator, np.random.Generator, "numpy.random.default_rng(0)")
    check_number("compare: at", at)
    check_count("compare: k", k)
    check_count("compare: resamples", resamples)
    check_level("compare", level)
    count = _checked_count(methods)
    chosen = [np.arange(count), *generator.integers(count, size=(resamples, count))]
    tails = [(1 - level) / 2, (1 + level) / 2]
    values = {}
    for name, cases in methods.items():
        each = {measure: [f(case) for case in cases] for measure, f in _measures(at, k).items()}
        for average in AVERAGES:
            found = [_averaged(cases, each, places, average, at, k) for places in chosen]
            for measure in found[0]:
                drawn = np.array([one[measure] for one in found[1:]])
                drawn = drawn[~np.isnan(drawn)]
                ends = np.quantile(drawn, tails) if len(drawn) else [np.nan, np.nan]
                values[measure, name, average] = [found[0][measure], *ends]
    coords = {"by": list(methods), "average": list(AVERAGES), "bound": list(_BOUNDS)}
    arrays = {}
    for measure in dict.fromkeys(measure for measure, _, _ in values):
        table = [[values[measure, name, average] for average in AVERAGES] for name in methods]
        arrays[measure] = (("by", "average", "bound"), np.array(table))
    attributes = {"at": at, "k": k, "level": level, "patients": count}
    return xr.Dataset(arrays, coords=coords, attrs=attributes)


def largest_amplitude(
    data: Float[np.ndarray, "sample channel"], gain: Gain
) -> Float[np.ndarray, " source"]:
    """What a reader without a model does: every contact's deviation over time is given to the
    region that it sees most, which keeps the largest it gets. 1 for the largest of all, 0 for
    regions that no contact sees most."""
    check_kind("largest_amplitude: gain", gain, Gain, "tvbjax.forward.gain_of(sensors, matrix)")
    if data.shape[1] != len(gain.channels):
        raise ValueError(
            f"largest_amplitude: the data have {data.shape[1]} channels and the gain "
            f"{len(gain.channels)}; give both of the same contacts."
        )
    amplitudes = data.std(axis=0)
    found = np.zeros(gain.sources)
    np.maximum.at(found, np.abs(np.asarray(gain.matrix)).argmax(axis=1), amplitudes)
    return found / found.max()


def _measures(at: float, k: int) -> dict[str, Callable[[Case], float]]:
    return {
        "precision": lambda case: precision(case.scores, case.true, at),
        "recall": lambda case: recall(case.scores, case.true, at),
        "f1": lambda case: f1(case.scores, case.true, at),
        "roc_auc": lambda case: roc_auc(case.scores, case.true),
        "pr_auc": lambda case: pr_auc(case.scores, case.true),
        "hit": lambda case: hit(case.scores, case.true, k),
        "distance": lambda case: _mean(false_distances(case, at)),
    }


def _averaged(
    cases: Sequence[Case],
    each: Mapping[str, Sequence[float]],
    places: np.ndarray,
    average: str,
    at: float,
    k: int,
) -> dict[str, float]:
    """Of the patients at these places, each as often as it is there."""
    means = {name: _mean(np.array(values)[places]) for name, values in each.items()}
    if average == "macro":
        return means
    scores = np.concatenate([cases[place].scores for place in places])
    true = np.concatenate([cases[place].true for place in places])
    pooled = Case(scores, true)
    found = {name: measure(pooled) for name, measure in _measures(at, k).items()}
    away = np.concatenate([false_distances(cases[place], at) for place in places])
    return found | {"hit": means["hit"], "distance": _mean(away)}


def _mean(values: np.ndarray) -> float:
    """Of those that are not NaN; NaN where there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _checked_count(methods: Mapping[str, Sequence[Case]]) -> int:
    """How many patients all methods have."""
    if not methods or not all(len(cases) for cases in methods.values()):
        raise ValueError("compare: there are no methods, or no patients; give cases of each.")
    first, *others = methods
    for name in others:
        same = len(methods[name]) == len(methods[first]) and all(
            np.array_equal(a.true, b.true)
            for a, b in zip(methods[name], methods[first], strict=True)
        )
        if not same:
            raise ValueError(
                f"compare: the patients of '{name}' are not those of '{first}' (their true "
                "regions differ); give the same patients in the same order."
            )
    return len(methods[first])
