"""Priors of the excitability of regions, as data: without an opinion, by a clinician's hypothesis,
by lesions on MRI.

An Epileptor alone has seizures above an excitability of -2.05 (Proix et al. 2014, J. Neurosci.
34:15009).
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Float

from tvbjax.kinds import check_number, names_of
from tvbjax.near import near

THRESHOLD = -2.05


@dataclasses.dataclass(frozen=True, eq=False)
class Excitability:
    """A normal prior for each region. `said`: where it comes from, in words, for reports."""

    labels: tuple[str, ...]
    mean: Float[np.ndarray, " region"]
    deviation: Float[np.ndarray, " region"]
    said: str

    @property
    def distribution(self) -> dist.Distribution:
        """For `program`."""
        return dist.Normal(jnp.asarray(self.mean), jnp.asarray(self.deviation)).to_event(1)

    def about(
        self, regions: Sequence[str], mean: float, deviation: float, said: str
    ) -> "Excitability":
        """With other numbers in some regions. Raises ValueError for one that does not exist."""
        _check_normal(mean, deviation)
        chosen = [_place(self.labels, region) for region in _regions(regions)]
        means, deviations = self.mean.copy(), self.deviation.copy()
        means[chosen], deviations[chosen] = mean, deviation
        return Excitability(self.labels, means, deviations, f"{self.said}; {said}")


def uninformed(labels: Sequence[str], mean: float = -3.0, deviation: float = 1.0) -> Excitability:
    """No opinion: each region may be healthy or not, 17 % of them above the threshold."""
    names = names_of("Excitability: labels", labels, "connectome.labels")
    if not names:
        raise ValueError("Excitability: there are no labels; give connectome.labels.")
    _check_normal(mean, deviation)
    said = f"no hypothesis: N({mean:g}, {deviation:g}) in all regions"
    count = len(names)
    return Excitability(names, np.full(count, mean), np.full(count, deviation), said)


def expecting_few(labels: Sequence[str]) -> Excitability:
    """Most regions are expected to be healthy: N(-3.2, 0.4), 0.2 % above the threshold."""
    return uninformed(labels, -3.2, 0.4)


def clinical_hypothesis(
    labels: Sequence[str], epileptogenic: Sequence[str], deviation: float = 0.5
) -> Excitability:
    """Regions that clinicians think epileptogenic about -1.8, so that 69 % are above the threshold;
    the others N(-3.2, 0.4)."""
    return _hypothesis("a clinical hypothesis", labels, epileptogenic, -1.8, deviation)


def lesion_on_mri(
    labels: Sequence[str], lesions: Sequence[str], deviation: float = 0.6
) -> Excitability:
    """Regions with a lesion about the threshold; the others N(-3.2, 0.4)."""
    return _hypothesis("lesions on MRI", labels, lesions, THRESHOLD, deviation)


def _hypothesis(
    what: str, labels: Sequence[str], regions: Sequence[str], mean: float, deviation: float
) -> Excitability:
    names = _regions(regions)
    _check_normal(mean, deviation)
    said = f"{what}, N({mean:g}, {deviation:g}) in {', '.join(names)}"
    return expecting_few(labels).about(names, mean, deviation, said)


def _regions(given: Sequence[str]) -> tuple[str, ...]:
    return names_of("Excitability: regions", given, "['lHip', 'lAmg']")


def _check_normal(mean: object, deviation: object) -> None:
    check_number("Excitability: mean", mean)
    check_number("Excitability: deviation", deviation, above=0.0)


def _place(labels: tuple[str, ...], region: str) -> int:
    if region in labels:
        return labels.index(region)
    hint = near(region, labels) or "see the connectome's labels."
    raise ValueError(f"Excitability: there is no region '{region}'; {hint}")


def shares(prior: Excitability) -> Mapping[str, float]:
    """By region, the prior probability of an excitability above the threshold."""
    from scipy.stats import norm

    above = norm.sf(THRESHOLD, prior.mean, prior.deviation)
    return dict(zip(prior.labels, map(float, above), strict=True))
