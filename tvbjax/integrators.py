"""Integrators: one step of the local equations, the coupling held fixed over the step.

TVB computes the coupling once per step and holds it through the stages, and so do we: Heun and RK4
are therefore of first order in the coupling term, and of their own order in the local dynamics.
Knows no network: it gets the drift as a function of the state alone.
"""

import abc
from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array, Float

State = Float[Array, "state node"]
Drift = Callable[[State], State]
Bound = Callable[[State], State]


def _checked_step(dt: float) -> float:
    if isinstance(dt, bool | str) or not dt > 0 or dt == float("inf"):
        raise ValueError(f"integrator: dt is {dt!r} ms; give a positive step such as 0.1.")
    return float(dt)


class AbstractIntegrator(eqx.Module):
    """`dt`: the step in ms, > 0."""

    dt: eqx.AbstractVar[float]

    @abc.abstractmethod
    def step(self, drift: Drift, bound: Bound, x: State, kick: State | None) -> State:
        """The state after one step.

        `bound` keeps state variables in their range and is applied to predictors and to the
        result; `kick` is the noise increment of this step, drawn once and used in every stage.
        """


class Euler(AbstractIntegrator):
    """Forward Euler (Euler-Maruyama with noise): `B(x + dt f(x) + z)`."""

    dt: float = eqx.field(static=True, converter=_checked_step)

    def step(self, drift, bound, x, kick):
        return bound(_add(x + self.dt * drift(x), kick))


class Heun(AbstractIntegrator):
    """Heun's predictor-corrector, TVB's form: `k1 = f(x)`, `xp = B(x + dt k1 + z)`,
    `B(x + dt/2 (k1 + f(xp)) + z)`; the same increment z in both stages.

    Rüemelin (1982), SIAM J. Numer. Anal. 19:604.
    """

    dt: float = eqx.field(static=True, converter=_checked_step)

    def step(self, drift, bound, x, kick):
        first = drift(x)
        predictor = bound(_add(x + self.dt * first, kick))
        return bound(_add(x + self.dt / 2.0 * (first + drift(predictor)), kick))


class RK4(AbstractIntegrator):
    """The classical fourth-order Runge-Kutta method, bounds applied after every stage.

    Noise is added to the result: strong order 1 with additive noise, no better than Heun.
    """

    dt: float = eqx.field(static=True, converter=_checked_step)

    def step(self, drift, bound, x, kick):
        half = self.dt / 2.0
        k1 = drift(x)
        k2 = drift(bound(x + half * k1))
        k3 = drift(bound(x + half * k2))
        k4 = drift(bound(x + self.dt * k3))
        return bound(_add(x + self.dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4), kick))


def _add(x: State, kick: State | None) -> State:
    return x if kick is None else x + kick
