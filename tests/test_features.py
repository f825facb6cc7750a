"""Measures of a sweep: they keep what NumPy and SciPy find in the whole samples."""

from typing import Any

import jax
import numpy as np
import pytest
import scipy.signal

import tvbjax
from networks import network
from tvbjax import features, monitors, noise

GAIN = tvbjax.Free(lambda s: s.coupling.a)


def test_a_sweep_keeps_features_alone(tmp_path):
    watch = monitors.TemporalAverage(1.0)
    simulator = network(tmp_path, noise=noise.Additive(0.1), monitors=watch)
    space, key = {GAIN: [0.05, 0.2, 0.3]}, jax.random.key(1)
    keep = features.Together(
        features.Mean(),
        features.Variance("temporal_average"),
        features.FunctionalConnectivity(),
        features.FunctionalConnectivityDynamics(window=20, step=4, name="fcd"),
        features.PowerSpectrum(segment=16),
    )
    found = tvbjax.sweep(simulator, space, 60.0, key=key, measure=keep, progress=False)
    whole = tvbjax.sweep(simulator, space, 60.0, key=key, progress=False)["temporal_average"]
    for i in range(3):
        one = whole[i, :, 0].values
        np.testing.assert_allclose(found["mean"][i], one.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(found["variance"][i], one.var(axis=0), rtol=1e-10)
        connectivity = found["functional_connectivity"][i]
        np.testing.assert_allclose(connectivity, np.corrcoef(one.T), atol=1e-10)
        assert found["fcd"][i].shape == (11, 11)
        _, density = scipy.signal.welch(one, fs=1000.0, nperseg=16, axis=0)
        np.testing.assert_allclose(found["power_spectrum"][i], density, rtol=1e-8)
    assert keep == features.Together(*keep.measures) and hash(keep) == hash(
        features.Together(*keep.measures)
    )


@pytest.mark.parametrize(
    ("measure", "says"),
    [
        (features.Mean("bold"), "there is no 'bold'; name one of raw, slow"),
        (features.Mean(), "there are several monitors; name one of raw, slow"),
        (features.Mean("raw", "y"), "there is no 'y'; name one of x"),
        (
            features.Together(features.Mean("raw"), features.Mean("slow")),
            "two measures give 'mean'",
        ),
    ],
)
def test_features_of_what_there_is_not_are_refused(tmp_path, measure, says):
    watch = (monitors.Raw(), monitors.TemporalAverage(1.0, name="slow"))
    simulator = network(tmp_path, monitors=watch)
    with pytest.raises(ValueError, match=says):
        tvbjax.sweep(simulator, {GAIN: [0.1]}, 5.0, measure=measure, progress=False)


@pytest.mark.parametrize("single", [False, True])
def test_the_tile_changes_no_bit_of_a_feature(tmp_path, single):
    """Sums over time of members side by side would round as the tile has it."""
    keep = features.Together(
        features.Mean(), features.Variance(), features.PowerSpectrum(segment=32)
    )
    with jax.enable_x64(not single):
        watch = monitors.TemporalAverage(1.0)
        simulator = network(tmp_path, noise=noise.Additive(0.1), monitors=watch)
        space = {GAIN: np.linspace(0.0, 0.3, 13)}

        def swept(tile):
            return tvbjax.sweep(
                simulator, space, 80.0, key=jax.random.key(1), measure=keep, tile=tile
            )

        expected, found = swept(4), swept(8)
    for name in ("mean", "variance", "power_spectrum"):
        assert expected[name].dtype == (np.float32 if single else np.float64)
        np.testing.assert_array_equal(found[name], expected[name])


@pytest.mark.parametrize("measure", [features.Mean, features.Together])
def test_what_is_no_measure_is_refused(tmp_path, measure):
    with pytest.raises(TypeError, match="measure is 'mean'; give a function of a Result"):
        features.Together("mean")
    with pytest.raises(TypeError, match="give a function of a Result, or one of tvbjax.features"):
        tvbjax.sweep(network(tmp_path), {GAIN: [0.1]}, 5.0, measure=measure)
    bare: Any = lambda r: r.final.state  # noqa: E731
    with pytest.raises(TypeError, match="must give arrays by name"):
        tvbjax.sweep(network(tmp_path), {GAIN: [0.1]}, 5.0, measure=bare)
