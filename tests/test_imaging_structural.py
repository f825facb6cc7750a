"""The structural pipeline: the phantom's connectome, step by step, kept and gone on with."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from tvbjax import imaging
from tvbjax.imaging import explained_signal, preparation, structural
from tvbjax.imaging.step_cache import StepCache, key_of

dipy_data = pytest.importorskip("dipy.data")
LABELS = {1: "one", 2: "two", 3: "three", 4: "four"}
OPTIONS = imaging.Structural(order=6, white=0.25)
RAW = imaging.Preparation(denoise=False)


@pytest.fixture(scope="module")
def phantom():
    _, bvals, bvecs = dipy_data.get_fnames(name="small_64D")
    bvals, bvecs = np.loadtxt(bvals), np.loadtxt(bvecs)
    return imaging.three_bundles(bvals, np.where(bvals[:, None] > 50, bvecs, 0.0))


def run(phantom, folder, options=OPTIONS, **more):
    return imaging.structural_connectome(
        ready(phantom, folder), LABELS, options, cache=folder, **more
    )


def ready(phantom, folder=None, **more):
    """The phantom's images, prepared; all of it is brain."""
    mask = np.ones(phantom.parcellation.shape, bool)
    image = imaging.Image(phantom.parcellation, phantom.diffusion.affine)
    return imaging.prepared(phantom.diffusion, image, RAW, mask=mask, cache=folder, **more)


def edges_of(connectome):
    return {tuple(map(int, p)) for p in np.argwhere(np.triu(np.asarray(connectome.weights)) > 0)}


