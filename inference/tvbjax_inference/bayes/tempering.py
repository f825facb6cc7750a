"""Particles that go from the prior to the posterior by degrees: for posteriors of several modes,
between which chains do not go."""

import dataclasses
import importlib.util
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float

from tvbjax.kinds import check_count, check_number
from tvbjax.progress import progress_bar
from tvbjax_inference.bayes.flat import Flat
from tvbjax_inference.bayes.method import AbstractMethod, Drawn

# Of the steps of all particles so many should be accepted.
_LEAST, _MOST = 0.65, 0.85


class _State(NamedTuple):
    """Of one population. `share`: of the likelihood's logarithm that counts already."""

    particles: Float[Array, "particle number"]
    weights: Float[Array, " particle"]
    share: Array
    step_size: Array
    acceptance: Array
    log_evidence: Array
    key: Array


@dataclasses.dataclass(frozen=True)
class Tempered(AbstractMethod):
    """Adaptive tempered sequential Monte Carlo (Del Moral, Doucet & Jasra 2006, J. R. Stat. Soc. B
    68:411), blackjax's, with moves by Hamiltonian dynamics whose mass is the particles' covariance.

    `populations`: so many by themselves, which are compared as chains are. `particles`: of each; as
    many as there are unknowns at least. `moves`, of `leaps` each, at every degree. `share`: of the
    particles that are to count at the next degree.

    Needs `pip install 'tvbjax[bayes]'`. A checkpoint is written after each degree.
    """

    populations: int = 2
    particles: int = 500
    moves: int = 5
    leaps: int = 10
    share: float = 0.9

    def __post_init__(self):
        for name in ("populations", "particles", "moves", "leaps"):
            check_count(f"Tempered: {name}", getattr(self, name))
        check_number("Tempered: share", self.share, above=0.0)
        if self.share >= 1.0:
            raise ValueError(f"Tempered: share is {self.share}; give less than 1.")
        # Not only when particles are to move, for before that modes are searched.
        if importlib.util.find_spec("blackjax") is None:
            raise ModuleNotFoundError("Tempered needs blackjax: pip install 'tvbjax[bayes]'.")

    def drawn(self, flat, modes, key, checkpoint, progress):
        degree = _degree(flat, self)
        states = [_begun(flat, self, one) for one in jr.split(key, self.populations)]
        if checkpoint is not None:
            states = checkpoint.state(states) or states
        with progress_bar("tempering", self.populations, progress) as advance_bar:
            for i in range(self.populations):
                while float(states[i].share) < 1.0:
                    states[i] = degree(states[i])
                    if checkpoint is not None:
                        checkpoint.keep(states, {})
                    advance_bar(0, f"{float(states[i].share):.3g} of the likelihood")
                advance_bar(1)
        shape = (self.populations, self.particles)
        numbers = np.stack([np.asarray(_resampled(state)) for state in states])
        evidence = np.array([[float(state.log_evidence)] for state in states])
        accepted = np.array([[float(state.acceptance)] for state in states])
        potentials = np.stack([np.asarray(_mapped(flat.potential, x)) for x in numbers])
        stats = {
            "lp": -potentials,
            "acceptance_rate": np.broadcast_to(accepted, shape),
            "log_evidence": np.broadcast_to(evidence, shape),
        }
        return Drawn(numbers, stats, {})


def _begun(flat: Flat, how: Tempered, key: Array) -> _State:
    at_prior, after = jr.split(key)
    particles = _mapped(flat.prior_numbers, jr.split(at_prior, how.particles))
    even = jnp.full(how.particles, 1.0 / how.particles)
    one = jnp.asarray(1.0)
    bits = jr.bits(after, (2,), jnp.uint32)  # numbers, so that a checkpoint can keep them
    return _State(particles, even, 0.0 * one, 0.3 * one, one, 0.0 * one, bits)


def _degree(flat: Flat, how: Tempered) -> Any:
    """A function to the next degree, compiled once."""
    smc = importlib.import_module("blackjax.smc")
    hmc = importlib.import_module("blackjax.mcmc.hmc")
    tempered = importlib.import_module("blackjax.smc.adaptive_tempered")
    solver = importlib.import_module("blackjax.smc.solver")
    kernel = tempered.build_kernel(
        lambda x: -flat.prior_potential(x),
        lambda x: flat.prior_potential(x) - flat.potential(x),
        hmc.build_kernel(),
        hmc.init,
        smc.resampling.systematic,
        how.share,
        solver.dichotomy,
    )
    began = importlib.import_module("blackjax.smc.tempered").TemperedSMCState

    @jax.jit
    def degree(state: _State) -> _State:
        with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
            at_moves, after = jr.split(state.key)
            spread = state.particles - state.particles.mean(axis=0)
            covariance = spread.T @ spread / how.particles
            count = state.particles.shape[1]
            # Shrunk, as there may be few particles for so many numbers.
            little = count / (count + how.particles)
            covariance = (1 - little) * covariance + little * jnp.diag(jnp.diag(covariance))
            moves = {
                "step_size": state.step_size[None],
                "inverse_mass_matrix": covariance[None],
                "num_integration_steps": jnp.full(1, how.leaps),
            }
            at = began(state.particles, state.weights, state.share)
            moved, said = kernel(at_moves, at, how.moves, moves)
            accepted = said.update_info.acceptance_rate.mean()
            slower = jnp.where(accepted < _LEAST, 0.7, jnp.where(accepted > _MOST, 1.3, 1.0))
            return _State(
                moved.particles,
                moved.weights,
                jnp.asarray(moved.tempering_param),
                state.step_size * slower,
                accepted,
                state.log_evidence + said.log_likelihood_increment,
                after,
            )

    return degree


def _resampled(state: _State) -> Array:
    chosen = jr.choice(state.key, len(state.weights), (len(state.weights),), p=state.weights)
    return state.particles[chosen]


def _mapped(function: Any, values: Any) -> Array:
    return jax.jit(lambda a: jax.lax.map(function, a, batch_size=50))(jnp.asarray(values))
