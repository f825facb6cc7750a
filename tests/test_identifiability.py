"""Fisher's information and Laplace's approximation against closed forms of linear systems."""

from functools import cache
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import tvbjax
from test_continuation import written
from tvbjax import coupling, features, integrators, monitors, noise
from tvbjax.inference import Cohort, Problem, hessian, identifiability, objectives, uncertainty

STEPS, DT, TAU, MU, START = 40, 0.5, 8.0, 1.5, 0.2
REGIONS = 3


def brain(regions: int = REGIONS) -> tvbjax.Connectome:
    return tvbjax.Connectome(np.zeros((regions, regions)), np.zeros((regions, regions)))


def decay(**changes) -> tvbjax.Simulator:
    """Regions that return to MU with the time constant TAU, by themselves."""
    model = eqx.tree_at(
        lambda m: (m.params["mu"], m.params["tau"]),
        tvbjax.lems.load("OrnsteinUhlenbeck"),
        (jnp.asarray(MU), jnp.asarray(TAU)),
    )
    arguments = dict(
        model=model,
        connectome=brain(),
        coupling=coupling.Silent(),
        integrator=integrators.Heun(dt=DT),
        monitors=monitors.Raw(),
    )
    return tvbjax.Simulator(**(arguments | changes))


FREE = {
    "mu": tvbjax.Free(lambda s: s.model.params["mu"], tie=tvbjax.ties.Regional()),
    "tau": tvbjax.Free(lambda s: s.model.params["tau"], tvbjax.Positive()),
}


@cache
def of_series() -> Problem:
    target = np.random.default_rng(0).normal(size=(STEPS, REGIONS))
    objective = objectives.TimeSeries(target)
    initial = np.full((1, REGIONS), START)
    return Problem(decay(), FREE, objective, STEPS * DT, initial=initial)


def exact_slopes() -> np.ndarray:
    """Heun's own solution, MU + (START - MU) r^k, by mu of each region and by tau."""
    k = np.arange(1, STEPS + 1)
    r = 1 - DT / TAU + (DT / TAU) ** 2 / 2
    by_mu = 1 - r**k
    by_tau = (START - MU) * k * r ** (k - 1) * (DT / TAU**2 - DT**2 / TAU**3)
    found = np.zeros((STEPS, REGIONS, REGIONS + 1))
    for region in range(REGIONS):
        found[:, region, region] = by_mu
        found[:, region, -1] = by_tau
    return found.reshape(-1, REGIONS + 1)


def test_fishers_information_of_a_decay_is_the_closed_form():
    problem = of_series()
    found = identifiability(problem, problem.start, noise=0.3)
    slopes = exact_slopes()
    exact = slopes.T @ slopes / 0.3**2
    np.testing.assert_allclose(found.physical, exact, rtol=1e-9, atol=1e-9 * exact.max())
    bounds = np.sqrt(np.diag(np.linalg.inv(exact)))
    np.testing.assert_allclose(found.sds, bounds, rtol=1e-8)
    # The logarithm of tau is unbounded.
    np.testing.assert_allclose(found.unbounded_sds, bounds / [1, 1, 1, TAU], rtol=1e-8)
    np.testing.assert_allclose(found.values, [MU] * 3 + [TAU], rtol=1e-12)
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(found.matrix)[::-1], rtol=1e-9)
    assert found.labels == ("mu[region_0]", "mu[region_1]", "mu[region_2]", "tau")
    assert found.verdicts == tuple(
        "well" if s < 0.1 else "weakly" if s < 0.29 else "not" for s in bounds / [MU, MU, MU, TAU]
    )
    assert not found.flat.any()
    sds = found.value_sds
    np.testing.assert_allclose(sds["mu"], bounds[:3], rtol=1e-8)


def test_noise_may_be_an_arrays_deviations_or_a_covariance():
    problem = of_series()
    rng, slopes = np.random.default_rng(1), exact_slopes()
    sd = rng.uniform(0.1, 0.5, len(slopes))
    found = identifiability(problem, problem.start, noise={"time_series": sd})
    exact = slopes.T @ (slopes / sd[:, None] ** 2)
    np.testing.assert_allclose(found.physical, exact, rtol=1e-9, atol=1e-9 * exact.max())
    mixed = rng.normal(size=(len(slopes), len(slopes))) * 0.02 + np.diag(sd)
    covariance = mixed @ mixed.T
    found = identifiability(problem, problem.start, noise=covariance)
    exact = slopes.T @ np.linalg.solve(covariance, slopes)
    np.testing.assert_allclose(found.physical, exact, rtol=1e-7, atol=1e-7 * exact.max())


