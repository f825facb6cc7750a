"""Where Epileptors begin: near the slow manifold, on which they are but for their discharges."""

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from tvbjax.kinds import check_kind, check_number
from tvbjax_inference.bayes.initial import AbstractInitial

# The fold of the fast nullcline is at z = 2.915, x = -4/3; the left branch is met just above it.
_FOLD = 2.93
_SHARPNESS = 8.0


class NearSlowManifold(AbstractInitial):
    """Every region's permittivity z has a prior, by default N(3.6, 0.5), as between seizures; x is
    what belongs to it on the left branch of the fast nullcline, give or take about `spread`.

    x stays to the left of the middle branch, beyond which a seizure begins at once: regions do not
    begin in a discharge. For the two-dimensional Epileptors. With x and z free by themselves chains
    do not mix, and where x may cross the middle branch they diverge.
    """

    permittivity: dist.Distribution
    spread: float

    def __init__(self, permittivity: dist.Distribution | None = None, spread: float = 0.3):
        given = dist.Normal(3.6, 0.5) if permittivity is None else permittivity
        check_kind("NearSlowManifold: permittivity", given, dist.Distribution, "Normal(3.6, 0.5)")
        check_number("NearSlowManifold: spread", spread, least=0.0)
        self.permittivity, self.spread = given, float(spread)

    def check(self, simulator):
        if len(simulator.model.state_variables) != 2:
            raise ValueError(
                f"NearSlowManifold: {simulator.model.name} has the state variables "
                f"{', '.join(simulator.model.state_variables)}; it is for the Epileptors of two, "
                "such as Epileptor2DSmooth."
            )

    def draw(self, simulator):
        regional = self.permittivity.expand((simulator.nodes,)).to_event()
        z = numpyro.sample("permittivity", regional)
        away = dist.Normal(0.0, 1.0).expand((simulator.nodes,)).to_event()
        n = numpyro.sample("initial_away", away)
        return jnp.stack([beside_the_branch(z, self.spread * n), z])  # type: ignore[operator]

    @property
    def dims(self):
        return {"permittivity": ("region",), "initial_away": ("region",)}


def beside_the_branch(
    z: Float[Array, " region"], away: Float[Array, " region"]
) -> Float[Array, " region"]:
    """x by about this much away from the left branch, and never by more than two thirds of the way
    to the middle branch or 0.6: farther to the left a step of 0.1 leaps over the branch, so that
    there are two places that have the same future."""
    left = left_branch(z)
    # The other roots of x^3 + 2 x^2 + z - 4.1 add up to -2 - left, and their product is
    # left^2 + 2 left.
    total, product = -2.0 - left, left**2 + 2.0 * left
    middle = (total - jnp.sqrt(jnp.maximum(total**2 - 4.0 * product, 1e-12))) / 2.0
    most = 1.0 / (1.0 / 0.6 + 1.5 / (middle - left))
    return left + most * jnp.tanh(away / most)


def left_branch(z: Float[Array, " region"]) -> Float[Array, " region"]:
    """x < -4/3 with 4.1 - x^3 - 2 x^2 = z, by Newton's method; for z below the fold, that of a z
    just above it, smoothly."""
    z = _FOLD + jax.nn.softplus(_SHARPNESS * (z - _FOLD)) / _SHARPNESS
    x = jnp.full_like(z, -2.5)
    for _ in range(8):
        x = x - (4.1 - x**3 - 2.0 * x**2 - z) / (-3.0 * x**2 - 4.0 * x)
    return x
