"""A numpyro model as a function of one vector of unbounded numbers: what optimisers and samplers
see of it."""

import dataclasses
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from numpyro import handlers
from numpyro.distributions import biject_to
from numpyro.infer.util import constrain_fn, potential_energy, unconstrain_fn
from numpyro.primitives import Messenger

Sites = dict[str, Array]

# Of each prior, to find its middle.
_DRAWS = 101


@contextmanager
def as_numpyro_computes() -> Iterator[None]:
    """numpyro promotes ranks and types, which a program may have forbidden."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


@dataclasses.dataclass(frozen=True, eq=False)
class Flat:
    """`start`: the middles of the priors. `names`: what each number belongs to. `observed`: the
    sites of data; `known`: those, and factors. `data`: in the place of the model's own, by site.
    `compiled`: functions that are shared with the same model beside other data."""

    model: Callable[[], Any]
    start: Float[Array, " number"]
    names: tuple[str, ...]
    observed: tuple[str, ...]
    known: tuple[str, ...]
    unravel: Callable[[Array], Sites]
    data: Sites | None = None
    compiled: dict[Hashable, Callable] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return len(self.names)

    def beside(self, data: Sites) -> "Flat":
        """The same model beside other data, of the same shapes, by the names of their sites."""
        return dataclasses.replace(self, data=data)

    def compile(self, name: Hashable, function: Callable, *like: Any) -> Callable:
        """A function compiled for arguments like these, once, also for other data. To be called
        before threads are: numpyro's statements know of no threads."""
        leaves, structure = jax.tree.flatten(like)
        called = (name, structure, tuple((jnp.shape(x), jnp.result_type(x)) for x in leaves))
        if called not in self.compiled:
            self.compiled[called] = jax.jit(function).lower(*like).compile()
        return self.compiled[called]

    def potential(self, numbers: Float[Array, " number"]) -> Float[Array, ""]:
        """The negative logarithm of the posterior's density in these numbers, up to a constant."""
        return self.potential_beside(numbers, self.data)

    def potential_beside(
        self, numbers: Float[Array, " number"], data: Sites | None
    ) -> Float[Array, ""]:
        """The same, with the data as an argument, so that what is compiled is for all."""
        model = self.model if data is None else _Measured(self.model, data)
        with as_numpyro_computes():
            return jnp.asarray(potential_energy(model, (), {}, self.unravel(numbers)))

    def prior_potential(self, numbers: Float[Array, " number"]) -> Float[Array, ""]:
        """The same of the prior: without data and factors."""
        prior = handlers.block(self.model, hide=list(self.known))
        with as_numpyro_computes():
            return jnp.asarray(potential_energy(prior, (), {}, self.unravel(numbers)))

    def prior_numbers(self, key: Array) -> Float[Array, " number"]:
        """Unbounded numbers by a draw from the prior."""
        values = self.prior(key)
        unknown = {name: values[name] for name in self.unravel(self.start)}
        with as_numpyro_computes():
            return ravel_pytree(unconstrain_fn(self.model, (), {}, unknown))[0]

    def sites(self, numbers: Float[Array, " number"]) -> Sites:
        """The values of all sites, those that are deterministic as well, without the data."""
        with as_numpyro_computes():
            params = self.unravel(numbers)
            found = constrain_fn(self.model, (), {}, params, return_deterministic=True)
        return {name: value for name, value in found.items() if name not in self.observed}

    def replicated(self, numbers: Float[Array, " number"], key: Array) -> Sites:
        """Data as they might have been, by the name of their site."""
        with as_numpyro_computes():
            values = constrain_fn(self.model, (), {}, self.unravel(numbers))
        kept = {name: value for name, value in values.items() if name not in self.observed}
        with as_numpyro_computes(), handlers.seed(rng_seed=key), handlers.trace() as trace:
            with handlers.substitute(data=kept), handlers.uncondition():
                self.model()
        return {name: trace[name]["value"] for name in self.observed}

    def prior(self, key: Array) -> Sites:
        """All sites and data by a draw from the prior."""
        with as_numpyro_computes(), handlers.seed(rng_seed=key), handlers.trace() as trace:
            with handlers.uncondition():
                self.model()
        factors = set(self.known) - set(self.observed)
        kinds = ("sample", "deterministic")
        return {
            name: site["value"]
            for name, site in trace.items()
            if site["type"] in kinds and name not in factors
        }


class _Measured(Messenger):
    """A model with other data."""

    def __init__(self, model: Callable[[], Any], data: Sites):
        super().__init__(model)
        self.data = data

    def process_message(self, msg):
        if msg["type"] == "sample" and msg["is_observed"] and msg["name"] in self.data:
            msg["value"] = self.data[msg["name"]]


def flat_of(model: Callable[[], Any]) -> Flat:
    """A model without arguments. Raises `TypeError` or `ValueError` for what is none, or one with
    sites that are not continuous."""
    if not callable(model):
        raise TypeError(
            f"sample: the model is {model!r:.60}; give what tvbjax.bayes.program makes, or a "
            "function of numpyro's statements without arguments."
        )
    observed: list[str] = []
    known: list[str] = []

    @jax.jit
    def begin(key: Array) -> Sites:
        with as_numpyro_computes(), handlers.seed(rng_seed=key), handlers.trace() as trace:
            model()
        start = {}
        for name, site in trace.items():
            if site["type"] == "sample" and site["is_observed"]:
                # A factor is an observed site, too, but no data.
                known.append(name)
                observed.extend([] if isinstance(site["fn"], dist.Unit) else [name])
            elif site["type"] == "sample":
                _check_continuous(name, site)
                with as_numpyro_computes():
                    start[name] = _middle(site["fn"], key)
        return start

    start = begin(jr.key(0))
    if not start:
        raise ValueError("sample: the model has no unknown; give it a sample site with a prior.")
    flat, unravel = ravel_pytree(start)
    names = []
    for name in sorted(start):
        shape = np.shape(start[name])
        names += [name] if not shape else [f"{name}[{i}]" for i in range(int(np.prod(shape)))]
    return Flat(model, flat, tuple(names), tuple(observed), tuple(known), unravel)


def _check_continuous(name: str, site: dict[str, Any]) -> None:
    if not jnp.issubdtype(jnp.result_type(site["value"]), jnp.floating):
        raise ValueError(
            f"sample: '{name}' is discrete, and what follows gradients cannot move it; sum it out, "
            "or give it a continuous prior."
        )


def _middle(prior: Any, key: Array) -> Array:
    """Unbounded numbers in the middle of a prior: of values that depend on one another the mean."""
    support: Any = prior.support
    draws = prior.sample(key, (_DRAWS,))
    together = getattr(support, "base_constraint", support).event_dim > 0
    middle = draws.mean(axis=0) if together else jnp.median(draws, axis=0)
    return biject_to(support).inv(middle)
