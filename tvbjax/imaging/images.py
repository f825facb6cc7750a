"""Images in space: values on a grid of voxels, and where that grid lies."""

from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import nibabel.filebasedimages
import numpy as np
from jaxtyping import Bool, Float

Volume = Float[np.ndarray, "x y z"]
Mask = Bool[np.ndarray, "x y z"]


class Image(NamedTuple):
    """`data`: values of voxels. `affine`: from voxels to mm."""

    data: np.ndarray
    affine: Float[np.ndarray, "4 4"]


def read_image(path: str | Path, axes: int, *, labels: bool = False) -> Image:
    """An image with so many axes: float32, or whole numbers for `labels`.

    Raises FileNotFoundError, and ValueError for a damaged image, other axes, or labels that are no
    whole numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        image: Any = nibabel.load(path)
        data = np.asarray(image.dataobj)
    except (nibabel.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as error:
        raise ValueError(f"{path}: no readable image, or a cut one ({error}).") from error
    if data.ndim != axes:
        raise ValueError(f"{path}: the image has {data.ndim} axes, {data.shape}; it needs {axes}.")
    if not labels:
        return Image(data.astype(np.float32), image.affine)
    whole = np.rint(data)
    if not np.array_equal(whole, data):
        raise ValueError(
            f"{path}: a parcellation has whole numbers, and this has {data[whole != data][0]}; "
            "resample labels by nearest neighbours."
        )
    return Image(whole.astype(np.int32), image.affine)
