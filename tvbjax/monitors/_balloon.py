"""The BOLD signal by the Balloon-Windkessel equations, integrated while the network runs.

    s' = efficacy x - s / tau_s - (f - 1) / tau_f            vasodilatory signal
    f' = s                                                   blood inflow
    tau_o v' = f - v^(1/alpha)                               blood volume
    tau_o q' = f (1 - (1 - E0)^(1/f)) / E0 - v^(1/alpha - 1) q    deoxyhaemoglobin

f, v and q are integrated as logarithms, so that no power of a negative number is taken. Activity
below -1 / (tau_f efficacy) for long stops the inflow, and the signal becomes NaN: the run says so.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from tvbjax.arrays import as_numbers, is_traced
from tvbjax.kinds import check_kind
from tvbjax.monitors._arguments import as_time, check_numbers, chosen_variables
from tvbjax.monitors._interim import AbstractHaemodynamic, means_of_past, sample_ends
from tvbjax.monitors._windows import close_windows

_STOPPED = -12.0  # of ln f: an inflow that will not come back
_LEAST_FLOW = 0.05  # of the steady state before t = 0; a drive below -1/tau_f has none


class Haemodynamics(eqx.Module):
    """Parameters of blood and magnet, each a number or one value for every region.

    `efficacy`: 1/s per unit of activity. `tau_s`, `tau_f`: s, decay and feedback of the signal.
    `tau_o`: s, mean transit time. `alpha`: Grubb's exponent. `E0`: oxygen extraction at rest. `V0`:
    blood volume at rest, in the unit of the signal (4 for per cent). `TE`: s, echo time. `nu0`: Hz,
    frequency offset. `epsilon`: ratio of intra- to extravascular signal. `r0`: Hz, slope of the
    relaxation rate. Stephan et al. (2007), NeuroImage 38:387, table 1 and eqs. 4 to 13: the revised
    model; constants as in TVB.
    """

    efficacy: Array = eqx.field(default=1.0, converter=as_numbers)
    tau_s: Array = eqx.field(default=1.54, converter=as_numbers)
    tau_f: Array = eqx.field(default=1.44, converter=as_numbers)
    tau_o: Array = eqx.field(default=0.98, converter=as_numbers)
    alpha: Array = eqx.field(default=0.32, converter=as_numbers)
    E0: Array = eqx.field(default=0.4, converter=as_numbers)
    V0: Array = eqx.field(default=4.0, converter=as_numbers)
    TE: Array = eqx.field(default=0.04, converter=as_numbers)
    nu0: Array = eqx.field(default=40.3, converter=as_numbers)
    epsilon: Array = eqx.field(default=0.5, converter=as_numbers)
    r0: Array = eqx.field(default=25.0, converter=as_numbers)

    def __check_init__(self):
        for field in dataclasses.fields(self):
            check_numbers("Haemodynamics", **{field.name: getattr(self, field.name)})
        for name in ("tau_s", "tau_f", "tau_o", "alpha", "E0", "V0", "TE"):
            value = getattr(self, name)
            if not is_traced(value) and not (np.asarray(value) > 0).all():
                raise ValueError(f"Haemodynamics: {name} is {value}; give positive numbers.")
        if not is_traced(self.E0) and not (np.asarray(self.E0) < 1).all():
            raise ValueError(f"Haemodynamics: E0 is {self.E0}; it is a share, below 1.")

    def slope(self, state: Float[Array, "4 voi node"], drive: Float[Array, "voi node"]) -> Array:
        """The time derivative in 1/s of s, ln f, ln v, ln q."""
        s, log_f, log_v, log_q = state
        flow = jnp.exp(log_f)
        out = jnp.exp(log_v * (1.0 / self.alpha - 1.0))  # outflow per volume
        extracted = -jnp.expm1(jnp.log1p(-self.E0) / flow) / self.E0
        return jnp.stack(
            [
                self.efficacy * drive - s / self.tau_s - (flow - 1.0) / self.tau_f,
                s / flow,
                (flow / jnp.exp(log_v) - out) / self.tau_o,
                (flow * extracted / jnp.exp(log_q) - out) / self.tau_o,
            ]
        )

    def steady(self, drive: Float[Array, "voi node"]) -> Float[Array, "4 voi node"]:
        """The state at which a constant drive is in balance."""
        flow = jnp.maximum(1.0 + self.tau_f * self.efficacy * drive, _LEAST_FLOW)
        log_f = jnp.log(flow)
        extracted = -jnp.expm1(jnp.log1p(-self.E0) / flow) / self.E0
        log_v = self.alpha * log_f
        return jnp.stack([jnp.zeros_like(drive), log_f, log_v, log_v + jnp.log(extracted)])

    def signal(self, log_v: Array, log_q: Array) -> Array:
        """BOLD, `V0 (k1 (1 - q) + k2 (1 - q/v) + k3 (1 - v))`, of ln v and ln q."""
        volume, deoxy = jnp.exp(log_v), jnp.exp(log_q)
        k1 = 4.3 * self.nu0 * self.E0 * self.TE
        k2 = self.epsilon * self.r0 * self.E0 * self.TE
        k3 = 1.0 - self.epsilon
        within = k1 * (1.0 - deoxy) + k2 * (1.0 - deoxy / volume) + k3 * (1.0 - volume)
        return self.V0 * within


class BalloonWindkessel(AbstractHaemodynamic):
    """BOLD every `period` ms by the Balloon-Windkessel equations, stamped at the end of the period.

    `haemodynamics`: the parameters, regional ones included. `interim`: ms over which the activity
    is averaged and then held in the equations, by default the period's largest divisor up to 4 ms;
    the method is Runge-Kutta's of order 4. Before the history that is given as initial state the
    activity was that of its oldest row, and the blood in balance with that (inflow no less than
    0.05 of that at rest).
    """

    period: float = eqx.field(default=2000.0, static=True, converter=as_time)
    variables: tuple[str, ...] | None = eqx.field(
        default=None, static=True, converter=chosen_variables
    )
    haemodynamics: Haemodynamics = eqx.field(default_factory=Haemodynamics)
    name: str = eqx.field(default="bold", static=True)
    interim: float | None = eqx.field(default=None, static=True, converter=as_time)

    def __check_init__(self):
        where = "BalloonWindkessel: haemodynamics"
        check_kind(where, self.haemodynamics, Haemodynamics, "monitors.Haemodynamics(tau_s=1.5)")

    @property
    def remedy(self) -> str:
        return (
            "activity below -1 / (tau_f efficacy) for long stops the inflow of blood, and much far "
            "above 0 floods it: observe a variable that stays near 0, or lower the efficacy, "
            "Haemodynamics(efficacy=); with an interim that is long beside the times of its "
            "parameters the equations' own steps fail: give a shorter interim="
        )

    @property
    def pointwise(self) -> bool:
        return all(jnp.ndim(leaf) == 0 for leaf in jax.tree.leaves(self.haemodynamics))

    def check(self, nodes, dt):
        AbstractHaemodynamic.check(self, nodes, dt)
        for path, leaf in jax.tree_util.tree_leaves_with_path(self.haemodynamics):
            if jnp.shape(leaf) not in ((), (nodes,)):
                raise ValueError(
                    f"BalloonWindkessel: {path[0].name} has the shape {jnp.shape(leaf)}; give a "
                    f"number, or one value for each of the {nodes} nodes."
                )

    def start(self, past, dt):
        means = means_of_past(past, self.window_steps(dt))
        balanced = self._blood(2).steady(past[0])
        state, _ = lax.scan(lambda x, drive: (self._step(x, drive, dt), None), balanced, means)
        return jnp.zeros_like(past[-1]), state

    def close(self, carried, buffer, chunk):
        interim = self.window_steps(chunk.dt)
        unfinished, sums, finished = close_windows(buffer, interim, chunk)
        numbers = jnp.arange(sums.shape[0], dtype=jnp.int32)

        def one(state, scanned):
            number, drive = scanned
            later = self._step(state, drive, chunk.dt)
            state = jnp.where(number < finished, later, state)
            return state, (state[1], state[2], state[3])

        state, rows = lax.scan(one, carried[1], (numbers, sums / interim))
        per_sample = self.period_steps(chunk.dt) // interim
        ends = sample_ends(chunk, interim, per_sample, sums.shape[0])
        last = jnp.clip(ends - 1, 0, max(0, sums.shape[0] - 1))
        log_f, log_v, log_q = (jax.vmap(lambda row, of=of: of[row])(last) for of in rows)
        flows = log_f > _STOPPED
        return (unfinished, state), jnp.where(flows, self._blood(3).signal(log_v, log_q), jnp.nan)

    def _blood(self, axes: int) -> Haemodynamics:
        """The parameters in shapes that meet arrays of so many axes, nodes last."""
        first = (1,) * (axes - 1)
        return jax.tree.map(lambda x: x.reshape(*first, -1) if x.ndim else x, self.haemodynamics)

    def _step(self, state, drive, dt):
        """Over one mean, by the classical Runge-Kutta method."""
        step = 1e-3 * dt * self.window_steps(dt)
        blood = self._blood(2)
        k1 = blood.slope(state, drive)
        k2 = blood.slope(state + step / 2.0 * k1, drive)
        k3 = blood.slope(state + step / 2.0 * k2, drive)
        k4 = blood.slope(state + step * k3, drive)
        return state + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