def test_what_has_no_weight_tells_nothing():
    """Of a covariance what counts has its own part: the others may be anything."""
    whole = of_series()
    weights = np.zeros(STEPS)
    weights[[3, 20, 21]] = [1.0, 2.0, 0.5]
    given = objectives.TimeSeries(whole.objective.target, weights=weights)  # type: ignore
    some = eqx.tree_at(lambda p: p.objective, whole, given)
    told = np.repeat(weights > 0, REGIONS)
    slopes = exact_slopes()[told]
    found = identifiability(some, some.start, noise=0.3)
    exact = slopes.T @ slopes / 0.3**2
    np.testing.assert_allclose(found.physical, exact, rtol=1e-9, atol=1e-9 * exact.max())
    assert "of 9 values" in found.about
    mixed = np.random.default_rng(2).normal(size=(len(told), len(told)))
    covariance = mixed @ mixed.T + np.eye(len(told))
    found = identifiability(some, some.start, noise=covariance)
    exact = slopes.T @ np.linalg.solve(covariance[np.ix_(told, told)], slopes)
    np.testing.assert_allclose(found.physical, exact, rtol=1e-7, atol=1e-7 * exact.max())

    series = whole.objective
    none = objectives.Sum(
        {"one": series, "other": series, "energy": lambda r: jnp.ones(())}, weights={"other": 0.0}
    )
    summed = eqx.tree_at(lambda p: p.objective, whole, none)
    alone = identifiability(whole, whole.start, noise=0.3)
    for sd in (0.3, {"one": 0.3}):
        found = identifiability(summed, whole.start, noise=sd)
        np.testing.assert_allclose(found.physical, alone.physical, rtol=1e-9)
    cohort = Cohort({"a": whole, "b": whole}, ["mu", "tau"], weights={"a": 3.0, "b": 0.0})
    np.testing.assert_allclose(
        identifiability(cohort, whole.start, noise=0.3).physical, alone.physical, rtol=1e-9
    )


def test_noise_from_the_spread_over_keys_is_that_of_the_process():
    """The mean over T of a process of Ornstein and Uhlenbeck has the variance
    s^2 tau^2 / T (1 - tau / T (3 - e)(1 - e) / 2), e = exp(-T / tau), from a fixed start; its mean
    moves with mu by 1 - tau / T (1 - e)."""
    duration, scale, regions = 200.0, 1e-3, 12
    simulator = decay(connectome=brain(regions), noise=noise.Additive(scale))
    objective = objectives.Feature(features.Mean(), np.zeros(regions))
    initial = np.full((1, regions), MU)
    free = {"mu": FREE["mu"]}
    problem = Problem(simulator, free, objective, duration, initial=initial)
    found = identifiability(problem, problem.start, jr.split(jr.key(0), 32))
    e, share = np.exp(-duration / TAU), TAU / duration
    variance = 2 * scale * TAU**2 / duration * (1 - share * (3 - e) * (1 - e) / 2)
    moves = 1 - share * (1 - e)
    exact = moves**2 / variance
    assert np.diag(found.physical).mean() == pytest.approx(exact, rel=0.15)
    off = found.physical - np.diag(np.diag(found.physical))
    assert np.abs(off).max() < 1e-9 * exact


def product(folder: Path) -> Problem:
    """Of a and b only the product matters; c matters by itself."""
    model = written(folder, {"x": "a * b - c * x"}, {"a": 2.0, "b": 3.0, "c": 0.5})
    simulator = tvbjax.Simulator(
        model, brain(2), None, integrators.Heun(dt=0.1), monitors=monitors.Raw()
    )
    free = {
        name: tvbjax.Free(lambda s, n=name: s.model.params[n], tvbjax.Positive())
        for name in ("b", "c", "a")
    }
    truth = tvbjax.simulate(simulator, 6.0, initial=np.zeros((1, 2)))["raw"].values[:, 0]
    return Problem(simulator, free, objectives.TimeSeries(truth), 6.0, initial=np.zeros((1, 2)))


def test_a_product_is_told_from_its_factors(tmp_path):
    problem = product(tmp_path)
    found = identifiability(problem, problem.start, noise=0.1)
    assert found.labels == ("b", "c", "a")
    assert found.flat.tolist() == [False, False, True]
    way = found.directions[-1] * np.sign(found.directions[-1][0])
    np.testing.assert_allclose(way, [np.sqrt(0.5), 0.0, -np.sqrt(0.5)], atol=1e-7)
    assert np.isinf(found.sds[[0, 2]]).all() and np.isfinite(found.sds[1])
    assert found.correlation[0, 2] == pytest.approx(-1.0, abs=1e-6)
    assert found.verdicts == ("not", "well", "not")
    text = str(found)
    assert "0.71 b - 0.71 a" in text and "Not determined: b, a" in text and "flat" in text


