"""Surfaces, region mappings, sensors and gains of one head, from tvb-data.

The cortex's x axis points to the front and y to the left, as its sensors' and connectomes' do; the
skulls and the skin of 4,096 vertices have y to the front. What files have in other places or under
other names than their cortex is put right here, and said.
"""

import difflib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from tvbjax.datasets._package import tvb_data
from tvbjax.forward import Gain, Sensors, gain_of, projected_onto
from tvbjax.io.sensors import read_gain_matrix, read_sensors
from tvbjax.io.surfaces import read_region_mapping, read_surface
from tvbjax.surface import Surface

_SURFACES = {
    "cortex": "cortex_16384",
    "face": "face_8614",
    "scalp": "scalp_1082",
    "inner_skull": "inner_skull_4096",
    "outer_skull": "outer_skull_4096",
    "outer_skin": "outer_skin_4096",
}
_MAPPINGS = {"tvb76": "regionMapping_16k_76.txt", "tvb192": "regionMapping_16k_192.txt"}
_SENSORS = {
    "eeg65": "eeg_brainstorm_65.txt",
    "eeg62": "eeg_unitvector_62.txt.bz2",
    "meg276": "meg_brainstorm_276.txt",
    "meg151": "meg_151.txt.bz2",
    "seeg588": "seeg_588.txt",
    "seeg39": "seeg_39.txt.bz2",
}
_GAINS = {
    "eeg65": "projection_eeg_65_surface_16k.npy",
    "eeg62": "projection_eeg_62_surface_16k.mat",
    "meg276": "projection_meg_276_surface_16k.npy",
}
_CORTEX = 16_384  # vertices
_EARS = 52.0  # mm by which eeg65's origin is lower than the cortex's


def surface(name: str = "cortex") -> Surface:
    """A surface of tvb-data: cortex (16,384 vertices), face (8,614), scalp (1,082), inner_skull,
    outer_skull and outer_skin (4,096 each). Raises ValueError, ModuleNotFoundError."""
    file = _known("surface", name, _SURFACES)
    return read_surface(tvb_data() / "surfaceData" / f"{file}.zip", name=name)


def region_mapping(connectome: str = "tvb76") -> Int[np.ndarray, " vertex"]:
    """The region of every vertex of the cortex, for the connectome of that name: tvb76 or tvb192
    (whose file goes on with its 116 subcortical regions, which here are no vertices). Raises
    ValueError, ModuleNotFoundError."""
    file = _known("region_mapping", connectome, _MAPPINGS)
    return read_region_mapping(tvb_data() / "regionMapping" / file)[:_CORTEX]


def sensors(name: str) -> Sensors:
    """Sensors of tvb-data: eeg65, eeg62, meg276, meg151, seeg588, seeg39.

    eeg65: 52 mm lower than in the file, whose origin is between the ears; so its electrodes are
    where eeg62's of the same names are, to 11 mm on average. eeg62: directions in the file, here
    turned to the cortex's axes and put where they meet the scalp. meg276: for the names only; the
    positions lie on the diagonal x = y = z to a few mm and are those of no helmet. meg151: its axes
    are the file's, whose front seems to be -y. Raises ValueError, ModuleNotFoundError.
    """
    file = _known("sensors", name, _SENSORS)
    found = read_sensors(tvb_data() / "sensors" / file, oriented=name.startswith("meg"))
    if name == "eeg62":  # its front is -y and its left x
        x, y, z = found.positions.T
        turned = Sensors(found.labels, np.stack([-y, x, z], axis=1))
        found = projected_onto(turned, surface("scalp"))
    lower = [0.0, 0.0, _EARS if name == "eeg65" else 0.0]
    return Sensors(found.labels, found.positions - lower, found.orientations, name=name)


def gain(name: str) -> Gain:
    """The gain of sensors for the vertices of the cortex, along their normals: eeg65, eeg62,
    meg276. Sensors that it does not cover are left out, with a warning; in the file's unit.

    eeg62: the file has left and right exchanged; the row of Fp1 is greatest under Fp2, and so for
    all electrodes. Here every row has the name of the electrode that it is of. TVB has the names as
    in the file. Raises ValueError, ModuleNotFoundError.
    """
    file = _known("gain", name, _GAINS)
    measured = sensors(name)
    matrix = read_gain_matrix(tvb_data() / "projectionMatrix" / file)
    return gain_of(measured, matrix[_mirrored(measured)] if name == "eeg62" else matrix)


def _mirrored(measured: Sensors) -> Int[np.ndarray, " sensor"]:
    """For every sensor the number of that on the other side."""
    other = measured.positions * [1.0, -1.0, 1.0]
    apart = np.linalg.norm(other[:, None] - measured.positions[None], axis=-1)
    return apart.argmin(axis=1)


def _known(function: str, name: str, files: Mapping[str, str]) -> str:
    if name not in files:
        close = difflib.get_close_matches(str(name).lower(), files, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(
            f"datasets.{function}: there is no {name!r}; {hint}Known: {', '.join(files)}."
        )
    return files[name]
