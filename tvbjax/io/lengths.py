"""Units of the lengths in connectome files, and lengths that are none."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tvbjax.kinds import check_number

_FEW = 10  # regions, which may lie within a millimetre in a toy


def in_millimetres(
    arrays: Mapping[str, np.ndarray], unit: float, lengths: bool, where: str
) -> dict[str, np.ndarray]:
    """The arrays of a connectome with centres and tract lengths in mm and areas in mm².

    `unit`: mm in a unit of the file. `lengths`: False leaves centres and tract lengths out. Raises
    ValueError for placeholders: random numbers between 0 and 1.
    """
    check_number(f"{where}: unit", unit, above=0.0)
    if not lengths:
        return {k: v for k, v in arrays.items() if k not in ("centres", "tract_lengths")}
    if unit == 1.0:
        check_no_placeholders(arrays, where)
    powers = {"centres": 1, "tract_lengths": 1, "areas": 2}
    return {
        name: value * unit ** powers[name] if name in powers and unit != 1.0 else value
        for name, value in arrays.items()
    }


def check_no_placeholders(arrays: Mapping[str, Any], where: str) -> None:
    """Raises ValueError for ten regions or more within a millimetre of each other, which no brain
    has. Lengths that are all 0 say that there are no delays."""
    tracts = arrays.get("tract_lengths")
    if tracts is None or len(tracts) < _FEW or not 0.0 < np.max(tracts) < 1.0:
        return
    raise ValueError(
        f"{where}: all tract lengths lie between 0 and 1, which are no mm: random placeholders, as "
        "in the mouse of Calabrese in TVB's data, or another unit. Pass lengths=False to read the "
        "rest (or no file of lengths), or unit= (mm) if it is another unit."
    )
