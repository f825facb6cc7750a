"""Which way is right, front and up, whatever the axes; where to draw regions, and in which order.

Knows nothing of drawing.
"""

import re
from collections.abc import Sequence

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float, Int

from tvbjax.connectome import Connectome
from tvbjax.regions import Regions, hemispheres_from_labels
from tvbjax.surface import Surface

# Parts of labels that tell front from back, in the common parcellations.
_FRONT = ("front", "pfc", "orbit")
_TEN_TWENTY = re.compile(r"(?P<part>Fp|AF|F|FC|FT|C|T|TP|CP|P|PO|O)(?P<side>\d{1,2})", re.I)
_CTF = re.compile(r"M(?P<side>[LR])(?P<part>[FCTPO])\d\d.*")
_BACK = ("occip", "v1", "cuneus", "calcarine")


def hemisphere_order(regions: Regions) -> Int[np.ndarray, " region"]:
    """Indices of the regions, left hemisphere first, otherwise as they are."""
    if regions.hemispheres is None:
        return np.arange(len(regions))
    return np.argsort(regions.hemispheres, kind="stable")


def directions(
    points: Float[np.ndarray, "point 3"],
    right: Bool[np.ndarray, " point"] | None,
    labels: Sequence[str],
) -> Float[np.ndarray, "3 3"]:
    """Unit vectors to the right, the front and up, one a row, each along an axis of the points.

    The left-right axis is the one along which the hemispheres differ most; of the others the longer
    runs from back to front. Which end is the front is told by the points' labels, else by taking
    the axes as right-handed with the third one up; up follows from the two. Without hemispheres, x
    is taken for right and y for front.
    """
    if right is None or right.all() or not right.any():
        return np.eye(3)
    apart = points[right].mean(axis=0) - points[~right].mean(axis=0)
    across = int(np.argmax(np.abs(apart)))
    others = [axis for axis in range(3) if axis != across]
    along, up = sorted(others, key=lambda axis: -np.ptp(points[:, axis]))
    to_right = np.sign(apart[across]) or 1.0
    to_front = _front_by_labels(labels, points[:, along])
    if to_front == 0.0:
        # up x right, as unit vectors: the component along the third axis.
        to_front = to_right * np.linalg.det(np.eye(3)[[along, up, across]])
    rightwards, forwards = to_right * np.eye(3)[across], to_front * np.eye(3)[along]
    return np.stack([rightwards, forwards, np.cross(rightwards, forwards)])


def axial_positions(connectome: Connectome) -> Float[np.ndarray, "region 2"]:
    """Positions in mm seen from above: right to the right, front up, middle at 0; see `directions`.

    Without centres, regions lie on a circle of 80 mm, in hemisphere order.
    """
    regions = connectome.regions
    centres = regions.centres
    if centres is None:
        return _circle(regions)
    centres = centres - (centres.min(axis=0) + centres.max(axis=0)) / 2
    return centres @ directions(centres, regions.hemispheres, regions.labels)[:2].T


def sensor_directions(
    labels: Sequence[str], positions: Float[np.ndarray, "sensor 3"]
) -> Float[np.ndarray, "3 3"] | None:
    """`directions` of sensors with names of the 10-20 system (odd: left, F: front, O: back) or of
    CTF's MEG (MLF: left, front); None where names do not tell both sides."""
    found = [_TEN_TWENTY.fullmatch(label) or _CTF.fullmatch(label) for label in labels]
    sides = ["" if one is None else _side(one["side"]) for one in found]
    lateral = [i for i, side in enumerate(sides) if side]
    right = np.array([sides[i] == "R" for i in lateral], dtype=bool)
    if not len(lateral) or right.all() or not right.any():
        return None
    words = {"f": "front", "o": "occip"}
    parts = (found[i] for i in lateral)
    names = [words.get(one["part"][0].lower(), "") if one is not None else "" for one in parts]
    return directions(positions[lateral], right, names)


def _side(text: str) -> str:
    """L or R, of a letter or of a number that is odd on the left."""
    return "LR"[int(text) % 2 == 0] if text.isdigit() else text.upper()


def vertex_hemispheres(
    surface: Surface, mapping: Int[np.ndarray, " vertex"], regions: Regions
) -> Bool[np.ndarray, " vertex"] | None:
    """True for vertices of the right hemisphere, None where neither the regions nor their labels
    tell; where each hemisphere is a part of its own, all of that part is on one side."""
    right = regions.hemispheres
    right = hemispheres_from_labels(regions.labels) if right is None else right
    if right is None:
        return None
    parts = surface.components
    share = np.bincount(parts, weights=right[mapping]) / np.bincount(parts)
    apart = len(share) > 1 and (np.abs(share - 0.5) > 0.4).all()
    return share[parts] > 0.5 if apart else right[mapping]


def shades(surface: Surface) -> Float[np.ndarray, " vertex"]:
    """From 0 in the depth of a fold to 1 on its crest, by the curvature about each vertex."""
    first, second = surface.edges.T
    size = len(surface)
    ones = np.ones(len(first))
    graph = scipy.sparse.coo_array((ones, (first, second)), shape=(size, size)).tocsr()
    graph = graph + graph.T
    degree = np.asarray(graph.sum(axis=1)).ravel()[:, None]
    inwards = surface.vertices - graph @ surface.vertices / degree
    bend = np.einsum("ij,ij->i", inwards, surface.normals)[:, None]
    for _ in range(2):
        bend = (bend + graph @ bend / degree) / 2
    bend = bend[:, 0] - np.median(bend)
    return 0.5 + 0.5 * np.tanh(1.2 * bend / (np.std(bend) or 1.0))


def strongest_pairs(
    connectome: Connectome, places: Float[np.ndarray, "region axis"], count: int
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"], Float[np.ndarray, " pair"]]:
    """Of at most `count` strongest connected pairs of regions: rows, columns and ranks, rising to
    1; pairs that weigh the same share one rank, and the shorter ones come first."""
    weights = np.asarray(connectome.without_self_connections().weights)
    either = np.maximum(weights, weights.T)
    rows, columns = np.triu_indices(len(places), k=1)
    values = either[rows, columns]
    lengths = np.linalg.norm(places[rows] - places[columns], axis=1)
    # Of connections that weigh the same, the shorter ones: neither side is favoured.
    drawn = np.lexsort((-lengths, values))[len(values) - min(count, len(values)) :]
    drawn = drawn[values[drawn] > 0]
    # Ranks, not values: weights span orders of magnitude.
    ranks = np.unique(values[drawn], return_inverse=True)[1] if drawn.size else np.zeros(0)
    share = (ranks + 1) / (ranks.max() + 1) if drawn.size else ranks
    return rows[drawn], columns[drawn], np.asarray(share, dtype=float)


def _front_by_labels(labels: Sequence[str], along: np.ndarray) -> float:
    """1 or -1 if the labels tell that the front is at large or small values, else 0."""
    front, back = (
        [any(part in label.lower() for part in parts) for label in labels]
        for parts in (_FRONT, _BACK)
    )
    if not any(front) or not any(back):
        return 0.0
    return float(np.sign(along[front].mean() - along[back].mean()))


def _circle(regions: Regions) -> np.ndarray:
    """Left hemisphere down the left half, right hemisphere up the right half."""
    size = len(regions)
    angles = np.empty(size)
    angles[hemisphere_order(regions)] = np.pi / 2 + 2 * np.pi * (np.arange(size) + 0.5) / size
    return 80.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
