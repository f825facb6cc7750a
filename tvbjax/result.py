"""What a simulation gives back: samples of every monitor, and all that is needed to go on.

A pytree, so that `simulate` can be jitted, differentiated and batched; as `xarray` for people:
named dims `(time, variable, region)`, units, and in the attributes where it all came from.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tvbjax.arrays import is_traced
from tvbjax.axes import Axis
from tvbjax.engine import Carry
from tvbjax.io.xarray_files import write_dataset
from tvbjax.monitors import RESERVED_NAMES

if TYPE_CHECKING:
    import xarray as xr

_CHECKPOINT = RESERVED_NAMES[0]
_LABELS = "regions"


class Note:
    """Text that travels with a result and is no part of its value: two notes are always equal, so
    that a function of results compiles once."""

    def __init__(self, text: str):
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Note)

    def __hash__(self) -> int:
        return 0


class Samples(eqx.Module):
    """One monitor's samples. `time`: ms. `axes`: those of `values` after time and variable, such as
    the regions. `absent`: per variable, the regions that do not have it, in mixed networks; there
    `values` are 0, and NaN in xarray."""

    time: Float[Array | np.ndarray, " time"]
    values: Float[Array | np.ndarray, "time variable *place"]
    variables: tuple[str, ...] = eqx.field(static=True)
    units: tuple[str, ...] = eqx.field(static=True)
    axes: tuple[Axis, ...] = eqx.field(static=True)
    absent: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=())


class Result(eqx.Module):
    """The samples of every monitor by name, and the state to continue from.

    `result["bold"]` is an `xarray.DataArray`; `result.samples["bold"].values` the plain array, for
    use inside jit and grad. `first`, `last`: the steps between which the samples lie.
    `complete` is False where the run was interrupted.
    """

    samples: dict[str, Samples]
    final: Carry
    labels: tuple[str, ...] = eqx.field(static=True)
    first: int = eqx.field(static=True)
    last: int = eqx.field(static=True)
    complete: bool = eqx.field(static=True)
    provenance: Note = eqx.field(static=True)

    def __getitem__(self, monitor: str) -> "xr.DataArray":
        """The samples of a monitor with named dims and units."""
        if monitor not in self.samples:
            raise KeyError(f"no monitor '{monitor}'; there are {', '.join(self.samples)}")
        return _data_array(monitor, self.samples[monitor])

    def to_xarray(self) -> "xr.DataTree":
        """All monitors as a tree: one node each, the provenance in the root's attributes."""
        import xarray as xr

        nodes = {name: self[name].to_dataset() for name in self.samples}
        tree = xr.DataTree.from_dict(nodes)
        tree.attrs = self.attributes
        return tree

    @property
    def attributes(self) -> dict[str, str]:
        """Model, parameters, connectome, versions, key and the rest, as text."""
        return {
            **{name: _text(value) for name, value in json.loads(self.provenance.text).items()},
            "first_step": str(self.first),
            "last_step": str(self.last),
            "complete": str(self.complete),
        }

    def save(self, path: str | Path) -> Path:
        """Write to NetCDF (`.nc`) or Zarr (`.zarr`), whole or not at all; `load_result` reads it.

        An existing file of that name is replaced.
        """
        tree = self.to_xarray()
        tree.attrs[_LABELS] = json.dumps(self.labels)
        tree[_CHECKPOINT] = _checkpoint(self.final)
        return write_dataset(tree, path)


def load_result(path: str | Path) -> Result:
    """Read a result that `Result.save` wrote; it can be continued: `simulate(initial=...)`."""
    import xarray as xr

    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"load_result: there is no {path}.")
    engine = "zarr" if path.suffix == ".zarr" else "netcdf4"
    try:
        with xr.open_datatree(path, engine=engine) as opened:
            tree = opened.load()
    except (OSError, ValueError) as error:
        raise ValueError(f"load_result: {path} is no result of tvbjax: {error}") from error
    if _CHECKPOINT not in tree.children or "complete" not in tree.attrs:
        raise ValueError(f"load_result: {path} is no result of tvbjax: it has no checkpoint.")
    if _LABELS not in tree.attrs:
        raise ValueError(
            f"load_result: {path} was saved by an earlier version of tvbjax; make it again, "
            "or read its samples with xarray.open_datatree."
        )
    attributes = dict(tree.attrs)
    first, last = (int(attributes.pop(name)) for name in ("first_step", "last_step"))
    complete = attributes.pop("complete") == "True"
    labels = tuple(json.loads(attributes.pop(_LABELS)))
    samples = {
        name: _samples(node.to_dataset()[name])
        for name, node in tree.children.items()
        if name != _CHECKPOINT
    }
    carry = _carry(tree[_CHECKPOINT].to_dataset())
    provenance = json.dumps({name: _parsed(text) for name, text in attributes.items()})
    return Result(samples, carry, labels, first, last, complete, Note(provenance))


