"""Entropies against closed forms for noise and against counting pair by pair."""

import math

import numpy as np
import pytest
import scipy.special

from tvbjax import analysis


def counted(signal, length, within):
    """Sample entropy by its definition."""
    last = len(signal) - length
    alike = longer = 0
    for i in range(last):
        for j in range(i + 1, last):
            if all(abs(signal[i + k] - signal[j + k]) <= within for k in range(length)):
                alike += 1
                longer += abs(signal[i + length] - signal[j + length]) <= within
    return math.log(alike / longer)


@pytest.mark.parametrize(("length", "tolerance"), [(2, 0.2), (1, 0.5), (3, 1.0)])
def test_sample_entropy_pair_by_pair(length, tolerance):
    signals = np.random.default_rng(0).normal(size=(150, 2)).cumsum(axis=0)
    signals[:, 1] = signals[:, 1].round(1)  # so that some differences are the tolerance
    found = analysis.sample_entropy(signals, length, tolerance)
    expected = [counted(one, length, tolerance * one.std()) for one in signals.T]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_sample_entropy_of_white_noise():
    """Samples are alike independently: -ln P(|x - y| <= r s) = -ln erf(r / 2) of normal ones."""
    noise = np.random.default_rng(1).normal(size=(8000, 2))
    expected = -math.log(scipy.special.erf(0.2 / 2))
    np.testing.assert_allclose(analysis.sample_entropy(noise), expected, rtol=0.03)


def test_sample_entropy_of_regular_signals():
    time = np.arange(1000)
    signals = np.stack([np.sin(2 * np.pi * time / 25), time % 2, np.full(1000, 0.1)], axis=1)
    found = analysis.sample_entropy(signals.astype(float))
    assert found[0] < 0.3  # noise: 2.2
    np.testing.assert_allclose(found[1:], 0.0, atol=0.01)


def test_sample_entropy_where_nothing_is_alike():
    once = np.array([[0.0], [0.0], [10.0], [0.0], [0.0], [-10.0]])
    assert analysis.sample_entropy(once)[0] == np.inf
    rising = 2.0 ** np.arange(8.0)[:, None]
    assert np.isnan(analysis.sample_entropy(rising, 2, 0.0)[0])


def test_multiscale_entropy_falls_for_white_noise_as_its_means_do():
    """Means of s samples of white noise: normal, of deviation 1/sqrt(s) (Costa et al. 2002)."""
    noise = np.random.default_rng(2).normal(size=(24000, 1))
    scales = [1, 2, 4, 8]
    found = analysis.multiscale_entropy(noise, scales, tolerance=0.15)[:, 0]
    expected = [-math.log(scipy.special.erf(0.15 * math.sqrt(s) / 2)) for s in scales]
    np.testing.assert_allclose(found, expected, rtol=0.05)


def test_multiscale_entropy_is_that_of_means_with_the_signals_own_tolerance():
    signals = np.random.default_rng(3).normal(size=(301, 2)).cumsum(axis=0)
    found = analysis.multiscale_entropy(signals, [1, 3])
    np.testing.assert_allclose(found[0], analysis.sample_entropy(signals), rtol=1e-12)
    for i, one in enumerate(signals.T):
        coarse = [one[k : k + 3].mean() for k in range(0, 300, 3)]
        assert found[1, i] == pytest.approx(counted(coarse, 2, 0.2 * one.std()), rel=1e-12)


def test_permutation_entropy_of_the_papers_example():
    """Bandt and Pompe: 4, 7, 9, 10, 6, 11, 3 has H(2) = 0.918 bits and H(3) = 1.522 bits."""
    signal = np.array([4.0, 7.0, 9.0, 10.0, 6.0, 11.0, 3.0])[:, None]
    assert analysis.permutation_entropy(signal, 2)[0] == pytest.approx(0.918, abs=5e-4)
    third = analysis.permutation_entropy(signal, 3)[0] * math.log2(6)
    assert third == pytest.approx(1.522, abs=5e-4)


def test_permutation_entropy_of_noise_and_of_order():
    noise = np.random.default_rng(4).normal(size=(50000, 1))
    assert analysis.permutation_entropy(noise, 4)[0] == pytest.approx(1.0, abs=1e-3)
    rising = np.arange(100.0)[:, None]
    np.testing.assert_allclose(analysis.permutation_entropy(rising), 0.0, atol=1e-15)
    # Every other sample rises by itself: at a lag of two there is one order alone.
    two = np.stack([np.arange(100.0), -np.arange(100.0)], axis=1).reshape(-1, 1)
    assert analysis.permutation_entropy(two[::2], 3)[0] == pytest.approx(0.0, abs=1e-15)
    assert analysis.permutation_entropy(two, 3, 2)[0] == pytest.approx(
        math.log(2) / math.log(6), rel=1e-6
    )


def test_spectral_entropy_of_known_spectra():
    density = np.zeros((16, 4))
    density[3, 0] = 2.0
    density[:, 1] = 0.3
    density[:4, 2] = 5.0
    found = analysis.spectral_entropy(density)
    np.testing.assert_allclose(found[:3], [0.0, 1.0, 0.5], atol=1e-14)
    assert np.isnan(found[3])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda x: analysis.sample_entropy(x, 0), "length=0, tolerance=0.2; give a length of 1"),
        (lambda x: analysis.sample_entropy(x, 2, -1.0), "tolerance=-1.0; give"),
        (lambda x: analysis.sample_entropy(x[:3]), r"shape \(3, 2\) .*; give 4 samples"),
        (lambda x: analysis.multiscale_entropy(x, [1, 30]), "give 120 samples"),
        (lambda x: analysis.multiscale_entropy(x, [0]), r"scales=\[0\]; give whole numbers"),
        (lambda x: analysis.permutation_entropy(x, 11), "order=11, lag=1; give 2 to 10"),
        (lambda x: analysis.permutation_entropy(x[:7], 4, 2), "give 8 samples"),
        (lambda x: analysis.spectral_entropy(x[:1]), r"shape \(1, 2\); give \(frequency, region"),
        (lambda x: analysis.sample_entropy(x / 0), r"signals\[0, 0\] is inf"),
    ],
)
def test_what_has_no_entropy_is_an_error(call, says):
    with np.errstate(divide="ignore"), pytest.raises(ValueError, match=says):
        call(np.ones((40, 2)))
