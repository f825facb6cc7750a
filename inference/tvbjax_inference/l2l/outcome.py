"""What a study has found: every evaluation, the best of them, and why it ended."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from tvbjax_inference.l2l.parts import Part
from tvbjax_inference.l2l.space import Space
from tvbjax_inference.l2l.store import Records, read

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """All evaluations of a study, in the order of generations and candidates.

    `coordinates`: where each was; `losses`: a row of objectives each, NaN where it failed;
    `statuses`: ok, nan, invalid, raised, exited, killed or timeout; `errors`: in words; `seconds`,
    `attempts`: of each; `more`: what else was returned. `stopped`: why the study ended.
    """

    space: Space
    generations: Int[np.ndarray, " evaluation"]
    candidates: Int[np.ndarray, " evaluation"]
    coordinates: Float[np.ndarray, "evaluation width"]
    losses: Float[np.ndarray, "evaluation objective"]
    statuses: np.ndarray
    seconds: Float[np.ndarray, " evaluation"]
    attempts: Int[np.ndarray, " evaluation"]
    errors: tuple[str | None, ...]
    more: tuple[Mapping[str, Any], ...]
    stopped: str

    @staticmethod
    def of(space: Space, records: Records, stopped: str) -> "Outcome":
        """From a study's records."""
        rows: list[tuple[int, np.ndarray, Part]] = []
        for generation in sorted(records.parts):
            for part in records.parts[generation]:
                rows.append((generation, records.asked[generation][part.places], part))
        if not rows:
            empty, none = np.zeros(0), np.zeros(0, int)
            shape = np.zeros((0, space.width))
            return Outcome(
                space,
                none,
                none,
                shape,
                empty[:, None],
                none.astype(str),
                empty,
                none,
                (),
                (),
                stopped,
            )
        parts = [part for _, _, part in rows]
        numbers = np.concatenate([np.full(len(part.places), g) for g, _, part in rows])
        places = np.concatenate([part.places for part in parts])
        order = np.lexsort((places, numbers))

        def column(name: str) -> np.ndarray:
            return np.concatenate([getattr(part, name) for part in parts])[order]

        def items(name: str) -> list:
            found = []
            for part in parts:
                found += getattr(part, name) or ({},) * len(part.places)
            return [found[i] for i in order]

        return Outcome(
            space,
            numbers[order],
            places[order],
            np.concatenate([coordinates for _, coordinates, _ in rows])[order],
            column("losses"),
            np.array(items("statuses")),
            column("seconds"),
            column("attempts"),
            tuple(items("errors")),
            tuple(items("more")),
            stopped,
        )

    @property
    def loss(self) -> float:
        """The least loss; of several objectives their least sum. NaN where nothing worked."""
        totals = self.losses.sum(axis=1)
        return float(np.nanmin(totals)) if np.isfinite(totals).any() else float("nan")

    @property
    def values(self) -> dict[str, Any]:
        """The values of the least loss, as Python has them. Raises `ValueError` where there are
        none."""
        totals = self.losses.sum(axis=1)
        if not np.isfinite(totals).any():
            raise ValueError("Outcome: no evaluation has a loss; see .table() and .failures.")
        return self.at(int(np.nanargmin(totals)))

    def at(self, number: int) -> dict[str, Any]:
        """The values of one evaluation."""
        decoded = jax.device_get(self.space.decode(jnp.asarray(self.coordinates[number])))
        return self.space.plain(decoded)

    @property
    def least(self) -> Float[np.ndarray, " evaluation"]:
        """The least loss after each evaluation; infinity before the first that worked."""
        totals = self.losses.sum(axis=1)
        return np.minimum.accumulate(np.where(np.isfinite(totals), totals, np.inf))

    @property
    def front(self) -> Int[np.ndarray, " efficient"]:
        """The numbers of the evaluations that no other is better than in one objective and at
        least as good in all: the Pareto front."""
        fine = np.flatnonzero(np.isfinite(self.losses).all(axis=1))
        losses = self.losses[fine]
        keep = [
            i
            for i, row in enumerate(losses)
            if not ((losses <= row).all(axis=1) & (losses < row).any(axis=1)).any()
        ]
        return fine[np.array(keep, int)]

    @property
    def failures(self) -> dict[str, int]:
        """How many evaluations ended in what, other than ok."""
        names, counts = np.unique(self.statuses[self.statuses != "ok"], return_counts=True)
        return {str(name): int(count) for name, count in zip(names, counts, strict=True)}

    def table(self) -> "pd.DataFrame":
        """A row for each evaluation: generation, candidate, status, losses, seconds, attempts,
        values (of arrays a column for each element), what else was a number, and the error."""
        import pandas as pd

        columns: dict[str, Any] = {
            "generation": self.generations,
            "candidate": self.candidates,
            "status": self.statuses,
        }
        several = self.losses.shape[1] > 1
        for i, losses in enumerate(self.losses.T):
            columns[f"loss_{i}" if several else "loss"] = losses
        columns |= {"seconds": self.seconds, "attempts": self.attempts}
        for name, column in self._value_columns().items():
            columns[f"value_{name}" if name in (*columns, "error") else name] = column
        for name in dict.fromkeys(name for more in self.more for name in more):
            column = [more.get(name) for more in self.more]
            if all(one is None or isinstance(one, int | float | str) for one in column):
                columns[f"more_{name}" if name in (*columns, "error") else name] = column
        columns["error"] = list(self.errors)
        return pd.DataFrame(columns)

    def to_xarray(self) -> "xr.Dataset":
        """Losses, statuses and values, with the dim `evaluation`."""
        import xarray as xr

        found: dict[str, Any] = {
            "generation": ("evaluation", self.generations),
            "candidate": ("evaluation", self.candidates),
            "loss": (("evaluation", "objective"), self.losses),
            "status": ("evaluation", self.statuses),
        }
        for name, part in self.decoded().items():
            dims = tuple(f"{name}_{i}" for i in range(part.ndim - 1))
            found[f"value_{name}" if name in found else name] = (("evaluation", *dims), part)
        return xr.Dataset(found, attrs={"stopped": self.stopped})

    def decoded(self) -> dict[str, np.ndarray]:
        """The values of all evaluations by name, with a first axis; options as they are named."""
        decoded = jax.device_get(self.space.decode(jnp.asarray(self.coordinates)))
        found = {}
        for name, dimension in self.space.dimensions:
            options = getattr(dimension, "options", None)
            part = np.asarray(decoded[name])
            found[name] = part if options is None else np.array(options, object)[part]
        return found

    def _value_columns(self) -> dict[str, np.ndarray]:
        columns = {}
        for name, part in self.decoded().items():
            if part.ndim == 1:
                columns[name] = part
                continue
            for place in np.ndindex(part.shape[1:]):
                label = ",".join(map(str, place))
                columns[f"{name}[{label}]"] = part[(slice(None), *place)]
        return columns

    def __repr__(self) -> str:
        failed = "".join(f", {count} {name}" for name, count in self.failures.items())
        head = f"{len(self.losses)} evaluations{failed} ({self.stopped})"
        if not np.isfinite(self.losses.sum(axis=1)).any():
            return f"Outcome: no loss of {head}"
        parts = []
        for name, value in self.values.items():
            few = isinstance(value, str | bool | int) or value is None
            if isinstance(value, float):
                parts.append(f"{name} = {value:.5g}")
            else:
                shape = np.asarray(value, object).shape
                parts.append(f"{name} = {value!r}" if few else f"{name} = {shape} values")
        return f"Outcome: loss {self.loss:.5g} of {head}; {', '.join(parts)}"


def load_outcome(store: str | Path) -> Outcome:
    """What a study's store holds, also while the study runs; without its functions."""
    about, records = read(store)
    space = Space.from_description(about["same"]["space"])
    return Outcome.of(space, records, "as the store has it")
