"""What data cannot tell apart: unknowns that make up for one another, regions no electrode sees."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from tvbjax.forward import Gain
from tvbjax.kinds import check_count, check_kind, check_number
from tvbjax_inference.bayes.epilepsy.runs import check_tree

if TYPE_CHECKING:
    import xarray as xr

ALIKE = 0.8  # beyond such a correlation, what is said of one region is said of the other
SHARP = 0.9  # of such a shrinkage a region is known alone, whatever it correlates with
_OTHERS = ("coupling", "amplitude")


@dataclasses.dataclass(frozen=True, eq=False)
class Correlations:
    """`others`: of every region's excitability with the coupling and the amplitude, where they are
    unknown. `regions`: (region, other), of excitabilities with one another. `said`: in words, what
    cannot be told apart; nothing where all can."""

    others: "xr.Dataset"
    regions: "xr.DataArray"
    said: tuple[str, ...]


def correlations(tree: "xr.DataTree", alike: float = ALIKE) -> Correlations:
    """Correlations of a posterior's draws; those beyond `alike` in size are said in words, but of
    regions that are known well all the same: of a shrinkage above 0.9, if the tree has the prior.

    In a region that has no seizure the drive of the others, coupling x weights x differences, is
    the same to the data as an excitability. Raises `TypeError` or `ValueError`.
    """
    import xarray as xr

    check_tree("correlations", tree, ("excitability",))
    check_number("correlations: alike", alike, above=0.0)
    posterior = tree["posterior"].to_dataset().stack(every=("chain", "draw"))
    excitability = posterior["excitability"].transpose("region", "every")
    labels = excitability["region"].values
    others = {
        name: xr.corr(excitability, posterior[name], "every")
        for name in _OTHERS
        if name in posterior and posterior[name].dims == ("every",)
    }
    deviations = excitability - excitability.mean("every")
    scale = np.sqrt((deviations**2).sum("every").values)
    scaled = deviations.values / np.where(scale > 0, scale, np.nan)[:, None]
    matrix = scaled @ scaled.T
    between = xr.DataArray(
        matrix, dims=("region", "other"), coords={"region": labels, "other": labels}
    )
    sharp = _sharp(tree, excitability)
    vague = {name: values.where(~sharp, 0.0) for name, values in others.items()}
    pairs = np.where(np.logical_and.outer(sharp, sharp), 0.0, matrix)
    said = _said_of_others(vague, alike) + _said_of_pairs(pairs, labels, alike)
    return Correlations(xr.Dataset(others), between, tuple(said))


def unresolved(
    gain: Gain,
    *,
    noise: float | int,
    amplitude: float | int = 1.0,
    deviation: float | int = 1.0,
    samples: int = 1,
) -> Float[np.ndarray, " source"]:
    """How much of each source is hidden from all channels: the squared length, 0 to 1, of the part
    of its unit vector that no pattern of sources which is seen has.

    A pattern, a right singular vector of the gain, is seen if a movement by `deviation` moves
    channels by more than the noise's mean over `samples` independent samples: amplitude x singular
    value x deviation > noise / sqrt(samples). `noise`: the deviation, in the unit of the data.
    """
    check_kind("unresolved: gain", gain, Gain, "tvbjax.forward.gain_of(sensors, matrix)")
    for name, value in (("noise", noise), ("amplitude", amplitude), ("deviation", deviation)):
        check_number(f"unresolved: {name}", value, above=0.0)
    check_count("unresolved: samples", samples)
    _, singular, right = np.linalg.svd(np.asarray(gain.matrix, float), full_matrices=False)
    seen = right[amplitude * deviation * singular > noise / np.sqrt(samples)]
    return np.clip(1.0 - (seen**2).sum(axis=0), 0.0, 1.0)


def _sharp(tree: "xr.DataTree", excitability: "xr.DataArray") -> np.ndarray:
    """Which regions are known well, by themselves."""
    if "prior" not in tree.children:
        return np.zeros(excitability.sizes["region"], bool)
    before = tree["prior"]["excitability"].stack(every=("chain", "draw")).var("every")
    return (1.0 - excitability.var("every") / before > SHARP).values


def _said_of_others(others: "dict[str, xr.DataArray]", alike: float) -> list[str]:
    said = []
    for name, values in others.items():
        for region in values["region"].values[np.abs(values.values) > alike]:
            r = float(values.sel(region=region))
            said.append(
                f"The excitability of {region} and the {name} make up for one another "
                f"(r = {r:.2f}): each is known only given the other."
            )
    return said


def _said_of_pairs(matrix: np.ndarray, labels: np.ndarray, alike: float) -> list[str]:
    """The most alike first."""
    rows, columns = np.triu_indices(len(matrix), k=1)
    values = matrix[rows, columns]
    found = [i for i in np.argsort(-np.abs(values), kind="stable") if abs(values[i]) > alike]
    said = []
    for i in found:
        how = "either, and not which" if values[i] < 0 else "both or neither"
        said.append(
            f"{labels[rows[i]]} and {labels[columns[i]]} cannot be told apart "
            f"(r = {values[i]:.2f}): the data say {how}."
        )
    return said
