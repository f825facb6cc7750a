"""Chains of NUTS in whitened coordinates, in blocks that can be kept and gone on from.

A chain moves through u, with numbers = mode + scale u, in which the normal approximation at the
mode is standard. On a CPU every chain is a call by itself, as many at a time as there are cores;
elsewhere all are one.
"""

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array
from numpyro.infer import NUTS

from tvbjax.ensemble import workers
from tvbjax.kinds import check_count, check_number
from tvbjax.progress import progress_bar
from tvbjax_inference.bayes.flat import Flat, as_numpyro_computes
from tvbjax_inference.bayes.method import AbstractMethod, Drawn
from tvbjax_inference.bayes.modes import Mode

# How far from a mode chains begin, in deviations of its normal approximation in each number. In
# hundreds of numbers a draw of that approximation is beyond cliffs of the posterior, in basins that
# are tens of nats lower and hold nothing, out of which chains come slowly.
_NEAR = 0.25

Draws = dict[str, np.ndarray]  # by name, with axes (chain, draw)


@dataclasses.dataclass(frozen=True)
class Nuts(AbstractMethod):
    """The No-U-Turn sampler (Hoffman & Gelman 2014, JMLR 15:1593), numpyro's.

    `target_accept`: a higher one makes smaller steps. `block`: draws between two checkpoints.
    """

    chains: int = 4
    warmup: int = 500
    draws: int = 1000
    target_accept: float = 0.95
    max_tree_depth: int = 10
    block: int = 50

    def __post_init__(self):
        for name in ("chains", "warmup", "draws", "max_tree_depth", "block"):
            check_count(f"Nuts: {name}", getattr(self, name))
        check_number("Nuts: target_accept", self.target_accept, above=0.0)
        if self.target_accept >= 1.0:
            raise ValueError(f"Nuts: target_accept is {self.target_accept}; give less than 1.")

    def drawn(self, flat, modes, key, checkpoint, progress):
        chains = _Chains(flat, modes, self)
        states, draws = chains.begin(key), {}
        if checkpoint is not None:
            states, draws = checkpoint.state(states) or states, checkpoint.draws
        done = draws["numbers"].shape[1] if draws else 0
        total = self.warmup + self.draws
        with progress_bar("sampling the posterior", total, progress) as advance_bar:
            advance_bar(done)
            while done < total:
                # A block never spans the border, so that blocks are the same whatever was kept.
                end = self.warmup if done < self.warmup else total
                count = min(self.block, end - done)
                states, more = chains.advance(states, count)
                draws = _joined(draws, more)
                done += count
                if checkpoint is not None:
                    checkpoint.keep(states, draws)
                advance_bar(count, _note(more, done <= self.warmup))
        kept = {name: x[:, self.warmup :] for name, x in draws.items()}
        before = {name: x[:, : self.warmup] for name, x in draws.items()}
        return Drawn(kept["numbers"], self._stats(kept), self._stats(before))

    def _stats(self, draws: Draws) -> Draws:
        """By ArviZ's names."""
        steps = draws["n_steps"]
        depth = np.ceil(np.log2(steps + 1)).astype(int)
        saturated = steps >= 2**self.max_tree_depth - 1
        named = {name: x for name, x in draws.items() if name != "numbers"}
        return named | {"tree_depth": depth, "reached_max_tree_depth": saturated}


def _joined(before: Draws, after: Draws) -> Draws:
    if not before:
        return after
    return {name: np.concatenate([before[name], x], axis=1) for name, x in after.items()}


def _note(draws: Draws, warmup: bool) -> str:
    what = "warm-up" if warmup else "draws"
    diverged = int(draws["diverging"].sum())
    return f"{what}, {draws['n_steps'].mean():.0f} steps each, {diverged} divergences"


def _together(states: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *x: jnp.stack(x), *states)


class _Chains:
    """What runs the chains of one `Nuts`: states in, states and draws out.

    What is compiled has the mode and the data as arguments: it is for all chains.
    """

    def __init__(self, flat: Flat, modes: Sequence[Mode], nuts: Nuts):
        self.nuts, self.flat = nuts, flat
        chosen = [modes[chain % len(modes)] for chain in range(nuts.chains)]
        self.centres = [(jnp.asarray(mode.position), jnp.asarray(mode.scale)) for mode in chosen]
        self.together = jax.default_backend() != "cpu"

    def begin(self, key: Array) -> list[Any]:
        """The states at the beginning: about the modes."""

        def begun(one: Array, mode: Any, data: Any) -> Any:
            bits = jr.bits(jr.fold_in(one, 0), (2,), jnp.uint32)
            return self._kernel(mode, data, bits, jr.fold_in(one, 1))[1]

        keys = jr.split(key, self.nuts.chains)
        given = (keys[0], self.centres[0], self.flat.data)
        begin = self.flat.compile(("nuts begins", self.nuts), begun, *given)
        return [
            begin(one, mode, self.flat.data) for one, mode in zip(keys, self.centres, strict=True)
        ]

    def advance(self, states: list[Any], count: int) -> tuple[list[Any], Draws]:
        """So many steps of all chains."""

        def run(state: Any, mode: Any, data: Any) -> tuple[Any, dict[str, Array]]:
            return self._run(state, mode, data, count)

        name, data = ("nuts", self.nuts, count, self.together), self.flat.data
        if self.together:
            both = (_together(states), _together(self.centres), data)
            side_by_side = jax.vmap(run, in_axes=(0, 0, None))
            ended, draws = self.flat.compile(name, side_by_side, *both)(*both)
            ended = [jax.tree.map(lambda x, i=i: x[i], ended) for i in range(len(states))]
            return ended, {name: np.asarray(x) for name, x in draws.items()}
        compiled = self.flat.compile(name, run, states[0], self.centres[0], data)
        with ThreadPoolExecutor(workers()) as pool:
            done = list(
                pool.map(lambda state, mode: compiled(state, mode, data), states, self.centres)
            )
        draws = {name: np.stack([draw[name] for _, draw in done]) for name in done[0][1]}
        return [state for state, _ in done], draws

    def _kernel(self, mode: Any, data: Any, bits: Array, start: Array) -> tuple[NUTS, Any]:
        """The sampler about a mode, and a state near it."""
        centre, scale = mode
        kernel = NUTS(
            potential_fn=lambda u: self.flat.potential_beside(centre + scale @ u, data),
            target_accept_prob=self.nuts.target_accept,
            max_tree_depth=self.nuts.max_tree_depth,
        )
        near = _NEAR * jr.normal(start, (self.flat.size,))
        return kernel, kernel.init(bits, self.nuts.warmup, init_params=near)

    def _run(self, state: Any, mode: Any, data: Any, count: int) -> tuple[Any, dict[str, Array]]:
        # What the kernel's steps need is made when it begins; that state is not used.
        kernel, _ = self._kernel(mode, data, jnp.zeros(2, jnp.uint32), jr.key(0))
        centre, scale = mode

        def step(state, _):
            with as_numpyro_computes():
                state = kernel.sample(state, (), {})
            return state, {
                "numbers": centre + scale @ state.z,
                "diverging": state.diverging,
                "n_steps": state.num_steps,
                "acceptance_rate": state.accept_prob,
                "step_size": state.adapt_state.step_size,
                "energy": state.energy,
                "lp": -state.potential_energy,
            }

        return lax.scan(step, state, length=count)
