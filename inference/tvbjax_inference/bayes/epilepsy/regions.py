"""What a posterior says of every region: probabilities, never a label alone.

A region is epileptogenic by the first definition if its excitability is above -2.05, where an
Epileptor alone has seizures (Proix et al. 2014, J. Neurosci. 34:15009), and by the second if it
discharges within 10 s of the first region that does (Vattikonda et al. 2021, Communications
Biology 4:1244).
"""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax import lax
from jaxtyping import Array

from tvbjax.kinds import check_kind, check_number
from tvbjax_inference.bayes.epilepsy.priors import THRESHOLD
from tvbjax_inference.bayes.epilepsy.runs import (
    check_finished,
    check_patient,
    check_tree,
    chosen_draws,
    onsets,
    watched,
)
from tvbjax_inference.bayes.program import Program

if TYPE_CHECKING:
    import xarray as xr

# Data said something of a region if they took so much of its prior variance, or moved its mean by
# so many of the prior's deviations; 500 prior draws leave 0.06 of both to chance.
LEAST_SHRINKAGE = 0.2
LEAST_SHIFT = 0.5

# How many runs are held at once.
_BATCH = 25


def activity(
    program: Program,
    tree: "xr.DataTree",
    *,
    draws: int = 200,
    seed: int = 0,
    duration: float | int | None = None,
) -> "xr.Dataset":
    """Draws of the posterior run again: `onset` (draw, region), ms of the model, the first time
    that the region's x is above 0, NaN if it never is; and `recruited`, whether it is.

    `draws`: how many, chosen among all chains' by `seed`. `duration`: ms, by default as long as the
    data.

    Raises `TypeError` or `ValueError` where tree and program do not fit, `FloatingPointError` where
    a run diverges.
    """
    import xarray as xr

    names = program.begins_by if isinstance(program, Program) else ()
    check_patient("activity", program, tree, names)
    watching = watched(program)
    length = program.length if duration is None else float(duration)
    if program.state_noise is not None and length > program.length:
        raise ValueError(
            f"activity: duration is {length:g} ms, and the path of the state's noise is known for "
            f"the {program.length:g} ms of the data; give no more."
        )

    def run(values: dict[str, Array]) -> Array:
        simulator, initial = watching.begun(values)
        return onsets(simulator, initial, program.key, length)

    values = chosen_draws(tree, names, draws, seed)
    times = np.asarray(jax.jit(lambda v: lax.map(run, v, batch_size=_BATCH))(values))
    check_finished("activity", times)
    recruited = np.isfinite(times)
    return xr.Dataset(
        {
            "onset": (("draw", "region"), np.where(recruited, times, np.nan), {"units": "ms"}),
            "recruited": (("draw", "region"), recruited),
        },
        coords={"region": np.array(program.simulator.connectome.labels)},
        attrs={"duration": length},
    )


def summary(
    tree: "xr.DataTree",
    activity: "xr.Dataset | None" = None,
    *,
    threshold: float | int = THRESHOLD,
    level: float = 0.9,
    within: float | int = 10.0,
) -> "xr.Dataset":
    """What is known of every region.

    `epileptogenic`, `prior`: the probability of an excitability above `threshold`, after and before
    the data. `mean`, `low`, `high`: of the excitability, with the equal-tailed interval of
    probability `level`. `shrinkage`: 1 - var_posterior / var_prior. `shift`: how far the mean
    moved, in the prior's deviations. `known`: whether the data said anything: a shrinkage above 0.2
    or a shift above 0.5; elsewhere the posterior is the prior, and no finding.

    With an `activity`: `recruited`, the probability of a discharge; `onset`, `onset_low`,
    `onset_high`: the median and interval of its time in the draws that have one, ms; `early`: the
    probability of a discharge within `within` ms of the first region's, which is the second
    definition of epileptogenic. The model's ms are what a second is to a patient if its slow
    variable's pace is chosen so: 10 stand for 10 s then.

    Raises `TypeError` or `ValueError` where the tree is no patient's.
    """
    import xarray as xr

    check_tree("summary", tree, ("excitability",))
    check_tree("summary", tree, ("excitability",), "prior")
    check_number("summary: threshold", threshold)
    check_number("summary: within", within, least=0.0)
    check_level("summary", level)
    after = tree["posterior"]["excitability"].stack(every=("chain", "draw"))
    before = tree["prior"]["excitability"].stack(every=("chain", "draw"))
    deviation = before.std("every")
    shrinkage = 1.0 - after.var("every") / deviation**2
    shift = abs(after.mean("every") - before.mean("every")) / deviation
    ends = after.quantile([(1 - level) / 2, (1 + level) / 2], "every").drop_vars("quantile")
    found = {
        "epileptogenic": (after > threshold).mean("every"),
        "prior": (before > threshold).mean("every"),
        "mean": after.mean("every"),
        "low": ends[0],
        "high": ends[1],
        "shrinkage": shrinkage,
        "shift": shift,
        "known": (shrinkage > LEAST_SHRINKAGE) | (shift > LEAST_SHIFT),
    }
    attributes: dict[str, Any] = {"threshold": float(threshold), "level": level}
    if activity is not None:
        found |= _of_activity(activity, level, within)
        attributes["within"] = float(within)
    return xr.Dataset(found, attrs=attributes)


