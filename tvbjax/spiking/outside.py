"""Spiking simulators outside of JAX: the protocol by which a brain runs beside one.

Another simulator takes part by two classes: a `SpikingSimulator` that says what is simulated, and
a session that steps it window by window. NEST is one (`tvbjax.spiking.nest`); `InJax` runs our own
network in the same way, to compare with.
"""

import abc
from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from tvbjax.spiking import program
from tvbjax.spiking.network import Network
from tvbjax.spiking.program import Seen
from tvbjax.spiking.recording import recorded
from tvbjax.spiking.result import SpikingResult

Told = Mapping[str, Float[np.ndarray, "step *channel"]]


class Window(NamedTuple):
    """What a window gave, per population and step of the network: `counts` of spikes, and `means`
    of the quantities that the network's `Means` name, (step, quantity)."""

    counts: Mapping[str, Float[np.ndarray | Array, " step"]]
    means: Mapping[str, Float[np.ndarray | Array, "step quantity"]]


class AbstractSession(abc.ABC):
    """A simulation that goes on, window by window. To be closed, as by `with`."""

    @abc.abstractmethod
    def begin(self, signals: Told, steps: int) -> None:
        """Begin a window of so many steps of the network; may return before it is done.

        `signals`: what drives hear, per step.
        """

    @abc.abstractmethod
    def finish(self) -> Window:
        """Wait for the window that was begun. Raises `RuntimeError` where the simulator failed."""

    @abc.abstractmethod
    def result(self) -> SpikingResult:
        """What the network's monitors recorded so far."""

    @abc.abstractmethod
    def close(self) -> None:
        """Give back everything; does nothing the second time."""

    def __enter__(self) -> "AbstractSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AbstractSpikingSimulator(eqx.Module):
    """A network in a simulator of its own."""

    network: eqx.AbstractVar[Network]

    @abc.abstractmethod
    def open(self, key: Array | None) -> AbstractSession:
        """A session at t = 0. `key`: of its random numbers."""


_start = eqx.filter_jit(program.start)
_advance = eqx.filter_jit(program.advance)


class InJax(AbstractSpikingSimulator):
    """Our own network behind the protocol: slower than within the brain's jit, to compare with."""

    network: Network

    def open(self, key):
        return _JaxSession(self.network, key)


class _JaxSession(AbstractSession):
    def __init__(self, network: Network, key: Array | None):
        self._network, self._key = network, key
        self._carry = _start(network, key)
        self._pieces: list[dict[str, Seen]] = []

    def begin(self, signals, steps):
        # JAX goes on by itself, and is waited for in `finish`.
        told = {name: jax.numpy.asarray(values) for name, values in signals.items()}
        self._carry, seen = _advance(self._network, self._carry, self._key, steps, told)
        self._pieces.append(seen)

    def finish(self):
        seen = self._pieces[-1] = jax.tree.map(np.asarray, self._pieces[-1])
        return Window(
            {name: one.count for name, one in seen.items()},
            {name: one.means for name, one in seen.items()},
        )

    def result(self):
        steps = int(self._carry.step)
        return recorded(self._network, self._pieces, 0, steps, self._carry, complete=True)

    def close(self):
        pass
