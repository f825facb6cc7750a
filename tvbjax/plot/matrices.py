"""Matrices between regions, or between times: connectomes and functional connectivity."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Array, Float

from tvbjax.connectome import Connectome
from tvbjax.plot.geometry import hemisphere_order
from tvbjax.plot.style import (
    STYLE,
    colour_bar,
    figure_of,
    label_regions,
    load_matplotlib,
    panel,
    with_grey,
)
from tvbjax.regions import Regions, hemispheres_from_labels

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def connectome(connectome: Connectome) -> "Figure":
    """Weights and tract lengths, 1260 x 590 pixels: the target's row, the source's column.

    The left hemisphere comes first, otherwise the connectome's order stays; up to 20 regions are
    named. Weights that span more than a factor of 10 have a logarithmic scale, of six orders at
    most. Grey: no connection.

    Raises ModuleNotFoundError without matplotlib.
    """
    matplotlib, figure_class, _ = load_matplotlib()
    with matplotlib.rc_context(STYLE):
        figure = figure_class(figsize=(12.6, 5.9), dpi=100, layout="constrained")
        weights, lengths = figure.subplots(1, 2)
        draw_weights(weights, connectome)
        _draw_lengths(lengths, connectome)
        count = int((np.asarray(connectome.weights) != 0).sum())
        figure.suptitle(
            f"{connectome.name}: {len(connectome.regions)} regions, {count:,} connections",
            x=0.01, ha="left", fontweight="bold",
        )  # fmt: skip
    return figure


def functional_connectivity(
    matrix: "Float[Array, 'region region'] | np.ndarray | xr.DataArray",
    labels: Sequence[str] | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Figure":
    """Correlations between regions, (region, region), from -1 to 1; the diagonal and NaN are grey.

    `labels`: by default those of an xarray matrix's first dim, else numbers. Where they tell the
    hemispheres, the left one comes first. `ax`: draws there and returns its figure.

    Raises ModuleNotFoundError without matplotlib, ValueError for shapes that do not fit.
    """
    values = np.asarray(matrix, dtype=float)
    if labels is None:
        labels = _labels_of(matrix, len(values))
    if values.ndim != 2 or values.shape != (len(labels), len(labels)) or not len(labels):
        raise ValueError(
            f"functional_connectivity: the matrix has the shape {values.shape} and there are "
            f"{len(labels)} labels; pass (region, region) and one label for each region."
        )
    regions = Regions(labels, hemispheres=hemispheres_from_labels(labels))
    with panel(ax, 7.4, 6.4) as axes:
        draw_correlations(axes, regions, values)
    return figure_of(axes)


def functional_connectivity_dynamics(
    matrix: "Float[Array, 'window window'] | np.ndarray",
    times: np.ndarray | None = None,
    *,
    ax: "Axes | None" = None,
) -> "Figure":
    """Correlations between the functional connectivities of windows, (window, window).

    `times`: of the windows' middles, ms, one for each, evenly spaced; the axes are in s. Colours
    run between the 2nd and the 98th percentile beside the diagonal. `ax`: draws there.

    Raises ModuleNotFoundError without matplotlib, ValueError for shapes that do not fit.
    """
    values = np.asarray(matrix, dtype=float)
    size = len(values)
    if values.ndim != 2 or values.shape != (size, size) or not size:
        raise ValueError(
            f"functional_connectivity_dynamics: the matrix has the shape {values.shape}; pass "
            "(window, window)."
        )
    if times is not None and np.shape(times) != (size,):
        raise ValueError(
            f"functional_connectivity_dynamics: times has the shape {np.shape(times)} and there "
            f"are {size} windows; pass one time in ms for each."
        )
    beside = values[~np.eye(size, dtype=bool)]
    beside = beside[np.isfinite(beside)]
    low, high = np.percentile(beside, [2, 98]) if beside.size else (0.0, 1.0)
    middle = np.arange(size) if times is None else np.asarray(times, dtype=float) / 1000
    half = (middle[1] - middle[0]) / 2 if size > 1 else 0.5
    ends = (middle[0] - half, middle[-1] + half)
    with panel(ax, 7.2, 6.2) as axes:
        image = axes.imshow(
            np.ma.masked_invalid(values),
            cmap=with_grey("viridis"),
            vmin=float(low),
            vmax=float(high),
            extent=(*ends, *ends[::-1]),
            interpolation="nearest",
        )
        axes.spines[:].set_visible(False)
        name = "window" if times is None else "time of window (s)"
        axes.set(xlabel=name, ylabel=name)
        if times is None and size < 10:  # else there are marks between windows
            axes.set(xticks=middle, yticks=middle)
        axes.set_title("Functional connectivity dynamics", loc="left")
        colour_bar(axes, image, "correlation of FC")
    return figure_of(axes)


def draw_weights(axes: "Axes", connectome: Connectome):
    from matplotlib.colors import LogNorm

    weights = np.asarray(connectome.weights)
    positive = weights[weights > 0]
    norm = None
    if positive.size and positive.max() > 10 * positive.min():
        # Six orders of magnitude at most: below them, all weights look the same.
        norm = LogNorm(max(positive.min(), positive.max() * 1e-6), positive.max())
    _draw_connections(axes, connectome, np.ma.masked_equal(weights, 0.0), norm)
    axes.set_title("Weights")
    colour_bar(axes, axes.images[-1], "weight (grey: none)")


def draw_correlations(axes: "Axes", regions: Regions, matrix: np.ndarray):
    order = hemisphere_order(regions)
    shown = np.ma.masked_invalid(matrix[np.ix_(order, order)])
    shown = np.ma.array(shown, mask=np.ma.getmaskarray(shown) | np.eye(len(order), dtype=bool))
    largest = float(np.abs(shown).max()) if shown.count() else 1.0
    limit = min(1.0, np.ceil(largest * 10) / 10) or 1.0
    axes.set_anchor("N")
    image = axes.imshow(
        shown, cmap=with_grey("RdBu_r"), vmin=-limit, vmax=limit, interpolation="nearest"
    )
    label_regions(axes, regions, order)
    axes.set_xlabel("region")
    axes.set_ylabel("region")
    mean = f", mean {shown.mean():.2f}" if shown.count() else ""
    axes.set_title(f"Functional connectivity{mean}")
    colour_bar(axes, image, "correlation")


def _draw_lengths(axes: "Axes", connectome: Connectome):
    absent = np.asarray(connectome.weights) == 0
    lengths = np.ma.array(np.asarray(connectome.tract_lengths), mask=absent)
    _draw_connections(axes, connectome, lengths, None, "cividis")
    axes.set_title("Tract lengths")
    colour_bar(axes, axes.images[-1], "length (mm; grey: none)")


def _draw_connections(axes: "Axes", connectome: Connectome, values, norm, colours="viridis"):
    order = hemisphere_order(connectome.regions)
    axes.set_anchor("N")
    shown = values[np.ix_(order, order)]
    axes.imshow(shown, cmap=with_grey(colours), norm=norm, interpolation="nearest")
    label_regions(axes, connectome.regions, order)
    axes.set_xlabel("from region")
    axes.set_ylabel("to region")


def _labels_of(matrix, size: int) -> list[str]:
    import xarray as xr

    if isinstance(matrix, xr.DataArray) and matrix.dims and matrix.dims[0] in matrix.coords:
        named = [str(label) for label in matrix[matrix.dims[0]].values]
        if len(set(named)) == size:
            return named
    return [str(number) for number in range(size)]
