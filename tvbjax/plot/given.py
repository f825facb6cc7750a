"""What is given to be drawn, told where it is something else."""

from typing import Any

import jax
import numpy as np


def check_data(who: str, data: Any, *, arrays: bool = False) -> None:
    """Raises `TypeError` for what are no signals, or complex ones; `arrays`: such without names
    will do, too."""
    import xarray as xr

    kinds = (xr.DataArray, *((np.ndarray, jax.Array, list) if arrays else ()))
    if not isinstance(data, kinds):
        raise TypeError(
            f"{who}: data is of the type {type(data).__name__}; give what a monitor measured, by "
            'its name: result["temporal_average"], an xarray.DataArray'
            f"{', or an array (time, region)' if arrays else ''}."
        )
    if np.iscomplexobj(data):
        raise TypeError(f"{who}: data is complex; give real numbers: data.real, or abs(data).")
