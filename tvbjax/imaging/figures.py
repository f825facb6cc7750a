"""Pictures that tell whether a connectome can be trusted: anisotropy, orientations, streamlines,
matrices."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tvbjax.imaging._packages import in_dipys_basis, needed
from tvbjax.imaging.structural import StructuralResult
from tvbjax.imaging.tractography import voxels_of
from tvbjax.plot.style import STYLE, load_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_GLYPHS = 14  # voxels along an edge of the window in which orientations are drawn


def structural_quality(result: StructuralResult) -> "Figure":
    """Six panels: main directions by colour (red right, green front, blue up) with the outlines of
    the parcellation, which tell whether it was brought to the right place; orientations of
    fibres in a window, density of streamlines, their lengths, and the matrices of weights and
    lengths. Slices are those with the most white matter."""
    matplotlib, figure_class, _ = load_matplotlib()
    level = int(result.white.sum(axis=(0, 1)).argmax())
    with matplotlib.rc_context(STYLE):
        figure = figure_class(figsize=(15, 9), dpi=100, layout="constrained")
        axes = figure.subplots(2, 3)
        colours = (
            np.abs(result.prepared.tensors.direction)
            * result.prepared.tensors.anisotropy[..., None]
        )
        shown = np.clip(colours[:, :, level].transpose(1, 0, 2), 0.0, 1.0)
        axes[0, 0].imshow(shown, origin="lower", interpolation="nearest")
        regions = (result.prepared.parcellation[:, :, level].T > 0).astype(float)
        if 0.0 < regions.mean() < 1.0:
            axes[0, 0].contour(regions, levels=[0.5], colors="white", linewidths=0.7)
        axes[0, 0].set_title("Main directions, by anisotropy; white: regions")
        _glyphs(axes[0, 1], result, level)
        density = voxels_of(
            result.streamlines, result.prepared.diffusion.affine, result.white.shape
        )
        image = axes[0, 2].imshow(density[:, :, level].T, origin="lower", cmap="magma")
        figure.colorbar(image, ax=axes[0, 2], label="streamlines in a voxel")
        axes[0, 2].set_title("Density of streamlines")
        for one in axes[0]:
            one.set(xticks=[], yticks=[])
        lengths = [np.linalg.norm(np.diff(one, axis=0), axis=1).sum() for one in result.streamlines]
        axes[1, 0].hist(lengths, bins=40, color="#0072B2")
        axes[1, 0].set(xlabel="length (mm)", ylabel="streamlines", title="Lengths of streamlines")
        _matrix(figure, axes[1, 1], result.connectome.weights, "weight", "Weights")
        _matrix(figure, axes[1, 2], result.connectome.tract_lengths, "mm", "Mean lengths")
        figure.suptitle(
            f"{result.connectome.name}: {len(result.streamlines):,} streamlines, "
            f"{len(result.connectome.labels)} regions"
        )
    return figure


def _matrix(figure, axes, values: Any, unit: str, title: str) -> None:
    values = np.asarray(values, float)
    image = axes.imshow(np.where(values > 0, values, np.nan), cmap="viridis")
    figure.colorbar(image, ax=axes, label=unit)
    axes.set(title=title, xlabel="region", ylabel="region")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)


def _glyphs(axes, result: StructuralResult, level: int) -> None:
    """How fibres are oriented in a window of the slice, as outlines in its plane."""
    angles = np.linspace(0.0, 2 * np.pi, 60, endpoint=False)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)
    sphere = needed("dipy.core.sphere").Sphere(xyz=ring)
    shm = needed("dipy.reconst.shm")
    places = np.argwhere(result.white[:, :, level])
    corner = np.maximum(np.median(places, axis=0).astype(int) - _GLYPHS // 2, 0)
    with in_dipys_basis():
        values = shm.sh_to_sf(
            result.orientations[:, :, level],
            sphere,
            sh_order_max=_order(result.orientations.shape[-1]),
        )
    for x, y in places:
        if not ((corner <= (x, y)) & ((x, y) < corner + _GLYPHS)).all():
            continue
        radii = np.maximum(values[x, y], 0.0)
        if radii.max() > 0:
            outline = np.array([x, y]) + 0.5 * (radii / radii.max())[:, None] * ring[:, :2]
            axes.fill(*outline.T, color="#D55E00", lw=0)
    axes.set(
        title="Orientations of fibres",
        aspect="equal",
        xlim=(corner[0] - 1, corner[0] + _GLYPHS),
        ylim=(corner[1] - 1, corner[1] + _GLYPHS),
    )


def _order(coefficients: int) -> int:
    """The order of spherical harmonics, even, that have so many coefficients."""
    return int((-3 + np.sqrt(9 + 8 * (coefficients - 1))) / 2 + 0.5)
