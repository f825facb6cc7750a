"""A study: an optimiser on an optimisee, wherever it runs, with a store that outlives everything.

Generations are told whole and in the candidates' order, and every candidate has random numbers of
its own, so that results depend neither on workers nor on their order.
"""

import contextlib
import dataclasses
import time
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array

from tvbjax.arrays import check_one_key
from tvbjax.identity import told
from tvbjax.kinds import check_kind
from tvbjax.progress import progress_bar
from tvbjax.provenance import versions
from tvbjax_inference.l2l.engines import AbstractEngine, Processes
from tvbjax_inference.l2l.evaluation import Evaluator, evaluator
from tvbjax_inference.l2l.failures import AbstractOnFailure, StudyError, Worst
from tvbjax_inference.l2l.minimising import candidate_keys
from tvbjax_inference.l2l.optimisees import AbstractOptimisee, Function
from tvbjax_inference.l2l.optimiser import AbstractOptimiser, Evaluations, Search
from tvbjax_inference.l2l.outcome import Outcome
from tvbjax_inference.l2l.parts import Part, together
from tvbjax_inference.l2l.stops import AbstractStop, Progress
from tvbjax_inference.l2l.store import Memory, Store, opened

_SHOWN = 1000  # parts of the progress bar
_PACKAGES = ("tvbjax", "jax", "jaxlib", "numpy")


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """An optimiser's search for the values of least loss of an optimisee.

    `key`: of all its random numbers. `stop`: one or several of `MaxEvaluations`, `MaxGenerations`,
    `Target`, `Stalled`, `Walltime`; the optimiser's own end ends a study too. `start`: values to
    begin about. `engine`: where Python functions and commands run, by default `Processes()`; JAX
    functions run here, side by side, unless there is one. `on_failure`: what becomes of evaluations
    that fail, `Worst()`, `Redraw(times)` or `Stop()`.
    """

    optimisee: AbstractOptimisee
    optimiser: AbstractOptimiser
    key: Array
    stop: AbstractStop | Sequence[AbstractStop]
    start: Mapping[str, Any] | None = None
    engine: AbstractEngine | None = None
    on_failure: AbstractOnFailure = Worst()

    def __post_init__(self):
        example = "l2l.Function(function, space), l2l.Python(...) or l2l.Command(...)"
        check_kind("Study: optimisee", self.optimisee, AbstractOptimisee, example)
        check_kind("Study: optimiser", self.optimiser, AbstractOptimiser, "l2l.SeparableNes()")
        check_one_key("Study", self.key)
        stops = (self.stop,) if isinstance(self.stop, AbstractStop) else self.stop
        if not isinstance(stops, Sequence) or not stops:
            raise TypeError(
                f"Study: stop is {self.stop!r:.60}; give e.g. l2l.MaxEvaluations(1000), or a list."
            )
        for one in stops:
            check_kind("Study: stop", one, AbstractStop, "l2l.MaxEvaluations(1000)")
        object.__setattr__(self, "stop", tuple(stops))
        if self.engine is not None:
            check_kind("Study: engine", self.engine, AbstractEngine, "l2l.Processes(4)")
        elif not isinstance(self.optimisee, Function):
            object.__setattr__(self, "engine", Processes())
        check_kind("Study: on_failure", self.on_failure, AbstractOnFailure, "l2l.Worst()")
        self._check_together()

    def run(self, store: str | Path | None = None, *, progress: bool = True) -> Outcome:
        """Search from the beginning. `store`: a new folder, in which everything is kept as it is
        found, and from which `resume` goes on.

        Ctrl-C ends it early and well. Raises `FileExistsError` where the folder has something,
        `StudyError` where everything fails, `OSError` where the disk does.
        """
        if store is None:
            return self._search(Memory(), progress)
        with opened(store, self.about(), new=True) as kept:
            return self._search(kept, progress)

    def resume(self, store: str | Path, *, progress: bool = True, again: bool = False) -> Outcome:
        """Go on with a study that was stopped anywhere, with the same numbers as without the stop.

        Only what is missing is evaluated. `again`: what failed in the generation that is not told
        yet, too. Raises `ValueError` where the store is that of another space, optimiser, key or
        start. Warns where the optimisee's code is another.
        """
        about = self.about()
        with opened(store, about, new=False) as kept:
            self._warn_of_code(kept, about)
            return self._search(kept, progress, again)

    def about(self) -> dict[str, Any]:
        """What makes it the same study, and what it was made by, as JSON has it."""
        start = None
        if self.start is not None:
            start = self.optimisee.space.encode(self.start).tolist()
        return {
            "same": {
                "space": self.optimisee.space.described(),
                "objectives": self.optimisee.objectives,
                "optimiser": {
                    "name": type(self.optimiser).__name__,
                    "sha256": told(self.optimiser),
                },
                "key": np.asarray(jr.key_data(self._typed)).tolist(),
                "start": start,
                "dtype": str(jnp.result_type(float)),
                "redrawn": self.on_failure.again,
            },
            "optimisee": self.optimisee.described(),
            "settings": repr(self.optimiser),
            "versions": versions(*_PACKAGES),
            "begun": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        }

    @property
    def _typed(self) -> Array:
        typed = jnp.issubdtype(self.key.dtype, jax.dtypes.prng_key)
        return self.key if typed else jr.wrap_key_data(self.key)

    def _check_together(self) -> None:
        """Raises where the parts do not fit each other."""
        name = type(self.optimiser).__name__
        if self.optimisee.objectives > 1 and not self.optimiser.several_objectives:
            raise ValueError(
                f"Study: losses have {self.optimisee.objectives} objectives, and {name} takes one; "
                "give their weighted sum, or use Nsga2."
            )
        if self.optimiser.needs_gradients and not isinstance(self.optimisee, Function):
            raise ValueError(
                f"Study: {name} needs gradients, which only a JAX function has (l2l.Function); use "
                "FiniteDifferences or Spsa."
            )
        # The space's kind and the start are checked where a search begins; better before that.
        self.optimiser.init(self.optimisee.space, jr.split(self._typed)[0], self.start)

    def _warn_of_code(self, store: Store, about: dict[str, Any]) -> None:
        begun = store.about["optimisee"]
        if begun != about["optimisee"]:
            warnings.warn(
                f"Study: {store.path} was begun with {begun}, and the optimisee is now "
                f"{about['optimisee']}: losses of both go together from here on.",
                stacklevel=3,
            )

    def _search(self, store: Memory, progress: bool, again: bool = False) -> Outcome:
        run = _Run(self, store)
        try:
            with progress_bar("searching", _SHOWN, progress) as bar:
                shown = 0
                with contextlib.closing(run.generations(again)) as generations:
                    for note, share in generations:
                        bar(int(_SHOWN * share) - shown, note)
                        shown = int(_SHOWN * share)
        except KeyboardInterrupt:
            kept = isinstance(store, Store)
            goes_on = f"resume({str(store.path)!r}) goes on." if kept else "it is in the result."
            warnings.warn(
                f"Study: interrupted in generation {int(run.search.generation)}; of what was found "
                f"nothing is lost: {goes_on}",
                stacklevel=3,
            )
            run.reason = "interrupted"
        except BaseException:
            with contextlib.suppress(OSError):  # the journal holds all that leads to the state
                store.keep(run.search, now=True)
            raise
        store.keep(run.search, now=True)
        return Outcome.of(self.optimisee.space, store.records, run.reason)


