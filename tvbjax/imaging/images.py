"""Images in space: values on a grid of voxels, and where that grid lies."""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import nibabel.filebasedimages
import nibabel.spatialimages
import numpy as np
from jaxtyping import Bool, Float

Volume = Float[np.ndarray, "x y z"]
Mask = Bool[np.ndarray, "x y z"]


_DAMAGED = (
    nibabel.filebasedimages.ImageFileError,
    nibabel.spatialimages.HeaderDataError,
    OSError,
    EOFError,
    ValueError,
    zlib.error,
)
_PIECE = 1 << 22  # bytes


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
    with _readable(path):
        check_gzip(path)
        image: Any = nibabel.load(path)
        data = np.asarray(image.dataobj)
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


def read_grid(path: str | Path) -> Image:
    """The grid of an image alone, with zeros for its values. Raises as `read_image`."""
    with _readable(Path(path)):
        image: Any = nibabel.load(path)
    return Image(np.broadcast_to(0.0, image.shape), image.affine)


def check_gzip(path: Path) -> None:
    """Read a packed file to its end, where its checksum is: nibabel stops before, and takes damaged
    bytes for values. Raises OSError, EOFError, zlib.error."""
    if path.suffix == ".gz":
        with gzip.open(path) as stream:
            while stream.read(_PIECE):
                pass


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        yield
    except _DAMAGED as error:
        raise ValueError(f"{path}: no readable image, or a cut one ({error}).") from error


def same_grid(one: Image, other: Image) -> bool:
    """Whether both have the same voxels in the same place."""
    same = one.data.shape[:3] == other.data.shape[:3]
    return same and np.allclose(one.affine, other.affine, atol=1e-2)


def grid_of(image: Image) -> str:
    """The grid in words, for messages."""
    size = " x ".join(map(str, image.data.shape[:3]))
    edges = ", ".join(f"{edge:.3g}" for edge in np.linalg.norm(image.affine[:3, :3], axis=0))
    first = ", ".join(f"{place:.4g}" for place in image.affine[:3, 3])
    return f"{size} voxels of {edges} mm from ({first})"
