"""Connectomes of the mouse from tracers: the Allen Mouse Brain Connectivity Atlas.

A virus is injected into one place; where its signal is found, axons lead. The steps are those of
Melozzi et al. (2017), eNeuro 4(3) 0111-17, for The Virtual Brain, in physical units and with the
experiments that a threshold rejects left out of the mean.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from tvbjax.connectome import Connectome
from tvbjax.imaging.allen_places import Places
from tvbjax.imaging.allen_tables import LEFT, RIGHT, AllenTables, Structures, Unionizes
from tvbjax.imaging.two_hemispheres import two_hemispheres
from tvbjax.kinds import check_number

Weighting = Callable[[Unionizes], Float[np.ndarray, " row"]]


def projection_density(unionizes: Unionizes) -> Float[np.ndarray, " row"]:
    """The share of a structure's pixels that has signal."""
    return unionizes.projection_density


def projection_energy(unionizes: Unionizes) -> Float[np.ndarray, " row"]:
    """The intensity of signal per pixel of a structure."""
    return unionizes.projection_energy


def density_per_injection(unionizes: Unionizes) -> Float[np.ndarray, " row"]:
    """The projection density, divided by the share of pixels with signal in the site of injection
    of the same experiment, so that strong injections do not count for more."""
    inside = unionizes.is_injection & (unionizes.hemisphere_id != 3)
    experiments, rows = np.unique(unionizes.experiment_id, return_inverse=True)
    rows = rows.ravel()
    signal, pixels = (
        np.bincount(rows[inside], np.nan_to_num(values[inside]), len(experiments))
        for values in (unionizes.sum_projection_pixels, unionizes.sum_pixels)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return unionizes.projection_density / (signal / pixels)[rows]


@dataclass(frozen=True, eq=False)
class TracerConnectome:
    """`connectome`: the right hemisphere, then the left; weights from 0 to 1. `structures`: ids of
    its right half. `experiments`: by structure those that its outgoing weights are the mean of.
    `left_out`: why a structure that was injected is not there, by id."""

    connectome: Connectome
    structures: tuple[int, ...]
    experiments: dict[int, tuple[int, ...]]
    left_out: dict[int, str]


def allen_connectome(
    tables: AllenTables,
    places: Places,
    *,
    weighting: Weighting = density_per_injection,
    injected: float = 0.8,
    volume: float = 1.0,
    speed: float = 3.0,
) -> TracerConnectome:
    """The connectome of both hemispheres from injections into one.

    A weight from a structure to another is the mean of `weighting` over experiments with injections
    there, on the side of the injection and on the other one; both hemispheres are taken to be
    alike. Weights are divided by the largest. Tracts are as long as centres are apart, in mm.

    `injected`: an experiment counts if at least this share of its injection's pixels in the
    structure has signal. `volume`: mm³ that a structure must have in a hemisphere. `speed`: mm/ms.
    Structures without an experiment, or to which nothing was measured from one of the others, are
    left out, with the reason in the result.

    Raises ValueError where fewer than two structures remain.
    """
    check_number("allen_connectome: injected", injected, least=0.0)
    check_number("allen_connectome: volume", volume, least=0.0)
    left_out: dict[int, str] = {}
    sources: dict[int, tuple[int, ...]] = {}
    for structure in sorted(set(tables.injected.values())):
        size = places.volume_of(structure)
        if size < volume or size == 0.0:
            left_out[structure] = f"its volume is {size:g} mm³, below {volume:g}"
            continue
        mine = [e for e, where in tables.injected.items() if where == structure]
        shares = {e: _injected_share(tables.unionizes, e, structure) for e in mine}
        good = tuple(sorted(e for e in mine if shares[e] >= injected))
        if good:
            sources[structure] = good
        else:
            best = max(shares.values())
            left_out[structure] = (
                f"of {len(mine)} experiments the best has signal in {100 * best:.3g} % of the "
                f"injection's pixels, below {100 * injected:g} %"
            )
    ids = sorted(sources, key=tables.structures.order_of)
    means = _means(tables.unionizes, weighting(tables.unionizes), sources, ids)
    kept = _without_gaps(np.isnan(means[0]) | np.isnan(means[1]))
    gap = "from or to it nothing was measured, with another structure that remains"
    left_out |= {one: gap for i, one in enumerate(ids) if i not in kept}
    ids = [ids[i] for i in kept]
    if len(ids) < 2:
        told = "; ".join(f"{structure}: {why}" for structure, why in list(left_out.items())[:5])
        raise ValueError(
            f"allen_connectome: {len(ids)} of {len(ids) + len(left_out)} structures remain "
            f"({told}); lower the thresholds, or bring more experiments."
        )
    connectome = mirrored(
        means[0][np.ix_(kept, kept)], means[1][np.ix_(kept, kept)], ids, tables.structures, places,
        speed=speed, name="Allen mouse",
    )  # fmt: skip
    counted = {one: sources[one] for one in ids}
    return TracerConnectome(connectome, tuple(ids), counted, left_out)


def mirrored(
    same: Float[np.ndarray, "source target"],
    other: Float[np.ndarray, "source target"],
    ids: Sequence[int],
    structures: Structures,
    places: Places,
    *,
    speed: float = 3.0,
    name: str = "mouse",
) -> Connectome:
    """The connectome of two hemispheres that are alike: weights within one, and to the other one.

    `ids`: the structures of rows and columns. Weights are divided by the largest; tracts are as
    long as centres are apart. Raises ValueError for weights that are all 0, and for a structure
    without a place.
    """
    return two_hemispheres(
        same, other, [structures.name_of(one) for one in ids],
        np.array([places.centre_of(one) for one in ids]),
        speed=speed, name=name,
    )  # fmt: skip


def _injected_share(rows: Unionizes, experiment: int, structure: int) -> float:
    mine = (
        (rows.experiment_id == experiment)
        & (rows.structure_id == structure)
        & rows.is_injection
        & (rows.hemisphere_id != 3)
    )
    pixels = np.nansum(rows.sum_pixels[mine])
    return float(np.nansum(rows.sum_projection_pixels[mine]) / pixels) if pixels else 0.0


def injected_sides(rows: Unionizes) -> dict[int, int]:
    """The hemisphere that each experiment was injected into: where most of its signal is."""
    found: dict[int, dict[int, float]] = {}
    inside = rows.is_injection & (rows.hemisphere_id != 3)
    signal = np.nan_to_num(rows.sum_projection_pixels)
    columns = (rows.experiment_id[inside], rows.hemisphere_id[inside], signal[inside])
    for experiment, side, amount in zip(*(one.tolist() for one in columns), strict=True):
        sums = found.setdefault(experiment, {LEFT: 0.0, RIGHT: 0.0})
        sums[side] += amount
    return {one: max(sums, key=lambda side: sums[side]) for one, sums in found.items()}


def _means(
    rows: Unionizes, values: np.ndarray, sources: dict[int, tuple[int, ...]], ids: list[int]
) -> Float[np.ndarray, "side source target"]:
    """Means over experiments on the injection's side, and on the other; NaN where nothing was
    measured."""
    sides = injected_sides(rows)
    source_of = {e: ids.index(one) for one in ids for e in sources[one]}
    place_of = {one: i for i, one in enumerate(ids)}
    chosen = ~rows.is_injection & (rows.hemisphere_id != 3) & np.isfinite(values)
    chosen &= np.isin(rows.experiment_id, [*source_of]) & np.isin(rows.structure_id, ids)
    experiments = rows.experiment_id[chosen].tolist()
    source = np.array([source_of[e] for e in experiments], int)
    target = np.array([place_of[one] for one in rows.structure_id[chosen].tolist()], int)
    injected = np.array([sides.get(e, RIGHT) for e in experiments], int)
    other = (rows.hemisphere_id[chosen] != injected).astype(int)
    sums, counts = (np.zeros((2, len(ids), len(ids))) for _ in range(2))
    np.add.at(sums, (other, source, target), values[chosen])
    np.add.at(counts, (other, source, target), 1.0)
    with np.errstate(invalid="ignore"):
        return sums / counts


def _without_gaps(gaps: Bool[np.ndarray, "structure structure"]) -> list[int]:
    """The structures that have no gaps with one another: those with the most go first, and of
    equals the last one."""
    kept = np.arange(len(gaps))
    while len(kept):
        mine = gaps[np.ix_(kept, kept)]
        count = mine.sum(axis=0) + mine.sum(axis=1)
        if not count.any():
            break
        kept = np.delete(kept, len(kept) - 1 - np.argmax(count[::-1]))
    return kept.tolist()
