"""Integrators: one step of the network's equations.

TVB computes the coupling once per step and holds it through the stages, and so do we by default:
Heun and RK4 are then of first order in the coupling term, and of their own order in the local
dynamics. `RecoupledHeun` computes it anew in its second stage. Knows no network: it gets the drift
and the noise as functions of the state.
"""

import abc
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

State = Float[Array, "state node"]
Bound = Callable[[State], State]
Kick = Callable[[State], State]


@runtime_checkable
class Drift(Protocol):
    """The time derivative of the state."""

    def __call__(self, x: State) -> State:
        """With the coupling of the step's beginning."""
        ...

    def recoupled(self, x: State, ahead: int) -> State:
        """With the coupling that a network in state `x` has, `ahead` steps after the beginning.

        `ahead`: 0 or 1; 0 only where there are no delays.
        """
        ...


def _checked_step(dt: float) -> float:
    if isinstance(dt, bool | str) or not dt > 0 or dt == float("inf"):
        raise ValueError(f"integrator: dt is {dt!r} ms; give a positive step such as 0.1.")
    return float(dt)


class AbstractIntegrator(eqx.Module):
    """`dt`: the step in ms, > 0."""

    dt: eqx.AbstractVar[float]

    @abc.abstractmethod
    def step(self, drift: Drift, bound: Bound, x: State, kick: Kick | None) -> State:
        """The state after one step.

        `bound` keeps state variables in their range and is applied to predictors and to the
        result; `kick(x)` is the noise increment of this step at a state, of the same random
        numbers whenever it is called; None is no noise.
        """

    @property
    def takes_noise(self) -> bool:
        """Whether the method is one for stochastic equations, too."""
        return True

    @property
    def needs_no_delays(self) -> bool:
        """Whether the method is one for networks without delays alone."""
        return False

    @property
    def ahead(self) -> int:
        """How many steps ahead of the beginning the method wants the coupling, 0 or 1."""
        return 0


class Euler(AbstractIntegrator):
    """Forward Euler, `B(x + dt f(x) + z)`; with noise Euler-Maruyama.

    Order 1. With noise (Itô): weak order 1, strong order 1/2, 1 where the noise is additive.
    """

    dt: float = eqx.field(static=True, converter=_checked_step)

    def step(self, drift, bound, x, kick):
        return bound(_add(x + self.dt * drift(x), _at(kick, x)))


class Heun(AbstractIntegrator):
    """Heun's predictor-corrector, TVB's form: `k1 = f(x)`, `xp = B(x + dt k1 + z)`,
    `B(x + dt/2 (k1 + f(xp)) + z)`; the same increment z in both stages.

    Order 2. With noise (Itô: z is that of the step's beginning): strong order 1 where the noise is
    additive, else 1/2; weak order 2 where it is additive. Rüemelin (1982), SIAM J. Numer. Anal.
    19:604.
    """

    dt: float = eqx.field(static=True, converter=_checked_step)

    def step(self, drift, bound, x, kick):
        first, z = drift(x), _at(kick, x)
        predictor = bound(_add(x + self.dt * first, z))
        return bound(_add(x + self.dt / 2.0 * (first + drift(predictor)), z))


class RecoupledHeun(AbstractIntegrator):
    """Heun with the coupling computed anew in the second stage, from the predicted network.

    Order 2 in the coupling, too; nearly twice the cost of Heun.
    """

    dt: float = eqx.field(static=True, converter=_checked_step)

    @property
    def ahead(self) -> int:
        return 1

    def step(self, drift, bound, x, kick):
        first, z = drift(x), _at(kick, x)
        predictor = bound(_add(x + self.dt * first, z))
        second = drift.recoupled(predictor, 1)
        return bound(_add(x + self.dt / 2.0 * (first + second), z))


class StratonovichHeun(AbstractIntegrator):
    """Heun with the noise averaged over both stages: `z = (g(x) + g(xp)) dW / 2`.

    Converges to the solution in Stratonovich's sense; strong order 1 for one noise a variable whose
    strength depends on that variable. With additive noise it is Heun.
    Kloeden & Platen (1992), Numerical Solution of SDEs, ch. 15.5.
    """

    dt: float = eqx.field(static=True, converter=_checked_step)

    def step(self, drift, bound, x, kick):
        first, z = drift(x), _at(kick, x)
        predictor = bound(_add(x + self.dt * first, z))
        if kick is not None:
            z = 0.5 * (kick(x) + kick(predictor))
        return bound(_add(x + self.dt / 2.0 * (first + drift(predictor)), z))


class RK4(AbstractIntegrator):
    """The classical fourth-order Runge-Kutta method, bounds applied after every stage.

    Noise (Itô) is added to the result: strong order 1 with additive noise, no better than Heun.
    """

    dt: float = eqx.field(static=True, converter=_checked_step)

    def step(self, drift, bound, x, kick):
        half = self.dt / 2.0
        k1 = drift(x)
        k2 = drift(bound(x + half * k1))
        k3 = drift(bound(x + half * k2))
        k4 = drift(bound(x + self.dt * k3))
        moved = x + self.dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        return bound(_add(moved, _at(kick, x)))


