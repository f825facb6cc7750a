"""Sensors: where a signal is measured, by name. Hashable, equal by value; knows no gain."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from tvbjax.kinds import check_kind
from tvbjax.near import near

Values = np.ndarray | Sequence[Any]


@dataclasses.dataclass(frozen=True, eq=False, init=False)
class Sensors:
    """Names and places of the sensors of one kind; arrays are read-only copies.

    `positions`: mm, one row (x, y, z) each. `orientations`: of the coils of MEG, made unit vectors,
    0 for a channel that is no coil; None where sensors have none. `name`: for people.

    Raises ValueError for a repeated label, a shape that does not fit, or NaN.
    """

    labels: tuple[str, ...]
    positions: Float[np.ndarray, "sensor 3"]
    orientations: Float[np.ndarray, "sensor 3"] | None
    name: str

    def __init__(
        self,
        labels: Sequence[str],
        positions: Values,
        orientations: Values | None = None,
        *,
        name: str = "sensors",
    ):
        labels = _checked_labels(labels)
        positions = _rows(positions, "positions", len(labels))
        if orientations is not None:
            orientations = _rows(orientations, "orientations", len(labels))
            lengths = np.linalg.norm(orientations, axis=1, keepdims=True)
            orientations = orientations / np.where(lengths == 0, 1.0, lengths)
            orientations.setflags(write=False)
        for field, value in {
            "labels": labels,
            "positions": positions,
            "orientations": orientations,
            "name": name,
        }.items():
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.labels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sensors) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"Sensors({self.name!r}, {len(self)}: {', '.join(self.labels[:3])}, ...)"

    @property
    def _value(self) -> tuple:
        turned = None if self.orientations is None else self.orientations.tobytes()
        return self.labels, self.positions.tobytes(), turned, self.name

    def index(self, label: str) -> int:
        """Index of the sensor of that name. Raises ValueError if there is none."""
        if label in self.labels:
            return self.labels.index(label)
        hint = near(label, self.labels) or "see `labels`."
        raise ValueError(f"Sensors: no sensor is called {label!r}; {hint}")

    def take(self, labels: Sequence[str] | str) -> "Sensors":
        """The sensors of these names, in that order, or the one of this name. Raises ValueError."""
        rows = [self.index(label) for label in several("Sensors.take", labels)]
        turned = None if self.orientations is None else self.orientations[rows]
        chosen = tuple(self.labels[row] for row in rows)
        return Sensors(chosen, self.positions[rows], turned, name=self.name)


def check_sensors(who: str, sensors: Any) -> None:
    """Raises `TypeError` for what is no `Sensors`, such as the name of some."""
    name = sensors if isinstance(sensors, str) else "eeg62"
    check_kind(f"{who}: sensors", sensors, Sensors, f"tvbjax.datasets.sensors({name!r})")


def several(who: str, names: Sequence[str] | str) -> Sequence[str]:
    """Names, of which there is one at least; a text is one, and not its letters."""
    if not isinstance(names, Iterable):
        raise TypeError(f"{who}: {names!r:.60} is no name; give names, e.g. ['Cz', 'Pz'].")
    names = names if isinstance(names, str) else list(names)
    if not len(names):
        raise ValueError(f"{who}: there are no names; give one or more.")
    names = [names] if isinstance(names, str) else names
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{who}: {name!r:.60} is no name; give names, e.g. ['Cz', 'Pz'].")
    return names


def _checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str) or not len(labels):
        raise ValueError(f"Sensors: labels is {labels!r}; pass a list, one name per sensor.")
    labels = tuple(str(label) for label in labels)
    for i, label in enumerate(labels):
        if label in labels[:i]:
            raise ValueError(
                f"Sensors: labels[{labels.index(label)}] and labels[{i}] are both {label!r}; "
                "names are distinct."
            )
    return labels


def _rows(values: Values, name: str, count: int) -> np.ndarray:
    array = np.array(values, dtype=np.float64)
    if array.shape != (count, 3):
        raise ValueError(
            f"Sensors: {name} has the shape {array.shape}; pass one row (x, y, z) for each of the "
            f"{count} sensors."
        )
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"Sensors: {name}[{row}, {column}] is {array[row, column]}; give finite numbers."
        )
    array.setflags(write=False)
    return array