def join(first: Result, second: Result) -> Result:
    """Two results of which the second continues the first, as one."""
    if second.first != first.last:
        raise ValueError(
            f"join: the second result begins at step {second.first} and the first ends at step "
            f"{first.last}; give results of which one continues the other."
        )
    samples = {
        name: Samples(
            np.concatenate([part.time, second.samples[name].time]),
            np.concatenate([part.values, second.samples[name].values]),
            part.variables,
            part.units,
            part.axes,
            part.absent,
        )
        for name, part in first.samples.items()
    }
    return Result(
        samples,
        second.final,
        second.labels,
        first.first,
        second.last,
        second.complete,
        second.provenance,
    )


def without_absent(values: np.ndarray, absent: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """Values (..., variable, region) with NaN where a region does not have a variable."""
    if not any(absent):
        return values
    values = values.copy()
    for variable, regions in enumerate(absent):
        values[..., variable, list(regions)] = np.nan
    return values


def _data_array(name: str, samples: Samples) -> "xr.DataArray":
    import xarray as xr

    if is_traced(samples.values):
        raise TypeError(
            f"result['{name}']: xarray takes no traced values; inside of jax.jit, jax.grad and the "
            f"like use result.samples['{name}'].values."
        )
    units = [unit or "1" for unit in samples.units]
    places = {axis.name: coordinate_of(axis) for axis in samples.axes}
    return xr.DataArray(
        without_absent(np.asarray(samples.values), samples.absent),
        dims=("time", "variable", *places),
        coords={
            "time": ("time", np.asarray(samples.time), {"units": "ms", "long_name": "time"}),
            "variable": ("variable", np.asarray(samples.variables, dtype=object)),
            **places,
            "unit": ("variable", np.asarray(units, dtype=object)),
        },
        name=name,
    )


def coordinate_of(axis: Axis, dim: str | None = None) -> tuple:
    """An axis as a coordinate of xarray; `dim`: its name there, if another."""
    if axis.coordinate and isinstance(axis.coordinate[0], str):
        return (dim or axis.name, np.asarray(axis.coordinate, dtype=object))
    return (dim or axis.name, np.asarray(axis.coordinate), {"units": axis.unit or "1"})


def _axis(coordinate: "xr.DataArray") -> Axis:
    unit = coordinate.attrs.get("units")
    if unit is None:
        return Axis(str(coordinate.name), tuple(str(label) for label in coordinate.values))
    numbers = tuple(float(number) for number in coordinate.values)
    return Axis(str(coordinate.name), numbers, "" if unit == "1" else unit)


def _samples(array: "xr.DataArray") -> Samples:
    variables, units = (
        tuple(str(text) for text in array[name].values) for name in ("variable", "unit")
    )
    axes = tuple(_axis(array[dim]) for dim in array.dims[2:])
    units = tuple("" if unit == "1" else unit for unit in units)
    # The first row tells; where there are no samples nothing is known to be missing.
    missing = np.asarray(np.isnan(array.values[:1]).any(axis=0))
    values = np.where(missing[None], 0.0, array.values).astype(array.dtype)
    absent = tuple(tuple(int(i) for i in np.flatnonzero(row)) for row in missing)
    absent = absent if any(absent) else ()
    return Samples(array["time"].values, values, variables, units, axes, absent)


def _checkpoint(carry: Carry) -> "xr.Dataset":
    """The carry as plain arrays, named by their place."""
    import xarray as xr

    arrays = {name: np.asarray(getattr(carry, name)) for name in _PLAIN}
    for i, carried in enumerate(carry.monitors):
        arrays |= {f"monitor_{i}_{j}": np.asarray(part) for j, part in enumerate(carried)}
    return xr.Dataset(
        {
            name: (tuple(f"{name}_{axis}" for axis in range(array.ndim)), array)
            for name, array in arrays.items()
        },
        attrs={"monitors": json.dumps([len(carried) for carried in carry.monitors])},
    )


_PLAIN = ("step", "state", "past", "noise", "trouble")


def _carry(dataset: "xr.Dataset") -> Carry:
    plain = {name: jnp.asarray(dataset[name].values) for name in _PLAIN}
    monitors = tuple(
        tuple(jnp.asarray(dataset[f"monitor_{i}_{j}"].values) for j in range(count))
        for i, count in enumerate(json.loads(dataset.attrs["monitors"]))
    )
    return Carry(**plain, monitors=monitors)


def _text(value) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _parsed(text: str):
    try:
        return json.loads(text)
    except ValueError:
        return text