class SemiImplicitEuler(AbstractIntegrator):
    """Linearly implicit Euler, for stiff models: `x + dt (1 - dt J)^-1 f(x) + z`.

    J is the Jacobian of each region's own equations. Order 1; stable for any dt where they decay.
    With noise (Itô) as Euler. Hairer & Wanner (1996), Solving ODEs II, ch. IV.7.
    """

    dt: float = eqx.field(static=True, converter=_checked_step)

    def step(self, drift, bound, x, kick):
        slope, jacobian = _linearised(drift, x)
        matrix = jnp.eye(x.shape[0], dtype=x.dtype)[None] - self.dt * jacobian
        moved = jnp.linalg.solve(matrix, slope.T[..., None])[..., 0].T
        return bound(_add(x + self.dt * moved, _at(kick, x)))


class ExponentialEuler(AbstractIntegrator):
    """Exponential Euler, for stiff models: `x + dt phi(dt J) f(x) + z`, phi(z) = (e^z - 1)/z.

    Exact for linear local dynamics, order 2 in general (in the coupling 1). J as in
    SemiImplicitEuler. With noise (Itô) as Euler. Hochbruck & Ostermann (2010), Acta Numerica
    19:209, eq. 1.7 (the exponential Rosenbrock-Euler method).
    """

    dt: float = eqx.field(static=True, converter=_checked_step)

    def step(self, drift, bound, x, kick):
        slope, jacobian = _linearised(drift, x)
        # exp of [[J, f], [0, 0]] dt has dt phi(dt J) f in its last column.
        count = x.shape[0]
        right = jnp.concatenate([jacobian, slope.T[..., None]], axis=2)
        whole = jnp.concatenate([right, jnp.zeros_like(right[:, :1])], axis=1)
        moved = jax.vmap(jax.scipy.linalg.expm)(self.dt * whole)[:, :count, count].T
        return bound(_add(x + moved, _at(kick, x)))


class Diffrax(AbstractIntegrator):
    """A solver of diffrax with adaptive steps, from sample to sample; for networks without delays.

    `dt` is the distance of the states that monitors see; within it `solver` (such as
    `diffrax.Tsit5()`) takes the steps that `rtol` and `atol` need, with the coupling computed anew
    in every stage. No noise. Needs the package diffrax. Bounds hold at the end of each dt.
    """

    dt: float = eqx.field(static=True, converter=_checked_step)
    solver: Any
    rtol: float = eqx.field(static=True, default=1e-6)
    atol: float = eqx.field(static=True, default=1e-8)
    max_steps: int = eqx.field(static=True, default=4096)

    def __check_init__(self):
        try:
            import diffrax
        except ImportError:
            raise ImportError(
                "integrators.Diffrax needs the package diffrax: pip install 'tvbjax[diffrax]'."
            ) from None
        if not isinstance(self.solver, diffrax.AbstractAdaptiveSolver):
            raise TypeError(
                f"integrators.Diffrax: the solver is a {type(self.solver).__name__}; pass one that "
                "adapts its steps, such as diffrax.Tsit5() or diffrax.Kvaerno5()."
            )
        if not (self.rtol >= 0 and self.atol >= 0 and self.rtol + self.atol > 0):
            raise ValueError(
                f"integrators.Diffrax: rtol is {self.rtol} and atol {self.atol}; give tolerances "
                "of 0 or more, of which one is above 0."
            )

    @property
    def takes_noise(self) -> bool:
        return False

    @property
    def needs_no_delays(self) -> bool:
        return True

    def step(self, drift, bound, x, kick):
        import diffrax

        found = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, args: drift.recoupled(y, 0)),
            self.solver,
            t0=0.0,
            t1=self.dt,
            dt0=None,
            y0=x,
            stepsize_controller=diffrax.PIDController(rtol=self.rtol, atol=self.atol),
            saveat=diffrax.SaveAt(t1=True),
            max_steps=self.max_steps,
            throw=False,
        )
        assert found.ys is not None
        states = eqx.error_if(
            found.ys,
            found.result != diffrax.RESULTS.successful,
            f"integrators.Diffrax: {type(self.solver).__name__} could not cross {self.dt:g} ms in "
            f"{self.max_steps} steps; give larger rtol and atol, more max_steps, a smaller dt, or "
            "a solver for stiff equations, such as diffrax.Kvaerno5().",
        )
        return bound(states[0])


def _at(kick: Kick | None, x: State) -> State | None:
    return None if kick is None else kick(x)


def _add(x: State, kick: State | None) -> State:
    return x if kick is None else x + kick


def _linearised(drift: Drift, x: State) -> tuple[State, Float[Array, "node state state"]]:
    """The drift, and its Jacobian within each region; regions meet in the held coupling alone."""
    slope, push = jax.linearize(drift, x)
    directions = jnp.eye(x.shape[0], dtype=x.dtype)

    def column(direction):
        return push(jnp.broadcast_to(direction[:, None], x.shape))

    return slope, jnp.moveaxis(jax.vmap(column)(directions), (0, 1, 2), (2, 1, 0))
