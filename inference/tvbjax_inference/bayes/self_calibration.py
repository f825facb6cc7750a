"""Whether `sample` is right for a model: truths from its prior, data that it makes of them itself,
and the posteriors of these data."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array

from tvbjax.kinds import check_count, check_kind
from tvbjax_inference.bayes.calibration import Calibration, thinned
from tvbjax_inference.bayes.flat import Flat, Sites, flat_of
from tvbjax_inference.bayes.modes import check_precision, find_modes
from tvbjax_inference.bayes.nuts import Nuts
from tvbjax_inference.bayes.sbc import calibrated

# How often chains that are worth too few independent draws are run again, each time for twice as
# long: to leave their data sets out would leave out the hard ones.
_AGAIN = 3


def calibrate(
    model: Callable[[], Any],
    *,
    key: Array,
    count: int = 100,
    of: Sequence[str] | None = None,
    method: Nuts = Nuts(chains=2, warmup=300, draws=500),
    starts: int = 16,
    draws: int = 100,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> Calibration:
    """Simulation-based calibration of `sample` with a model, as `program` makes it, or any function
    of numpyro's statements: `count` truths are drawn from its prior, each makes data, and the
    truth's rank among `draws` independent draws of the posterior must be uniform (Talts et al.
    2018, arXiv:1804.06788).

    `of`: the sites that are looked at, by default all with a prior, in their own units. Chains of
    `method` that are worth fewer than `draws` independent draws run again for twice as long, up to
    three times; then the data set counts as failed. All is compiled once. `starts` as for `sample`,
    `checkpoint` as for `simulation_based_calibration`.

    Raises `KeyError` for sites that the model has not, and as `simulation_based_calibration` does.
    """
    check_precision()
    check_kind("calibrate: method", method, Nuts, "tvbjax.bayes.Nuts(chains=2)")
    check_count("calibrate: draws", draws, 2)
    flat = flat_of(model)
    problem = _Problem(flat, _sites(flat, of), method, starts, draws)
    said = model.description() if hasattr(model, "description") else model
    identity = ("calibrate", said, problem.sites, method, starts, draws)
    return calibrated(
        problem.draw, problem.posterior, identity, count, key, problem.names, checkpoint, progress
    )


def _sites(flat: Flat, of: Sequence[str] | None) -> tuple[str, ...]:
    shapes = jax.eval_shape(flat.sites, flat.start)
    if of is None:
        # A coordinate's own site says the same as the value.
        unknown = [name.split("[")[0] for name in flat.names]
        shown = [name.removesuffix("_coordinate") for name in dict.fromkeys(unknown)]
        return tuple(name if name in shapes else f"{name}_coordinate" for name in shown)
    for name in of:
        if name not in shapes:
            raise KeyError(f"calibrate: there is no '{name}'; there are {', '.join(shapes)}.")
    return tuple(of)


@dataclasses.dataclass(frozen=True, eq=False)
class _Problem:
    flat: Flat
    sites: tuple[str, ...]
    method: Nuts
    starts: int
    count: int

    @property
    def names(self) -> list[str]:
        """Of every number, with its place where a site has several."""
        found, shapes = [], jax.eval_shape(self.flat.sites, self.flat.start)
        for name in self.sites:
            shape = shapes[name].shape
            found += [f"{name}{list(i)}" if shape else name for i in np.ndindex(*shape)]
        return found

    def draw(self, key: Array) -> tuple[np.ndarray, Sites]:
        """A truth, and data of it."""
        drawn = self.flat.compile("prior", self.flat.prior, key)(key)
        data = {name: drawn[name] for name in self.flat.observed}
        return np.asarray(_flat(drawn, self.sites)), data

    def posterior(self, data: Sites, key: Array) -> np.ndarray:
        """So many independent draws."""
        beside, (at_modes, at_draws) = self.flat.beside(data), jr.split(key)
        modes = find_modes(beside, at_modes, self.starts)
        for again in range(_AGAIN + 1):
            method = dataclasses.replace(self.method, draws=self.method.draws * 2**again)
            numbers = method.drawn(beside, modes, at_draws, None, False).numbers
            values = np.asarray(self._values(numbers))
            try:
                return thinned(values, self.count)
            except ValueError:
                if again == _AGAIN:
                    raise
        raise AssertionError

    def _values(self, numbers: np.ndarray) -> Array:
        def one(position: Array) -> Array:
            return _flat(self.flat.sites(position), self.sites)

        def over(positions: Array) -> Array:
            return lax.map(one, positions, batch_size=100)

        flat = jnp.asarray(numbers.reshape(-1, self.flat.size))
        found = self.flat.compile(("values", len(flat)), over, flat)(flat)
        return found.reshape(*numbers.shape[:2], -1)


def _flat(values: Sites, names: Sequence[str]) -> Array:
    return jnp.concatenate([jnp.ravel(values[name]) for name in names])