def _of_activity(activity: "xr.Dataset", level: float, within: float) -> dict[str, "xr.DataArray"]:
    import xarray as xr

    check_kind("summary: activity", activity, xr.Dataset, "epilepsy.activity(program, tree)")
    onset, recruited = activity["onset"], activity["recruited"]
    times = onset.values
    ends = np.full((3, onset.sizes["region"]), np.nan)
    some = recruited.values.any(axis=0)
    tails = [0.5, (1 - level) / 2, (1 + level) / 2]
    ends[:, some] = np.nanquantile(times[:, some], tails, axis=0)
    first = np.where(recruited.values, times, np.inf).min(axis=1, keepdims=True)
    early = recruited & (onset <= first + within)
    found = {"recruited": recruited.mean("draw"), "early": early.mean("draw")}
    for name, row in zip(("onset", "onset_low", "onset_high"), ends, strict=True):
        found[name] = recruited[0].copy(data=row)
    return found


def cells(summary: "xr.Dataset", most: int | None = None) -> tuple[tuple[str, ...], ...]:
    """A summary as text: a row of headings, and a row for each region, the most probably
    epileptogenic first, those of which nothing is known last. `most`: rows at most."""
    percent = f"{100 * summary.attrs['level']:.0f} %"
    threshold = summary.attrs["threshold"]
    head = ["region", f"P(excitability > {threshold:g})", "prior", f"excitability ({percent})"]
    runs = "recruited" in summary
    if runs:
        head += ["P(recruited)", "P(early)", f"onset, ms ({percent})"]
    rows = [(*head, "shrinkage", "known from data")]
    for place in ranked(summary)[:most]:
        one = summary.isel(region=place)
        row = [
            str(one["region"].values),
            f"{float(one['epileptogenic']):.2f}",
            f"{float(one['prior']):.2f}",
            f"{float(one['mean']):.2f} ({float(one['low']):.2f} to {float(one['high']):.2f})",
        ]
        if runs:
            row += [f"{float(one['recruited']):.2f}", f"{float(one['early']):.2f}", _onset(one)]
        rows.append((*row, f"{float(one['shrinkage']):.2f}", _known(one)))
    return tuple(rows)


def to_table(summary: "xr.Dataset", most: int | None = None) -> str:
    """`cells` in columns, to be printed."""
    rows = cells(summary, most)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def ranked(summary: "xr.Dataset") -> list[int]:
    """Regions, the most probably epileptogenic first, by their means where that is equal; those of
    which nothing is known last."""
    unlikely, below = -summary["epileptogenic"].values, -summary["mean"].values
    return np.lexsort((below, unlikely, ~summary["known"].values)).tolist()


def check_level(who: str, level: float) -> None:
    """Raises `ValueError` for what is no probability of an interval."""
    check_number(f"{who}: level", level, above=0.0)
    if level >= 1.0:
        raise ValueError(f"{who}: level is {level:g}; give a probability below 1, such as 0.9.")


def _known(region: "xr.Dataset") -> str:
    if bool(region["known"]):
        return "yes"
    wider = float(region["shrinkage"]) < -LEAST_SHRINKAGE
    return "no: wider than the prior" if wider else "no: as the prior"


def _onset(region: "xr.Dataset") -> str:
    middle, low, high = (float(region[name]) for name in ("onset", "onset_low", "onset_high"))
    return "none" if np.isnan(middle) else f"{middle:.1f} ({low:.1f} to {high:.1f})"
