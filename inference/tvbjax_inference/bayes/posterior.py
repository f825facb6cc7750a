"""Draws as a tree of xarray, in the groups and with the names that ArviZ has."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array

from tvbjax_inference.bayes.flat import Flat
from tvbjax_inference.bayes.method import AbstractMethod, Drawn
from tvbjax_inference.bayes.modes import Mode

if TYPE_CHECKING:
    import xarray as xr

_PARTS = "_log_likelihood"
_HIDDEN = "_coordinate"

# How many runs of the model are held at once.
_BATCH = 50

# Draws from the prior, at least.
_PRIOR = 500


def as_tree(
    flat: Flat,
    model: Callable[[], Any],
    modes: Sequence[Mode],
    method: AbstractMethod,
    drawn: Drawn,
    key: Array,
    replicates: int,
) -> "xr.DataTree":
    """All groups."""
    import xarray as xr

    label = _Labels(model)
    sites = _over(flat.sites, drawn.numbers)
    parts = {n.removesuffix(_PARTS): x for n, x in sites.items() if n.endswith(_PARTS)}
    shown = {n: x for n, x in sites.items() if not n.endswith((_PARTS, _HIDDEN))}
    at_prior, at_data = jr.split(key)
    chains, draws = drawn.numbers.shape[:2]
    every = max(1, draws * chains // replicates)
    thinned = drawn.numbers[:, ::every]
    replicated = _over(flat.replicated, thinned, jr.split(at_data, thinned.shape[:2]))
    prior = _over(flat.prior, jr.split(at_prior, (1, max(replicates, _PRIOR))))
    groups = {
        "posterior": label.dataset(shown),
        "posterior_predictive": label.measured(replicated, np.arange(0, draws, every)),
        "prior": label.dataset({n: x for n, x in prior.items() if n in shown}),
        "prior_predictive": label.measured({n: prior[n] for n in flat.observed}),
        "log_likelihood": label.dataset(parts, _PARTS),
        "observed_data": label.observed(),
        "sample_stats": label.dataset(drawn.stats),
        "warmup_sample_stats": label.dataset(drawn.before),
        "unconstrained_posterior": label.dataset({"position": drawn.numbers}),
        "modes": _of_modes(modes, flat),
    }
    tree = xr.DataTree.from_dict({name: one for name, one in groups.items() if one is not None})
    tree.attrs = label.attributes(method)
    return tree


def _over(function: Callable, *arguments: Any) -> dict[str, np.ndarray]:
    """A function of one draw over all, with axes (chain, draw) in front."""
    lead = jnp.shape(arguments[0])[:2]
    flat = jax.tree.map(lambda x: jnp.reshape(x, (-1, *jnp.shape(x)[2:])), arguments)
    if not jax.eval_shape(lambda a: function(*jax.tree.map(lambda x: x[0], a)), flat):
        return {}
    found = jax.jit(lambda a: lax.map(lambda one: function(*one), a, batch_size=_BATCH))(flat)
    shaped = {name: np.reshape(x, (*lead, *x.shape[1:])) for name, x in found.items()}
    return {name: np.asarray(x) for name, x in shaped.items()}


class _Labels:
    """The names of dims and their coordinates, as far as the model knows them."""

    def __init__(self, model: Any):
        self.dims: Mapping[str, tuple[str, ...]] = getattr(model, "dims", {})
        self.coords: Mapping[str, np.ndarray] = getattr(model, "coords", {})
        self.likelihoods = dict(getattr(model, "likelihoods", {}))
        self.described = getattr(model, "attributes", {})

    def dataset(
        self,
        values: Mapping[str, np.ndarray | Array],
        suffix: str = "",
        draws: np.ndarray | None = None,
    ) -> "xr.Dataset | None":
        """Values with axes (chain, draw) in front."""
        import xarray as xr

        if not values:
            return None
        found = {}
        for name, value in values.items():
            own = self.dims.get(name + suffix)
            if own is None or len(own) != value.ndim - 2:
                own = tuple(f"{name}_dim_{i}" for i in range(value.ndim - 2))
            coords = {dim: self.coords[dim] for dim in own if dim in self.coords}
            coords["chain"] = np.arange(value.shape[0])
            coords["draw"] = np.arange(value.shape[1]) if draws is None else draws
            found[name] = xr.DataArray(value, dims=("chain", "draw", *own), coords=coords)
        return xr.Dataset(found)

    def measured(
        self, values: Mapping[str, np.ndarray], draws: np.ndarray | None = None
    ) -> "xr.Dataset | None":
        """Replicated data, as they are measured, in single precision."""
        found = {}
        for name, value in values.items():
            if name in self.likelihoods:
                value = np.asarray(self.likelihoods[name].as_measured(jnp.asarray(value)))
            found[name] = value.astype(np.float32)
        return self.dataset(found, draws=draws)

    def observed(self) -> "xr.Dataset | None":
        """The data."""
        import xarray as xr

        found = {}
        for name, one in self.likelihoods.items():
            dims = one.shown.dims
            coords = {dim: one.shown.coordinates[dim] for dim in dims}
            found[name] = xr.DataArray(one.measured, dims=dims, coords=coords)
        return xr.Dataset(found) if found else None

    def attributes(self, method: AbstractMethod) -> dict[str, str]:
        """Where it came from, as text."""
        how = {"name": type(method).__name__} | dataclasses.asdict(method)  # type: ignore[call-overload]
        return dict(self.described) | {"method": json.dumps(how)}


def _of_modes(modes: Sequence[Mode], flat: Flat) -> "xr.Dataset":
    import xarray as xr

    return xr.Dataset(
        {
            "position": (("mode", "number"), np.stack([mode.position for mode in modes])),
            "log_density": (("mode",), np.array([mode.log_density for mode in modes])),
            "log_evidence": (("mode",), np.array([mode.log_evidence for mode in modes])),
            "converged": (("mode",), np.array([mode.converged for mode in modes])),
            "reached": (("mode",), np.array([mode.reached for mode in modes])),
        },
        coords={"number": np.array(flat.names)},
    )
