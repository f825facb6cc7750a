"""One resting brain by two simulators: tvbjax, and tvb-library as a command in its environment.

A network of oscillators (Generic2dOscillator) with delays and without noise, whose functional
connectivity is to be that of data: the loss is 1 minus the correlation of both upper triangles.
"""

import dataclasses
import os
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

import tvbjax
from tvbjax import coupling, integrators, monitors
from tvbjax_inference import objectives
from tvbjax_inference.l2l.dimensions import Real
from tvbjax_inference.l2l.examples.whole_brain import WholeBrain
from tvbjax_inference.l2l.optimisees import Command
from tvbjax_inference.l2l.space import Space
from tvbjax_inference.problem import Problem

# Run by another Python, and imported by none: it imports TVB.
_SCRIPT = str(Path(__file__).with_name("_tvb_resting.py"))
KNOWN = {"coupling": 0.01, "a": 2.0}


@dataclasses.dataclass(frozen=True, eq=False)
class Resting:
    """The network, and the connectivity that is to be reached.

    `weights`, `tract_lengths` (mm): (region, region), receiver first; `speed`: mm/ms. `initial`:
    (2, region), the state V, W up to t = 0. `duration`, of which `skip` is left out, and the step
    `dt`: ms. Sampled is V, once a ms. `target`: (region, region), by default what the model itself
    gives with `KNOWN` values.
    """

    weights: Float[np.ndarray, "region region"]
    tract_lengths: Float[np.ndarray, "region region"]
    initial: Float[np.ndarray, "2 region"]
    target: Float[np.ndarray, "region region"] | None = None
    speed: float = 4.0
    duration: float = 1500.0
    skip: float = 500.0
    dt: float = 0.5

    @property
    def space(self) -> Space:
        """The strength of the long-range coupling and the oscillators' a."""
        return Space(coupling=Real(0.001, 0.03, log=True), a=Real(1.6, 2.4))

    def simulator(self) -> tvbjax.Simulator:
        """In tvbjax, with `KNOWN` values."""
        return _with_known(
            tvbjax.Simulator(
                tvbjax.lems.load("Generic2dOscillator"),
                tvbjax.Connectome(self.weights, self.tract_lengths, self.speed),
                coupling.Linear(a=KNOWN["coupling"]),
                integrators.Heun(dt=self.dt),
                monitors=monitors.SubSample(1.0, variables=("V",)),
            )
        )

    def connectivity(self) -> Float[np.ndarray, "region region"]:
        """The target, or what the model gives with `KNOWN` values."""
        if self.target is not None:
            return np.asarray(self.target)
        run = tvbjax.simulate(self.simulator(), self.duration, initial=self.initial, progress=False)
        signals = np.asarray(run.samples["subsample"].values)[int(self.skip) :, 0]
        return np.corrcoef(signals.T)

    def brain(self) -> WholeBrain:
        """The optimisee in tvbjax. `a` and `coupling` are bounded as in the space."""
        free = {
            name: tvbjax.Free(where, tvbjax.Interval(*ends))
            for name, where, ends in (
                ("coupling", lambda s: s.coupling.a, (0.001, 0.03)),
                ("a", lambda s: s.model.params["a"], (1.6, 2.4)),
            )
        }
        objective = objectives.FunctionalConnectivity(self.connectivity(), skip=self.skip)
        simulator = self.simulator()
        return WholeBrain(Problem(simulator, free, objective, self.duration, initial=self.initial))

    def command(self, python: str | Path, folder: str | Path) -> Command:
        """The optimisee in TVB: `python` is that of an environment with tvb-library 2.10, such as
        `make parity` makes (`.venv-parity/bin/python`). Writes the network to `folder`, where it
        must stay as long as the study."""
        path = Path(folder).absolute() / "network.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            weights=self.weights,
            tract_lengths=self.tract_lengths,
            initial=self.initial,
            target=self.connectivity(),
            speed=self.speed,
            duration=self.duration,
            skip=self.skip,
            dt=self.dt,
        )
        # By its path as it is: the Python of an environment is a link that leads out of it.
        argv = [os.path.abspath(python), _SCRIPT, str(path), "{values}", "{result}"]
        # Our packages are none of that environment's.
        return Command(argv, self.space, result="result.json", environment={"PYTHONPATH": ""})


def _with_known(simulator: tvbjax.Simulator) -> tvbjax.Simulator:
    a = jnp.full_like(simulator.model.params["a"], KNOWN["a"])
    return eqx.tree_at(lambda s: s.model.params["a"], simulator, a)
