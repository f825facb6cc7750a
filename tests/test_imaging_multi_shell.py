"""Several shells: mixtures of tissues whose shares are known, made by dipy's simulator."""

import numpy as np
import pytest

from tvbjax import imaging

voxel = pytest.importorskip("dipy.sims.voxel")
dipy_data = pytest.importorskip("dipy.data")
pytest.importorskip("cvxpy")
FIBRE = np.array([1.7e-3, 0.3e-3, 0.3e-3])
GREY, FLUID = 0.8e-3, 3.0e-3
SHELLS = (1000.0, 2500.0)


def scan(shares: np.ndarray, noise: float = 1e-9) -> imaging.Diffusion:
    """Voxels in a row, each with shares of a fibre along x, of grey matter and of fluid."""
    _, _, bvecs = dipy_data.get_fnames(name="small_64D")
    directions = np.loadtxt(bvecs)[1:]
    bvals = np.concatenate([np.zeros(4), *(np.full(64, shell) for shell in SHELLS)])
    vectors = np.concatenate([np.zeros((4, 3)), directions, directions])
    affine = np.diag([-2.0, 2.0, 2.0, 1.0])
    gradients = imaging.fsl_gradients(bvals, vectors, affine)
    empty = imaging.Diffusion(np.ones((1, 1, 1, len(bvals))), affine, gradients)
    fibre, _ = voxel.multi_tensor(
        empty.table, FIBRE[None], S0=100.0, angles=[(1.0, 0.0, 0.0)], fractions=[100], snr=None
    )
    kinds = np.stack([fibre, 100 * np.exp(-bvals * GREY), 100 * np.exp(-bvals * FLUID)])
    data = shares @ kinds
    data += noise * np.random.default_rng(0).normal(size=data.shape)
    return imaging.Diffusion(data[:, None, None], affine, gradients)


MIXED = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0.5, 0, 0.5], [0.4, 0.3, 0.3]])


def mixtures():
    """Their scan with voxels of one tissue each beside them, where they are, and the responses."""
    shares = np.concatenate([MIXED, np.repeat(np.eye(3), 12, axis=0)])
    diffusion = scan(shares, noise=0.3)
    everywhere = np.ones(diffusion.data.shape[:3], bool)
    found = imaging.tensors(diffusion, everywhere, check=False)
    np.testing.assert_allclose(found.diffusivity[1, 0, 0], GREY, rtol=0.05)
    responses = imaging.tissue_responses(diffusion, found, everywhere)
    asked = everywhere & (np.arange(len(shares)) < len(MIXED))[:, None, None]
    return diffusion, asked, responses


def error(tissues):
    got = np.stack([tissues.white, tissues.grey, tissues.fluid], axis=-1)
    return np.abs(got[: len(MIXED), 0, 0] - MIXED)


def test_shares_and_orientations_of_mixtures():
    diffusion, asked, responses = mixtures()
    np.testing.assert_allclose(responses.fibre.eigenvalues, FIBRE, rtol=0.1)
    np.testing.assert_allclose(responses.grey[:, 0], GREY, rtol=0.05)
    np.testing.assert_allclose(responses.fluid[0, 0], FLUID, rtol=0.05)
    orientations, tissues = imaging.multi_shell_orientations(diffusion, asked, responses)
    assert error(tissues)[[0, 1, 2, 4]].max() < 0.04
    assert error(tissues)[[3, 5]].max() < 0.16
    assert not orientations[~asked].any() and not tissues.white[~asked].any()
    shm = pytest.importorskip("dipy.reconst.shm")
    along = pytest.importorskip("dipy.core.sphere").Sphere(xyz=np.eye(3))
    with pytest.warns(PendingDeprecationWarning):
        fibre = shm.sh_to_sf(orientations[[0, 3, 4]][:, 0, 0], along, sh_order_max=8)
    assert (fibre[:, 0] > 5 * np.abs(fibre[:, 1:]).max(axis=1)).all()


