"""xarray data to NetCDF or Zarr, whole or not at all."""

from pathlib import Path
from typing import TYPE_CHECKING

from tvbjax.io.atomic import atomic_path

if TYPE_CHECKING:
    import xarray as xr


def write_dataset(data: "xr.Dataset | xr.DataTree", path: str | Path) -> Path:
    """Write to `path`, whose ending says the format; an existing file is replaced.

    Raises `ValueError` for another ending than `.nc` or `.zarr`, `FileNotFoundError` where the
    folder does not exist.
    """
    path = Path(path)
    if path.suffix not in (".nc", ".zarr"):
        raise ValueError(f"cannot write {path.name}: the name must end in .nc or .zarr.")
    with atomic_path(path) as temporary:
        if path.suffix == ".nc":
            data.to_netcdf(temporary, engine="netcdf4")
        else:
            data.to_zarr(temporary, zarr_format=2)
    return path
