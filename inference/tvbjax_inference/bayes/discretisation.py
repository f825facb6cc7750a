"""How far a posterior depends on the step of the integrator."""

import dataclasses
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from tvbjax import Simulator
from tvbjax.kinds import check_count, check_kind
from tvbjax.monitors import Raw, SubSample
from tvbjax_inference.bayes.flat import flat_of
from tvbjax_inference.bayes.program import Program

if TYPE_CHECKING:
    import xarray as xr

NEGLIGIBLE = 0.1  # nats


@dataclasses.dataclass(frozen=True, eq=False)
class StepHalving:
    """`changes`: of the log density of each of some draws when steps are half as long, nats."""

    changes: Float[np.ndarray, " draw"]

    @property
    def negligible(self) -> bool:
        """Whether all are less than 0.1 nat."""
        return bool(np.abs(self.changes).max() < NEGLIGIBLE)

    def __str__(self) -> str:
        most, spread = float(np.abs(self.changes).max()), float(self.changes.std())
        said = (
            f"Half the step changes the log density by {most:.2g} nats at most, and from draw to "
            f"draw by {spread:.2g}"
        )
        if self.negligible:
            return f"{said}: it is small enough."
        return (
            f"{said}, more than {NEGLIGIBLE}: the posterior is that of these steps, and not of the "
            "equations; take a smaller dt, or RecoupledHeun where regions are coupled, or a larger "
            "error of the model."
        )


def step_halving(program: Program, tree: "xr.DataTree", draws: int = 20) -> StepHalving:
    """The log density of some draws of `sample`, with steps as they are and half as long.

    Raises `ValueError` for a simulator with noise or delays, of which a path or a history belongs
    to the steps.
    """
    check_kind("step_halving: program", program, Program, "bayes.program(...)")
    check_count("step_halving: draws", draws)
    positions = _positions(program, tree)
    finer = dataclasses.replace(program, simulator=_finer(program.simulator))
    chosen = jnp.asarray(positions[np.linspace(0, len(positions) - 1, draws).astype(int)])
    now, then = (
        jax.jit(lambda x, one=one: lax.map(flat_of(one).potential, x))(chosen)
        for one in (program, finer)
    )
    return StepHalving(np.asarray(now - then))


def _positions(program: Program, tree: "xr.DataTree") -> Float[np.ndarray, "draw number"]:
    """All draws in unbounded numbers. Raises `ValueError` for a tree of another program."""
    if "unconstrained_posterior" not in getattr(tree, "children", {}):
        raise ValueError(
            "step_halving: the tree has no group 'unconstrained_posterior'; give what sample "
            "returned."
        )
    found = np.asarray(tree["unconstrained_posterior"]["position"])
    own, sites = flat_of(program).names, tree["posterior"].data_vars
    absent = [name for name in program.free if name not in sites]
    if found.shape[-1] != len(own) or absent:
        lacks = f", and no '{absent[0]}'" if absent else ""
        raise ValueError(
            f"step_halving: the tree is of another program: it has {found.shape[-1]} unknown "
            f"numbers{lacks}, and the program has {len(own)}; give the program that the tree was "
            "drawn from."
        )
    return found.reshape(-1, found.shape[-1])


def _finer(simulator: Simulator) -> Simulator:
    """With half the step; monitors keep their periods."""
    if simulator.noise is not None or simulator.horizon > 1:
        raise ValueError(
            "step_halving: the simulator has noise or delays, and then a run of other steps is "
            "another run; compare posteriors instead."
        )
    dt = simulator.integrator.dt
    monitors = tuple(
        SubSample(dt, one.variables, name=one.name) if isinstance(one, Raw) else one
        for one in simulator.monitors
    )
    return Simulator(
        model=simulator.model,
        connectome=simulator.connectome,
        coupling=simulator.coupling,
        integrator=dataclasses.replace(simulator.integrator, dt=dt / 2.0),
        stimulus=simulator.stimulus,
        monitors=monitors,
    )
