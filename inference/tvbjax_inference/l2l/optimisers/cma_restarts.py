"""How CMA-ES begins anew after a run has come to its end: with which population, how wide.

Populations are whole multiples of what is asked for at a time, so that shapes stay the same.
"""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int

from tvbjax.kinds import check_count


class Run(eqx.Module):
    """One run: in how many batches a population comes (`batches`), how wide it begins (`share`, of
    the first step size), and after how many batches in all it ends at the latest (`limit`)."""

    batches: Int[Array, ""]
    share: Float[Array, ""]
    limit: Int[Array, ""]


class AbstractRestarts(eqx.Module):
    """The rule by which run follows on run."""

    @property
    @abc.abstractmethod
    def most(self) -> int:
        """The batches of the largest population."""

    @abc.abstractmethod
    def first(self, dtype: Any) -> tuple[Run, Any]:
        """The first run, and what the rule remembers: a tree of arrays."""

    @abc.abstractmethod
    def following(self, memory: Any, used: Int[Array, ""], key: Array) -> tuple[Run, Any]:
        """The run after one that `used` so many batches."""

    @abc.abstractmethod
    def over(self, memory: Any) -> Bool[Array, ""]:
        """Whether the run that now ends is the last one."""


class Ipop(AbstractRestarts):
    """Each run has twice the population of the one before, up to `doublings` times. Auger & Hansen
    (2005), IEEE Congress on Evolutionary Computation, p. 1769."""

    doublings: int = eqx.field(static=True, default=9)

    def __check_init__(self):
        check_count("Ipop: doublings", self.doublings)

    @property
    def most(self):
        return 2**self.doublings

    def first(self, dtype):
        return _whole_run(jnp.ones((), jnp.int32), dtype), jnp.zeros((), jnp.int32)

    def following(self, memory, used, key):
        doubled = jnp.minimum(memory + 1, self.doublings)
        return _whole_run(2**doubled, jnp.result_type(float)), doubled

    def over(self, memory):
        return memory >= self.doublings


class _Budgets(eqx.Module):
    doubled: Int[Array, ""]
    large: Int[Array, ""]
    small: Int[Array, ""]
    last_large: Int[Array, ""]
    is_small: Bool[Array, ""]


class Bipop(AbstractRestarts):
    """Runs as of `Ipop`, and between them runs of small populations that begin narrower, so that
    both kinds use as much. Hansen (2009), GECCO companion, p. 2389, section 2; small populations
    are rounded to whole batches."""

    doublings: int = eqx.field(static=True, default=9)

    def __check_init__(self):
        check_count("Bipop: doublings", self.doublings)

    @property
    def most(self):
        return 2**self.doublings

    def first(self, dtype):
        none = jnp.zeros((), jnp.int32)
        memory = _Budgets(none, none, none, none, jnp.zeros((), bool))
        return _whole_run(jnp.ones((), jnp.int32), dtype), memory

    def following(self, memory, used, key):
        # The first run counts for neither kind.
        counts = memory.doubled > 0
        large = memory.large + jnp.where(memory.is_small | ~counts, 0, used)
        small = memory.small + jnp.where(memory.is_small, used, 0)
        last_large = jnp.where(memory.is_small, memory.last_large, used)
        is_small = counts & (small < large)
        doubled = jnp.where(is_small, memory.doubled, memory.doubled + 1)
        doubled = jnp.minimum(doubled, self.doublings)
        dtype = jnp.result_type(float)
        batches = 2**doubled
        wide = _whole_run(batches, dtype)
        narrow = _narrow_run(batches, last_large, key, dtype)
        run = Run(
            batches=jnp.where(is_small, narrow.batches, wide.batches),
            share=jnp.where(is_small, narrow.share, wide.share),
            limit=jnp.where(is_small, narrow.limit, wide.limit),
        )
        return run, _Budgets(doubled, large, small, last_large, is_small)

    def over(self, memory):
        return (memory.doubled >= self.doublings) & ~memory.is_small


def _whole_run(batches: Array, dtype: Any) -> Run:
    return Run(
        batches=batches.astype(jnp.int32),
        share=jnp.ones((), dtype),
        limit=jnp.asarray(2**31 - 1, jnp.int32),
    )


def _narrow_run(batches: Array, last_large: Array, key: Array, dtype: Any) -> Run:
    """A population between one batch and half the large one's, a width down to a hundredth."""
    of_population, of_width = jr.uniform(key, (2,), dtype)
    fewer = (0.5 * batches.astype(dtype)) ** (of_population**2)
    return Run(
        batches=jnp.maximum(1.0, jnp.rint(fewer)).astype(jnp.int32),
        share=10.0 ** (-2.0 * of_width),
        limit=last_large // 2,
    )
