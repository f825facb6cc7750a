"""Axes of samples: what the rows of an array are, for people."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Axis:
    """`name`: the dim, as in xarray. `coordinate`: names or numbers, one for each place. `unit`: of
    numbers."""

    name: str
    coordinate: tuple[str, ...] | tuple[float, ...]
    unit: str = ""

    def __len__(self) -> int:
        return len(self.coordinate)
