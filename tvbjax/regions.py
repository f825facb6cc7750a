"""Regions: all that is known of a parcellation but its connections; hashable, equal by value.

Knows no weights and no JAX, so that a jitted function over a Connectome never recompiles for equal
regions and never traces through a label.
"""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from tvbjax.near import near

Values = np.ndarray | Sequence[Any]
_SIDE = re.compile(r"(?<![A-Za-z])(lh|rh|left|right)(?![A-Za-z])", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Regions:
    """Labels, places and kinds of the regions of a parcellation; arrays are read-only copies.

    Made by `Connectome` from its arguments. `labels` are distinct and not empty. Raises ValueError
    for a repeated label, a shape that does not fit, or NaN or infinity.
    """

    labels: tuple[str, ...]
    centres: Float[np.ndarray, "region 3"] | None
    """Centres in mm, one row (x, y, z) per region. Where the axes point is the source's choice."""
    hemispheres: Bool[np.ndarray, " region"] | None
    """True in the right hemisphere."""
    cortical: Bool[np.ndarray, " region"] | None
    """True for cortex, False for subcortical regions."""
    areas: Float[np.ndarray, " region"] | None
    """Surface areas in mm², >= 0."""
    orientations: Float[np.ndarray, "region 3"] | None
    """Average normal of each region's surface, one row (x, y, z) per region; no unit."""
    _value: tuple = dataclasses.field(repr=False)
    _hash: int = dataclasses.field(repr=False, compare=False)

    def __init__(
        self,
        labels: Sequence[str],
        centres: Values | None = None,
        hemispheres: Values | None = None,
        cortical: Values | None = None,
        areas: Values | None = None,
        orientations: Values | None = None,
    ):
        labels = _checked_labels(labels)
        size = len(labels)
        arrays = {
            "centres": _numbers(centres, "centres", (size, 3)),
            "hemispheres": _flags(hemispheres, "hemispheres", size, "True (right) or False"),
            "cortical": _flags(cortical, "cortical", size, "True (cortex) or False"),
            "areas": _numbers(areas, "areas", (size,)),
            "orientations": _numbers(orientations, "orientations", (size, 3)),
        }
        known = arrays["areas"]
        if known is not None and (known < 0).any():
            first = int(np.argmax(known < 0))
            raise ValueError(
                f"Connectome: areas[{first}] (region {labels[first]!r}) is {known[first]:g} mm²; "
                "an area is >= 0: give 0 where it is unknown."
            )
        for name, array in {"labels": labels, **arrays}.items():
            object.__setattr__(self, name, array)
        value = (labels, *(None if a is None else a.tobytes() for a in arrays.values()))
        object.__setattr__(self, "_value", value)
        # Computed once: jit asks for it at every call.
        object.__setattr__(self, "_hash", hash(value))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Regions) and self._hash == other._hash and self._value == other._value
        )

    def __len__(self) -> int:
        return len(self.labels)

    def index(self, region: str | int) -> int:
        """Index of a region given by label or by index. Raises ValueError if there is none."""
        if isinstance(region, str):
            if region in self.labels:
                return self.labels.index(region)
            hint = near(region, self.labels) or "see `labels`."
            raise ValueError(f"Connectome: no region is labelled {region!r}; {hint}")
        if not 0 <= region < len(self):
            raise ValueError(
                f"Connectome: region {region} does not exist; "
                f"indices run from 0 to {len(self) - 1}."
            )
        return int(region)

    def take(self, indices: Sequence[int]) -> "Regions":
        """The regions at `indices`, in that order."""
        rows = np.asarray(indices, dtype=int)
        return Regions(
            tuple(self.labels[i] for i in rows),
            *(
                None if array is None else array[rows]
                for array in (
                    self.centres,
                    self.hemispheres,
                    self.cortical,
                    self.areas,
                    self.orientations,
                )
            ),
        )


def hemispheres_from_labels(labels: Sequence[str]) -> np.ndarray | None:
    """True where a label says "right": from the first letters (r or l), else from the last ones,
    else from a word of it (rh, right, lh, left), as FreeSurfer's ctx-rh-cuneus and Left-Thalamus.

    Upper and lower case count alike. A rule holds only if every label fits it and both sides occur,
    otherwise None. TVB's guess is the same but for that condition and the words; without it, labels
    such as region_0, region_1 would all be on the right.
    """
    for place in (0, -1):
        letters = [label[place].lower() if label else "" for label in labels]
        if set(letters) == {"l", "r"}:
            return np.array([letter == "r" for letter in letters])
    words = [{word.lower()[0] for word in _SIDE.findall(label)} for label in labels]
    if all(len(sides) == 1 for sides in words) and set().union(*words) == {"l", "r"}:
        return np.array([sides == {"r"} for sides in words])
    return None


def _checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise ValueError(
            f"Connectome: labels is the text {labels!r}; pass a list, one label per region."
        )
    labels = tuple(str(label) for label in labels)
    seen: dict[str, int] = {}
    for i, label in enumerate(labels):
        if not label.strip():
            raise ValueError(f"Connectome: labels[{i}] is empty; give every region a label.")
        if label in seen:
            raise ValueError(
                f"Connectome: labels[{seen[label]}] and labels[{i}] are both {label!r}; "
                f"labels are distinct: number them, e.g. {label + '_0'!r} and {label + '_1'!r}."
            )
        seen[label] = i
    return labels


def _numbers(values, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    if values is None:
        return None
    array = np.array(values, dtype=np.float64)
    _check_shape(array, name, shape)
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(
            f"Connectome: {name}[{', '.join(map(str, place))}] is {array[place]}; "
            f"give finite numbers, or leave {name} out."
        )
    array.setflags(write=False)
    return array


def _flags(values, name: str, size: int, meaning: str) -> np.ndarray | None:
    if values is None:
        return None
    array = np.array(values)
    _check_shape(array, name, (size,))
    if array.dtype != bool:
        odd = [i for i, value in enumerate(array.tolist()) if value not in (0, 1)]
        if odd:
            raise ValueError(f"Connectome: {name}[{odd[0]}] is {array[odd[0]]!r}; pass {meaning}.")
        array = array.astype(bool)
    array.setflags(write=False)
    return array


def _check_shape(array: np.ndarray, name: str, shape: tuple[int, ...]):
    if array.shape != shape:
        raise ValueError(
            f"Connectome: {name} has the shape {array.shape}, but {shape} fits the {shape[0]} "
            f"regions; pass one row per region, or leave {name} out."
        )
