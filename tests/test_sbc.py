"""Simulation-based calibration of a conjugate normal model, of a right and of wrong samplers."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from tvbjax_inference.bayes.sbc import simulation_based_calibration

NOISE = 0.5
KEY = jr.key(3)


@jax.jit
def draw(key):
    one, other = jr.split(key)
    truth = jr.normal(one, (2,))
    return truth, truth + NOISE * jr.normal(other, (2,))


def sampler(scale=1.0):
    variance = 1 / (1 + NOISE**-2)

    @jax.jit
    def posterior(data, key):
        own = jr.normal(key, (99, 2)) * (scale * variance**0.5)
        return variance / NOISE**2 * data[None] + own

    return posterior


RIGHT = sampler()


def calibrated(posterior: Callable = RIGHT, count=60, **others):
    return simulation_based_calibration(
        draw, posterior, count=count, key=KEY, progress=False, **others
    )


def test_the_right_sampler_passes_and_a_narrow_one_does_not():
    right = calibrated(count=150, names=("a", "b"))
    assert not right.wrong and right.names == ("a", "b")
    narrow = calibrated(sampler(0.6), count=150)
    assert len(narrow.wrong) == 2 and narrow.verdict(narrow.names[0]) == "too narrow"


def test_it_goes_on_from_a_checkpoint_with_the_same_numbers(tmp_path):
    path = tmp_path / "sbc.npz"
    whole = calibrated()
    calibrated(count=20, checkpoint=path)
    resumed = calibrated(checkpoint=path)
    np.testing.assert_array_equal(resumed.ranks, whole.ranks)
    np.testing.assert_array_equal(resumed.z_scores, whole.z_scores)
    fewer = calibrated(count=20, checkpoint=path)
    np.testing.assert_array_equal(fewer.ranks, whole.ranks[:20])


def test_an_interrupt_keeps_what_was_done(tmp_path):
    path = tmp_path / "sbc.npz"
    calls = {"left": 25}

    def until(data, key):
        calls["left"] -= 1
        if calls["left"] < 0:
            raise KeyboardInterrupt
        return RIGHT(data, key)

    with pytest.warns(UserWarning, match="interrupted after 25 of 60"):
        found = calibrated(until, checkpoint=path)
    np.testing.assert_array_equal(found.ranks, calibrated(count=25).ranks)
    assert path.exists()


def test_a_data_set_that_fails_is_left_out_and_told(tmp_path):
    path = tmp_path / "sbc.npz"

    def at_times(data, key):
        if data[0] < -1.5:
            raise RuntimeError("the chain is stuck\nat length")
        return jnp.where(data[1] > 1.8, jnp.nan, RIGHT(data, key))

    found = calibrated(at_times, checkpoint=path)
    assert set(found.failures.values()) == {
        "RuntimeError: the chain is stuck",
        "the posterior has NaN or infinity",
    }
    assert len(found.ranks) + len(found.failures) == 60
    assert f"{len(found.failures)} of 60 data sets failed" in found.summary()
    again = calibrated(at_times, checkpoint=path)
    assert again.failures == found.failures
    np.testing.assert_array_equal(again.ranks, found.ranks)


def test_what_cannot_go_on_is_told(tmp_path):
    def broken(data, key):
        raise NameError("no such sampler")

    with pytest.raises(ValueError, match="first 5 data sets all failed.*no such sampler"):
        calibrated(broken)
    with pytest.raises(ValueError, match=r"shape \(2,\) and its posterior's draws \(99, 1\)"):
        calibrated(lambda data, key: RIGHT(data, key)[:, :1])
    sizes = iter(range(50, 99))
    with pytest.raises(ValueError, match=r"set 1 has draws of the shape \(51, 2\)"):
        calibrated(lambda data, key: RIGHT(data, key)[: next(sizes)])
    with pytest.raises(ValueError, match="must end in .npz"):
        calibrated(checkpoint=tmp_path / "sbc.json")
    with pytest.raises(ValueError, match="no folder"):
        calibrated(checkpoint=tmp_path / "absent" / "sbc.npz")
    with pytest.raises(ValueError, match="whole number of 10 or more"):
        calibrated(count=3)


def test_a_checkpoint_of_another_or_a_damaged_one_is_refused(tmp_path):
    path = tmp_path / "sbc.npz"
    calibrated(count=10, checkpoint=path)
    with pytest.raises(ValueError, match="checkpoint of another calibration"):
        calibrated(sampler(0.9), checkpoint=path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="damaged"):
        calibrated(checkpoint=path)
    np.savez(path, about=np.array("[1]"))
    with pytest.raises(ValueError, match="no checkpoint of a calibration"):
        calibrated(checkpoint=path)
