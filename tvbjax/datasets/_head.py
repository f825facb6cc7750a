"""Surfaces, region mappings, sensors and gains of one head, from tvb-data.

The cortex's x axis points to the front and y to the left, as its sensors' and connectomes' do; the
skulls and the skin of 4,096 vertices have y to the front.
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


def surface(name: str = "cortex") -> Surface:
    """A surface of tvb-data: cortex (16,384 vertices), face (8,614), scalp (1,082), inner_skull,
    outer_skull and outer_skin (4,096 each). Raises ValueError, ModuleNotFoundError."""
    file = _known("surface", name, _SURFACES)
    return read_surface(tvb_data() / "surfaceData" / f"{file}.zip", name=name)


def region_mapping(connectome: str = "tvb76") -> Int[np.ndarray, " vertex"]:
    """The region of every vertex of the cortex, for the connectome of that name: tvb76 or tvb192.
    Raises ValueError, ModuleNotFoundError."""
    file = _known("region_mapping", connectome, _MAPPINGS)
    return read_region_mapping(tvb_data() / "regionMapping" / file)


def sensors(name: str) -> Sensors:
    """Sensors of tvb-data: eeg65, eeg62 (directions in the file, here where they meet the scalp),
    meg276, meg151, seeg588, seeg39. Raises ValueError, ModuleNotFoundError."""
    file = _known("sensors", name, _SENSORS)
    found = read_sensors(tvb_data() / "sensors" / file, oriented=name.startswith("meg"))
    if name == "eeg62":  # its front is -y and its left x
        x, y, z = found.positions.T
        turned = Sensors(found.labels, np.stack([-y, x, z], axis=1))
        found = projected_onto(turned, surface("scalp"))
    return Sensors(found.labels, found.positions, found.orientations, name=name)


def gain(name: str) -> Gain:
    """The gain of sensors for the vertices of the cortex, along their normals: eeg65, eeg62,
    meg276. Sensors that it does not cover are left out, with a warning; in the file's unit.
    Raises ValueError, ModuleNotFoundError."""
    file = _known("gain", name, _GAINS)
    return gain_of(sensors(name), read_gain_matrix(tvb_data() / "projectionMatrix" / file))


def _known(function: str, name: str, files: Mapping[str, str]) -> str:
    if name not in files:
        close = difflib.get_close_matches(str(name).lower(), files, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(
            f"datasets.{function}: there is no {name!r}; {hint}Known: {', '.join(files)}."
        )
    return files[name]
