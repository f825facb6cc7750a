"""Draws of a patient's posterior, run again: which draws, and when regions discharge in a run.

A region discharges while its first state variable, x of every Epileptor, is above 0.
"""

import dataclasses
from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax import Simulator, monitors, simulate
from tvbjax.kinds import check_count, check_kind
from tvbjax_inference.bayes.program import Program
from tvbjax_inference.moving_delays import laid_out

if TYPE_CHECKING:
    import xarray as xr

_WATCH = "discharge"


def check_tree(who: str, tree: "xr.DataTree", names: tuple[str, ...], group: str = "posterior"):
    """Raises `TypeError` for what is no tree, and `ValueError` where a group lacks a variable."""
    import xarray as xr

    check_kind(f"{who}: tree", tree, xr.DataTree, "what tvbjax.bayes.sample returned")
    if group not in tree.children:
        raise ValueError(
            f"{who}: the tree has no group '{group}'; give what tvbjax.bayes.sample returned."
        )
    for name in names:
        if name not in tree[group].data_vars:
            raise ValueError(
                f"{who}: the tree's group '{group}' has no '{name}'; it has "
                f"{', '.join(map(str, tree[group].data_vars))}. Give the tree of a patient_program."
            )


def check_patient(who: str, program: Program, tree: "xr.DataTree", names: tuple[str, ...]):
    """Raises `TypeError` or `ValueError` where a program is no patient's, or a tree another's."""
    check_kind(f"{who}: program", program, Program, "epilepsy.patient_program(...)")
    check_tree(who, tree, ("excitability", *names))
    labels = tuple(map(str, tree["posterior"].to_dataset()["region"].values))
    if labels != program.simulator.connectome.labels:
        differ = _difference(labels, program.simulator.connectome.labels)
        raise ValueError(f"{who}: {differ}; give the program that the tree was drawn from.")


def _difference(drawn: tuple[str, ...], own: tuple[str, ...]) -> str:
    """How the regions of a tree are not those of a program."""
    if len(drawn) != len(own):
        return f"the tree has {len(drawn)} regions and the program {len(own)}"
    place = next(i for i, label in enumerate(drawn) if label != own[i])
    return f"region {place} is '{drawn[place]}' in the tree and '{own[place]}' in the program"


def chosen_draws(
    tree: "xr.DataTree", names: tuple[str, ...], draws: int, seed: int
) -> dict[str, Array]:
    """The values of these sites in `draws` draws of all chains, chosen without putting back: with
    an axis of draws in front. All draws, in their order, where there are no more."""
    check_count("draws", draws)
    posterior = tree["posterior"].to_dataset()
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    places = np.arange(total)
    if draws < total:
        places = np.sort(np.random.default_rng(seed).choice(total, draws, replace=False))
    found = {}
    for name in names:
        values = posterior[name].transpose("chain", "draw", ...).values
        flat = values.reshape(total, *values.shape[2:])[places]
        found[name] = jnp.asarray(flat, jnp.result_type(float))
    return found


def watched(program: Program) -> Program:
    """The program, whose runs also keep every step of what tells discharges."""
    simulator = program.simulator
    watch = monitors.Raw(variables=simulator.model.state_variables[0], name=_WATCH)
    simulator = dataclasses.replace(simulator, monitors=(*simulator.monitors, watch))
    free = tuple(program.free.values())
    return dataclasses.replace(program, simulator=laid_out(simulator, free, tuple(program.free)))


def onsets(
    simulator: Simulator, initial: Array, key: Array | None, duration: float
) -> Float[Array, " region"]:
    """When each region begins to discharge, ms: 0 where it does so from the beginning, infinity
    where it never does, NaN in a run that diverged. `simulator`: a `watched` program's."""
    result = simulate(simulator, duration, initial=initial, key=key, progress=False)
    x = jnp.asarray(result.samples[_WATCH].values)[:, 0]
    now = initial[-1, 0] if initial.ndim == 3 else initial[0]
    above = jnp.concatenate([now[None], x]) > 0.0
    time = jnp.argmax(above, axis=0).astype(x.dtype) * simulator.integrator.dt
    found = jnp.where(above.any(axis=0), time, jnp.inf)
    return jnp.where(result.final.trouble[0] >= 0, jnp.nan, found)


def check_finished(who: str, times: Float[np.ndarray, "run region"]) -> None:
    """Raises `FloatingPointError` where a run diverged."""
    lost = int(np.isnan(times).any(axis=1).sum())
    if lost:
        raise FloatingPointError(
            f"{who}: {lost} of {len(times)} runs diverged, and say nothing of when regions "
            "discharge; give the simulator's integrator a smaller dt."
        )
