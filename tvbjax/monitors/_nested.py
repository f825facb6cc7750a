"""A monitor of another monitor's samples: what it takes over from that one."""

from typing import TYPE_CHECKING

import equinox as eqx

from tvbjax.kinds import check_kind
from tvbjax.monitors._monitor import AbstractMonitor


class AbstractNested(AbstractMonitor):
    """`of`: the other monitor, which observes and reduces."""

    if TYPE_CHECKING:

        @property
        def of(self) -> AbstractMonitor: ...
    else:
        of: eqx.AbstractVar[AbstractMonitor]

    def __check_init__(self):
        check_kind(f"{type(self).__name__}: of", self.of, AbstractMonitor, "TemporalAverage(1.0)")

    @property
    def variables(self) -> tuple[str, ...] | None:
        return self.of.variables

    @property
    def afferent(self) -> bool:
        return self.of.afferent

    @property
    def remedy(self) -> str:
        return self.of.remedy

    @property
    def combines(self) -> bool:
        return True

    def update(self, buffer, block, offset, chunk):
        return self.of.update(buffer, block, offset, chunk)

    def window_steps(self, dt: float) -> int:
        """The steps that the other monitor reduces together."""
        return self.of.window_steps(dt)
