"""Chains of NUTS in whitened coordinates, in blocks that can be kept and gone on from.

A chain moves through u, with numbers = mode + scale u, in which the normal approximation at the
mode is standard. Where there are several modes it may jump from about one to the same place about
another: the affine map between their normal approximations is a proposal of Metropolis', as in
Pompe, Holmes & Latuszynski (2020), Annals of Statistics 48:2930. On a CPU every chain is a call by
itself, as many at a time as there are cores; elsewhere all are one.
"""

import dataclasses
from collections.abc import Sequence
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

    `target_accept`: a higher one makes smaller steps. `jumps`: to other modes, tried after every
    draw where there are several; with 0 every chain stays about its own, for `stacked`. `block`:
    draws between two checkpoints.
    """

    chains: int = 4
    warmup: int = 500
    draws: int = 1000
    target_accept: float = 0.95
    max_tree_depth: int = 10
    jumps: int = 10
    block: int = 50

    def __post_init__(self):
        for name in ("chains", "warmup", "draws", "max_tree_depth", "block"):
            check_count(f"Nuts: {name}", getattr(self, name))
        check_count("Nuts: jumps", self.jumps, least=0)
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


class _Place(NamedTuple):
    """A normal approximation: numbers = centre + scale u, u = inverse (numbers - centre)."""

    centre: Float[Array, "*mode number"]
    scale: Float[Array, "*mode number number"]
    inverse: Float[Array, "*mode number number"]
    log_volume: Float[Array, "*mode"]


def _place(mode: Mode) -> _Place:
    scale = jnp.asarray(mode.scale)
    volume = jnp.linalg.slogdet(scale)[1]
    return _Place(jnp.asarray(mode.position), scale, jnp.linalg.inv(scale), volume)


class _Given(NamedTuple):
    """What a chain needs beside its state: its own mode, all of them, and the data."""

    own: _Place
    modes: _Place
    data: Any


class _Chains:
    """What runs the chains of one `Nuts`: states in, states and draws out.

    What is compiled has modes and data as arguments: it is for all chains, and for other data.
    """

    def __init__(self, flat: Flat, modes: Sequence[Mode], nuts: Nuts):
        self.nuts, self.flat = nuts, flat
        places = [_place(mode) for mode in modes]
        every = _together(places)
        self.given = [
            _Given(places[chain % len(modes)], every, flat.data) for chain in range(nuts.chains)
        ]
        self.jumps = nuts.jumps if len(modes) > 1 else 0
        self.name = (nuts.warmup, nuts.target_accept, nuts.max_tree_depth, self.jumps)
        self.together = jax.default_backend() != "cpu"

    def begin(self, key: Array) -> list[Any]:
        """The states at the beginning: about the modes."""

        def begun(one: Array, given: _Given) -> Any:
            bits = jr.bits(jr.fold_in(one, 0), (2,), jnp.uint32)
            return self._kernel(given, bits, jr.fold_in(one, 1))[1]

        keys = jr.split(key, self.nuts.chains)
        begin = self.flat.compile(("nuts begins", self.name), begun, keys[0], self.given[0])
        return [begin(one, given) for one, given in zip(keys, self.given, strict=True)]

    def advance(self, states: list[Any], count: int) -> tuple[list[Any], Draws]:
        """So many steps of all chains."""

        def run(state: Any, given: _Given) -> tuple[Any, dict[str, Array]]:
            return self._run(state, given, count)

        name = ("nuts", self.name, count)
        if self.together:
            both = (_together(states), _together(self.given))
            ended, draws = self.flat.compile(name, jax.vmap(run), *both)(*both)
            ended = [jax.tree.map(lambda x, i=i: x[i], ended) for i in range(len(states))]
            return ended, {name: np.asarray(x) for name, x in draws.items()}
        compiled = self.flat.compile(name, run, states[0], self.given[0])
        with ThreadPoolExecutor(workers()) as pool:
            done = list(pool.map(compiled, states, self.given))
        draws = {name: np.stack([draw[name] for _, draw in done]) for name in done[0][1]}
        return [state for state, _ in done], draws

    def _potential(self, u: Array, given: _Given) -> Array:
        numbers = given.own.centre + given.own.scale @ u
        return self.flat.potential_beside(numbers, given.data)

    def _kernel(self, given: _Given, bits: Array, start: Array) -> tuple[NUTS, Any]:
        """The sampler about a mode, and a state near it."""
        kernel = NUTS(
            potential_fn=lambda u: self._potential(u, given),
            target_accept_prob=self.nuts.target_accept,
            max_tree_depth=self.nuts.max_tree_depth,
        )
        near = _NEAR * jr.normal(start, (self.flat.size,))
        return kernel, kernel.init(bits, self.nuts.warmup, init_params=near)

    def _run(self, state: Any, given: _Given, count: int) -> tuple[Any, dict[str, Array]]:
        # What the kernel's steps need is made when it begins; that state is not used.
        kernel, _ = self._kernel(given, jnp.zeros(2, jnp.uint32), jr.key(0))

        def step(state, _):
            with as_numpyro_computes():
                state = kernel.sample(state, (), {})
            said = {
                "diverging": state.diverging,
                "n_steps": state.num_steps,
                "acceptance_rate": state.accept_prob,
                "step_size": state.adapt_state.step_size,
                "energy": state.energy,
            }
            if self.jumps:
                state, said["jumped"] = self._jumped(state, given)
            numbers = given.own.centre + given.own.scale @ state.z
            return state, said | {"numbers": numbers, "lp": -state.potential_energy}

        return lax.scan(step, state, length=count)

    def _jumped(self, state: Any, given: _Given) -> tuple[Any, Array]:
        """The state after some jumps, and how many were accepted.

        A pair of modes is drawn, and the place about the first taken to that about the second. The
        way back has the same probability, so that the map's volume is all that is to be known.
        """
        modes, count = given.modes, len(given.modes.centre)
        key, after = jr.split(state.rng_key)

        def jump(carry: Any, one: Array) -> tuple[Any, None]:
            numbers, potential, jumped = carry
            at_first, at_second, at_accept = jr.split(one, 3)
            first = jr.randint(at_first, (), 0, count)
            second = (first + jr.randint(at_second, (), 1, count)) % count
            u = modes.inverse[first] @ (numbers - modes.centre[first])
            there = modes.centre[second] + modes.scale[second] @ u
            other = self.flat.potential_beside(there, given.data)
            gained = potential - other + modes.log_volume[second] - modes.log_volume[first]
            # Where there is no density, NaN, no jump.
            yes = jnp.log(jr.uniform(at_accept)) < gained
            numbers = jnp.where(yes, there, numbers)
            return (numbers, jnp.where(yes, other, potential), jumped + yes.astype(int)), None

        begin = given.own.centre + given.own.scale @ state.z
        carry = (begin, state.potential_energy, jnp.asarray(0))
        (numbers, _, jumped), _ = lax.scan(jump, carry, jr.split(key, self.jumps))
        u = jnp.where(jumped > 0, given.own.inverse @ (numbers - given.own.centre), state.z)
        potential, slope = jax.value_and_grad(self._potential)(u, given)
        moved = state._replace(z=u, potential_energy=potential, z_grad=slope, rng_key=after)
        return moved, jumped
