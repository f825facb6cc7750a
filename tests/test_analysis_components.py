"""Principal components against scikit-learn, independent ones against sources that are known."""

import builtins

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from tvbjax import analysis


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(0)
    return 7.0 + rng.normal(size=(300, 5)) @ rng.normal(size=(5, 5))


@pytest.fixture(scope="module")
def mixture():
    """A sawtooth, a square wave and Laplace's noise, and the matrix that mixes them."""
    time = np.arange(4000) / 4000
    rng = np.random.default_rng(1)
    sources = np.stack(
        [(37 * time) % 1.0, np.sign(np.sin(2 * np.pi * 11 * time)), rng.laplace(size=4000)], axis=1
    )
    sources = (sources - sources.mean(axis=0)) / sources.std(axis=0)
    return sources, np.array([[3.0, 1.0, 0.5, 0.2], [0.3, 1.5, -0.8, 1.0], [0.2, 0.1, 0.4, -0.5]])


@pytest.mark.parametrize("count", [None, 2])
def test_principal_components_are_those_of_scikit_learn(signals, count):
    decomposition = pytest.importorskip("sklearn.decomposition")
    found = analysis.principal_components(signals, count)
    reference = decomposition.PCA(count).fit(signals)
    assert found.loadings.shape == (count or 5, 5)
    np.testing.assert_allclose(found.variance, reference.explained_variance_, rtol=1e-10)
    np.testing.assert_allclose(found.share, reference.explained_variance_ratio_, rtol=1e-10)
    same = np.sign((np.asarray(found.loadings) * reference.components_).sum(axis=1))
    loadings, scores = np.asarray(found.loadings), np.asarray(found.scores)
    np.testing.assert_allclose(loadings.T * same, reference.components_.T, atol=1e-9)
    np.testing.assert_allclose(scores * same, reference.transform(signals), atol=1e-9)


def test_components_give_the_signals_back_and_their_largest_entry_is_positive(signals):
    found = analysis.principal_components(signals)
    np.testing.assert_allclose(
        found.scores @ found.loadings, signals - signals.mean(axis=0), atol=1e-10
    )
    mirrored = analysis.principal_components(-signals)
    np.testing.assert_allclose(mirrored.loadings, found.loadings, atol=1e-9)
    assert (found.loadings.max(axis=1) == jnp.abs(found.loadings).max(axis=1)).all()


def test_fewer_samples_than_regions_leave_variances_of_zero(signals):
    found = analysis.principal_components(signals[:3])
    np.testing.assert_allclose(found.variance[2:], 0.0, atol=1e-12)
    assert (found.variance >= 0).all() and found.share.sum() == pytest.approx(1.0, rel=1e-12)


def test_gradients_jit_and_vmap(signals):
    x = jnp.asarray(signals[:30])

    @jax.jit
    def parts(x):
        return tuple(analysis.principal_components(x, 3))

    check_grads(parts, (x,), 1, ["fwd", "rev"], atol=1e-5, rtol=1e-5)
    for one, other in zip(parts(x), analysis.principal_components(x, 3), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
    several = jnp.stack([x, x**2])
    for i, one in enumerate(jax.vmap(parts)(several)):
        expected = jnp.stack([parts(each)[i] for each in several])
        np.testing.assert_allclose(one, expected, atol=1e-8)


def test_independent_components_are_the_sources(mixture):
    pytest.importorskip("sklearn")
    sources, mixing = mixture
    found = analysis.independent_components(sources @ mixing, 3, seed=0)
    match = np.abs(np.corrcoef(sources.T, found.sources.T)[:3, 3:])
    # By what they move: the first has the largest mixing, and so on.
    np.testing.assert_array_equal(match.argmax(axis=1), [0, 1, 2])
    assert np.diag(match).min() > 0.99
    np.testing.assert_allclose(found.sources.std(axis=0), 1.0, rtol=1e-6)
    signs = np.sign(mixing[np.arange(3), np.abs(mixing).argmax(axis=1)])
    np.testing.assert_allclose(found.mixing, mixing * signs[:, None], atol=0.15)
    np.testing.assert_allclose(found.sources @ found.mixing, sources @ mixing, atol=1e-8)


def test_independent_components_depend_on_the_seed_alone(mixture):
    pytest.importorskip("sklearn")
    sources, mixing = mixture
    mixed = sources[:1000] @ mixing
    np.random.seed(1)
    first = analysis.independent_components(mixed, 2, seed=3)
    np.random.seed(2)
    again = analysis.independent_components(mixed, 2, seed=3)
    np.testing.assert_array_equal(first.sources, again.sources)


def test_what_cannot_be_taken_apart_is_an_error(signals):
    with pytest.raises(ValueError, match="count=6; give 1 to 5"):
        analysis.principal_components(signals, 6)
    with pytest.raises(ValueError, match="count=0; give 1 to 5"):
        analysis.independent_components(signals, 0, seed=0)
    gap = signals.copy()
    gap[4, 2] = np.nan
    with pytest.raises(ValueError, match=r"signals\[4, 2\] is nan; .* \(1 of 1500 values\)"):
        analysis.independent_components(gap, 2, seed=0)
    pytest.importorskip("sklearn")
    with pytest.raises(RuntimeError, match="2 components did not settle in 1 iterations"):
        analysis.independent_components(signals, 2, seed=0, iterations=1, tolerance=1e-12)


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("scikit-learn", lambda: analysis.independent_components(np.eye(3), 2, seed=0)),
        ("networkx", lambda: analysis.betweenness(np.ones((3, 3)))),
    ],
)
def test_without_the_package_the_message_names_the_extra(monkeypatch, package, call):
    load = builtins.__import__

    def without(name, *rest):
        if name.startswith(("sklearn", "networkx")):
            raise ModuleNotFoundError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    message = rf"{package} is not installed; run: pip install 'tvbjax\[analysis\]'"
    with pytest.raises(ModuleNotFoundError, match=message):
        call()
