"""Where Epileptors begin: near the slow manifold, on which they are but for their discharges."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from tvbjax import Simulator
from tvbjax.kinds import check_kind, check_number
from tvbjax_inference.bayes.initial import AbstractInitial
from tvbjax_lems import Model

# The fold of the fast nullcline is at z = 2.915, x = -4/3; the left branch is met just above it.
_FOLD = 2.93
_SHARPNESS = 8.0

# The Epileptors by their state variables.
_EPILEPTORS = (("x", "z"), ("x1", "z"), ("x1", "y1", "z", "x2", "y2", "g"))

# Between seizures, and how fast what is at rest there may move, in 1/ms: x is at most 0.07 away.
_BETWEEN = 5.0
_STILL = 0.5


class NearSlowManifold(AbstractInitial):
    """Every region's permittivity z has a prior, by default N(3.6, 0.5), as between seizures; x is
    what belongs to it on the left branch of the fast nullcline, give or take about `spread`.

    x stays to the left of the middle branch, beyond which a seizure begins at once: regions do not
    begin in a discharge. With x and z free by themselves chains do not mix, and where x may cross
    the middle branch they diverge.

    The Epileptor of six variables has the same branch in x1; y1 is what belongs to x1 in its own
    nullcline, and x2, y2 and the filtered x1 rest.
    """

    permittivity: dist.Distribution
    spread: float

    def __init__(self, permittivity: dist.Distribution | None = None, spread: float = 0.3):
        given = dist.Normal(3.6, 0.5) if permittivity is None else permittivity
        check_kind("NearSlowManifold: permittivity", given, dist.Distribution, "Normal(3.6, 0.5)")
        check_number("NearSlowManifold: spread", spread, least=0.0)
        self.permittivity, self.spread = given, float(spread)

    def check(self, simulator):
        model = simulator.model
        if not isinstance(model, Model) or model.state_variables not in _EPILEPTORS:
            raise ValueError(
                f"NearSlowManifold: {model.name} has the state variables "
                f"{', '.join(model.state_variables)}; it is for Epileptor2DSmooth, Epileptor2D and "
                "Epileptor. Give another initial, such as bayes.initial.Unknown."
            )
        _check_still(simulator, model)

    def draw(self, simulator):
        regional = self.permittivity.expand((simulator.nodes,)).to_event()
        z = numpyro.sample("permittivity", regional)
        away = dist.Normal(0.0, 1.0).expand((simulator.nodes,)).to_event()
        n = numpyro.sample("initial_away", away)
        x = beside_the_branch(z, self.spread * n)  # type: ignore[operator]
        return whole_state(simulator.model.state_variables, x, z)  # type: ignore[arg-type]

    @property
    def dims(self):
        return {"permittivity": ("region",), "initial_away": ("region",)}


def at_rest(variables: tuple[str, ...], z: Float[Array, " region"]) -> Float[Array, "state region"]:
    """An Epileptor of these state variables on the slow manifold."""
    return whole_state(variables, left_branch(z), z)


def whole_state(
    variables: tuple[str, ...], x: Float[Array, " region"], z: Float[Array, " region"]
) -> Float[Array, "state region"]:
    """The state of an Epileptor whose other variables have followed x and z, or rest."""
    filtered = 0.1 * left_branch(z)
    rows = {"x": x, "x1": x, "z": z, "y1": 1.0 - 5.0 * x**2, "g": filtered}
    rows |= {"x2": _second_branch(z, filtered), "y2": jnp.zeros_like(x)}
    return jnp.stack([rows[name] for name in variables])


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
    z = _above_the_fold(z)
    x = jnp.full_like(z, -2.5)
    for _ in range(8):
        x = x - (4.1 - x**3 - 2.0 * x**2 - z) / (-3.0 * x**2 - 4.0 * x)
    return x


def _second_branch(
    z: Float[Array, " region"], filtered: Float[Array, " region"]
) -> Float[Array, " region"]:
    """x2 at rest: the left root of x2 - x2^3 + 0.45 + 2 g - 0.3 (z - 3.5), by Newton's method.

    There is one for all z above the fold, to the left of -0.25, where y2 is 0.
    """
    current = 0.45 + 2.0 * filtered - 0.3 * (_above_the_fold(z) - 3.5)
    x = jnp.full_like(z, -2.0)
    for _ in range(10):
        x = x - (x - x**3 + current) / (1.0 - 3.0 * x**2)
    return x


def _above_the_fold(z: Float[Array, " region"]) -> Float[Array, " region"]:
    """z, or below the fold one just above it, smoothly."""
    return _FOLD + jax.nn.softplus(_SHARPNESS * (z - _FOLD)) / _SHARPNESS


def _check_still(simulator: Simulator, model: Model) -> None:
    """Raises `ValueError` where all but z does not rest where Epileptors do: a model of other
    parameters."""
    rest = at_rest(model.state_variables, jnp.full(simulator.nodes, _BETWEEN))
    moves = np.abs(model.dfun(rest, jnp.zeros((len(model.inputs), simulator.nodes))))
    fast = {n: row.max() for n, row in zip(model.state_variables, moves, strict=True) if n != "z"}
    name = max(fast, key=lambda one: fast[one])
    if fast[name] > _STILL:
        raise ValueError(
            f"NearSlowManifold: with these parameters of {model.name} '{name}' moves by "
            f"{fast[name]:.2g} per ms where the Epileptor rests; it is for the published values "
            "of all but excitability, pace and gains. Give another initial, such as "
            "bayes.initial.Unknown."
        )
