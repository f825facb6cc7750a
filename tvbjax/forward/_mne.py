"""Gains by MNE-Python: its forward solutions, and its boundary element method. The extra `mne`.

Gramfort et al. (2013), Front. Neurosci. 7:267. MNE is imported when it is asked for, and only its
public functions are used; what it would print or warn of is silenced.
"""

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from tvbjax.forward._gain import Gain
from tvbjax.forward._sensors import Sensors
from tvbjax.surface import Surface

_UNITS = {"eeg": "V/(A m)", "mag": "T/(A m)", "grad": "T/m/(A m)", "ref_meg": "T/(A m)"}
_FREE = 2  # FIFFV_MNE_FREE_ORI: three columns for every source


def gain_from_mne(forward: Any, *, picks: Sequence[str] | None = None) -> Gain:
    """The gain of an `mne.Forward`, one column for a source in the forward's order.

    A source of fixed orientation has its column; of one that is free, the part along the normal of
    its vertex. In V, T or T/m per A m. `picks`: names of channels, in that order, or one of the
    types eeg, mag and grad; by default all, which then must be of one type.

    Raises ImportError without MNE, TypeError for what is no forward solution, and ValueError for
    channels of several types, or that do not exist.
    """
    mne = _imported("gain_from_mne")
    if not isinstance(forward, mne.Forward):
        raise TypeError(
            f"gain_from_mne: expected an mne.Forward, got {type(forward).__name__}; make it by "
            "mne.make_forward_solution or mne.read_forward_solution."
        )
    names = list(forward["sol"]["row_names"])
    place = {name: number for number, name in enumerate(forward["info"]["ch_names"])}
    types = [mne.channel_type(forward["info"], place[name]) for name in names]
    if picks is None:
        chosen = names
    elif isinstance(picks, str):
        chosen = [name for name, type in zip(names, types, strict=True) if type == picks]
    else:
        chosen = list(picks)
    lost = [name for name in chosen if name not in names]
    if lost or not chosen:
        what = f"no channel {lost[0]!r}" if lost else f"none of the channels is {picks!r}"
        raise ValueError(
            f"gain_from_mne: {what}; there are {', '.join(names[:8])}, ... of the types "
            f"{', '.join(sorted(set(types)))}."
        )
    rows = [names.index(name) for name in chosen]
    kinds = sorted({types[row] for row in rows})
    if len(kinds) > 1:
        raise ValueError(
            f"gain_from_mne: channels of the types {', '.join(kinds)} have different units; pick "
            f"one, e.g. picks={kinds[0]!r}."
        )
    matrix = _along_normals(forward)[rows]
    return Gain(matrix, tuple(chosen), _UNITS.get(kinds[0], ""))


