"""Amortised posteriors: simulate from the prior, learn once, then have the posterior of any data.

Neural posterior estimation in one step (Papamakarios and Murray 2016, arXiv:1605.06376; Greenberg,
Nonnenmacher and Macke 2019, arXiv:1905.07488): a conditional flow is trained on parameters that
were drawn from the prior and on summaries of their simulations. Needs flowjax.
"""

import json
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from tvbjax.arrays import as_floats, check_one_key
from tvbjax.io.atomic import atomic_path
from tvbjax.kinds import check_count, check_number
from tvbjax_inference.bayes._flows import Form, Member, needs_flowjax, untrained
from tvbjax_inference.bayes._training import Pace, Trained, trained
from tvbjax_inference.bayes.standard import Standard, standardised, varying

_FORMAT = "tvbjax amortised posterior 1"
_FEW = 0.05  # of the simulations may have failed
_LEAST = 50  # simulations
_GAP = 0.1  # nats for each parameter: standard deviations are too small by about a fifth
_MARGIN = 0.1  # of a summary's range, beyond its ends
_SHOWN = 5


class Amortised(eqx.Module):
    """The posteriors of all data that simulations are like, as a mixture of flows.

    `names`: of the parameters, `labels`: of the summaries. `training`, `validation`: losses of each
    epoch and flow, minus the logarithm of the residuals' density in nats; lower is better.
    `warnings`: what became known in training, in words.
    """

    names: tuple[str, ...] = eqx.field(static=True)
    labels: tuple[str, ...] = eqx.field(static=True)
    form: Form = eqx.field(static=True)
    standard: Standard
    members: Member
    training: Float[np.ndarray, "epoch member"]
    validation: Float[np.ndarray, "epoch member"]
    warnings: tuple[str, ...] = eqx.field(static=True)

    def sample(self, observed: ArrayLike, key: Array, draws: int = 1000) -> Float[Array, "draws d"]:
        """Independent draws of the parameters. `observed`: summaries `(s,)` of the data.

        Warns where the data are not like simulations, see `unusual`.
        """
        check_count("Amortised.sample: draws", draws)
        check_one_key("Amortised.sample", key)
        numbers = self._checked("sample", observed)
        return _sampled(self.members, self.standard, numbers, key, self.form.members, draws)

    def log_density(self, parameters: ArrayLike, observed: ArrayLike) -> Float[Array, "..."]:
        """The posterior's log density at parameters `(d,)` or `(n, d)`, in nats. Warns as `sample`
        does."""
        numbers = self._checked("log_density", observed)
        where = as_floats(parameters)
        if where.ndim not in (1, 2) or where.shape[-1] != len(self.names):
            raise ValueError(
                f"Amortised.log_density: the parameters have the shape {where.shape}; give "
                f"({len(self.names)},) or (n, {len(self.names)})."
            )
        found = _log_densities(self.members, self.standard, jnp.atleast_2d(where), numbers)
        return found if where.ndim == 2 else found[0]

    def unusual(self, observed: ArrayLike) -> tuple[str, ...]:
        """In which respects data are not like any simulation, in words; nothing where they are.

        There the posterior is a guess, and the model or the prior may be wrong. A summary is
        unusual beyond the simulations' range and a tenth of its width, all together where their
        Mahalanobis distance is above that of any held-out simulation.
        """
        numbers = self._finite("unusual", observed)
        low, high = np.asarray(self.standard.low), np.asarray(self.standard.high)
        given, margin = np.asarray(numbers), _MARGIN * (high - low)
        margin = np.maximum(margin, 1e-6 * np.abs(high))  # of those that do not vary
        outside = np.flatnonzero((given < low - margin) | (given > high + margin))
        said = [
            f"{self.labels[i]} is {given[i]:.4g}, in simulations from {low[i]:.4g} to {high[i]:.4g}"
            for i in outside[:_SHOWN]
        ]
        if len(outside) > _SHOWN:
            said.append(f"{len(outside) - _SHOWN} more are outside of their ranges")
        distance = float(self.standard.distance(self.standard.context(numbers)))
        reach = float(self.standard.reach)
        if distance > reach:
            said.append(
                f"together they are {distance:.3g} standard deviations from the middle of the "
                f"simulations, of which none is farther than {reach:.3g}"
            )
        return tuple(said)

    def _finite(self, who: str, observed: ArrayLike) -> Array:
        numbers = as_floats(observed)
        if numbers.shape != (len(self.labels),):
            raise ValueError(
                f"Amortised.{who}: the observation has the shape {numbers.shape}; give the "
                f"{len(self.labels)} summaries of one data set, ({len(self.labels)},)."
            )
        bad = np.flatnonzero(~np.isfinite(np.asarray(numbers)))
        if len(bad):
            raise ValueError(
                f"Amortised.{who}: {self.labels[bad[0]]} of the observation is "
                f"{float(numbers[bad[0]])}; give finite numbers."
            )
        return numbers

    def _checked(self, who: str, observed: ArrayLike) -> Array:
        said = self.unusual(observed)
        if said:
            warnings.warn(
                f"Amortised.{who}: the data are not like the simulations, and the posterior is a "
                f"guess: {'; '.join(said)}. Look at the model, or widen the prior.",
                stacklevel=3,
            )
        return self._finite(who, observed)

    def save(self, path: str | Path) -> None:
        """Write all to a file .npz, from which `load_amortised` has the same numbers."""
        path = _checked_path("Amortised.save", path)
        about = {
            "format": _FORMAT,
            "names": self.names,
            "labels": self.labels,
            "form": self.form._asdict(),
            "warnings": self.warnings,
        }
        arrays = {f.name: np.asarray(getattr(self.standard, f.name)) for f in fields(Standard)}
        leaves = jax.tree.leaves(eqx.filter(self.members, eqx.is_array))
        arrays |= {f"member_{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
        arrays |= {"training": self.training, "validation": self.validation}
        arrays["about"] = np.array(json.dumps(about))
        with atomic_path(path) as place, open(place, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        form = self.form
        said = f" {len(self.warnings)} warnings, see .warnings." if self.warnings else ""
        return (
            f"Amortised: posteriors of {form.parameters} parameters given {len(self.labels)} "
            f"summaries, by {form.members} flows.{said}"
        )


def train(
    parameters: ArrayLike,
    summaries: ArrayLike,
    *,
    key: Array,
    names: Sequence[str],
    labels: Sequence[str] | None = None,
    members: int = 1,
    layers: int = 5,
    width: int = 64,
    features: int | None = None,
    batch: int = 200,
    rate: float = 1e-3,
    decay: float = 1e-4,
    validation: float = 0.1,
    patience: int = 20,
    epochs: int = 500,
    progress: bool = True,
) -> Amortised:
    """Learn the posterior from simulations whose parameters were drawn from the prior.

    `parameters`: `(n, d)`, unbounded numbers (of bounded ones e.g. `Interval.unconstrain`).
    `summaries`: `(n, s)` of the simulations. `names`: of the parameters, `labels`: of the
    summaries. `members`: how many flows are mixed; 5 are less sure of what they cannot know, for 5
    times the work. `layers`, `width`: of a flow. `features`: how many are learned from the
    summaries by a network, by default none: the flow sees them all. `batch`: simulations in each
    step of AdamW, with the step `rate` and the weight decay `decay`. `validation`: the share that
    is held out. `patience`: epochs without a better validation loss, after which training ends;
    `epochs`: at most. The same key gives the same numbers.

    Simulations with NaN are left out where they are fewer than 5 %, with a warning, and so are
    summaries that do not vary. Warns where a flow fits its own simulations better than others,
    which makes posteriors too narrow, and where training has not ended. Ctrl-C ends it early and
    well. Raises `ValueError` for shapes that do not agree, too few or too many failed simulations,
    a parameter that does not vary; `ImportError` without flowjax.
    """
    needs_flowjax()
    check_one_key("train", key)
    for what, value in (("members", members), ("layers", layers), ("width", width)):
        check_count(f"train: {what}", value)
    pace = _pace(batch, rate, decay, validation, patience, epochs)
    if features is not None:
        check_count("train: features", features)
    numbers, seen, texts = _simulations(parameters, summaries)
    called = _texts("names", names, numbers.shape[1], "parameter")
    columns = [f"summary {i}" for i in range(seen.shape[1])] if labels is None else labels
    shown = _texts("labels", columns, seen.shape[1], "summary")
    texts += _unvarying(numbers, seen, called, shown)
    standard, residuals, context = standardised(numbers, seen)
    form = Form(numbers.shape[1], context.shape[1], members, layers, width, features)
    own, other = jr.split(key)
    found = trained(
        untrained(form, own), as_floats(residuals), as_floats(context), pace, other, progress
    )
    texts += _doubts(found, form)
    for text in texts:
        warnings.warn(f"train: {text}", stacklevel=2)
    return Amortised(
        *(called, shown, form, standard, found.members, found.training, found.validation),
        tuple(texts),
    )


def load_amortised(path: str | Path) -> Amortised:
    """What `Amortised.save` wrote. Raises `ValueError` for files that are damaged, of something
    else, or of another version of flowjax whose flows have other arrays."""
    path = _checked_path("load_amortised", path)
    needs_flowjax()
    try:
        # Opened here, for numpy leaves a broken file open.
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = dict(file)
        about = json.loads(str(arrays.pop("about")))
        if about["format"] != _FORMAT:
            raise ValueError(f"its format is {about['format']!r:.60}")
        return _filled(about, arrays)
    except FileNotFoundError:
        raise
    except (
        *(OSError, EOFError, TypeError, ValueError, KeyError, AttributeError),
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(
            f"load_amortised: {path} is no amortised posterior, was damaged, or was written with "
            f"another version of flowjax ({error}); train it anew."
        ) from error


def _filled(about: dict, arrays: dict[str, np.ndarray]) -> Amortised:
    """Raises `KeyError` and `ValueError` where arrays are missing or have another shape."""
    form = Form(**about["form"])
    names, labels, texts = (tuple(about[one]) for one in ("names", "labels", "warnings"))
    d, c, s = len(names), form.context, len(labels)
    shapes = dict(kept=(c,), middle=(c,), scale=(c,), offset=(d,), slopes=(c, d), factor=(d, d))
    shapes |= dict(low=(s,), high=(s,), center=(c,), spread=(c, c), reach=())
    parts = {name: _like(np.zeros(shape), arrays[name]) for name, shape in shapes.items()}
    kept = jnp.asarray(arrays["kept"])
    if kept.dtype.kind != "i" or d != form.parameters or (kept < 0).any() or (kept >= s).any():
        raise ValueError("its parts do not belong together")
    known, rest = eqx.partition(untrained(form, jr.key(0)), eqx.is_array)
    leaves, structure = jax.tree.flatten(known)
    own = [_like(leaf, arrays[f"member_{i}"]) for i, leaf in enumerate(leaves)]
    members = eqx.combine(structure.unflatten(own), rest)
    curves = (arrays["training"], arrays["validation"])
    standard = Standard(**(parts | {"kept": kept}))
    return Amortised(names, labels, form, standard, members, *curves, texts)


def _like(known: Any, given: np.ndarray) -> Array:
    """An array of a file, in the working float type."""
    if given.shape != known.shape:
        raise ValueError(f"an array has the shape {given.shape}, not {known.shape}")
    return jnp.asarray(given, jnp.asarray(known).dtype)


def _checked_path(who: str, path: str | Path) -> Path:
    if not isinstance(path, str | Path) or Path(path).suffix != ".npz":
        raise ValueError(f"{who}: the path is {path!r:.80}; give one that ends in .npz.")
    return Path(path)


@eqx.filter_jit
def _sampled(members: Member, standard: Standard, observed, key, count: int, draws: int):
    """As many draws of each flow, in a random order."""
    own, other = jr.split(key)
    context = standard.context(observed)
    arrays, rest = eqx.partition(members, eqx.is_array)

    def of_member(arrays, key):
        return eqx.combine(arrays, rest).sample(key, context, -(-draws // count))

    residuals = jax.vmap(of_member)(arrays, jr.split(own, count))
    flat = residuals.reshape(-1, residuals.shape[-1])
    chosen = jr.permutation(other, flat)[:draws]
    return jax.vmap(lambda one: standard.outward(one, context))(chosen)


@eqx.filter_jit
def _log_densities(members: Member, standard: Standard, parameters, observed):
    context = standard.context(observed)
    residuals = jax.vmap(lambda one: standard.inward(one, context))(parameters)
    arrays, rest = eqx.partition(members, eqx.is_array)

    def of_member(arrays):
        member = eqx.combine(arrays, rest)
        return jax.vmap(lambda one: member.log_density(one, context))(residuals)

    each = jax.vmap(of_member)(arrays)
    return jax.nn.logsumexp(each, axis=0) - jnp.log(len(each)) - standard.log_volume


def _pace(batch, rate, decay, validation, patience, epochs) -> Pace:
    for what, value in (("batch", batch), ("patience", patience), ("epochs", epochs)):
        check_count(f"train: {what}", value)
    check_number("train: rate", rate, above=0.0)
    check_number("train: decay", decay, least=0.0)
    check_number("train: validation", validation, above=0.0)
    if validation > 0.5:
        raise ValueError(f"train: validation is {validation}; give a share of at most 0.5.")
    return Pace(batch, float(rate), float(decay), float(validation), patience, epochs)


def _texts(what: str, given: Sequence[str], count: int, of: str) -> tuple[str, ...]:
    found = (given,) if isinstance(given, str) else tuple(given)
    if len(found) != count or len(set(found)) < count:
        raise ValueError(
            f"train: {what} are {found!r:.80}; give {count} different texts, one for each {of}."
        )
    return tuple(str(one) for one in found)


def _simulations(parameters, summaries) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Those that are finite, in float64, and what is to be told of the others."""
    given = (np.asarray(parameters, float), np.asarray(summaries, float))
    if any(one.ndim != 2 or not one.shape[1] for one in given) or len(given[0]) != len(given[1]):
        raise ValueError(
            f"train: parameters have the shape {given[0].shape}, summaries {given[1].shape}; give "
            "(n, d) and (n, s), a row for each simulation."
        )
    for what, one in (("parameter", given[0]), ("summary", given[1])):
        never = np.flatnonzero(~np.isfinite(one).any(axis=0))
        if len(never):
            raise ValueError(f"train: {what} {never[0]} is never a finite number; leave it out.")
    fine = np.isfinite(given[0]).all(axis=1) & np.isfinite(given[1]).all(axis=1)
    share = 1 - fine.mean()
    if share >= _FEW:
        often = int((~np.isfinite(given[1])).sum(axis=0).argmax())
        raise ValueError(
            f"train: {100 * share:.1f} % of the simulations are not finite, most often summary "
            f"{often}; without them the posterior is of another prior. Give {100 * _FEW:g} % at "
            "most: mend the model, or give what fails a summary of its own."
        )
    if fine.sum() < _LEAST:
        raise ValueError(
            f"train: there are {int(fine.sum())} simulations; give {_LEAST} at the very least, and "
            "better thousands."
        )
    said = [f"{100 * share:.2g} % of the simulations are not finite and are left out."]
    return given[0][fine], given[1][fine], said if share else []


def _unvarying(parameters, summaries, names, labels) -> list[str]:
    fixed = np.flatnonzero(~varying(parameters))
    if len(fixed):
        raise ValueError(
            f"train: parameter '{names[fixed[0]]}' is the same in all simulations; leave it out."
        )
    same = np.flatnonzero(~varying(summaries))
    if len(same) == len(labels):
        raise ValueError("train: no summary varies, so that there is nothing to learn from.")
    if not len(same):
        return []
    more = f" and {len(same) - _SHOWN} more" if len(same) > _SHOWN else ""
    shown = ", ".join(labels[i] for i in same[:_SHOWN])
    return [f"summaries that do not vary are left out: {shown}{more}."]


def _doubts(found: Trained, form: Form) -> list[str]:
    """Why one should not trust flows, in words."""
    said = []
    gap = found.unseen.mean() - found.fitted.mean()
    error = found.unseen.std() / np.sqrt(found.unseen.size)
    if gap > _GAP * form.parameters + 2 * error:
        said.append(
            f"the flows fit their own simulations better than others, by {gap:.2g} nats "
            f"({gap / form.parameters:.2g} for each parameter): posteriors are too narrow. Give "
            "more simulations, fewer summaries or features, a smaller width, or more members."
        )
    if found.improving:
        said.append("training had not ended at the last epoch; give more epochs.")
    return said
