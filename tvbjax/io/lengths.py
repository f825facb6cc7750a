"""Units of the lengths in connectome files, and lengths that are none."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tvbjax.kinds import check_number

_FEW = 10  # regions, of which centres may lie in a millimetre by chance


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
        _check_no_placeholders(arrays, where)
    powers = {"centres": 1, "tract_lengths": 1, "areas": 2}
    return {
        name: value * unit ** powers[name] if name in powers and unit != 1.0 else value
        for name, value in arrays.items()
    }


def _check_no_placeholders(arrays: Mapping[str, Any], where: str) -> None:
    centres, tracts = (arrays.get(name) for name in ("centres", "tract_lengths"))
    if centres is None or tracts is None or len(centres) < _FEW:
        return
    inside = (centres > 0.0).all() and (centres < 1.0).all() and tracts.max() < 1.0
    if inside and tracts.any():
        raise ValueError(
            f"{where}: all centres and tract lengths lie between 0 and 1, which are no mm: random "
            "placeholders, as in the mouse of Calabrese in TVB's data, or another unit. Pass "
            "lengths=False to read the rest, or unit= (mm) if it is another unit."
        )
