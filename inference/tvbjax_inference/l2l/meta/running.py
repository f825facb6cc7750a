"""A meta-study as it runs: step by step, into a file, until it is over or interrupted."""

import dataclasses
import warnings
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import keystr, tree_leaves_with_path
from jaxtyping import Array

from tvbjax.progress import progress_bar
from tvbjax_inference.l2l.meta import checking
from tvbjax_inference.l2l.meta.checkpoint import Checkpoint
from tvbjax_inference.l2l.meta.implicit import Implicit
from tvbjax_inference.l2l.meta.learned import Learned, Progress
from tvbjax_inference.l2l.meta.levels import Meta
from tvbjax_inference.l2l.meta.stepping import Row, State, keys_of, outer_step

if TYPE_CHECKING:
    from tvbjax_inference.l2l.meta.study import MetaStudy


class Run:
    """A study as it runs."""

    def __init__(self, study: "MetaStudy", key: Array, rows: "Rows", store: Checkpoint | None):
        self.study, self.key, self.rows, self.store = study, key, rows, store
        self.untrusted = False

    def until(self, state: State, steps: int, progress: bool) -> Learned:
        begun, why = state, "all steps were taken"
        with progress_bar("learning", steps, progress) as advance:
            advance(int(state.step), "")
            try:
                while int(state.step) < steps:
                    following, row, gradient = outer_step(self.study, state, self.key)
                    row = jax.tree.map(np.asarray, row)
                    self._tell(state, row, gradient)
                    self.rows.add(row)
                    state = following
                    if self.store is not None and self.store.due(int(state.step)):
                        self.store.keep(state, self.rows.arrays)
                    advance(1, f"outer loss {np.nanmean(row.losses):.4g}")
            except KeyboardInterrupt:
                why = "interrupted"
                goes_on = ", and the same call goes on from the checkpoint" if self.store else ""
                warnings.warn(
                    f"MetaStudy: interrupted after {int(state.step)} steps; what was learned is in "
                    f"the result{goes_on}.",
                    stacklevel=3,
                )
            finally:
                if self.store is not None and state is not begun:
                    self.store.keep(state, self.rows.arrays)
        levels, meta = self.study.levels, state.meta
        start, hyper = levels.start(meta), levels.hyper(meta)
        family, progressed = self.study.family, self.rows.progress()
        arrays = tuple(keystr(path) for path, _ in tree_leaves_with_path(family.parts[0]))
        return Learned(start, hyper, progressed, why, family.labels, levels, meta, arrays)

    def _tell(self, state: State, row: Row, gradient: Meta) -> None:
        study, step = self.study, int(state.step)
        drawn = np.flatnonzero(row.drawn)
        failed = [int(i) for i in drawn if not np.isfinite(row.losses[i] + row.lengths[i])]
        if len(failed) == len(drawn):
            keys, _ = keys_of(self.key, state.step, jnp.asarray(failed[:1]))
            checking.check_told(study.levels, state.meta, study.family, failed[0], keys[0], step)
        new = [i for i in failed if i not in self.rows.failed]
        self.rows.failed |= set(new)
        if new:
            labels = ", ".join(f"'{study.family.labels[i]}'" for i in new)
            warnings.warn(
                f"MetaStudy: at outer step {step} the outer loss or its gradient is no finite "
                f"number for {labels}; what is NaN is left out of the mean, in this step and all "
                "others.",
                stacklevel=4,
            )
        if not step:
            checking.tell_unmoved(gradient)
        residual = np.nanmax(np.where(row.drawn, row.residuals, 0.0))
        if isinstance(study.gradient, Implicit) and residual > study.gradient.accepted:
            self._tell_residual(step, int(np.nanargmax(row.residuals)), residual)

    def _tell_residual(self, step: int, task: int, residual: float) -> None:
        if not self.untrusted:
            self.untrusted = True
            warnings.warn(
                f"MetaStudy: at outer step {step} the inner fit of "
                f"'{self.study.family.labels[task]}' has not converged: the residual is "
                f"{residual:.2g}, and Implicit takes it to be 0. Take more inner steps, a faster "
                "rule (optax.lbfgs()), or more iterations; or use Unrolled().",
                stacklevel=5,
            )


class Rows:
    """The rows of all steps, as they come."""

    def __init__(self, labels: tuple[str, ...]):
        self.rows: list[Row] = []
        self.failed: set[int] = set()
        self.labels = labels

    def add(self, row: Row) -> None:
        self.rows.append(row)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """By name, with a first axis of steps."""
        plain = [row._asdict() for row in self.rows]
        hyper = [row.pop("hyper") for row in plain]
        found = {name: np.stack([row[name] for row in plain]) for name in plain[0]}
        return found | {
            f"hyper.{name}": np.stack([row[name] for row in hyper]) for name in hyper[0]
        }

    def take(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from such arrays."""
        hyper = {n.removeprefix("hyper."): x for n, x in arrays.items() if n.startswith("hyper.")}
        for i in range(len(arrays.get("length", ()))):
            plain = {name: x[i] for name, x in arrays.items() if not name.startswith("hyper.")}
            self.rows.append(Row(**plain, hyper={name: x[i] for name, x in hyper.items()}))
        for row in self.rows:
            bad = row.drawn & ~np.isfinite(row.losses + row.lengths)
            self.failed |= {int(i) for i in np.flatnonzero(bad)}

    def progress(self) -> Progress:
        if not self.rows:
            nothing = np.zeros((0, len(self.labels)))
            return Progress(nothing, nothing, nothing, nothing.astype(bool), np.zeros(0), {})
        found = self.arrays
        hyper = {n.removeprefix("hyper."): found[n] for n in found if n.startswith("hyper.")}
        plain = {field.name: found.get(field.name) for field in dataclasses.fields(Progress)}
        return Progress(**(plain | {"hyper": hyper}))  # type: ignore[arg-type]
