"""A picture that tells whether regional series can be trusted."""

from typing import TYPE_CHECKING

import numpy as np

from tvbjax.analysis import functional_connectivity, functional_connectivity_dynamics
from tvbjax.kinds import check_number
from tvbjax.plot import matrices
from tvbjax.plot.style import STYLE, load_matplotlib

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_CLIP = 3.0  # deviations


def functional_quality(series: "xr.DataArray", *, window: float = 60_000.0) -> "Figure":
    """Three panels: all series, in which motion that is left shows as stripes; their correlations;
    and those between the correlations of windows, `window` ms long and a third of that apart.

    `series`: of `regional_series`. Raises ValueError where there are too few samples for windows.
    """
    check_number("functional_quality: window (ms)", window, above=0.0)
    times = series["time"].values / 1000.0
    labels = [str(label) for label in series["region"].values]
    repetition = float(np.diff(series["time"].values).mean())
    samples = max(2, round(window / repetition))
    step = max(1, samples // 3)
    dynamics = functional_connectivity_dynamics(series.values, samples, step)
    middles = times[samples // 2 :: step][: len(dynamics)]
    matplotlib, figure_class, _ = load_matplotlib()
    with matplotlib.rc_context(STYLE):
        figure = figure_class(figsize=(17, 5.2), dpi=100, layout="constrained")
        carpet, static, windows = figure.subplots(1, 3, width_ratios=(1.2, 1, 1))
        image = carpet.imshow(
            series.values.T,
            aspect="auto",
            cmap="gray",
            vmin=-_CLIP,
            vmax=_CLIP,
            interpolation="nearest",
            extent=(times[0], times[-1], len(labels) - 0.5, -0.5),
        )
        carpet.set(xlabel="time (s)", ylabel="region")
        carpet.set_title("Series of regions", loc="left")
        figure.colorbar(image, ax=carpet, label="z")
        matrices.functional_connectivity(functional_connectivity(series.values), labels, ax=static)
        matrices.functional_connectivity_dynamics(dynamics, 1000.0 * middles, ax=windows)
    return figure
