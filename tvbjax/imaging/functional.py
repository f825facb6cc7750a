"""From BOLD images to clean regional series: means over parcels, without what confounds explain.

Cleaning is nilearn's (Abraham et al. 2014, Front. Neuroinform. 8, 14), an optional extra.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from tvbjax.imaging._packages import needed
from tvbjax.kinds import check_number

if TYPE_CHECKING:
    import xarray as xr

_SHORTEST, _LONGEST = 50.0, 30_000.0  # ms, beyond which a repetition time has another unit
_FREE = 5  # samples more than what is taken out
_ROUNDING = 1e-8  # what is left of a signal that is taken out whole
_FEWEST = 10  # samples, below which nothing is said of correlations


def regional_series(
    bold: Float[np.ndarray, "*place time"],
    parcellation: Int[np.ndarray, "*place"],
    labels: Mapping[int, str],
    *,
    repetition_time: float,
    confounds: Float[np.ndarray, "time confound"] | None = None,
    band: tuple[float | None, float | None] = (None, None),
) -> "xr.DataArray":
    """Clean series of regions, (time, region), z-scored; time in ms at the end of each repetition.

    `bold`: of voxels (x, y, z, time) or of a surface's vertices (vertex, time). `parcellation`: the
    region of each, 0 for none. `labels`: names by number, in the order of the regions.
    `repetition_time`: ms. `confounds`: what is taken out by regression, as of fMRIPrep. `band`: Hz,
    the lowest and the highest frequency that stay, None for no end.

    Trends are taken out, and voxels that never change are passed by. Raises ValueError for a
    parcellation of another shape, labels without a voxel, confounds of another length, NaN.
    """
    import xarray as xr

    check_number("regional_series: repetition_time (ms)", repetition_time, above=0.0)
    if not _SHORTEST <= repetition_time <= _LONGEST:
        raise ValueError(
            f"regional_series: repetition_time is {repetition_time:g} ms, and BOLD is sampled "
            f"every {_SHORTEST:g} to {_LONGEST:g} ms; give ms, 2000 for 2 s."
        )
    names = list(labels.values())
    if not names or 0 in labels or len(set(names)) < len(names):
        raise ValueError(
            f"regional_series: labels are {len(names)} names, {len(set(names))} of them different"
            f"{', and one is for 0, which is no region' * (0 in labels)}; give one for each region."
        )
    if bold.shape[:-1] != parcellation.shape:
        raise ValueError(
            f"regional_series: BOLD of {bold.shape[:-1]} places and a parcellation of "
            f"{parcellation.shape}; resample the parcellation to the BOLD image, by nearest "
            "neighbours."
        )
    samples = bold.shape[-1]
    if samples < _FEWEST:
        raise ValueError(f"regional_series: {samples} samples; give {_FEWEST} or more.")
    confounds = _checked(confounds, samples)
    values = np.asarray(bold, np.float64).reshape(-1, samples)
    places = parcellation.ravel()
    columns, missing = [], []
    moving = values.std(axis=1) != 0  # also where it is NaN
    for number, name in labels.items():
        chosen = (places == number) & moving
        if not chosen.any():
            missing.append(f"{number} ({name})")
            continue
        columns.append(values[chosen].mean(axis=0))
    if missing:
        raise ValueError(
            f"regional_series: there is no signal in {', '.join(missing[:5])}"
            f"{' and others' if len(missing) > 5 else ''}; leave these labels out, or take the "
            "parcellation that they are of."
        )
    raw = np.stack(columns, axis=1)
    if not np.isfinite(raw).all():
        region = list(labels.values())[int(np.argwhere(~np.isfinite(raw))[0, 1])]
        raise ValueError(f"regional_series: BOLD has NaN or infinity in '{region}'.")
    low, high = band
    seconds = repetition_time / 1000.0
    _check_band(low, high, seconds)
    if confounds is not None and confounds.shape[1] + 2 + _FREE > samples:
        raise ValueError(
            f"regional_series: {confounds.shape[1]} confounds leave nothing of {samples} samples; "
            f"there must be {_FREE} more than confounds and a trend. Take fewer confounds."
        )
    clean = needed("nilearn.signal").clean(
        raw,
        confounds=confounds,
        detrend=True,
        standardize=None,
        high_pass=low,
        low_pass=high,
        t_r=seconds,
    )
    spread = clean.std(axis=0, ddof=1)
    nothing = spread < _ROUNDING * raw.std(axis=0, ddof=1)
    if nothing.any():
        raise ValueError(
            f"regional_series: confounds, trend and band leave nothing of "
            f"'{names[int(nothing.argmax())]}'; look at them, or leave it out."
        )
    clean = (clean - clean.mean(axis=0)) / spread
    time = repetition_time * (1.0 + np.arange(samples))
    coords: dict[str, Any] = {
        "time": ("time", time, {"units": "ms", "long_name": "time"}),
        "region": list(labels.values()),
    }
    return xr.DataArray(clean, coords, ("time", "region"), name="bold")


def _check_band(low: float | None, high: float | None, seconds: float) -> None:
    nyquist = 0.5 / seconds
    for end in (low, high):
        if end is not None and not 0.0 < end < nyquist:
            raise ValueError(
                f"regional_series: the band ends at {end:g} Hz, and samples every {seconds:g} s "
                f"tell frequencies between 0 and {nyquist:g} Hz apart."
            )
    if low is not None and high is not None and low >= high:
        raise ValueError(f"regional_series: the band is {low:g} to {high:g} Hz; lowest first.")


def shrunk_correlation(series: "xr.DataArray") -> "xr.DataArray":
    """Correlations of regions, (region, other_region), from a covariance that is shrunk towards one
    without correlations, by as much as the number of samples asks for: Ledoit & Wolf (2004), J.
    Multivar. Anal. 88, 365. nilearn's default. Without shrinking:
    `tvbjax.analysis.functional_connectivity`.
    """
    return _measured([series], "correlation")[0]


def shrunk_partial_correlation(series: "xr.DataArray") -> "xr.DataArray":
    """Correlations of regions with those of all others taken out, (region, other_region), from a
    shrunk covariance, as in `shrunk_correlation`: also with fewer samples than regions."""
    return _measured([series], "partial correlation")[0]


def tangent_connectivity(people: "Sequence[xr.DataArray]") -> "xr.DataArray":
    """Each person's deviation from the mean connectivity of all, (person, region, other_region), in
    the tangent space at it: Varoquaux et al. (2010), MICCAI 6361, 200.

    `people`: of `regional_series`. Covariances are shrunk, as in `shrunk_correlation`. Raises
    ValueError for fewer than two people, or other regions.
    """
    if len(people) < 2:
        raise ValueError(
            "tangent_connectivity: it is relative to a group; give two people or more."
        )
    labels = people[0]["region"].values
    for number, one in enumerate(people):
        if list(one["region"].values) != list(labels):
            raise ValueError(f"tangent_connectivity: person {number} has other regions than 0.")
    return _measured(people, "tangent")


def _measured(people: "Sequence[xr.DataArray]", kind: str) -> "xr.DataArray":
    import xarray as xr

    connectome = needed("nilearn.connectome")
    measure = connectome.ConnectivityMeasure(kind=kind, standardize="zscore_sample")
    labels = people[0]["region"].values
    return xr.DataArray(
        measure.fit_transform([one.values for one in people]),
        {"region": labels, "other_region": labels},
        ("person", "region", "other_region"),
        name=f"{kind} connectivity",
    )


def fmriprep_confounds(bold: str | Path, **options: Any) -> Float[np.ndarray, "time confound"]:
    """Confounds of fMRIPrep that belong to a BOLD image of it, as nilearn chooses them.

    `bold`: also the surface of either hemisphere. `options`: those of
    `nilearn.interfaces.fmriprep.load_confounds`, by default its strategy of motion, high-pass and
    white matter with CSF. Samples at the beginning, before the steady state, have no row: take
    `bold[..., -len(confounds):]`, as `FmriprepRun.load` does. Samples that a strategy leaves out in
    between are an error here, since time would jump. Raises FileNotFoundError, ValueError.
    """
    path = Path(bold)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    return steady_confounds(path, options)[0]


def steady_confounds(image: Path, options: Mapping[str, Any]) -> tuple[np.ndarray, int]:
    """Confounds of the samples in steady state, the last ones of a run, and how many the run has.

    nilearn finds them by the image's name alone, and does not open it.
    """
    load = needed("nilearn.interfaces.fmriprep").load_confounds
    table, kept = load(str(image), **options)
    values = table.to_numpy(float)
    total = len(values)
    if kept is None:
        return values, total
    if len(kept) == 0 or not np.array_equal(kept, np.arange(total - len(kept), total)):
        raise ValueError(
            f"fmriprep_confounds: the strategy leaves out {total - len(kept)} samples, not only "
            "those before the steady state; take one without scrubbing."
        )
    return values[kept], total


def _checked(confounds: Any, samples: int) -> np.ndarray | None:
    if confounds is None:
        return None
    found = np.array(confounds, float)
    if found.ndim != 2 or len(found) != samples:
        raise ValueError(
            f"regional_series: confounds have the shape {found.shape}, and there are {samples} "
            "samples; give one row for each."
        )
    # fMRIPrep's derivatives have no first value.
    first = np.isnan(found[0])
    found[0, first] = 0.0
    if not np.isfinite(found).all():
        row = int(np.argwhere(~np.isfinite(found))[0, 0])
        raise ValueError(f"regional_series: confounds have NaN or infinity in row {row}.")
    return found
