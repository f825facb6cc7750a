"""Phases against SciPy's Hilbert transform and oscillators whose phases are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from jax.test_util import check_grads

from tvbjax import analysis


@pytest.fixture(scope="module")
def signals():
    return np.random.default_rng(0).normal(size=(120, 5))


@pytest.fixture(scope="module")
def oscillators():
    """Whole cycles of cosines: phases of (time, region), rad."""
    time = np.arange(1000)
    return 2 * np.pi * 10 * time[:, None] / 1000 + np.array([0.0, 0.7, np.pi / 2])


@pytest.mark.parametrize("samples", [1, 2, 119, 120])
def test_analytic_signal_is_that_of_scipy(signals, samples):
    found = analysis.analytic_signal(signals[:samples])
    expected = scipy.signal.hilbert(signals[:samples], axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_the_phase_of_a_cosine_is_its_own(oscillators):
    found = analysis.instantaneous_phase(3.0 + 2.0 * np.cos(oscillators))
    np.testing.assert_allclose(np.exp(1j * np.asarray(found)), np.exp(1j * oscillators), atol=1e-10)


def test_order_of_known_phases():
    four = np.array([[0.0, 0.0], [0.0, np.pi], [0.0, np.pi / 2], [1.0, 1.0 + 2 * np.pi / 3]])
    np.testing.assert_allclose(
        analysis.kuramoto_order(four), [1.0, 0.0, np.sqrt(0.5), 0.5], atol=1e-15
    )
    assert analysis.synchrony(four) == pytest.approx((1.5 + np.sqrt(0.5)) / 4, rel=1e-14)
    spread = np.std([1.0, 0.0, np.sqrt(0.5), 0.5])
    assert analysis.metastability(four) == pytest.approx(spread, rel=1e-14)


def test_order_of_independent_phases_falls_as_the_root_of_their_number():
    phases = np.random.default_rng(1).uniform(-np.pi, np.pi, size=(20000, 64))
    # |sum of n unit vectors| / n is Rayleigh's: its mean is sqrt(pi / (4 n)).
    expected = np.sqrt(np.pi / (4 * 64))
    assert analysis.synchrony(phases) == pytest.approx(expected, rel=0.02)
    spread = np.sqrt((1 - np.pi / 4) / 64)
    assert analysis.metastability(phases) == pytest.approx(spread, rel=0.02)


def test_two_oscillators_that_beat():
    """Frequencies apart by d: R(t) = |cos(d t / 2)|, of mean 2/pi and variance 1/2 - 4/pi^2."""
    time = 2 * np.pi * np.arange(100000) / 100000
    phases = np.stack([40 * time, 46 * time], axis=1)
    assert analysis.synchrony(phases) == pytest.approx(2 / np.pi, rel=1e-6)
    assert analysis.metastability(phases) == pytest.approx(np.sqrt(0.5 - 4 / np.pi**2), rel=1e-6)
    assert analysis.phase_locking_value(phases)[0, 1] == pytest.approx(0.0, abs=1e-10)


def test_locked_phases_are_locked_whatever_their_difference(oscillators):
    np.testing.assert_allclose(analysis.phase_locking_value(oscillators), 1.0, rtol=1e-12)
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(analysis.phase_lag_index(oscillators), off.astype(float))


def test_phase_locking_of_a_difference_with_noise():
    """A normal difference of deviation s: E exp(i d) = exp(-s^2 / 2)."""
    rng = np.random.default_rng(2)
    common = rng.uniform(-np.pi, np.pi, size=(200000, 1))
    phases = common + np.hstack([np.zeros_like(common), 0.8 * rng.normal(size=(200000, 1))])
    found = analysis.phase_locking_value(phases)
    np.testing.assert_allclose(found[0, 1], np.exp(-0.32), atol=0.005)
    # Ahead and behind are equally often: no lag.
    assert analysis.phase_lag_index(phases)[0, 1] < 0.01


def test_phase_lag_index_pair_by_pair(signals):
    found = analysis.phase_lag_index(signals)
    for i, j in [(0, 3), (4, 1)]:
        wrapped = (signals[:, i] - signals[:, j] + np.pi) % (2 * np.pi) - np.pi
        ahead, behind = (wrapped > 0).sum(), (wrapped < 0).sum()
        assert found[i, j] == pytest.approx(abs(ahead - behind) / len(signals), abs=1e-14)


def test_coupled_oscillators_synchronise():
    """Kuramoto's own: beyond K = 2 / (pi g(0)) the order is sqrt(1 - K_c / K) for Lorentz's g."""
    strength, width, nodes = 2.0, 0.5, 800
    natural = width * np.tan(np.pi * ((np.arange(nodes) + 0.5) / nodes - 0.5))
    phase = np.random.default_rng(3).uniform(-np.pi, np.pi, nodes)
    kept = []
    for step in range(3000):
        field = np.exp(1j * phase).mean()
        phase = phase + 0.02 * (natural + strength * (field * np.exp(-1j * phase)).imag)
        if step >= 2000:
            kept.append(phase)
    expected = np.sqrt(1 - 2 * width / strength)
    assert analysis.synchrony(np.array(kept)) == pytest.approx(expected, abs=0.02)


def test_variability_by_loops(signals):
    node = [np.mean((signals[:, i] - signals[:, i].mean()) ** 2) for i in range(5)]
    assert analysis.global_variance(signals) == pytest.approx(sum(node) / 5, rel=1e-12)
    expected = sum((v - sum(node) / 5) ** 2 for v in node) / 5
    assert analysis.variance_of_node_variance(signals) == pytest.approx(expected, rel=1e-12)

    deviations = [sum(abs(x - row.sum() / 5) for x in row) / 5 for row in signals]
    np.testing.assert_allclose(analysis.spatial_deviation(signals), deviations, rtol=1e-12)
    assert analysis.proxy_synchrony(signals) == pytest.approx(120 / sum(deviations), rel=1e-12)
    found = analysis.proxy_metastability(signals)
    assert found == pytest.approx(np.std(deviations), rel=1e-12)


def test_variability_of_known_signals():
    """+A and -A times a sine: V is A |sin|; a sine's variance is A^2 / 2."""
    sine = np.sin(2 * np.pi * np.arange(4000) / 4000)
    pair = np.stack([3.0 * sine, -3.0 * sine], axis=1)
    assert analysis.global_variance(pair) == pytest.approx(4.5, rel=1e-12)
    assert analysis.variance_of_node_variance(pair) == pytest.approx(0.0, abs=1e-12)
    assert analysis.proxy_synchrony(pair) == pytest.approx(np.pi / 6, rel=1e-6)
    expected = 3.0 * np.sqrt(0.5 - 4 / np.pi**2)
    assert analysis.proxy_metastability(pair) == pytest.approx(expected, rel=1e-6)
    assert analysis.proxy_synchrony(np.ones((4, 3))) == np.inf