def bem_gain(
    sensors: Sensors,
    positions: Float[np.ndarray, "source 3"],
    orientations: Float[np.ndarray, "source 3"],
    *,
    inner_skull: Surface,
    outer_skull: Surface,
    outer_skin: Surface,
    conductivities: tuple[float, float, float] = (0.3, 0.006, 0.3),
) -> Gain:
    """EEG by MNE's boundary element method (linear collocation, isolated skull): V/(A m).

    All in one coordinate system, mm. `positions`, `orientations`: of the dipoles, the gain being
    linear in orientations. Electrodes count as at the nearest points of the skin. The surfaces are
    closed and nested. `conductivities`: of brain, skull and skin, S/m. Not differentiable. Memory
    and time grow with the square and the cube of the number of vertices, of which some 2,500 for
    each surface are usual; dipoles nearer to the inner skull than its triangles are wide come out
    less exactly.

    Raises ImportError without MNE; ValueError for dipoles outside the inner skull, surfaces of
    several parts, and what MNE refuses, e.g. surfaces that are not nested.
    """
    mne = _imported("bem_gain")
    positions, orientations = np.asarray(positions), np.asarray(orientations)
    if positions.shape != orientations.shape or not np.isfinite([positions, orientations]).all():
        raise ValueError(
            f"bem_gain: positions {positions.shape} and orientations {orientations.shape}; give "
            "one (x, y, z) of each for a source, all finite."
        )
    surfaces = {"inner_skull": inner_skull, "outer_skull": outer_skull, "outer_skin": outer_skin}
    with _silenced(mne):
        solution = _solution(mne, surfaces, conductivities)
        dipoles = {"rr": positions * 1e-3, "nn": np.tile([0.0, 0.0, 1.0], (len(positions), 1))}
        sources = mne.setup_volume_source_space(pos=dipoles)
        info = mne.create_info(list(sensors.labels), 1000.0, "eeg")
        places = dict(zip(sensors.labels, sensors.positions * 1e-3, strict=True))
        info.set_montage(mne.channels.make_dig_montage(places, coord_frame="head"))
        try:
            forward = mne.make_forward_solution(
                info, mne.Transform("head", "mri"), sources, solution, meg=False, mindist=0.0
            )
        except RuntimeError as error:  # none of them is inside
            raise ValueError(f"bem_gain: MNE finds no solution: {error}") from error
    kept = np.asarray(forward["src"][0]["inuse"], dtype=bool)
    if not kept.all():
        raise ValueError(
            f"bem_gain: {(~kept).sum()} of {len(kept)} dipoles lie outside the inner skull, the "
            f"first is source {int((~kept).argmax())}; leave them out or move them."
        )
    columns = forward["sol"]["data"].reshape(len(sensors), -1, 3)
    matrix = np.einsum("csk,sk->cs", columns, orientations)
    return Gain(matrix, sensors.labels, _UNITS["eeg"])


def _along_normals(forward: Any) -> np.ndarray:
    matrix = np.asarray(forward["sol"]["data"], dtype=np.float64)
    if forward["source_ori"] != _FREE:
        return matrix
    normals = np.concatenate([part["nn"][part["vertno"]] for part in forward["src"]])
    if len(normals) != forward["nsource"] or not normals.any(axis=1).all():
        raise ValueError(
            "gain_from_mne: sources of free orientation have no normals to project on; give a "
            "forward of a surface or of discrete sources, or convert it "
            "(mne.convert_forward_solution)."
        )
    # The axes of the three columns: x, y, z, or a system along the surface.
    axes = np.asarray(forward["source_nn"]).reshape(len(normals), 3, 3)
    shares = np.einsum("ska,sa->sk", axes, normals)
    return np.einsum("csk,sk->cs", matrix.reshape(len(matrix), -1, 3), shares)


def _solution(mne: Any, surfaces: dict[str, Surface], conductivities: Sequence[float]) -> Any:
    if len(conductivities) != 3 or not np.all(np.asarray(conductivities) > 0):
        raise ValueError(
            f"bem_gain: conductivities are {conductivities}; give those of brain, skull and skin, "
            "S/m > 0."
        )
    with tempfile.TemporaryDirectory() as folder:
        bem = Path(folder) / "head" / "bem"
        bem.mkdir(parents=True)
        for name, surface in surfaces.items():
            mne.write_surface(bem / f"{name}.surf", surface.vertices, _wound_outward(name, surface))
        try:
            model = mne.make_bem_model(
                "head", ico=None, conductivity=tuple(conductivities), subjects_dir=folder
            )
        except RuntimeError as error:
            raise ValueError(f"bem_gain: MNE refuses the surfaces: {error}") from error
    return mne.make_bem_solution(model)


def _wound_outward(name: str, surface: Surface) -> np.ndarray:
    """Its triangles, as MNE wants them."""
    if not surface.closed or surface.components.any():
        raise ValueError(
            f"bem_gain: {name} has holes or several parts; give one closed surface, e.g. its "
            "largest part."
        )
    return np.where(surface.winding[:, None] > 0, surface.triangles, surface.triangles[:, ::-1])


@contextmanager
def _silenced(mne: Any) -> Iterator[None]:
    with mne.use_log_level("CRITICAL"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _imported(name: str) -> Any:
    try:
        import mne
    except ImportError:
        raise ImportError(
            f"{name} needs MNE-Python: pip install 'tvbjax[mne]'. sphere_eeg_gain, "
            "shells_eeg_gain and sphere_meg_gain need none."
        ) from None
    return mne
