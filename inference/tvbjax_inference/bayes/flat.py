"""A numpyro model as a function of one vector of unbounded numbers: what optimisers and samplers
see of it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from numpyro import handlers
from numpyro.infer.initialization import init_to_median
from numpyro.infer.util import initialize_model

Sites = dict[str, Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Flat:
    """`start`: the medians of the priors. `names`: what each number belongs to."""

    model: Callable[[], Any]
    start: Float[Array, " number"]
    names: tuple[str, ...]
    observed: tuple[str, ...]
    _potential: Callable[[Any], Array]
    _constrain: Callable[[Any], Sites]
    _unravel: Callable[[Array], Any]

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self.names)

    def potential(self, numbers: Float[Array, " number"]) -> Float[Array, ""]:
        """The negative logarithm of the posterior's density in these numbers, up to a constant."""
        return self._potential(self._unravel(numbers))

    def sites(self, numbers: Float[Array, " number"]) -> Sites:
        """The values of all sites, those that are deterministic as well, without the data."""
        found = self._constrain(self._unravel(numbers))
        return {name: value for name, value in found.items() if name not in self.observed}

    def replicated(self, numbers: Float[Array, " number"], key: Array) -> Sites:
        """Data as they might have been, by the name of their site."""
        values = self._constrain(self._unravel(numbers))
        kept = {name: value for name, value in values.items() if name not in self.observed}
        with handlers.seed(rng_seed=key), handlers.trace() as trace:
            with handlers.substitute(data=kept), handlers.uncondition():
                self.model()
        return {name: trace[name]["value"] for name in self.observed}

    def prior(self, key: Array) -> Sites:
        """All sites and data by a draw from the prior."""
        with handlers.seed(rng_seed=key), handlers.trace() as trace, handlers.uncondition():
            self.model()
        kinds = ("sample", "deterministic")
        return {name: site["value"] for name, site in trace.items() if site["type"] in kinds}


def flat_of(model: Callable[[], Any]) -> Flat:
    """A model without arguments. Raises `TypeError` or `ValueError` for what is none, or one whose
    sites are not continuous."""
    if not callable(model):
        raise TypeError(
            f"sample: the model is {model!r:.60}; give what tvbjax.bayes.program makes, or a "
            "function of numpyro's statements without arguments."
        )
    found = initialize_model(jr.key(0), model, init_strategy=init_to_median(num_samples=101))
    start: Any = found.param_info.z
    observed = []
    for name, site in found.model_trace.items():
        if site["type"] != "sample" or isinstance(site["fn"], dist.Unit):
            continue
        if site["is_observed"]:
            observed.append(name)
        elif not jnp.issubdtype(jnp.result_type(site["value"]), jnp.floating):
            raise ValueError(
                f"sample: '{name}' is discrete, and what follows gradients cannot move it; sum it "
                "out, or give it a continuous prior."
            )
    if not start:
        raise ValueError("sample: the model has no unknown; give it a sample site with a prior.")
    if not observed:
        # Not an error: what is known may come as a factor.
        observed = []
    flat, unravel = ravel_pytree(start)
    names = []
    for name in sorted(start):
        shape = np.shape(start[name])
        names += [name] if not shape else [f"{name}[{i}]" for i in range(int(np.prod(shape)))]
    return Flat(
        model,
        flat,
        tuple(names),
        tuple(observed),
        found.potential_fn,
        found.postprocess_fn,
        unravel,
    )