def test_the_pipeline_finds_the_bundles_and_reads_again_what_it_made(
    phantom, tmp_path, monkeypatch
):
    first = run(phantom, tmp_path)
    weights = np.asarray(first.connectome.weights)
    assert edges_of(first.connectome) == set(phantom.edges)
    kept = {path.name.split("-")[0] for path in tmp_path.iterdir()}
    assert kept == {"tensors", "fibres", "streamlines"}

    def none(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(preparation, "tensors", none)
    for name in ("fibre_orientations", "tracked"):
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
    whole = path.read_bytes()
    wrong = bytearray(whole)
    wrong[60:70] = bytes(10)
    for number, damaged in enumerate((whole[:50], b"", bytes(wrong)), start=2):
        path.write_bytes(damaged)
        np.testing.assert_array_equal(cache("step", compute, 1)["x"], np.arange(3.0))
        assert len(calls) == number
    StepCache(None)("step", compute, 1)
    assert len(calls) == 5


@pytest.mark.parametrize(
    "one, other",
    [
        (np.zeros(3), np.zeros((3, 1))),
        (np.zeros(3), np.zeros(3, np.float32)),
        ("1", 1),
        ((1, (2, 3)), (1, 2, 3)),
        ({"a": 1}, {"a": 2}),
        (RAW, dataclasses.replace(RAW, deform=True)),
    ],
)
def test_different_inputs_have_different_keys(one, other):
    assert key_of("step", (one,)) == key_of("step", (one,))
    assert key_of("step", (one,)) != key_of("step", (other,))
    assert key_of("step", (one,)) != key_of("other", (one,))


def test_with_tissues_streamlines_end_in_grey_matter(phantom):
    """Also of a T1-weighted image in another space: a finer grid, elsewhere."""
    inside = phantom.brain.astype(float)
    white = (phantom.white_matter & (phantom.parcellation == 0)).astype(float)
    grey = inside * (1.0 - white)
    images = dataclasses.replace(ready(phantom), tissues=imaging.Tissues(white, grey, 0.0 * white))
    result = imaging.structural_connectome(images, LABELS, OPTIONS)
    assert edges_of(result.connectome) == set(phantom.edges)
    lengths = np.asarray(result.connectome.tract_lengths)
    for edge, distance in zip(phantom.edges, phantom.distances, strict=True):
        assert lengths[edge] == pytest.approx(distance, rel=0.25)
    back = np.linalg.inv(phantom.diffusion.affine)
    for line in result.streamlines[:200]:
        for end in (line[0], line[-1]):
            place = np.rint(back[:3, :3] @ end + back[:3, 3]).astype(int)
            near = tuple(slice(max(0, i - 1), i + 2) for i in place)
            assert grey[near].any()


def test_a_parcellation_comes_with_its_anatomy_from_another_space(phantom):
    inside = phantom.brain.astype(float)
    rng = np.random.default_rng(0)
    contrast = inside * (60.0 + 40.0 * phantom.white_matter)
    contrast[12:18, 12:18, 3:7] = 20.0  # fluid
    contrast += inside * rng.normal(scale=1.0, size=inside.shape)
    there = phantom.diffusion.affine.copy()
    there[:3, 3] = [9.0, -14.0, 5.0]
    anatomy = imaging.Image(contrast, there)
    regions = imaging.Image(phantom.parcellation, there)
    mask = inside > 0
    found = imaging.prepared(phantom.diffusion, regions, RAW, anatomy=anatomy, mask=mask)
    same = (found.parcellation == phantom.parcellation) & (phantom.parcellation > 0)
    assert same.sum() > 0.9 * (phantom.parcellation > 0).sum()
    assert found.tissues is not None
    assert found.tissues.white[phantom.white_matter].mean() > 0.6
    assert found.tissues.fluid[14:16, 14:16, 4:6].mean() > 0.6
    elsewhere = imaging.Image(contrast, phantom.diffusion.affine)
    for given, message in (
        (None, "is not in the space of the diffusion image, .* give the T1-weighted image"),
        (elsewhere, "nor the anatomy"),
    ):
        with pytest.raises(ValueError, match=message):
            imaging.prepared(phantom.diffusion, regions, RAW, mask=mask, anatomy=given)
    corner = imaging.Image(phantom.parcellation, phantom.diffusion.affine)
    with pytest.raises(ValueError, match="only 0 % of the parcellation's voxels lie in the brain"):
        imaging.prepared(
            phantom.diffusion, corner, RAW, mask=phantom.white_matter & (corner.data == 0)
        )
    empty = imaging.Image(0 * corner.data, corner.affine)
    with pytest.raises(ValueError, match="the parcellation has no region"):
        imaging.prepared(phantom.diffusion, empty, RAW, mask=mask)


def test_streamlines_count_by_the_signal_that_they_explain(phantom):
    """A bundle that is met several times as often explains no more than before."""
    first = run(phantom, None)
    regions, affine = phantom.parcellation, phantom.diffusion.affine
    back = np.linalg.inv(affine)
    rng = np.random.default_rng(0)
    many = list(first.streamlines)
    for line in first.streamlines:
        ends = np.rint(line[[0, -1]] @ back[:3, :3].T + back[:3, 3]).astype(int)
        if sorted(regions[tuple(ends.T)]) == [2, 3]:
            many += [line + rng.normal(scale=0.3, size=3) for _ in range(4)]

    def parts(streamlines, **options):
        found = imaging.streamline_connectome(streamlines, regions, affine, LABELS, **options)
        weights = np.asarray(found.weights, float)
        return np.array([weights[edge] for edge in phantom.edges]) / weights.sum()

    before, after = parts(first.streamlines), parts(many)
    assert after[1] / after[0] > 2 * before[1] / before[0]  # some of the copies miss a region
    shares = imaging.signal_shares(many, phantom.diffusion, phantom.response)
    assert (shares >= 0).all()
    whole = run(phantom, None, dataclasses.replace(OPTIONS, by_signal=True))
    kept = np.asarray(whole.connectome.weights, float)
    expected = np.array([kept[edge] for edge in phantom.edges]) / kept.sum()
    np.testing.assert_allclose(parts(many, shares=shares), expected, atol=0.05)


def test_too_many_streamlines_for_memory_are_refused(phantom, monkeypatch):
    monkeypatch.setattr(explained_signal, "_MOST", 20_000)
    line = np.linspace([4.0, 4.0, 10.0], [54.0, 54.0, 10.0], 200)
    with pytest.raises(ValueError, match="need a matrix of 3.3e.04 numbers, .* give some 12 of"):
        imaging.signal_shares([line] * 20, phantom.diffusion, phantom.response)


def test_measures_of_a_bundle():
    bundle = imaging.Bundle(np.array([10.0, 20.0]), np.array([1.0, 0.5]), (300.0, 100.0))
    assert imaging.streamline_count(bundle) == 1.5
    assert imaging.connection_density(bundle) == pytest.approx((1 / 10 + 0.5 / 20) / 200)


def test_what_does_not_fit_is_said(phantom):
    cut = imaging.Image(phantom.parcellation[..., 1:], phantom.diffusion.affine)
    with pytest.raises(ValueError, match="the parcellation, 30 x 30 x 9 voxels of 2, 2, 2 mm from"):
        imaging.prepared(phantom.diffusion, cut)
    with pytest.raises(ValueError, match=r"the mask has the shape \(3, 3, 3\), and the diffusion"):
        imaging.prepared(phantom.diffusion, cut, mask=np.ones((3, 3, 3), bool))
    with pytest.raises(ValueError, match="order is 5; give an even one"):
        imaging.Structural(order=5)
    cases: list[tuple[Any, str]] = [
        ({"angle": 0.0}, "angle is 0 degrees"),
        ({"angle": 500.0}, "angle is 500 degrees"),
        ({"lengths": (250.0, 10.0)}, "lengths are 250 to 10 mm; give the shortest first"),
    ]
    for wrong, message in cases:
        with pytest.raises(ValueError, match=message):
            imaging.Structural(**wrong)
    with pytest.raises(ValueError, match="there are 0 labels; give names by number"):
        imaging.structural_connectome(ready(phantom), {})
    with pytest.raises(ValueError, match="there are 1 labels, one of them for 0; give names"):
        imaging.structural_connectome(ready(phantom), {0: "none"})
    half = imaging.Image(phantom.parcellation + 0.5, phantom.diffusion.affine)
    with pytest.raises(ValueError, match="values that are no whole numbers"):
        imaging.prepared(phantom.diffusion, half)
    far = [np.array([[0.0, 0.0, 0.0], [500.0, 0.0, 0.0]])]
    with pytest.raises(ValueError, match=r"leave the parcellation's grid, as at \(500, 0, 0\) mm"):
        imaging.streamline_connectome(far, phantom.parcellation, phantom.diffusion.affine, LABELS)
    with pytest.raises(ValueError, match="there is no streamline"):
        imaging.streamline_connectome([], phantom.parcellation, phantom.diffusion.affine, LABELS)
    with pytest.raises(ValueError, match="white is 0"):
        imaging.Structural(white=0.0)
    with pytest.raises(TypeError, match="object is not hashed"):
        key_of("step", (object(),))
