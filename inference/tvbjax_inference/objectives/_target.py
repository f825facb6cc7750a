"""Data that a simulation is compared with: an array, and what is known of its rows."""

import sys
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from tvbjax.arrays import as_floats, is_traced
from tvbjax.axes import Axis
from tvbjax_inference.objectives._seen import Seen

# Correlations that were written to files with four digits are symmetric up to this.
_ROUNDING = 1e-4


class Target(eqx.Module):
    """`values`: a leaf. `axes`: what is known of the dims, of data that came as xarray."""

    values: Float[Array, "*place"]
    axes: tuple[Axis, ...] | None = eqx.field(static=True)

    def axis(self, dim: int) -> Axis | None:
        """A dim with a coordinate, if it has one."""
        axis = None if self.axes is None else self.axes[dim]
        return axis if axis is not None and len(axis) else None

    def where(self, index: tuple) -> str:
        """Where an entry is, for people: `[0, 3] (region lA, region lB)`."""
        text = ", ".join(str(int(i)) for i in index)
        axes = [self.axis(dim) for dim in range(len(index))]
        names = [
            f"{axis.name} {axis.coordinate[i]}"
            for axis, i in zip(axes, index, strict=True)
            if axis is not None
        ]
        return f"target[{text}]" + (f" ({', '.join(names)})" if names else "")


def as_target(given: Any) -> Target:
    """An array, an `xarray.DataArray` or nested lists as a target."""
    if isinstance(given, Target):
        return given
    xarray: Any = sys.modules.get("xarray")  # where it was never imported, nothing is of it
    if xarray is not None and isinstance(given, xarray.DataArray):
        return Target(_numbers(given.values), tuple(_axis(given, dim) for dim in given.dims))
    if type(given).__module__.split(".")[0] == "pandas":
        raise TypeError(
            f"the target is a {type(given).__name__} of pandas, of which the labels would not be "
            "read; give xarray.DataArray(table, dims=('time', 'region')), or ('region', 'other') "
            "for a matrix: its labels are held against the simulated ones."
        )
    return Target(_numbers(given), None)


def _numbers(given: Any) -> Array:
    try:
        return as_floats(given)
    except TypeError as error:
        raise TypeError(f"the target: {error}") from None


def _axis(data: Any, dim: Any) -> Axis:
    if dim not in data.coords:
        return Axis(str(dim), ())
    values = data.coords[dim].values
    if values.dtype.kind in "mM":
        raise TypeError(
            f"the target's {dim} has dates or durations ({values.dtype}); give numbers, e.g. ms: "
            f"target.assign_coords({dim}=period * np.arange({len(values)}))."
        )
    if np.issubdtype(values.dtype, np.number):
        unit = str(data.coords[dim].attrs.get("units", ""))
        return Axis(str(dim), tuple(float(value) for value in values), unit)
    return Axis(str(dim), tuple(str(value) for value in values))


def check_dims(who: str, target: Target, dims: dict[int, str]) -> None:
    """Raises `ValueError` for another number of dims than one of `dims`, or no finite values."""
    values = target.values
    if values.ndim not in dims or not values.size:
        raise ValueError(
            f"{who}: the target has the shape {values.shape}; give {' or '.join(dims.values())}."
        )
    check_finite(who, target)


def check_finite(who: str, target: Target) -> None:
    """Raises `ValueError` for NaN or infinity, with its place."""
    if is_traced(target.values):
        return
    values = np.asarray(target.values)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        first = tuple(bad[0])
        raise ValueError(
            f"{who}: {target.where(first)} is {values[first]} ({len(bad)} of {values.size} values "
            "are no finite numbers); fill in or leave out what is missing."
        )


def check_correlations(who: str, target: Target, fewest: int = 3) -> None:
    """Raises `ValueError` for what is no matrix of correlations of places; its diagonal, of which
    nothing is read, may be 1 or 0."""
    shape = target.values.shape
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < fewest:
        raise ValueError(
            f"{who}: the target has the shape {shape}; give a square matrix of {fewest} or more, "
            "such as analysis.functional_connectivity(signals)."
        )
    rows, columns = target.axis(0), target.axis(1)
    if rows and columns and rows.coordinate != columns.coordinate:
        raise ValueError(
            f"{who}: the target's rows ({rows.name}) and columns ({columns.name}) have different "
            "labels; give them in the same order."
        )
    check_finite(who, target)
    if is_traced(target.values):
        return
    values = np.asarray(target.values)
    skew = np.abs(values - values.T)
    i, j = (int(k) for k in np.unravel_index(skew.argmax(), shape))
    if skew[i, j] > _ROUNDING:
        raise ValueError(
            f"{who}: {target.where((i, j))} is {values[i, j]:g} and its mirror image "
            f"{values[j, i]:g}; correlations are symmetric: give (target + target.T) / 2 if that "
            "is what you mean."
        )
    outside = np.argwhere(np.abs(values) > 1 + _ROUNDING)
    if len(outside):
        first = tuple(outside[0])
        raise ValueError(
            f"{who}: {target.where(first)} is {values[first]:g}, and no correlation; divide "
            "covariances by the standard deviations, take np.tanh of Fisher's z."
        )
    diagonal = values.diagonal()
    if not (np.allclose(diagonal, 1, atol=_ROUNDING) or np.allclose(diagonal, 0, atol=_ROUNDING)):
        i = int(np.abs(diagonal - 1).argmax())
        raise ValueError(
            f"{who}: {target.where((i, i))} on the diagonal is {diagonal[i]:g}; a correlation with "
            "itself is 1 (or 0, where it was taken out). Is it a covariance or a connectome?"
        )


def check_places(seen: Seen, target: Target, dim: int = -1) -> None:
    """Raises `ValueError` where a dim of the target are not the places that are observed, or those
    in another order."""
    places, count = seen.axes[0], target.values.shape[dim]
    what = places.name
    if count != len(places):
        raise ValueError(
            f"{seen.who}: the target has {count} {what}s and '{seen.monitor}' observes "
            f"{len(places)}; give data of the same ones in the same order."
        )
    axis = target.axis(dim)
    if axis is None or axis.coordinate == places.coordinate:
        return
    pairs = zip(axis.coordinate, places.coordinate, strict=True)
    i, (given, observed) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
    missing = [name for name in places.coordinate if name not in axis.coordinate]
    if missing:
        raise ValueError(
            f"{seen.who}: the target has no {what} '{missing[0]}' ({len(missing)} of {count} are "
            f"missing; its first other one is '{given}'); rename its labels, or give data of the "
            f"simulated {what}s."
        )
    order = "list(connectome.labels)" if what == "region" else f"[... as in '{seen.monitor}']"
    alike = [one.name for one in target.axes or () if one.coordinate == axis.coordinate]
    chosen = ", ".join(f"{name}={order}" for name in alike)
    raise ValueError(
        f"{seen.who}: the target's {what}s are in another order: {what} {i} is '{given}' there "
        f"and '{observed}' in '{seen.monitor}'; give target.sel({chosen})."
    )
