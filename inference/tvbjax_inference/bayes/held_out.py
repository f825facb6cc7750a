"""Channels that a posterior has not seen, predicted: whether a model knows more than it was told.

Brains are told apart by what contacts that were left out record, not by how well those are fitted
that were not: of contacts near one another leave out the whole electrode.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, Float
from numpyro import handlers
from scipy import stats
from scipy.special import softmax

from tvbjax import simulate
from tvbjax.identity import digest
from tvbjax.kinds import check_count, check_kind
from tvbjax_inference.bayes.diagnosis import diagnose
from tvbjax_inference.bayes.flat import Sites, as_numpyro_computes, flat_of
from tvbjax_inference.bayes.likelihoods import AbstractRecording
from tvbjax_inference.bayes.method import AbstractMethod
from tvbjax_inference.bayes.nuts import Nuts
from tvbjax_inference.bayes.pooling import Pooled
from tvbjax_inference.bayes.program import Program
from tvbjax_inference.bayes.sampling import sample

if TYPE_CHECKING:
    import xarray as xr

# How many runs are held at once.
_BATCH = 50

_CONTACT = re.compile(r"([^\W\d_]+'?)\d+")


def electrodes(channels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """By shaft, its channels, in their order: a shaft is the letters before the number, with the
    prime of those on the left, as in A1 and A'1. Raises `ValueError` for other names."""
    found: dict[str, tuple[str, ...]] = {}
    for channel in channels:
        match = _CONTACT.fullmatch(channel)
        if match is None:
            raise ValueError(
                f"electrodes: '{channel}' is not a shaft's letters and a number, such as A1 or "
                "A'1; say yourself which channels are one electrode's."
            )
        found[match[1]] = (*found.get(match[1], ()), channel)
    return found


