"""The structural pipeline: the phantom's connectome, step by step, kept and gone on with."""

import dataclasses

import numpy as np
import pytest

from tvbjax import imaging
from tvbjax.imaging import structural
from tvbjax.imaging.step_cache import StepCache, key_of

dipy_data = pytest.importorskip("dipy.data")
LABELS = {1: "one", 2: "two", 3: "three", 4: "four"}
OPTIONS = imaging.Structural(denoise=False, order=6, white=0.25)


@pytest.fixture(scope="module")
def phantom():
    _, bvals, bvecs = dipy_data.get_fnames(name="small_64D")
    bvals, bvecs = np.loadtxt(bvals), np.loadtxt(bvecs)
    return imaging.three_bundles(bvals, np.where(bvals[:, None] > 50, bvecs, 0.0))


def run(phantom, folder, options=OPTIONS, **more):
    mask = np.ones(phantom.parcellation.shape, bool)
    return imaging.structural_connectome(
        phantom.diffusion, phantom.parcellation, LABELS, options, mask=mask, cache=folder, **more
    )


def test_the_pipeline_finds_the_bundles_and_reads_again_what_it_made(
    phantom, tmp_path, monkeypatch
):
    first = run(phantom, tmp_path)
    weights = np.asarray(first.connectome.weights)
    edges = {tuple(map(int, pair)) for pair in np.argwhere(np.triu(weights) > 0)}
    assert edges == set(phantom.edges)
    kept = {path.name.split("-")[0] for path in tmp_path.iterdir()}
    assert kept == {"tensors", "orientations", "streamlines"}

    def none(*_, **__):
        raise AssertionError("computed again")

    for name in ("tensors", "fibre_orientations", "tracked"):
        monkeypatch.setattr(structural, name, none)
    again = run(phantom, tmp_path)
    np.testing.assert_array_equal(again.connectome.weights, weights)
    np.testing.assert_array_equal(again.connectome.tract_lengths, first.connectome.tract_lengths)
    with pytest.raises(AssertionError, match="computed again"):
        run(phantom, tmp_path, dataclasses.replace(OPTIONS, seed=2))


def test_a_damaged_result_is_made_anew(tmp_path):
    cache, calls = StepCache(tmp_path), []

    def compute():
        calls.append(1)
        return {"x": np.arange(3.0)}

    for _ in range(2):
        np.testing.assert_array_equal(cache("step", compute, 1)["x"], np.arange(3.0))
    assert len(calls) == 1
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:50])
    np.testing.assert_array_equal(cache("step", compute, 1)["x"], np.arange(3.0))
    assert len(calls) == 2
    StepCache(None)("step", compute, 1)
    assert len(calls) == 3


@pytest.mark.parametrize(
    "one, other",
    [
        (np.zeros(3), np.zeros((3, 1))),
        (np.zeros(3), np.zeros(3, np.float32)),
        ("1", 1),
        ((1, (2, 3)), (1, 2, 3)),
        ({"a": 1}, {"a": 2}),
        (OPTIONS, dataclasses.replace(OPTIONS, step=0.4)),
    ],
)
def test_different_inputs_have_different_keys(one, other):
    assert key_of("step", (one,)) == key_of("step", (one,))
    assert key_of("step", (one,)) != key_of("step", (other,))
    assert key_of("step", (one,)) != key_of("other", (one,))


def test_what_does_not_fit_is_said(phantom):
    with pytest.raises(ValueError, match=r"the parcellation has the shape \(30, 30, 9\), and the"):
        imaging.structural_connectome(phantom.diffusion, phantom.parcellation[..., 1:], LABELS)
    with pytest.raises(ValueError, match="order is 5; give an even one"):
        imaging.Structural(order=5)
    with pytest.raises(ValueError, match="white is 0"):
        imaging.Structural(white=0.0)
    with pytest.raises(TypeError, match="object is not hashed"):
        key_of("step", (object(),))
