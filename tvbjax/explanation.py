"""What the engine does with a simulator, and why: for people who want to know or to override."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from tvbjax.connections import delays_of, needs_of, range_of
from tvbjax.engine import fits, predictions, span_of
from tvbjax.ensemble import member_bytes, members_per_call, tile_for
from tvbjax.simulation import whole_steps
from tvbjax.simulator import Simulator
from tvbjax.sizes import size_text


@dataclasses.dataclass(frozen=True)
class Explanation:
    """How a simulator is run. `str()` of it is for reading.

    `taps`: steps of the past that a connection reads; where it is more than one, what is said of
    connections but their number is said of these.
    `block`: steps that are taken together, `reach`: steps for which the far connections are summed
    at once, `chosen`: whether the engine chose them, `predicted`: nanoseconds a step that the
    coupling would cost, by block and reach. `far`, `long`, `short`, `alone`: connections that are
    read a reach at a time, a block at a time, step by step, and from a region to itself at once;
    `bundles`: rows and slots of the lists of those that are read far or long. `span`: steps that
    monitors get together, `fitting`: whether their windows fit in.

    For sweeps: `tile`: members side by side, `batch`: members of one call, `calls`, `devices`;
    `working_bytes`: memory of the calls that run at a time; `result_bytes`: of all samples.
    """

    backend: str
    dtype: str
    nodes: int
    regions: int
    connections: int
    taps: int
    delays: tuple[int, int]
    horizon: int
    dense: bool
    block: int
    reach: int
    chosen: bool
    predicted: dict[tuple[int, int], float]
    far: int
    long: int
    short: int
    alone: int
    bundles: tuple[tuple[int, ...], ...]
    span: int
    fitting: bool
    generator: str | None
    members: int
    tile: int
    batch: int
    calls: int
    devices: int
    working_bytes: int
    result_bytes: int

    def __str__(self) -> str:
        return "\n".join((*self._network(), *self._blocks(), *self._sweep()))

    def _network(self) -> list[str]:
        least, greatest = self.delays
        surface = self.nodes != self.regions
        nodes = f"{self.nodes} nodes of a surface, " if surface else ""
        return [
            f"{nodes}{self.regions} regions, {self.connections} connections, delays of {least} to "
            f"{greatest} steps, {self.dtype} on {self.backend}",
            f"noise: {self.generator or 'none drawn'}",
        ]

    def _blocks(self) -> list[str]:
        if self.horizon == 1:
            how = "as a product of matrices" if self.dense else "from lists of connections"
            return [f"no delays: what arrives is summed {how}", self._spans()]
        what = "connections" if self.taps == 1 else "taps of connections"
        why = "predicted to be fastest" if self.chosen else "as asked for with block="
        costs = ", ".join(f"{_steps(*both)}: {cost:.0f}" for both, cost in self.predicted.items())
        slots = sum(math.prod(shape) for shape in self.bundles)
        return [
            f"blocks of {_steps(self.block, self.reach)} steps, {why} (ns a step: {costs})",
            f"  {self.far} {what} are read {self.reach} steps at a time, {self.long} "
            f"{self.block} at a time, in {len(self.bundles)} bundles of {slots} slots; "
            f"{self.short} are too short for that and read step by step; {self.alone} lead from a "
            "region to itself at once",
            self._spans(),
        ]

    def _spans(self) -> str:
        fit = "whole windows" if self.fitting else "windows cut across"
        return f"monitors get {self.span} steps at a time, {fit}"

    def _sweep(self) -> list[str]:
        return [
            f"{self.members} members: tiles of {self.tile} side by side, {self.batch} in a call, "
            f"{self.calls} call{_s(self.calls)} on {self.devices} device{_s(self.devices)}",
            f"  about {size_text(self.working_bytes)} while they run; all samples of all members: "
            f"{size_text(self.result_bytes)} (measure= keeps less, store= keeps them on disk)",
        ]


def explain(simulator: Simulator, *, members: int = 1, duration: float = 1000.0) -> Explanation:
    """What is done with a simulator, and with a sweep of `members` runs of `duration` ms.

    `print(tvbjax.explain(simulator))`. Override the block with `Simulator(block=)`, the tile with
    `sweep(tile=)`.
    """
    if not isinstance(simulator, Simulator):
        raise TypeError(f"explain: simulator is {simulator!r:.60}; give a tvbjax.Simulator.")
    if isinstance(members, bool) or not isinstance(members, int) or members < 1:
        raise ValueError(f"explain: members is {members!r}; give a number of simulations.")
    layout, dt = simulator.layout, simulator.integrator.dt
    delays = delays_of(simulator)
    needs, taps = needs_of(simulator, *range_of(simulator)), simulator.delays.taps
    span = span_of(layout.reach, needs.windows)
    steps = whole_steps(duration, dt)
    tile = tile_for(simulator, members)
    batch = members_per_call(simulator, steps, members, tile)
    samples = sum(
        len(monitor.times(0, steps, dt))
        * len(simulator.observed[number])
        * math.prod(map(len, simulator.sample_axes(number)))
        for number, monitor in enumerate(simulator.monitors)
    )
    per_member = samples * jnp.dtype(jnp.result_type(float)).itemsize
    generator = None if simulator.noise is None else simulator.noise.draws_from
    return Explanation(
        backend=jax.default_backend(),
        dtype=str(jnp.result_type(float)),
        nodes=simulator.nodes,
        regions=simulator.regions,
        connections=len(simulator.edges.targets),
        taps=taps,
        delays=(int(delays.min(initial=simulator.horizon - 1)), int(delays.max(initial=0))),
        horizon=simulator.horizon,
        dense=layout.dense,
        block=layout.block,
        reach=layout.reach,
        chosen=simulator.block is None,
        predicted=predictions(simulator.edges.repeated(taps), needs),
        far=len(layout.far.chosen),
        long=len(layout.long.chosen),
        short=len(layout.short.chosen),
        alone=0 if layout.alone is None else int((np.asarray(layout.alone) >= 0).sum()),
        bundles=tuple(part.edges.shape for part in (*layout.far.parts, *layout.long.parts)),
        span=span,
        fitting=fits(span, needs.windows),
        generator=None if generator is None else type(generator).__name__,
        members=members,
        tile=tile,
        batch=batch,
        calls=-(-members // batch),
        devices=len(jax.local_devices()),
        working_bytes=batch * (member_bytes(simulator) + per_member),
        result_bytes=members * per_member,
    )


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _steps(block: int, reach: int) -> str:
    return str(block) if block == reach else f"{block} in {reach}"