FUNCTIONS = {
    "analytic_signal": lambda x: jnp.abs(analysis.analytic_signal(x)),
    "synchrony": lambda x: analysis.synchrony(analysis.instantaneous_phase(x)),
    "metastability": lambda x: analysis.metastability(analysis.instantaneous_phase(x)),
    "kuramoto_order": analysis.kuramoto_order,
    "phase_locking_value": lambda x: analysis.phase_locking_value(x)[np.triu_indices(5, 1)],
    "proxies": lambda x: analysis.proxy_metastability(x) + analysis.proxy_synchrony(x),
    "variances": lambda x: analysis.global_variance(x) + analysis.variance_of_node_variance(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_jit_and_vmap(signals, name):
    function, x = FUNCTIONS[name], jnp.asarray(signals)
    compiled, several = jax.jit(function), jnp.stack([x, x[::-1] ** 2])
    check_grads(compiled, (x,), 1, ["rev"], atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(compiled(x), function(x), atol=1e-10)
    expected = [compiled(one) for one in several]
    np.testing.assert_allclose(jax.jit(jax.vmap(function))(several), expected, atol=1e-10)


def test_phase_lag_index_under_jit_and_vmap(signals):
    several = jnp.stack([signals, 2 * signals])
    expected = jnp.stack([analysis.phase_lag_index(one) for one in several])
    found = jax.jit(jax.vmap(analysis.phase_lag_index))(several)
    np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("kuramoto_order", "phases"),
        ("synchrony", "phases"),
        ("metastability", "phases"),
        ("phase_locking_value", "phases"),
        ("phase_lag_index", "phases"),
        ("spatial_deviation", "signals"),
        ("proxy_synchrony", "signals"),
        ("proxy_metastability", "signals"),
    ],
)
def test_the_function_that_was_called_is_named(without_type_checks, name, what):
    with pytest.raises(ValueError, match=rf"^{name}: {what} have the shape \(9,\); .* {what}\["):
        getattr(analysis, name)(np.ones(9))
