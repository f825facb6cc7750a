"""A problem without a simulation, of which all is known: a parabola in unbounded numbers."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from tvbjax import Positive, Real
from tvbjax.inference import AbstractProblem
from tvbjax_inference.problem import Compared, Evaluation

MATRIX = np.array(
    [[4.0, 1.0, 0.0, 0.5], [1.0, 3.0, 0.7, 0.0], [0.0, 0.7, 2.0, 0.3], [0.5, 0.0, 0.3, 1.0]]
)
MIDDLE = np.array([0.3, -1.0, 0.5, 2.0])


class Quadratic(AbstractProblem):
    """1 + (x - MIDDLE)^T MATRIX (x - MIDDLE) / 2 in log a and b, three regions' numbers."""

    matrix: Array = eqx.field(default_factory=lambda: MATRIX, converter=jnp.asarray)
    middle: Array = eqx.field(default_factory=lambda: MIDDLE, converter=jnp.asarray)

    @property
    def start(self):
        return {"b": jnp.zeros(3), "a": jnp.zeros(())}

    def values(self, position):
        return {"b": position["b"], "a": jnp.exp(position["a"])}

    def supports(self):
        return {"b": Real(), "a": Positive()}

    def coordinates(self):
        return {"b": ("left", "middle", "right"), "a": ("a",)}

    def _away(self, positions):
        flat = jnp.concatenate([positions["a"][:, None], positions["b"]], axis=1)
        return flat - self.middle[None]

    def evaluate(self, positions, key, derivatives=None, carries=None):
        away = self._away(positions)
        losses = 1 + jnp.einsum("si,ij,sj->s", away, self.matrix, away) / 2
        terms = {"a": (away[:, 0] ** 2), "rest": losses}
        return Evaluation(losses, terms, None)

    def compared(self, positions, key, derivatives=None):
        return Compared({"all": self._away(positions)})

    def begun(self, positions):
        return None

    def check(self, position, key):
        pass

    def description(self):
        return (self.matrix, self.middle)
