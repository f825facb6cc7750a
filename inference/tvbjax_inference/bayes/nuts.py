"""Chains of NUTS in whitened coordinates, in blocks that can be kept and gone on from.

A chain moves through u, with numbers = mode + scale u, in which the normal approximation at the
mode is standard. On a CPU every chain is a call by itself, as many at a time as there are cores;
elsewhere all are one.
"""

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, Float
from numpyro.infer import NUTS

from tvbjax.ensemble import workers
from tvbjax.kinds import check_count, check_number
from tvbjax_inference.bayes.flat import Flat, as_numpyro_computes
from tvbjax_inference.bayes.modes import Mode


@dataclasses.dataclass(frozen=True)
class Nuts:
    """The No-U-Turn sampler (Hoffman & Gelman 2014, JMLR 15:1593), numpyro's.

    `target_accept`: a higher one makes smaller steps. `block`: draws between two checkpoints.
    """

    chains: int = 4
    warmup: int = 500
    draws: int = 1000
    target_accept: float = 0.85
    max_tree_depth: int = 10
    block: int = 50

    def __post_init__(self):
        for name in ("chains", "warmup", "draws", "max_tree_depth", "block"):
            check_count(f"Nuts: {name}", getattr(self, name))
        check_number("Nuts: target_accept", self.target_accept, above=0.0)
        if self.target_accept >= 1.0:
            raise ValueError(f"Nuts: target_accept is {self.target_accept}; give less than 1.")

    @property
    def steps(self) -> int:
        """Of each chain, warm-up and draws."""
        return self.warmup + self.draws


class Draw(NamedTuple):
    """One step of chains: the numbers, and what the sampler says of it. With axes (chain, draw)
    where there are several."""

    numbers: Float[Array | np.ndarray, "*draw number"]
    diverging: Array | np.ndarray
    steps: Array | np.ndarray
    acceptance_rate: Array | np.ndarray
    step_size: Array | np.ndarray
    energy: Array | np.ndarray
    potential: Array | np.ndarray


class Chains:
    """What runs the chains of one `Nuts`: states in, states and draws out."""

    def __init__(self, flat: Flat, modes: Sequence[Mode], nuts: Nuts):
        self.nuts, self.flat = nuts, flat
        self.modes = [modes[chain % len(modes)] for chain in range(nuts.chains)]
        self.together = jax.default_backend() != "cpu"
        self._kernels: dict[int, tuple[NUTS, Callable]] = {}

    def begin(self, key: Array) -> list[Any]:
        """The states at the beginning: spread as the normal approximation is."""
        return [
            self._kernel(mode)[0].init(
                jr.bits(jr.fold_in(one, 0), (2,), jnp.uint32),
                self.nuts.warmup,
                init_params=jr.normal(jr.fold_in(one, 1), (self.flat.size,)),
            )
            for mode, one in zip(self.modes, jr.split(key, self.nuts.chains), strict=True)
        ]

    def advance(self, states: list[Any], count: int) -> tuple[list[Any], Draw]:
        """So many steps of all chains."""
        runs = [self._kernel(mode)[1] for mode in self.modes]
        if self.together and len(set(map(id, self.modes))) == 1:
            stacked = jax.tree.map(lambda *x: jnp.stack(x), *states)
            ended, draws = runs[0](stacked, count)
            ended = [jax.tree.map(lambda x, i=i: x[i], ended) for i in range(len(states))]
            return ended, jax.tree.map(np.asarray, draws)
        with ThreadPoolExecutor(workers()) as pool:
            done = list(pool.map(lambda run, state: run(state, count), runs, states))
        draws = [jax.tree.map(np.asarray, draw) for _, draw in done]
        return [state for state, _ in done], jax.tree.map(lambda *x: np.stack(x), *draws)

    def _kernel(self, mode: Mode) -> tuple[NUTS, Callable]:
        """Of one mode, compiled once."""
        if id(mode) not in self._kernels:
            centre, scale = jnp.asarray(mode.position), jnp.asarray(mode.scale)
            kernel = NUTS(
                potential_fn=lambda u: self.flat.potential(centre + scale @ u),
                target_accept_prob=self.nuts.target_accept,
                max_tree_depth=self.nuts.max_tree_depth,
            )
            # What the kernel's steps need is made when it begins.
            kernel.init(
                jnp.zeros(2, jnp.uint32), self.nuts.warmup, init_params=jnp.zeros_like(centre)
            )

            def step(state, _):
                with as_numpyro_computes():
                    state = kernel.sample(state, (), {})
                adapted = state.adapt_state
                return state, Draw(
                    centre + scale @ state.z,
                    state.diverging,
                    state.num_steps,
                    state.accept_prob,
                    adapted.step_size,
                    state.energy,
                    state.potential_energy,
                )

            def run(state, count):
                return lax.scan(step, state, length=count)

            def side_by_side(state, count):
                return jax.vmap(lambda one: run(one, count))(state)

            ran = side_by_side if self.together else run
            self._kernels[id(mode)] = kernel, jax.jit(ran, static_argnums=1)
        return self._kernels[id(mode)]
