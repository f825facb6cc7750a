"""Electrodes in the brain (SEEG): straight shafts of contacts, and the gain by distance."""

import string
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.spatial import ConvexHull, QhullError

from tvbjax.connectome import Connectome
from tvbjax.forward import Gain, Sensors
from tvbjax.kinds import check_count, check_kind, check_number

_WAYS = 256  # directions that are tried for each shaft


def inverse_square_gain(
    centres: Connectome | Float[np.ndarray, "region 3"], sensors: Sensors, floor: float = 1.0
) -> Gain:
    """The gain 1 / d², in 1/mm², of every region at every contact, d being their distance in mm.

    That of the Bayesian Virtual Epileptic Patient (Hashemi et al. 2020, NeuroImage 217:116839):
    where the direction of a region's dipole is not known, power falls with distance alone.
    `centres`: a connectome, or centres of regions in mm. `floor`: mm, > 0: distances below it count
    as it, so that a contact at a centre has a gain. Raises ValueError without centres.
    """
    check_kind("inverse_square_gain: sensors", sensors, Sensors, "Sensors(labels, positions)")
    check_number("inverse_square_gain: floor, in mm,", floor, above=0.0)
    places = _centres("inverse_square_gain", centres)
    apart = np.linalg.norm(sensors.positions[:, None] - places[None], axis=-1)
    return Gain(1.0 / np.maximum(apart, floor) ** 2, sensors.labels, "1/mm²")


def shafts(
    connectome: Connectome,
    key: PRNGKeyArray,
    count: int = 10,
    contacts: int = 10,
    spacing: float = 3.5,
    targets: Sequence[str] | None = None,
) -> Sensors:
    """Straight shafts from the hull of the regions' centres to a region each, as SEEG has them.

    The first contact is at the centre of the shaft's region, `targets[i]`, others follow every
    `spacing` mm (> 0) towards where the shaft enters: A1, A2, ..., B1, ..., with a prime for shafts
    to a region on the left, A'1. `targets`: labels, one for each shaft, or None: drawn without
    replacement. Of 256 directions the one is taken whose contacts are nearest to regions, on
    average, of those that leave the hull after the last contact; where there is none, of all.
    Where the connectome has no hemispheres, the left is where x < 0. Equal keys give equal shafts.

    Raises ValueError without centres, for centres in a plane, and for targets that do not fit.
    """
    for name, value in {"count": count, "contacts": contacts}.items():
        check_count(f"shafts: {name}", value)
    check_number("shafts: spacing, in mm,", spacing, above=0.0)
    centres = _centres("shafts", connectome)
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,), "uint32")))
    chosen = _targets(connectome, rng, count, targets)
    try:
        hull = ConvexHull(centres).equations
    except QhullError as error:
        raise ValueError(
            f"shafts: the centres of the {len(centres)} regions have no hull ({str(error)[:60]!r}"
            "...); give four or more that are not in a plane."
        ) from None
    left = centres[:, 0] < 0 if connectome.hemispheres is None else ~connectome.hemispheres
    steps = spacing * np.arange(contacts)
    labels, positions = [], []
    for number, target in enumerate(chosen):
        ways = rng.normal(size=(_WAYS, 3))
        ways /= np.linalg.norm(ways, axis=1, keepdims=True)
        way = _best_way(centres[target], ways, steps, hull, centres)
        positions.append(centres[target] + steps[:, None] * way)
        letters = _letters(number) + "'" * bool(left[target])
        labels += [f"{letters}{contact + 1}" for contact in range(contacts)]
    return Sensors(labels, np.concatenate(positions), name="shafts")


def _best_way(
    target: np.ndarray, ways: np.ndarray, steps: np.ndarray, hull: np.ndarray, centres: np.ndarray
) -> np.ndarray:
    """Of unit vectors the one whose contacts are within the hull and nearest to regions."""
    normals, offsets = hull[:, :3], hull[:, 3]
    slope = ways @ normals.T
    # How far it is to the plane of each face; target is within, up to rounding.
    depth = np.maximum(0.0, -(normals @ target + offsets))
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.where(slope > 0, depth / slope, np.inf).min(axis=1)
    fitting = np.flatnonzero(inside >= steps[-1])
    ways = ways[fitting] if len(fitting) else ways
    places = target + steps[:, None] * ways[:, None]
    apart = np.linalg.norm(places[:, :, None] - centres, axis=-1).min(axis=-1)
    return ways[np.argmin(apart.mean(axis=1))]


def _targets(
    connectome: Connectome, rng: np.random.Generator, count: int, targets: Sequence[str] | None
) -> list[int]:
    size = len(connectome.labels)
    if targets is None:
        if count > size:
            raise ValueError(
                f"shafts: {count} shafts have no target each among {size} regions; lower count, "
                "or give targets."
            )
        return rng.choice(size, count, replace=False).tolist()
    if isinstance(targets, str) or len(targets) != count:
        raise ValueError(
            f"shafts: targets is {targets!r:.60}; give a list of {count} labels, one for each "
            "shaft (count)."
        )
    return [connectome.regions.index(label) for label in targets]


def _centres(who: str, given: Connectome | np.ndarray) -> np.ndarray:
    if not isinstance(given, Connectome):
        return np.asarray(given, dtype=np.float64)
    if given.centres is None:
        raise ValueError(
            f"{who}: the connectome {given.name!r} has no centres; pass centres (mm, one row for "
            "each region) to Connectome."
        )
    return given.centres


def _letters(number: int) -> str:
    """A, B, ..., Z, AA, AB, ..."""
    letters = string.ascii_uppercase
    rest, last = divmod(number, len(letters))
    return (_letters(rest - 1) if rest else "") + letters[last]
