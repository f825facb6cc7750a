"""Connectomes: The Virtual Brain's, and synthetic ones."""

import difflib

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from tvbjax.connectome import Connectome
from tvbjax.datasets._package import tvb_data
from tvbjax.io.tvb_zip import read_connectome_zip

_FILES = {f"tvb{size}": f"connectivity_{size}.zip" for size in (66, 68, 76, 96, 192)}
# Half-axes in mm of the ellipsoid of synthetic regions: right, front, up.
_HALF_AXES = np.array([65.0, 85.0, 50.0])


def names() -> tuple[str, ...]:
    """Names that `connectome` knows."""
    return tuple(_FILES)


def connectome(name: str, *, speed: float = 3.0) -> Connectome:
    """A connectome of tvb-data 3.0 (needs `pip install 'tvbjax[data]'`), weights as in the file.

    tvb66: Hagmann et al. 2008, directed. tvb68: Desikan-Killiany, from tractography. tvb76: CoCoMac
    and DSI, weights 0 to 3, TVB's default. tvb96, tvb192: 76 or 80 cortical regions and subcortical
    ones. `speed`: conduction speed in mm/ms. Raises ValueError for an unknown name,
    ModuleNotFoundError without tvb-data.
    """
    if name not in _FILES:
        close = difflib.get_close_matches(name.lower(), _FILES, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(
            f"datasets.connectome: there is no {name!r}; {hint}Known: {', '.join(_FILES)}."
        )
    loaded = read_connectome_zip(tvb_data() / "connectivity" / _FILES[name], speed=speed)
    return Connectome(
        loaded.weights, loaded.tract_lengths, loaded.speed, name=name, regions=loaded.regions
    )


def synthetic_connectome(
    regions: int = 76,
    *,
    key: PRNGKeyArray,
    density: float = 0.3,
    length_scale: float = 25.0,
    spread: float = 1.4,
    tortuosity: float = 1.4,
    speed: float = 3.0,
    name: str = "synthetic",
) -> Connectome:
    """A random undirected human-sized connectome with the two laws that real ones obey.

    Places: `regions` (even) in two hemispheres, l0, l1, ... and their mirror images r0, r1, ...,
    spread evenly with some jitter in the outer shell (0.8 to 1 of the radius) of an ellipsoid with
    half-axes of 65 mm (x, right), 85 mm (y, front) and 50 mm (z, up), each half 5 mm off the
    midline. Connections: exactly the share `density` (above 0, to 1) of all pairs, drawn without
    replacement with probability proportional to exp(-d / length_scale), d being the distance of
    the centres in mm: the exponential distance rule (Ercsey-Ravasz et al. 2013, Neuron 80:184).
    Weights: lognormal about the same law, ln w = -d / length_scale + spread * N(0, 1) (lognormal:
    Markov et al. 2014, Cerebral Cortex 24:17), then divided by the largest. Tract lengths:
    `tortuosity` (>= 1) times d for every pair.

    The defaults follow tvb66 and tvb68: there ln w falls by 1 over 28 and 21 mm, with residuals of
    standard deviation 1.4 and 2.4, and tracts are 1.4 times as long as distances (medians).

    `speed`: mm/ms. Equal keys give equal connectomes, with and without JAX's x64. Raises
    ValueError.
    """
    _check_recipe(regions, density, length_scale, spread, tortuosity)
    place_key, pair_key, weight_key = jax.random.split(key, 3)
    centres = _centres(regions // 2, place_key)
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=-1)

    rows, columns = np.triu_indices(regions, k=1)
    pull = -distances[rows, columns] / length_scale
    # The largest of log-probability plus Gumbel noise are a draw without replacement.
    scores = pull + _draw(jax.random.gumbel, pair_key, rows.shape)
    chosen = np.argsort(-scores, kind="stable")[: round(density * len(rows))]
    log_weights = pull + spread * _draw(jax.random.normal, weight_key, rows.shape)
    weights = np.zeros((regions, regions))
    weights[rows[chosen], columns[chosen]] = np.exp(log_weights[chosen] - log_weights[chosen].max())

    half = regions // 2
    return Connectome(
        weights + weights.T,
        tortuosity * distances,
        speed,
        [f"{side}{i}" for side in "lr" for i in range(half)],
        centres=centres,
        hemispheres=np.repeat([False, True], half),
        cortical=np.ones(regions, dtype=bool),
        name=name,
    )


def _check_recipe(
    regions: int, density: float, length_scale: float, spread: float, tortuosity: float
):
    rules = {
        f"regions is {regions}; pass an even number >= 2": regions >= 2 and regions % 2 == 0,
        f"density is {density}; pass a share above 0 and up to 1": 0 < density <= 1,
        f"length_scale is {length_scale}; pass mm > 0": length_scale > 0,
        f"spread is {spread}; pass a number >= 0": spread >= 0,
        f"tortuosity is {tortuosity}; a tract is no shorter than the way: pass >= 1": tortuosity
        >= 1,
    }
    for text, holds in rules.items():
        if not holds:
            raise ValueError(f"synthetic_connectome: {text}.")
    if round(density * regions * (regions - 1) / 2) < 1:
        raise ValueError(
            f"synthetic_connectome: density {density} leaves no connection "
            f"among {regions} regions; raise it."
        )


def _centres(half: int, key: PRNGKeyArray) -> np.ndarray:
    """(2 * half, 3) in mm: left hemisphere, then its mirror image."""
    turn_key, jitter_key, radius_key = jax.random.split(key, 3)
    # A Fibonacci lattice on half a sphere: equal areas, as regions of a parcellation have.
    across = (np.arange(half) + 0.5) / half
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    angles = 2 * np.pi * (golden * np.arange(half) + _draw(jax.random.uniform, turn_key, ()))
    around = np.sqrt(1 - across**2)
    directions = np.stack([across, around * np.cos(angles), around * np.sin(angles)], axis=1)
    distance = np.sqrt(2 * np.pi / half)
    directions += 0.2 * distance * _draw(jax.random.normal, jitter_key, (half, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = 0.8 + 0.2 * _draw(jax.random.uniform, radius_key, (half, 1))
    left = directions * radii * _HALF_AXES
    left[:, 0] = -np.abs(left[:, 0]) - 5.0
    right = left * np.array([-1.0, 1.0, 1.0])
    return np.concatenate([left, right])


def _draw(sample, key: PRNGKeyArray, shape: tuple[int, ...]) -> np.ndarray:
    # Always drawn in float32, so that a key means the same connectome in both precisions.
    return np.asarray(sample(key, shape, dtype=np.float32), dtype=np.float64)
