"""What a fit found: the best values, and how it came to them."""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax import Result, Simulator
from tvbjax_inference.cohort import Cohort
from tvbjax_inference.problem import AbstractProblem, Position, Problem

if TYPE_CHECKING:
    import xarray as xr


@dataclasses.dataclass
class History:
    """Step by step, of every start: positions, losses, terms, and the gradient's length."""

    positions: list[dict[str, np.ndarray]] = dataclasses.field(default_factory=list)
    losses: list[np.ndarray] = dataclasses.field(default_factory=list)
    terms: list[dict[str, np.ndarray]] = dataclasses.field(default_factory=list)
    norms: list[np.ndarray] = dataclasses.field(default_factory=list)
    exploded: bool = False

    def add(self, positions, slope, norms) -> None:
        """One step more."""
        self.positions.append({name: np.asarray(x) for name, x in positions.items()})
        self.losses.append(np.asarray(slope.losses))
        self.terms.append({name: np.asarray(x) for name, x in slope.terms.items()})
        self.norms.append(np.asarray(norms))


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """The best position that a fit met, and its history.

    `loss`: the least of all starts and steps; `losses`: the least of each start. `position`,
    `positions`: where they were, in unbounded numbers. `stopped`: why the fit ended.
    """

    problem: AbstractProblem
    position: Position
    loss: float
    positions: Position
    losses: Float[np.ndarray, " start"]
    history: History
    stopped: str

    @classmethod
    def of(cls, problem: AbstractProblem, state: Any, history: History, stopped: str) -> "Fit":
        """The fit that ended in a state."""
        losses = np.asarray(state.least)
        best = int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
        position = jax.tree.map(lambda x: x[best], state.best)
        return cls(problem, position, float(losses[best]), state.best, losses, history, stopped)

    @property
    def steps(self) -> int:
        """How many were taken."""
        return len(self.history.losses)

    @property
    def values(self) -> dict[str, np.ndarray]:
        """The best values of all that was free, in their units."""
        return {n: np.asarray(v) for n, v in self.problem.values(self.position).items()}

    @property
    def simulator(self) -> Simulator:
        """The simulator with the best values."""
        return _single(self.problem).simulator_at(self.position)

    def simulate(self, key: Array | None = None) -> Result:
        """A run with the best values."""
        return _single(self.problem).simulate(self.position, key)

    def subject(self, name: str) -> "Fit":
        """One subject's part of a fit of several: its problem, values, losses and history; the
        gradient's length stays that of all.

        The noise was that of `fit.problem.key_of(name, key)`.
        """
        cohort = self.problem
        if not isinstance(cohort, Cohort):
            raise TypeError("Fit: this is a fit of one subject; it has no parts.")
        position, problem = cohort.of_subject(name, self.position), cohort.problems[name]
        own, history = _of_subject(cohort, name), self.history
        # Where the loss of all was least, each start's own.
        losses = np.stack(history.losses)
        losses = np.where(np.isfinite(losses), losses, np.inf)
        best = losses.argmin(axis=0)
        least = np.array([history.terms[step][name][start] for start, step in enumerate(best)])
        positions = cohort.of_subject(name, self.positions)
        loss = float(least[losses.min(axis=0).argmin()])
        return Fit(problem, position, loss, positions, least, own(history), self.stopped)

    def to_xarray(self) -> "xr.Dataset":
        """The history: `loss`, terms, `gradient` (its length) and all values by step and start."""
        import xarray as xr

        history = self.history
        steps, starts = len(history.losses), len(self.losses)
        found: dict[str, Any] = {
            "loss": (("step", "start"), np.stack(history.losses)),
            "gradient": (("step", "start"), np.stack(history.norms)),
        }
        for name in history.terms[0] if history.terms else ():
            found[f"term_{name}"] = (("step", "start"), np.stack([t[name] for t in history.terms]))
        coordinates: dict[str, Any] = {"step": np.arange(steps), "start": np.arange(starts)}
        labels = self.problem.coordinates()
        for name in self.position:
            numbers = np.stack([position[name] for position in history.positions])
            flat = jnp.asarray(numbers.reshape(steps * starts, *numbers.shape[2:]))
            values = jax.vmap(lambda x, n=name: self.problem.values(self.position | {n: x})[n])(
                flat
            )
            values = np.asarray(values).reshape(steps, starts, *values.shape[1:])
            inner = tuple(f"{name}_{i}" for i in range(values.ndim - 2))
            found[name] = (("step", "start", *inner), values)
            if len(inner) == 1 and len(labels[name]) == values.shape[2]:
                coordinates[inner[0]] = list(labels[name])
        attributes = {"stopped": self.stopped, "least": self.loss}
        return xr.Dataset(found, coordinates, attributes)

    def __repr__(self) -> str:
        parts = []
        for name, values in self.values.items():
            shown = f"{float(values):.5g}" if values.ndim == 0 else f"{values.shape} values"
            parts.append(f"{name} = {shown}")
        return f"Fit: loss {self.loss:.5g} after {self.steps} steps ({self.stopped}); " + ", ".join(
            parts
        )


def _of_subject(cohort: Cohort, name: str):
    """A function from the history of all to that of one subject."""
    begin = f"{name}."

    def own(history: History) -> History:
        return History(
            [cohort.of_subject(name, positions) for positions in history.positions],
            [terms[name] for terms in history.terms],
            [
                {n[len(begin) :]: x for n, x in terms.items() if n.startswith(begin)}
                for terms in history.terms
            ],
            list(history.norms),
            history.exploded,
        )

    return own


def _single(problem: AbstractProblem) -> Problem:
    if not isinstance(problem, Problem):
        raise TypeError(
            "Fit: this is a fit of several subjects; take one's part, "
            f"fit.subject('{getattr(problem, 'subjects', ['...'])[0]}')."
        )
    return problem
