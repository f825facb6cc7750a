"""What is known of numbers, as eigenvalues and directions: errors, correlations, and words for it.

The least that standard deviations can be is that of Cramér and Rao: the inverse of the information.
"""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import xarray as xr

# Of a range: below the first a number is well determined; from the second on data tell no more
# than its bounds do, as a uniform distribution's standard deviation is 0.29 of its width.
WELL, WEAKLY = 0.1, 0.29

# A number of which so much lies in flat directions has no finite error.
_IN_FLAT = 1e-4
_TERMS = 4  # of a direction, in words
_ROWS = 40  # of a table


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Information:
    """How well each of a problem's numbers is determined, and which combinations are not.

    `labels`: of the numbers. `position`: unbounded, `values`: in their units, `slopes`: how much a
    value changes with its number. `ranges`: what a value's standard deviation is compared with: an
    interval's width, a positive value itself, the greater of a real number's size and its scale.
    `eigenvalues`: of the information in unbounded numbers, from the largest; `directions`: theirs,
    of length 1, one in each row. `jacobians`: of all values of free leaves by numbers.
    `resolution`: an eigenvalue so small relative to the largest is 0, to rounding. `about`: where
    it comes from.
    """

    labels: tuple[str, ...]
    position: Float[np.ndarray, " number"]
    values: Float[np.ndarray, " number"]
    slopes: Float[np.ndarray, " number"]
    ranges: Float[np.ndarray, " number"]
    eigenvalues: Float[np.ndarray, " direction"]
    directions: Float[np.ndarray, "direction number"]
    jacobians: dict[str, np.ndarray]
    resolution: float
    about: str

    @property
    def matrix(self) -> Float[np.ndarray, "number other"]:
        """The information itself, in unbounded numbers."""
        return (self.directions.T * self.eigenvalues) @ self.directions

    @property
    def physical(self) -> Float[np.ndarray, "number other"]:
        """The information about values in their units."""
        return self.matrix / np.outer(self.slopes, self.slopes)

    @property
    def flat(self) -> np.ndarray:
        """Whether nothing is known of a direction, to rounding."""
        return self.eigenvalues <= self.resolution * self.eigenvalues.max()

    @property
    def loose(self) -> np.ndarray:
        """Whether the standard deviation along a direction is more than 1, in unbounded numbers:
        half of an interval, or a factor of 2.7."""
        return self.eigenvalues < 1.0

    @property
    def covariance(self) -> Float[np.ndarray, "number other"]:
        """In unbounded numbers, the inverse of the information; where a direction is flat, that is
        only as large as rounding can tell."""
        least = self.resolution * self.eigenvalues.max()
        return (self.directions.T / np.maximum(self.eigenvalues, least)) @ self.directions

    @property
    def correlation(self) -> Float[np.ndarray, "number other"]:
        """Of the numbers' errors: of what no data tell apart 1 or -1."""
        found = self.covariance
        sd = np.sqrt(np.diag(found))
        return found / np.outer(sd, sd)

    @property
    def unbounded_sds(self) -> Float[np.ndarray, " number"]:
        """The least standard deviations in unbounded numbers, infinite in flat directions."""
        return self._along(np.eye(len(self.labels)))

    @property
    def sds(self) -> Float[np.ndarray, " number"]:
        """The least standard deviations of values, in their units, to first order."""
        return np.abs(self.slopes) * self.unbounded_sds

    @property
    def value_sds(self) -> dict[str, np.ndarray]:
        """By name, those of all values of free leaves, such as of every region on a line in a
        map."""
        return {name: self._along(x) for name, x in self.jacobians.items()}

    @property
    def shares(self) -> Float[np.ndarray, " number"]:
        """Standard deviations as shares of the ranges."""
        return np.where(np.isnan(self.ranges), self.unbounded_sds, self.sds / self.ranges)

    @property
    def verdicts(self) -> tuple[str, ...]:
        """Of each number `well` (a share below 0.1), `weakly` (below 0.29) or `not`."""
        return tuple("well" if s < WELL else "weakly" if s < WEAKLY else "not" for s in self.shares)

    def _along(self, vectors: np.ndarray) -> np.ndarray:
        """Standard deviations of linear combinations, which are along the last axis."""
        parts = vectors @ self.directions.T
        flat = self.flat
        known = (parts[..., ~flat] ** 2 / self.eigenvalues[~flat]).sum(axis=-1)
        size = np.sqrt((vectors**2).sum(axis=-1))
        lost = np.sqrt((parts[..., flat] ** 2).sum(axis=-1)) > _IN_FLAT * size
        return np.where(lost, np.inf, np.sqrt(known))

    def in_words(self, direction: int) -> str:
        """A direction as a sum of numbers, the largest first."""
        parts = self.directions[direction]
        order = [
            i for i in np.argsort(-np.abs(parts).round(2), kind="stable") if abs(parts[i]) > 0.05
        ]
        words = ""
        for i in order[:_TERMS]:
            part = parts[i] * np.sign(parts[order[0]])
            words += "" if not words else " - " if part < 0 else " + "
            words += f"{abs(part):.2f} {self.labels[i]}"
        rest = len(order) - _TERMS
        return words + (f" and {rest} more" if rest > 0 else "")

    def report(self) -> str:
        """A table of all numbers, the directions about which least is known, and what follows."""
        rows = [("number", "value", "sd", "of range", "determined")]
        for i, label in enumerate(self.labels[:_ROWS]):
            share = f"{100 * self.shares[i]:.3g} %"
            rows.append(
                (label, f"{self.values[i]:.5g}", f"{self.sds[i]:.3g}", share, self.verdicts[i])
            )
        lines = [f"{self.about}, about {len(self.labels)} numbers.", "", *_table(rows)]
        if len(self.labels) > _ROWS:
            lines.append(f"... and {len(self.labels) - _ROWS} more; to_xarray() has all.")
        lines += ["", *self._directions_in_words(), "", self._conclusion()]
        return "\n".join(lines)

    def _directions_in_words(self) -> list[str]:
        order = range(len(self.eigenvalues))[::-1][:5]
        rows = [("least known direction", "sd", "")]
        for k in order:
            sd = "inf" if self.flat[k] else f"{1 / np.sqrt(self.eigenvalues[k]):.3g}"
            kind = "flat" if self.flat[k] else "loose" if self.loose[k] else ""
            rows.append((self.in_words(k), sd, kind))
        return _table(rows)

    def _conclusion(self) -> str:
        verdicts = self.verdicts
        parts = []
        for word, said in (("not", "not determined"), ("weakly", "weakly determined")):
            named = [label for label, v in zip(self.labels, verdicts, strict=True) if v == word]
            if named:
                more = f" and {len(named) - 8} more" if len(named) > 8 else ""
                parts.append(f"{said}: {', '.join(named[:8])}{more}")
        if not parts:
            parts = ["all numbers are well determined"]
        if self.flat.any():
            parts.append(
                f"{int(self.flat.sum())} of {len(self.labels)} directions are flat: fix a number "
                "of each, or add data that tell them apart"
            )
        else:
            ratio = self.eigenvalues.max() / self.eigenvalues.min()
            parts.append(f"eigenvalues span {np.log10(ratio):.1f} decades")
        text = "; ".join(parts) + "."
        return text[0].upper() + text[1:]

    def to_xarray(self) -> "xr.Dataset":
        """All of it, by `number`, `other` and `direction`."""
        import xarray as xr

        matrices = ("matrix", "physical", "covariance", "correlation")
        vectors = ("position", "values", "unbounded_sds", "sds", "shares", "verdicts")
        found = {name: (("number", "other"), getattr(self, name)) for name in matrices}
        found |= {name: (("number",), np.asarray(getattr(self, name))) for name in vectors}
        found |= {name: (("direction",), getattr(self, name)) for name in ("eigenvalues", "flat")}
        found["directions"] = (("direction", "number"), self.directions)
        labels = list(self.labels)
        return xr.Dataset(found, {"number": labels, "other": labels}, {"about": self.about})

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        return f"Information: {len(self.labels)} numbers. {self._conclusion()}"


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """The first column to the left, others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