def test_more_harmonics_and_processes():
    """A fibre that few harmonics blur takes some of the grey matter's signal."""
    diffusion, asked, responses = mixtures()
    orientations, blurred = imaging.multi_shell_orientations(diffusion, asked, responses)
    several, _ = imaging.multi_shell_orientations(diffusion, asked, responses, workers=2)
    np.testing.assert_array_equal(several, orientations)
    _, sharper = imaging.multi_shell_orientations(diffusion, asked, responses, order=12)
    assert error(sharper)[[3, 5]].max() < 0.65 * error(blurred)[[3, 5]].max()


def test_what_is_missing_is_said():
    diffusion = scan(np.repeat(np.eye(3), 4, axis=0))
    everywhere = np.ones(diffusion.data.shape[:3], bool)
    found = imaging.tensors(diffusion, everywhere, check=False)
    with pytest.raises(ValueError, match="4 voxels look like white alone, and 10 are needed"):
        imaging.tissue_responses(diffusion, found, everywhere)
    shell = diffusion.strongest_shell
    assert shell.gradients.shells == (2500,) and shell.data.shape[-1] == 68
    with pytest.raises(ValueError, match="the only shell is of b = 2500"):
        imaging.tissue_responses(shell, found, everywhere)
    one = np.array([[*FIBRE, 100.0]])
    with pytest.raises(ValueError, match=r"responses of \[1, 1, 1\] shells, and the scan has 2"):
        imaging.multi_shell_orientations(
            diffusion, everywhere, imaging.TissueResponses(one, one, one)
        )
    with pytest.raises(ValueError, match="order is 3; give an even one"):
        imaging.multi_shell_orientations(
            diffusion, everywhere, imaging.TissueResponses(one, one, one), order=3
        )


@pytest.mark.slow
def test_a_bundle_is_found_by_two_shells_without_an_anatomy():
    """Tissues are those of the deconvolution: streamlines end at grey matter."""
    _, _, bvecs = dipy_data.get_fnames(name="small_64D")
    directions = np.loadtxt(bvecs)[1:]
    bvals = np.concatenate([np.zeros(2), np.full(64, SHELLS[0]), np.full(64, SHELLS[1])])
    vectors = np.concatenate([np.zeros((2, 3)), directions, directions])
    centres = np.array([[4.0, 4.0, 4.0], [18.0, 4.0, 4.0]])
    phantom = imaging.straight_bundles(bvals, vectors, (23, 14, 9), centres, [(0, 1)])
    rng = np.random.default_rng(0)
    fluid = np.zeros(phantom.brain.shape, bool)
    fluid[2:20, 11:13, 2:7] = True
    data = phantom.diffusion.data.copy()
    clean = 100.0 * np.exp(-bvals * FLUID)
    data[fluid] = np.abs(clean + 3.0 * rng.normal(size=(int(fluid.sum()), len(bvals))))
    # Grey matter reaches into the ends of the bundle.
    ends = phantom.parcellation > 0
    data[ends] = np.abs(
        100.0 * np.exp(-bvals * GREY) + 3.0 * rng.normal(size=(int(ends.sum()), len(bvals)))
    )
    diffusion = imaging.Diffusion(data, phantom.diffusion.affine, phantom.diffusion.gradients)
    images = imaging.prepared(
        diffusion,
        imaging.Image(phantom.parcellation, diffusion.affine),
        imaging.Preparation(denoise=False),
        mask=phantom.brain,
    )
    result = imaging.structural_connectome(
        images, {1: "one", 2: "two"}, imaging.Structural(single=0.6), workers=2
    )
    assert result.tissues is not None
    assert result.tissues.fluid[fluid].mean() > 0.9
    assert result.tissues.white[phantom.white_matter & ~ends].mean() > 0.8
    assert result.tissues.grey[phantom.brain & ~phantom.white_matter & ~fluid].mean() > 0.6
    assert float(np.asarray(result.connectome.weights)[0, 1]) > 20
    length = float(np.asarray(result.connectome.tract_lengths)[0, 1])
    # From the border of a region, which is a ball of 6 mm, to that of the other.
    assert phantom.distances[0] - 12.5 < length < phantom.distances[0]