def test_laplace_of_a_decay_is_the_closed_form():
    simulator, duration = decay(), STEPS * DT
    initial = np.full((1, REGIONS), START)
    truth = tvbjax.simulate(simulator, duration, initial=initial)["raw"].values[:, 0]
    sd, values = 0.3, truth.size

    def deviations(result):
        return (((result.samples["raw"].values[:, 0] - truth) / sd) ** 2).mean()

    problem = Problem(simulator, FREE, deviations, duration, initial=initial)
    found = uncertainty(problem, problem.start, factor=values / 2)
    slopes = exact_slopes()
    exact = slopes.T @ slopes / sd**2  # where nothing is left to explain
    np.testing.assert_allclose(found.physical, exact, rtol=1e-7, atol=1e-9 * exact.max())

    # Elsewhere, against JAX's own second derivatives of the solution.
    def exact_loss(flat):
        k, tau = jnp.arange(1.0, STEPS + 1), jnp.exp(flat[3])
        r = 1 - DT / tau + (DT / tau) ** 2 / 2
        solution = flat[None, :3] + (START - flat[None, :3]) * (r**k)[:, None]
        return (((solution - truth) / sd) ** 2).mean()

    elsewhere = {"mu": problem.start["mu"] + 0.3, "tau": problem.start["tau"] - 0.2}
    flat = jnp.append(elsewhere["mu"], elsewhere["tau"])
    exact = jax.hessian(exact_loss)(flat)
    np.testing.assert_allclose(hessian(problem, elsewhere), exact, rtol=1e-9, atol=1e-9)


def test_of_connectivity_each_correlation_counts_once():
    connectome = tvbjax.datasets.synthetic_connectome(4, key=jr.key(0), speed=1e6).normalise()
    simulator = decay(
        connectome=connectome, coupling=coupling.Linear(a=0.3), noise=noise.Additive(1e-2)
    )
    target = np.eye(4) + 0.1 * (1 - np.eye(4))
    objective = objectives.FunctionalConnectivity(target, distance=objectives.root_mean_square)
    free = {"G": tvbjax.Free(lambda s: s.coupling.a, tvbjax.Interval(0.0, 1.0))}
    problem = Problem(simulator, free, objective, 300.0)
    found = identifiability(problem, problem.start, jr.split(jr.key(1), 8))
    assert "of 6 values" in found.about and "spread over 8 keys" in found.about
    assert found.shares == pytest.approx(found.sds)  # of an interval's width, which is 1
    table = found.to_xarray()
    assert table["sds"].sel(number="G").item() == found.sds[0]
    assert table["physical"].item() == pytest.approx(1 / found.sds[0] ** 2)


def test_lines_in_maps_have_errors_of_every_region():
    """y = X n with an information F of n: variances diag(X F^-1 X^T)."""
    maps = {"map": np.array([-1.0, 0.0, 1.0])}
    free = {"mu": tvbjax.Free(lambda s: s.model.params["mu"], tie=tvbjax.ties.Linear(maps))}
    problem = Problem(decay(), free, objectives.Feature(features.Mean(), np.zeros(3)), 20.0)
    found = identifiability(problem, problem.start, noise=0.1)
    assert found.labels == ("mu[intercept]", "mu[map]")
    lines = np.stack([np.ones(3), maps["map"]], axis=1)
    exact = np.sqrt(np.diag(lines @ np.linalg.inv(found.matrix) @ lines.T))
    np.testing.assert_allclose(found.value_sds["mu"], exact, rtol=1e-9)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(noise=None), "noise is not known; give noise=.*4 keys"),
        (dict(noise=None, key=jr.split(jr.key(0), 4)), "the same with all keys"),
        (dict(noise=-1.0), "no standard deviation"),
        (dict(noise=np.ones(2)), r"shape \(2,\), and there are 120 values"),
        (dict(noise={"fc": 1.0}), "noise is given for fc, and what is compared is time_series"),
        (dict(noise=-np.eye(120)), "not positive definite"),
        (dict(noise=np.eye(120) + np.eye(120, k=1) / 9), r"at \[0, 1\] and 0 at \[1, 0\]; a cov"),
        (dict(noise=np.full((120, 120), np.nan)), "symmetric and finite"),
        (dict(noise="small"), "'small'; give a standard deviation"),
        (dict(position={"mu": "a", "tau": 0.0}), "position's 'mu' is 'a', no number"),
        (dict(position={"mu": np.zeros(3)}), "give unbounded numbers by name for each of mu, tau"),
        (dict(position={"mu": np.zeros(2), "tau": 0.0}), r"'mu' has the shape \(2,\)"),
        (dict(position={"mu": np.zeros(3), "tau": np.nan}), "'tau' is no finite number"),
        (dict(key=jnp.zeros(3)), "give one of JAX"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(change, message, without_type_checks):
    problem = of_series()
    arguments = dict(problem=problem, position=problem.start, noise=0.1) | change
    with pytest.raises((ValueError, TypeError), match=message):
        identifiability(**arguments)


def test_what_nothing_depends_on_is_told():
    problem = Problem(decay(), FREE, lambda result: jnp.zeros(()), 10.0)
    with pytest.raises(ValueError, match="a function is a loss alone; give an objective"):
        identifiability(problem, problem.start, noise=1.0)