class _Run:
    """A study as it runs. `search`: as of the last generation that was told; `at`: its numbers."""

    def __init__(self, study: Study, store: Memory):
        self.study, self.store = study, store
        self.stops: Sequence[AbstractStop] = study.stop  # type: ignore[assignment]
        searched, self.evaluated_with = jr.split(study._typed)
        begun = study.optimiser.init(study.optimisee.space, searched, study.start)
        self.search: Search = store.state(begun) if isinstance(store, Store) else begun
        self.reason = ""
        compiled = study.optimiser.compiled
        self.ask = eqx.filter_jit(_ask) if compiled else _ask
        self.tell = eqx.filter_jit(_tell) if compiled else _tell
        self.begun = time.monotonic()
        self.at = jax.device_get(_place(study.optimiser, self.search))

    def generations(self, again: bool) -> Generator[tuple[str, float], None, None]:
        """Go on until there is a reason to stop; yields words on the way, and how far it is."""
        study, optimiser, records = self.study, self.study.optimiser, self.store.records
        with evaluator(study.optimisee, optimiser, study.engine) as evaluate:
            while not self._over():
                generation = int(self.at.generation)
                candidates, keys, asked = self.ask(optimiser, self.search, self.evaluated_with)
                candidates = self._as_journaled(generation, np.asarray(candidates))
                if again:
                    records.drop(generation, records.failed(generation))
                    again = False
                yield from self._evaluate(evaluate, generation, candidates, keys)
                whole = together(records.parts[generation], len(candidates))
                if generation == 0:
                    _check_some_hope(whole)
                self.search, at = self.tell(
                    optimiser, asked, jnp.asarray(candidates), self._told(whole)
                )
                self.at = jax.device_get(at)
                self.store.keep(self.search)

    def _evaluate(
        self, evaluate: Evaluator, generation: int, candidates: np.ndarray, keys: Array
    ) -> Iterator[tuple[str, float]]:
        """Evaluate what is missing of a generation, and keep it as it comes."""
        finished = self.store.records.finished(generation)
        missing = np.setdiff1d(np.arange(len(candidates)), finished)
        left = self.study.on_failure.again
        for turn in range(left + 1):
            failed = []
            turned = keys if turn == 0 else jax.vmap(jr.fold_in, (0, None))(keys, turn)
            for part in evaluate(candidates, turned, missing) if len(missing) else ():
                if turn < left:
                    failed.append(part.places[~part.fine])
                    part = part.chosen(part.fine)
                if len(part.places):
                    self.store.add(generation, part)
                    self.study.on_failure.met(generation, part)
                yield self._words(), self._share()
            missing = np.sort(np.concatenate(failed)) if failed else np.zeros(0, int)

    def _as_journaled(self, generation: int, candidates: np.ndarray) -> np.ndarray:
        """The candidates of a generation that was asked for before a stop: another machine may
        round otherwise, and what was evaluated counts."""
        known = self.store.records.asked.get(generation)
        if known is None:
            self.store.ask(generation, candidates)
            return candidates
        if known.shape != candidates.shape or not np.allclose(known, candidates, equal_nan=True):
            raise StudyError(
                f"Study: in generation {generation} the optimiser asks for other candidates than "
                "those in the store; this version of tvbjax or JAX searches otherwise than the one "
                "that began it."
            )
        return known

    def _told(self, whole: Part) -> Evaluations:
        dtype = jnp.result_type(float)

        def rows(values: np.ndarray | None) -> Array | None:
            return None if values is None else jnp.asarray(values, dtype)

        several = self.study.optimisee.objectives > 1
        losses = whole.losses if several else whole.losses[:, 0]
        gradients = whole.gradients if self.study.optimiser.needs_gradients else None
        outputs = whole.outputs if self.study.optimiser.needs_outputs else None
        return Evaluations(jnp.asarray(losses, dtype), rows(gradients), rows(outputs))

    def _over(self) -> bool:
        progress = self._progress()
        self.reason = next((r for stop in self.stops if (r := stop.reason(progress))), "")
        # Before the first generation there is nothing that an optimiser could have come to.
        if not self.reason and progress.generations and self.at.over:
            self.reason = self.study.optimiser.stops_when
        return bool(self.reason)

    def _progress(self) -> Progress:
        return Progress(
            int(self.at.generation),
            self.store.records.count,
            float(self.at.least),
            int(self.at.since),
            time.monotonic() - self.begun,
        )

    def _share(self) -> float:
        progress = self._progress()
        shares = [share for stop in self.stops if (share := stop.share(progress)) is not None]
        return min(1.0, max(shares, default=0.0))

    def _words(self) -> str:
        least = float(self.at.least)
        return f"generation {int(self.at.generation)}" + (
            f", loss {least:.4g}" if np.isfinite(least) else ""
        )


class _Place(NamedTuple):
    """How far a search is."""

    generation: Array
    least: Array
    since: Array
    over: Array


def _place(optimiser: AbstractOptimiser, search: Search) -> _Place:
    return _Place(search.generation, search.least, search.since, optimiser.should_stop(search))


def _ask(optimiser: AbstractOptimiser, search: Search, key: Array):
    candidates, asked = optimiser.ask(search)
    return candidates, candidate_keys(key, search.generation, len(candidates)), asked


def _tell(optimiser: AbstractOptimiser, search: Search, candidates: Array, found: Evaluations):
    told = optimiser.tell(search, candidates, found)
    return told, _place(optimiser, told)


def _check_some_hope(first: Part) -> None:
    """Where nothing has ever worked, the reason is a mistake, and not the values."""
    if all(status not in ("ok", "nan") for status in first.statuses):
        raise StudyError(
            f"Study: all {len(first.statuses)} evaluations of the first generation failed; the "
            f"first: {first.statuses[0]}: {first.errors[0]}"
        )
    if not first.fine.any():
        warnings.warn(
            "Study: no evaluation of the first generation has a finite loss; give other bounds, or "
            "a start.",
            stacklevel=2,
        )
