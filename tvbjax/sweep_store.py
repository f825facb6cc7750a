"""A sweep's results on disk, batch by batch, so that it outlives whatever stops it.

A Zarr folder with one chunk of every array for each batch of members. A batch counts when its mark
is written, after its data; what a killed sweep left half done is written again, with the same
bytes. Several processes may write to one folder.
"""

import errno
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tvbjax.sizes import size_text

if TYPE_CHECKING:
    import xarray as xr
    import zarr

_DONE = "finished"
_WAIT = 600.0  # s, for the process that lays the folder out


class SweepStore:
    """The folder of one sweep. `batch`: members that are written together."""

    def __init__(self, path: Path, batch: int, members: int, group: "zarr.Group"):
        self.path = path
        self.batch = batch
        self._members = members
        self._group = group

    def done(self, number: int) -> bool:
        """Whether batch `number` is complete."""
        return bool(_array(self._group, _DONE)[self._span(number)].all())

    def write(self, number: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write a batch, and then its mark. Raises OSError where the disk fails."""
        span = self._span(number)
        count = span.stop - span.start
        try:
            for name, values in arrays.items():
                _array(self._group, name)[span] = values[:count]
            _array(self._group, _DONE)[span] = True
        except OSError as error:
            left = shutil.disk_usage(self.path).free
            raise OSError(
                error.errno or errno.EIO,
                f"sweep: members {span.start} to {span.stop - 1} cannot be written to {self.path} "
                f"({error.strerror or error}; {size_text(left)} are free). All before is kept: "
                "make room and run the same sweep again, and it goes on from there.",
            ) from error

    def _span(self, number: int) -> slice:
        first = number * self.batch
        return slice(first, min(first + self.batch, self._members))


def open_store(
    path: Path,
    identity: Mapping[str, Any],
    arrays: Mapping[str, tuple[tuple[str, ...], tuple[int, ...], np.dtype]],
    coords: "xr.Dataset",
    batch: int,
    members: int,
    *,
    leader: bool = True,
) -> SweepStore:
    """Lay out a sweep's folder, or open one that the same sweep has begun.

    `identity`: what makes it the same sweep; `arrays`: names to (dims, shape, dtype) of a member's
    values; `coords`: coordinates. Only the `leader` lays out; other processes wait for it.
    Raises `ValueError` where the folder holds something else, `OSError` where it cannot be written
    or the disk has no room for all.
    """
    if path.suffix != ".zarr":
        raise ValueError(f"sweep: the store is '{path.name}'; give a path that ends in .zarr.")
    if not leader:
        _await(path)
    if not path.exists():
        _check_room(path, arrays, members)
        _lay_out(path, identity, arrays, coords, batch, members)
    group = _opened(path, identity)
    for leftover in path.rglob("*.partial"):
        if leader:
            leftover.unlink(missing_ok=True)
    return SweepStore(path, int(str(group.attrs["batch"])), members, group)


def open_sweep(path: str | Path) -> "xr.Dataset":
    """The results of a sweep on disk, read as they are used: one dim `member`, with the value of
    every parameter as a coordinate of it. Members that are not `finished` are NaN, or 0.

    `.set_index(member=[...]).unstack()` makes a grid of it.
    """
    import xarray as xr

    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"open_sweep: there is no {path}.")
    if not (path / ".zgroup").is_file():
        raise ValueError(f"open_sweep: {path} is no sweep of tvbjax: it is no Zarr folder.")
    return xr.open_zarr(path, chunks=None, consolidated=False, mask_and_scale=False)


def _check_room(path: Path, arrays: Mapping, members: int) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(f"sweep: cannot write {path}: there is no folder {path.parent}.")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(errno.EACCES, f"sweep: the folder {path.parent} cannot be written to")
    bytes_each = sum(np.prod(shape) * dtype.itemsize for _, shape, dtype in arrays.values())
    needed, free = int(members * bytes_each), shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"sweep: {members} members give up to {size_text(needed)} and {size_text(free)} are "
            f"free at {path.parent}; keep less of each (measure=), or write elsewhere",
        )


def _lay_out(path, identity, arrays, coords, batch, members) -> None:
    """All at once: the folder appears under its name when it is complete."""
    import zarr

    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        coords.to_zarr(temporary, zarr_format=2, consolidated=False)
        group = zarr.open_group(temporary, mode="r+")
        for name, (dims, shape, dtype) in arrays.items():
            fill = np.nan if np.issubdtype(dtype, np.floating) else 0
            group.create_array(
                name,
                shape=(members, *shape),
                chunks=(batch, *(max(1, size) for size in shape)),
                dtype=dtype,
                fill_value=dtype.type(fill),
                attributes={"_ARRAY_DIMENSIONS": ["member", *dims]},
            )
        group.create_array(
            _DONE,
            shape=(members,),
            chunks=(batch,),
            dtype=bool,
            fill_value=False,
            attributes={"_ARRAY_DIMENSIONS": ["member"]},
        )
        group.attrs.update({"batch": batch, "sweep": json.dumps(dict(identity), sort_keys=True)})
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _opened(path: Path, identity: Mapping[str, Any]) -> "zarr.Group":
    import zarr

    try:
        group = zarr.open_group(path, mode="r+")
        begun = json.loads(str(group.attrs["sweep"]))
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"sweep: {path} is no sweep of tvbjax ({error}); give another path, or remove it."
        ) from error
    now = json.loads(json.dumps(dict(identity)))
    differs = sorted(name for name in begun.keys() | now.keys() if begun.get(name) != now.get(name))
    if differs:
        raise ValueError(
            f"sweep: {path} was begun by another sweep ({', '.join(differs)} differ); go on with "
            "the one that began it, or give another path."
        )
    return group


def _await(path: Path) -> None:
    until = time.monotonic() + _WAIT
    while not path.exists():
        if time.monotonic() > until:
            raise TimeoutError(f"sweep: process 0 has not laid out {path} in {_WAIT:g} s.")
        time.sleep(0.05)


def _array(group: "zarr.Group", name: str) -> Any:
    return group[name]
