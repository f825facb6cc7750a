"""Monitors that sample or average the variables of interest."""

import equinox as eqx
import jax.numpy as jnp

from tvbjax.monitors._arguments import as_time, check_period, chosen_variables
from tvbjax.monitors._monitor import AbstractMonitor, period_ends
from tvbjax.monitors._windows import add_block, close_windows, open_windows, put_rows


class Raw(AbstractMonitor):
    """Every step, stamped at `s dt`. Keeps the whole trajectory: for short runs."""

    period: float | None = eqx.field(default=None, static=True, init=False)
    variables: tuple[str, ...] | None = eqx.field(
        default=None, static=True, converter=chosen_variables
    )
    name: str = eqx.field(default="raw", static=True)

    @property
    def pointwise(self) -> bool:
        return True

    def start(self, past, dt):
        return (jnp.zeros_like(past[-1]),)

    def open(self, carried, chunk):
        return jnp.zeros((chunk.steps, *carried[0].shape), carried[0].dtype)

    def update(self, buffer, block, offset, chunk):
        return put_rows(buffer, block, offset)

    def close(self, carried, buffer, chunk):
        return carried, buffer

    def times(self, first, steps, dt):
        return period_ends(first, steps, 1) * dt


class SubSample(AbstractMonitor):
    """The state at the end of every period, stamped there, `s dt`."""

    period: float = eqx.field(static=True, converter=as_time)
    variables: tuple[str, ...] | None = eqx.field(
        default=None, static=True, converter=chosen_variables
    )
    name: str = eqx.field(default="subsample", static=True)

    def __check_init__(self):
        check_period(type(self).__name__, self.period)

    @property
    def pointwise(self) -> bool:
        return True

    def start(self, past, dt):
        return (jnp.zeros_like(past[-1]),)

    def open(self, carried, chunk):
        return open_windows(carried[0], self.period_steps(chunk.dt), chunk)

    def update(self, buffer, block, offset, chunk):
        period = self.period_steps(chunk.dt)
        step = chunk.phase + offset + 1 + jnp.arange(block.shape[0], dtype=jnp.int32)
        ends = (step % period == 0)[:, None, None]
        return add_block(buffer, jnp.where(ends, block, 0.0), offset, period, chunk)

    def close(self, carried, buffer, chunk):
        unfinished, samples, _ = close_windows(buffer, self.period_steps(chunk.dt), chunk)
        return (unfinished,), samples

    def times(self, first, steps, dt):
        return period_ends(first, steps, self.period_steps(dt)) * dt


class TemporalAverage(AbstractMonitor):
    """The mean over every period, stamped at the period's centre, `(s - p/2) dt` for the p steps
    that end at step s."""

    period: float = eqx.field(static=True, converter=as_time)
    variables: tuple[str, ...] | None = eqx.field(
        default=None, static=True, converter=chosen_variables
    )
    name: str = eqx.field(default="temporal_average", static=True)

    def __check_init__(self):
        check_period(type(self).__name__, self.period)

    @property
    def pointwise(self) -> bool:
        return True

    def start(self, past, dt):
        return (jnp.zeros_like(past[-1]),)

    def open(self, carried, chunk):
        return open_windows(carried[0], self.period_steps(chunk.dt), chunk)

    def update(self, buffer, block, offset, chunk):
        period = self.period_steps(chunk.dt)
        return add_block(buffer, block, offset, period, chunk)

    def close(self, carried, buffer, chunk):
        period = self.period_steps(chunk.dt)
        unfinished, sums, _ = close_windows(buffer, period, chunk)
        return (unfinished,), sums / period

    def times(self, first, steps, dt):
        period = self.period_steps(dt)
        return (period_ends(first, steps, period) - period / 2) * dt
