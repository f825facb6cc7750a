"""What came of some candidates of a generation, as arrays: what goes from engines to the store."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Of candidates `places` of a generation. `losses`: a row of objectives each, NaN where the
    status is not ok; `outputs`, `gradients`: a row each, if there are any; `more`: what else each
    has to be kept."""

    places: np.ndarray
    statuses: tuple[str, ...]
    losses: np.ndarray
    seconds: np.ndarray
    attempts: np.ndarray
    errors: tuple[str | None, ...]
    outputs: np.ndarray | None = None
    gradients: np.ndarray | None = None
    more: tuple[dict[str, Any], ...] = ()

    def chosen(self, which: np.ndarray) -> "Part":
        """Those of the part that are True in `which`."""
        keep = np.flatnonzero(which)

        def some(values):
            return tuple(values[i] for i in keep)

        return Part(
            self.places[keep],
            some(self.statuses),
            self.losses[keep],
            self.seconds[keep],
            self.attempts[keep],
            some(self.errors),
            None if self.outputs is None else self.outputs[keep],
            None if self.gradients is None else self.gradients[keep],
            some(self.more) if self.more else (),
        )

    @property
    def fine(self) -> np.ndarray:
        """Whether each is ok."""
        return np.array([status == "ok" for status in self.statuses], bool)


def together(parts: Sequence[Part], count: int) -> Part:
    """Parts that make up a generation of `count` candidates as one, in the candidates' order.

    Raises `ValueError` where rows of outputs or gradients have other lengths than others.
    """
    places = np.concatenate([part.places for part in parts])
    order = np.argsort(places, kind="stable")
    if not np.array_equal(places[order], np.arange(count)):
        raise ValueError(f"l2l: a generation of {count} candidates has the places {places}.")

    def rows(name: str) -> np.ndarray | None:
        found = [getattr(part, name) for part in parts]
        widths = sorted({part.shape[1] for part in found if part is not None})
        if not widths:
            return None
        if len(widths) > 1:
            raise ValueError(
                f"l2l: {name} have {widths[0]} numbers of some candidates and {widths[1]} of "
                "others; return as many of all."
            )
        filled = [
            np.full((len(part.places), widths[0]), np.nan) if x is None else x
            for part, x in zip(parts, found, strict=True)
        ]
        return np.concatenate(filled)[order]

    def items(name: str) -> tuple:
        found = [one for part in parts for one in getattr(part, name) or ({},) * len(part.places)]
        return tuple(found[i] for i in order)

    return Part(
        places[order],
        items("statuses"),
        np.concatenate([part.losses for part in parts])[order],
        np.concatenate([part.seconds for part in parts])[order],
        np.concatenate([part.attempts for part in parts])[order],
        items("errors"),
        rows("outputs"),
        rows("gradients"),
        items("more") if any(part.more for part in parts) else (),
    )
