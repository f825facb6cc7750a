"""A connectome of two hemispheres that are alike, from what was measured of one."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from tvbjax.connectome import Connectome


def two_hemispheres(
    same: Float[np.ndarray, "source target"],
    other: Float[np.ndarray, "source target"],
    names: Sequence[str],
    centres: Float[np.ndarray, "source 3"] | None,
    *,
    speed: float,
    name: str,
) -> Connectome:
    """The right hemisphere, then the left: weights within one, and to the other one, divided by the
    largest. `centres`: mm, of the right, with the first axis to the right of the midline; tracts
    are as long as they are apart. Raises ValueError for weights that are all 0."""
    weights = np.block([[same.T, other.T], [other.T, same.T]])  # rows are targets
    if not weights.any():
        raise ValueError(f"{name}: all weights are 0; is there signal in the tables?")
    both = None if centres is None else np.concatenate([centres, centres * [-1.0, 1.0, 1.0]])
    return Connectome(
        weights / weights.max(),
        None if both is None else np.linalg.norm(both[:, None] - both[None], axis=-1),
        speed,
        [f"{side} {one}" for side in ("Right", "Left") for one in names],
        centres=both,
        hemispheres=np.repeat([True, False], len(names)),
        name=name,
    )
