"""A regional matrix from injections that spread over several structures: the homogeneous model.

Oh et al. (2014), Nature 508, 207: what reaches a structure is the sum over structures of how much
of the injection lies there times a weight, which is not negative.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import nnls

from tvbjax.connectome import Connectome
from tvbjax.imaging.allen import injected_sides, mirrored
from tvbjax.imaging.allen_places import Places
from tvbjax.imaging.allen_tables import AllenTables, Structures


class RegionalMatrix(NamedTuple):
    """Weights from a structure (row) to another (column), on its own side and to the other one.

    `structures`: ids of rows and columns.
    """

    same: Float[np.ndarray, "source target"]
    other: Float[np.ndarray, "source target"]
    structures: tuple[int, ...]

    def connectome(
        self, structures: Structures, places: Places, *, speed: float = 3.0
    ) -> Connectome:
        """Both hemispheres, taken to be alike; weights divided by the largest, tracts in mm."""
        return mirrored(
            self.same, self.other, self.structures, structures, places,
            speed=speed, name="regional mouse",
        )  # fmt: skip


def homogeneous_matrix(tables: AllenTables, structures: tuple[int, ...]) -> RegionalMatrix:
    """The matrix by non-negative least squares over all experiments of the tables.

    A weight is pixels with signal in a target for each pixel with signal in the injected source
    (normalised connection strength). Signal outside of `structures` is left aside. What was not
    measured counts as 0.

    Raises ValueError where experiments are fewer than structures, or where the injections of some
    cannot be told apart: then the weights are not known.
    """
    rows, ids = tables.unionizes, {one: i for i, one in enumerate(structures)}
    sides = injected_sides(rows)
    experiments = sorted(set(tables.injected) & set(sides))
    place = {one: i for i, one in enumerate(experiments)}
    chosen = np.isin(rows.experiment_id, experiments) & np.isin(rows.structure_id, structures)
    chosen &= (rows.hemisphere_id != 3) & np.isfinite(rows.sum_projection_pixels)
    injections = np.zeros((len(experiments), len(structures)))
    reached = np.zeros((2, *injections.shape))
    for row in np.flatnonzero(chosen).tolist():
        experiment, structure = int(rows.experiment_id[row]), int(rows.structure_id[row])
        other = int(rows.hemisphere_id[row] != sides[experiment])
        signal = rows.sum_projection_pixels[row]
        if not rows.is_injection[row]:
            reached[other, place[experiment], ids[structure]] += signal
        elif not other:
            injections[place[experiment], ids[structure]] += signal
    _check_known(injections, structures)
    same, other = (
        np.stack([nnls(injections, values)[0] for values in side.T], axis=1) for side in reached
    )
    return RegionalMatrix(same, other, structures)


def _check_known(injections: np.ndarray, structures: tuple[int, ...]) -> None:
    silent = [one for one, x in zip(structures, injections.T, strict=True) if not x.any()]
    if silent:
        raise ValueError(
            f"homogeneous_matrix: nothing was injected into {', '.join(map(str, silent[:5]))}"
            f"{' and others' if len(silent) > 5 else ''}; leave them out of structures."
        )
    scaled = injections / injections.max(axis=0)
    rank = int(np.linalg.matrix_rank(scaled))
    if rank < len(structures):
        raise ValueError(
            f"homogeneous_matrix: {len(injections)} experiments tell {rank} of {len(structures)} "
            "structures apart; leave out some, or bring more experiments."
        )