def leave_out(
    program: Program | Pooled,
    channels: Sequence[str] | str,
    *,
    key: Array,
    method: AbstractMethod = Nuts(),
    starts: int = 16,
    draws: int = 1000,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> "xr.Dataset":
    """Fits a program without some channels, and predicts them.

    `channels`: of one likelihood of signals of the program; `electrodes(...)["A"]` are those of a
    shaft. `method`, `starts`, `progress`: as for `sample`. `draws`: of the posterior, spread evenly
    over its chains, that predict. `checkpoint`: a folder, in which every choice of channels has a
    file of its own.

    By channel:

    - `log_density`: log p(signal | kept channels), nats: the logarithm of the mean over draws of
      the joint density of all its samples. Errors of the model that it shares with kept channels
      are not made use of.
    - `reference`: the same of independent normal samples, with the mean and the deviation of all
      samples of all kept channels: what one knows without a model.
    - `effective_draws`: how many draws that mean rests upon, (sum p)^2 / sum p^2. With less than
      ten or so, `log_density` is rough, and mostly too low.
    - `correlation` of the predictive mean with the signal.
    - `coverage`: the share of samples within 5 to 95 % of the predictive distribution.

    `attrs["problems"]`: what `diagnose` says of the fit. Priors are those of the program; where
    they were made of its data, by default, that is of all channels' together.

    Raises `TypeError` or `ValueError` for channels that are not there, or would leave none, and for
    a pooled program, whose members are left out of one at a time.
    """
    if isinstance(program, Pooled):
        raise TypeError(
            f"leave_out: the program is pooled of {', '.join(program.members)}; what a channel is "
            "predicted by is one member's: give that, e.g. "
            f"pooled.members['{next(iter(program.members))}']."
        )
    check_kind("leave_out: program", program, Program, "bayes.program(...)")
    check_count("leave_out: draws", draws)
    chosen = [channels] if isinstance(channels, str) else list(dict.fromkeys(channels))
    one = _likelihood_of(program, chosen)
    kept = [channel for channel in one.recorded.gain.channels if channel not in chosen]
    if not kept:
        raise ValueError(f"leave_out: '{one.name}' has no other channel; keep one or more.")
    likelihoods = program.likelihoods | {one.name: one.take(kept)}
    fitted = dataclasses.replace(program, likelihoods=likelihoods)
    file = None
    if checkpoint is not None:
        Path(checkpoint).mkdir(parents=True, exist_ok=True)
        file = Path(checkpoint) / f"without-{chosen[0]}-{digest(np.array(chosen))[:12]}.npz"
    at_fit, at_signals = jr.split(key)
    tree = sample(
        fitted,
        key=at_fit,
        method=method,
        starts=starts,
        replicates=1,
        checkpoint=file,
        progress=progress,
    )
    numbers = np.asarray(tree["unconstrained_posterior"]["position"])
    every = max(1, numbers.shape[0] * numbers.shape[1] // draws)
    found = _predicted(fitted, one, chosen, numbers[:, ::every], at_signals)
    table = _table(one, chosen, likelihoods[one.name].measured, found)
    return table.assign_attrs(problems="\n".join(diagnose(tree).problems))


def _likelihood_of(program: Program, channels: Sequence[str]) -> Any:
    """The one whose channels they are."""
    if not channels:
        raise ValueError("leave_out: no channel is named; name one or more.")
    recordings = [x for x in program.likelihoods.values() if isinstance(x, AbstractRecording)]
    if not recordings:
        raise TypeError("leave_out: the program has no likelihood of channels, such as Seeg.")
    holding = [x for x in recordings if set(channels) <= set(x.recorded.gain.channels)]
    if not holding:
        known = {channel for x in recordings for channel in x.recorded.gain.channels}
        missing = [channel for channel in channels if channel not in known]
        what = f"'{missing[0]}' is no channel" if missing else "they are of several likelihoods"
        raise ValueError(
            f"leave_out: {what}; channels are {', '.join(sorted(known)[:8])}, ...; name some of one"
            " likelihood."
        )
    if len(holding) > 1:
        names = " and ".join(f"'{x.name}'" for x in holding)
        raise ValueError(f"leave_out: {names} both have '{channels[0]}'; name channels apart.")
    return holding[0]


def _predicted(
    fitted: Program,
    one: Any,
    channels: Sequence[str],
    numbers: Float[np.ndarray, "chain draw number"],
    key: Array,
) -> dict[str, np.ndarray]:
    """By channel and draw, a signal as it might have been, called "A1", and the log density of that
    which was measured, "A1 density". One run for all channels."""
    flat, targets = flat_of(fitted), {channel: one.take([channel]) for channel in channels}

    def predicted(position: Array, at: Array) -> Sites:
        sites = flat.sites(position)
        # What kept channels' densities are would be put in the place of this one's.
        sites.pop(f"{one.name}_log_likelihood")
        simulator, initial = fitted.begun(sites)
        run = simulate(simulator, fitted.length, initial=initial, key=fitted.key, progress=False)
        found = {}
        for place, (channel, target) in enumerate(targets.items()):
            with (
                as_numpyro_computes(),
                handlers.trace() as trace,
                handlers.seed(rng_seed=jr.fold_in(at, place)),
                handlers.substitute(data=sites),
                handlers.uncondition(),
            ):
                target.observe(run)
            signal = target.as_measured(trace[one.name]["value"])
            found[channel] = signal[:, 0]
            found[f"{channel} density"] = trace[f"{one.name}_log_likelihood"]["value"][0]
        return found

    positions = jnp.asarray(numbers.reshape(-1, flat.size))
    over = jax.jit(lambda x: lax.map(lambda one: predicted(*one), x, batch_size=_BATCH))
    drawn = over((positions, jr.split(key, len(positions))))
    return {name: np.asarray(x) for name, x in drawn.items()}


def _table(
    one: Any,
    channels: Sequence[str],
    kept: Float[np.ndarray, "time kept"],
    found: dict[str, np.ndarray],
) -> "xr.Dataset":
    import xarray as xr

    rows = []
    for channel in channels:
        data = one.take([channel]).measured[:, 0]
        density, signals = found[f"{channel} density"], found[channel]
        low, high = np.quantile(signals, [0.05, 0.95], axis=0)
        rows.append(
            {
                "log_density": np.logaddexp.reduce(density) - np.log(len(density)),
                "reference": stats.norm.logpdf(data, kept.mean(), kept.std()).sum(),
                "effective_draws": 1.0 / (softmax(density) ** 2).sum(),
                "correlation": np.corrcoef(signals.mean(axis=0), data)[0, 1],
                "coverage": ((data >= low) & (data <= high)).mean(),
            }
        )
    columns = {name: ("channel", np.array([row[name] for row in rows])) for name in rows[0]}
    return xr.Dataset(columns, coords={"channel": list(channels)})
