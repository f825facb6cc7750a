"""Virtual surgery: which regions or tracts a brain can be without, so that its seizures stop.

Every candidate is tried in the brains of many draws of the posterior, so that what is not known of
the patient is in the answer. Regions are coupled by differences: what is healthy also holds its
neighbours down, so that an operation can bring on seizures, too.
Interventions in virtual patients: An et al. (2019), PLoS Comput. Biol. 15:e1007051.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool
from scipy.stats import binomtest

from tvbjax.kinds import check_count, check_kind, check_number, names_of
from tvbjax.near import near
from tvbjax_inference.bayes.epilepsy.permittivity import NearSlowManifold, at_rest
from tvbjax_inference.bayes.epilepsy.priors import THRESHOLD
from tvbjax_inference.bayes.epilepsy.regions import check_level
from tvbjax_inference.bayes.epilepsy.runs import (
    check_finished,
    check_patient,
    chosen_draws,
    onsets,
    watched,
)
from tvbjax_inference.bayes.program import Program

if TYPE_CHECKING:
    import xarray as xr

# How many runs are held at once.
_BATCH = 50

# By default a search is among so many regions at most, which are epileptogenic, or the first to
# discharge, with this probability or more.
_MOST = 10
_LEAST = 0.05


@dataclasses.dataclass(frozen=True)
class Resection:
    """These regions are taken out: they are connected with nothing, and healthy. Without regions:
    no surgery."""

    regions: tuple[str, ...] = ()

    def __post_init__(self):
        names = names_of("Resection: regions", self.regions, "('a', 'b')")
        object.__setattr__(self, "regions", names)

    def __str__(self) -> str:
        return " + ".join(self.regions) or "no surgery"


@dataclasses.dataclass(frozen=True)
class Disconnection:
    """These tracts are cut, each `(from, to)` in this direction alone."""

    tracts: tuple[tuple[str, str], ...]

    def __post_init__(self):
        example = "(('a', 'b'), ('a', 'c'))"
        check_kind("Disconnection: tracts", self.tracts, (tuple, list), example)
        tracts = tuple(names_of("Disconnection: a tract", t, "('a', 'b')") for t in self.tracts)
        for tract in tracts:
            if len(tract) != 2:
                raise ValueError(f"Disconnection: a tract is {tract!r:.60}; give ('from', 'to').")
        object.__setattr__(self, "tracts", tracts)

    def __str__(self) -> str:
        return "cut " + ", ".join(f"{source} → {target}" for source, target in self.tracts)


Candidate = Resection | Disconnection


@dataclasses.dataclass(frozen=True, eq=False)
class Search:
    """`resection`: the smallest that is effective, None where none that was tried is; `probability`
    of no seizure after it. `tried`: all of them, as `virtual_surgery` gives them."""

    resection: Resection | None
    probability: float
    tried: "xr.Dataset"

    def __str__(self) -> str:
        if self.resection is None:
            return (
                "No resection that was tried is effective: after the best of them P(no seizure) "
                f"is {self.probability:.2f}."
            )
        return (
            f"The smallest effective resection: {self.resection}, after which P(no seizure) is "
            f"{self.probability:.2f}."
        )


def virtual_surgery(
    program: Program,
    tree: "xr.DataTree",
    candidates: Sequence[Candidate],
    *,
    duration: float | int,
    draws: int = 100,
    seed: int = 0,
    more_than: int = 0,
    initial: ArrayLike | None = None,
    permittivity: float | int = 3.6,
    healthy: float | int = -3.5,
    level: float = 0.9,
) -> "xr.Dataset":
    """Seizures after each candidate operation, in `draws` draws of the posterior, chosen by `seed`.

    By candidate and draw, `size`: how many regions discharge within `duration` ms; `seizure`:
    whether more than `more_than` do; `first`: the region that does first, empty where none does. By
    candidate, `prevented`: the probability of no seizure, and `low`, `high`: its interval of
    probability `level` for so many draws (Wilson's; draws of a chain that are alike make it
    wider than it says).

    `initial`: the state at the beginning (state, region), by default between seizures: all regions
    at this `permittivity` on the slow manifold. `healthy`: the excitability of what is taken out.
    Where the state has noise it is drawn anew, in every draw of the posterior by `seed`.

    Raises `TypeError` or `ValueError` for input that does not fit, `FloatingPointError` where a run
    diverges.
    """
    check_count("virtual_surgery: more_than", more_than, least=0)
    check_level("virtual_surgery", level)
    check_kind("virtual_surgery: candidates", candidates, (list, tuple), "[Resection(('a',))]")
    for one in candidates:
        kinds = (Resection, Disconnection)
        check_kind("virtual_surgery: a candidate", one, kinds, "Resection(('a', 'b'))")
    if not candidates:
        raise ValueError("virtual_surgery: there are no candidates; give e.g. [Resection(('a',))].")
    operate = _operating(program, tree, duration, draws, seed, initial, permittivity, healthy)
    return _told(program, candidates, operate(candidates), more_than, level, float(duration))


def smallest_resection(
    program: Program,
    tree: "xr.DataTree",
    *,
    duration: float | int,
    up_to: int = 3,
    among: Sequence[str] | None = None,
    wanted: float = 0.9,
    draws: int = 100,
    seed: int = 0,
    more_than: int = 0,
    initial: ArrayLike | None = None,
    permittivity: float | int = 3.6,
    healthy: float | int = -3.5,
    level: float = 0.9,
) -> Search:
    """The smallest resection after which there is no seizure with the probability `wanted`: no
    surgery, then all single regions, all pairs, and so on `up_to` so many regions, until one is
    effective; of several of one size the one with the greatest probability.

    `among`: regions that may be taken out, by default the ten that are the most probably
    epileptogenic or the first to discharge. All other arguments: as for `virtual_surgery`.
    """
    check_count("smallest_resection: up_to", up_to)
    check_level("smallest_resection: wanted,", wanted)
    check_level("smallest_resection", level)
    named = names_of("smallest_resection: among", () if among is None else among, "['a', 'b']")
    operate = _operating(program, tree, duration, draws, seed, initial, permittivity, healthy)
    tried: list[Resection] = [Resection()]
    times = operate(tried)
    regions = _suspects(program, tree, times[0]) if among is None else named
    for size in range(up_to + 1):
        found = _told(program, tried, times, more_than, level, float(duration))
        prevented = found["prevented"].values
        best = int(np.argmax(prevented))
        if prevented[best] >= wanted:
            return Search(tried[best], float(prevented[best]), found)
        more = [Resection(chosen) for chosen in itertools.combinations(regions, size + 1)]
        if size == up_to or not more:
            break
        tried, times = [*tried, *more], np.concatenate([times, operate(more)])
    return Search(None, float(prevented[best]), found)


def _operating(
    program: Program,
    tree: "xr.DataTree",
    duration: float | int,
    draws: int,
    seed: int,
    initial: ArrayLike | None,
    permittivity: float | int,
    healthy: float | int,
) -> Callable[[Sequence[Candidate]], np.ndarray]:
    """A function of candidates, which gives the times at which regions begin to discharge
    (candidate, draw, region), infinity where they do not. Compiled once."""
    names = tuple(program.free) if isinstance(program, Program) else ()
    check_patient("virtual_surgery", program, tree, names)
    for name, number in (("duration", duration), ("permittivity", permittivity)):
        check_number(f"virtual_surgery: {name}", number, above=0.0)
    check_number("virtual_surgery: healthy", healthy)
    if healthy >= THRESHOLD:
        raise ValueError(
            f"virtual_surgery: healthy is {healthy:g}, at which a region has seizures by itself; "
            f"give less than {THRESHOLD:g}."
        )
    duration, permittivity, healthy = float(duration), float(permittivity), float(healthy)
    noise, watching = program.state_noise, watched(program)
    if noise is not None:
        watching = dataclasses.replace(watching, simulator=noise.anew(watching.simulator))
        names = (*names, *noise.unknown_deviations)
        check_patient("virtual_surgery", program, tree, names)
    values = chosen_draws(tree, names, draws, seed)
    begin = _between_seizures(program, permittivity) if initial is None else jnp.asarray(initial)

    @jax.jit
    @jax.vmap
    def run(one: dict[str, Array], number: Array, kept: Array, whole: Array) -> Array:
        """One draw, with its number, after one operation."""
        regional = jnp.where(kept, one["excitability"], healthy)
        simulator = watching.simulator_at(one | {"excitability": regional})
        weights = jnp.where(whole, simulator.connectome.weights, 0.0)
        simulator = eqx.tree_at(lambda s: s.connectome.weights, simulator, weights)
        if noise is None:
            key = program.key
        else:  # The same noise in a draw whatever is operated.
            simulator = noise.strengthened(simulator, one)
            key = jax.random.fold_in(jax.random.key(seed), number)
        return jnp.where(kept, onsets(simulator, begin, key, duration), jnp.inf)

    count = len(values["excitability"])

    def operate(candidates: Sequence[Candidate]) -> np.ndarray:
        kept, whole = _masks(candidates, program.simulator.connectome.labels)
        total = len(candidates) * count
        found = []
        for begins in range(0, total, _BATCH):
            # The last batch is filled up with its last run, so that all have one shape.
            candidate, draw = divmod(np.arange(begins, begins + _BATCH).clip(max=total - 1), count)
            one = {name: value[draw] for name, value in values.items()}
            found.append(run(one, draw, kept[candidate], whole[candidate]))
        times = np.concatenate([np.asarray(one) for one in found])[:total]
        check_finished("virtual_surgery", times)
        return times.reshape(len(candidates), count, -1)

    return operate


def _between_seizures(program: Program, permittivity: float) -> Array:
    """All regions at rest on the slow manifold, (state, region)."""
    NearSlowManifold().check(program.simulator)
    z = jnp.full(program.simulator.nodes, permittivity)
    return at_rest(program.simulator.model.state_variables, z)


def _masks(
    candidates: Sequence[Candidate], labels: tuple[str, ...]
) -> tuple[Bool[np.ndarray, "candidate region"], Bool[np.ndarray, "candidate region region"]]:
    """Which regions are kept, and which connections, (to, from), are whole."""
    kept = np.ones((len(candidates), len(labels)), bool)
    whole = np.ones((len(candidates), len(labels), len(labels)), bool)
    for number, candidate in enumerate(candidates):
        if isinstance(candidate, Resection):
            removed = [_place(labels, region) for region in candidate.regions]
            kept[number, removed] = False
            whole[number, removed], whole[number, :, removed] = False, False
        else:
            for source, target in candidate.tracts:
                whole[number, _place(labels, target), _place(labels, source)] = False
    return kept, whole


def _place(labels: tuple[str, ...], region: str) -> int:
    if region in labels:
        return labels.index(region)
    hint = near(region, labels) or "see the connectome's labels."
    raise ValueError(f"virtual_surgery: there is no region '{region}'; {hint}")


def _told(
    program: Program,
    candidates: Sequence[Candidate],
    times: np.ndarray,
    more_than: int,
    level: float,
    duration: float,
) -> "xr.Dataset":
    """The times of `operate`, as what became of the seizures."""
    import xarray as xr

    size = np.isfinite(times).sum(axis=2)
    seizure = size > more_than
    labels = np.array(program.simulator.connectome.labels)
    first = np.where(size > 0, labels[times.argmin(axis=2)], "")
    without = (~seizure).sum(axis=1)
    draws = seizure.shape[1]
    ends = [
        binomtest(int(k), draws).proportion_ci(confidence_level=level, method="wilson")
        for k in without
    ]
    by_draw = ("candidate", "draw")
    return xr.Dataset(
        {
            "seizure": (by_draw, seizure),
            "size": (by_draw, size),
            "first": (by_draw, first),
            "prevented": (("candidate",), without / draws),
            "low": (("candidate",), np.array([one.low for one in ends])),
            "high": (("candidate",), np.array([one.high for one in ends])),
        },
        coords={"candidate": [str(one) for one in candidates]},
        attrs={"more_than": more_than, "level": level, "duration": duration},
    )


def _suspects(program: Program, tree: "xr.DataTree", times: np.ndarray) -> tuple[str, ...]:
    """Regions that are epileptogenic or, by the `times` (draw, region) of no surgery, the first to
    discharge; the most probable of either first."""
    excitability = tree["posterior"].to_dataset()["excitability"]
    epileptogenic = (excitability > THRESHOLD).mean(("chain", "draw")).values
    some = times[np.isfinite(times).any(axis=1)]
    first = np.bincount(some.argmin(axis=1), minlength=times.shape[1]) / len(times)
    likely = np.maximum(epileptogenic, first)
    order = [i for i in np.argsort(-likely, kind="stable")[:_MOST] if likely[i] >= _LEAST]
    return tuple(program.simulator.connectome.labels[i] for i in order)
