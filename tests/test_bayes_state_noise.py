"""State noise with an unknown path: linear processes against exact normal posteriors in NumPy."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from scipy import stats

import tvbjax
from tvbjax import Free, bayes, coupling, integrators, monitors
from tvbjax.identity import told
from tvbjax_inference.bayes.flat import flat_of
from tvbjax_inference.bayes.likelihoods import Seeg

DT, TAU, STEPS = 0.5, 5.0, 24
BEGIN, SIGMA, MEASURED = 1.5, 0.35, 0.4
DECAY = DT / TAU


def simulator(**changed):
    """One region that returns to 0, with Heun's method."""
    given: dict[str, Any] = dict(
        model=tvbjax.lems.load("OrnsteinUhlenbeck"),
        connectome=tvbjax.Connectome(np.zeros((1, 1)), np.zeros((1, 1)), labels=["r"]),
        coupling=coupling.Linear(a=0.0),
        integrator=integrators.Heun(dt=DT),
        monitors=(monitors.Raw(variables="x"),),
    )
    made = tvbjax.Simulator(**given | changed)
    if "model" in changed:
        return made
    return Free(lambda s: s.model.params["tau"]).replace(made, TAU)


def paths(every: int = 1):
    """x = mean + sigma * matrix @ innovations, in Heun's steps: x' = (1 - d + d^2 / 2) x +
    (1 - d / 2) z for the increment z."""
    kept, pushed = 1.0 - DECAY + DECAY**2 / 2.0, 1.0 - DECAY / 2.0
    steps = np.arange(STEPS)
    powers = np.tril(kept ** np.maximum(steps[:, None] - steps, 0)) * pushed
    grid = np.kron(np.eye(STEPS // every), np.ones((every, 1)))
    return BEGIN * kept ** (steps + 1.0), powers @ grid * np.sqrt(DT / every)


def data(seed=3):
    generator = np.random.default_rng(seed)
    mean, matrix = paths()
    x = mean + SIGMA * matrix @ generator.normal(size=STEPS)
    return x + MEASURED * generator.normal(size=STEPS)


def program(deviation, every=None, **changed):
    gain = tvbjax.forward.Gain(np.ones((1, 1)), ("A1",))
    seeg = Seeg(gain, data()[:, None], amplitude=1.0, noise=MEASURED, error=0.0, offset=(0.0, 0.0))
    given = {
        "initial": np.array([[BEGIN]]),
        "state_noise": bayes.StateNoise({"x": deviation}, every),
    }
    return bayes.program(simulator(), {}, seeg, **given | changed)


def exact(sigma, every=1):
    """Of the innovations given the data: mean and covariance; and the data's log density."""
    mean, matrix = paths(every)
    seen, left = sigma * matrix, data() - mean
    precision = np.eye(seen.shape[1]) + seen.T @ seen / MEASURED**2
    covariance = np.linalg.inv(precision)
    total = seen @ seen.T + MEASURED**2 * np.eye(STEPS)
    density = stats.multivariate_normal.logpdf(left, np.zeros(STEPS), total)
    return covariance @ seen.T @ left / MEASURED**2, covariance, density


@pytest.mark.parametrize("every", [1, 4])
def test_the_density_of_a_path_is_that_by_hand(every):
    flat = flat_of(program(SIGMA, every * DT))
    mean, matrix = paths(every)
    xi = np.random.default_rng(0).normal(size=STEPS // every)
    expected = stats.norm.logpdf(xi).sum()
    expected += stats.norm.logpdf(data(), mean + SIGMA * matrix @ xi, MEASURED).sum()
    assert -float(flat.potential(jnp.asarray(xi))) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("every", [1, 4])
def test_paths_that_are_drawn_are_as_white_noise(every):
    """The deviation of x at the end is that of the linear process."""
    drawn = jax.vmap(flat_of(program(SIGMA, every * DT)).prior)(
        jax.random.split(jax.random.key(0), 4000)
    )
    count = STEPS // every
    assert drawn["innovations_x"].shape == (4000, count, 1)
    _, matrix = paths(every)
    ends = SIGMA * matrix[-1] @ np.asarray(drawn["innovations_x"])[..., 0].T
    stationary = SIGMA * np.sqrt(TAU / 2.0)
    assert ends.std() == pytest.approx(stationary, rel=0.08)


def test_states_and_strength_have_the_exact_posterior():
    prior = dist.LogNormal(np.log(0.3), 0.7)
    made = program(prior)
    tree = bayes.sample(
        made,
        key=jax.random.key(1),
        method=bayes.Nuts(chains=2, warmup=150, draws=300),
        starts=1,
        progress=False,
    )
    assert bayes.diagnose(tree).table["state_noise_x"].sel(measure="rhat") < 1.02
    assert tree["posterior"]["innovations_x"].dims == ("chain", "draw", "innovation", "region")
    # The strength's posterior by a sum over a grid, and the path's as a mixture over it.
    grid = np.linspace(0.02, 2.0, 400)
    solved = [exact(sigma) for sigma in grid]
    weight = np.array([one[2] for one in solved]) + np.asarray(prior.log_prob(grid))
    weight = np.exp(weight - weight.max())
    weight /= weight.sum()
    mean = weight @ grid
    deviation = np.sqrt(weight @ (grid - mean) ** 2)
    sigma = np.asarray(tree["posterior"]["state_noise_x"]).ravel()
    # Of 600 draws 150 or more are effective.
    assert sigma.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(150))
    assert sigma.std() == pytest.approx(deviation, rel=0.3)
    assert abs(mean - SIGMA) < 2.5 * deviation

    begin, matrix = paths()
    states = np.stack([begin + s * matrix @ one[0] for s, one in zip(grid, solved, strict=True)])
    spread = np.stack(
        [np.diag(s**2 * matrix @ one[1] @ matrix.T) for s, one in zip(grid, solved, strict=True)]
    )
    middle = weight @ states
    width = np.sqrt(weight @ (spread + (states - middle) ** 2))
    xi = np.asarray(tree["posterior"]["innovations_x"]).reshape(-1, STEPS)
    found = begin + sigma[:, None] * (xi @ matrix.T)
    assert np.abs((found.mean(axis=0) - middle) / width).max() < 4 / np.sqrt(150)
    np.testing.assert_allclose(found.std(axis=0), width, rtol=0.25)


def test_a_known_strength_is_no_site():
    made = program(SIGMA)
    assert made.begins_by == ("innovations_x",)
    assert made.attributes["state noise of x"] == "0.35"
    np.testing.assert_allclose(program(SIGMA, 2.0).coords["innovation"], np.arange(0.0, 12.0, 2.0))
    simulated, begin = made.begun({"innovations_x": jnp.ones((STEPS, 1))})
    run = tvbjax.simulate(simulated, made.length, initial=begin, progress=False)
    mean, matrix = paths()
    np.testing.assert_allclose(run["raw"].values[:, 0, 0], mean + SIGMA * matrix.sum(axis=1))


def test_programs_of_other_noise_are_told_apart():
    half = dist.HalfNormal
    given = [(half(0.1), None), (half(0.2), None), (half(0.1), 1.0), (0.1, None)]
    said = [told(program(*one).description()) for one in given]
    assert len(set(said)) == 4
    assert told(program(half(0.1)).description()) == said[0]


def test_noise_that_is_drawn_anew_is_as_strong():
    made = bayes.StateNoise({"x": dist.HalfNormal(1.0)})
    again = made.strengthened(made.anew(simulator()), {"state_noise_x": jnp.array(SIGMA)})
    assert float(again.noise.nsig[0, 0]) == pytest.approx(SIGMA**2 / 2.0)  # type: ignore[union-attr]
    run = tvbjax.simulate(again, 20_000.0, initial=[[0.0]], key=jax.random.key(2), progress=False)
    assert run["raw"].values.std() == pytest.approx(SIGMA * np.sqrt(TAU / 2.0), rel=0.08)


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(
    "deviations, message",
    [
        ({}, "deviations is empty"),
        (0.1, "deviations is 0.1"),
        ({"x": -0.1}, "the deviation of 'x' is -0.1"),
        ({"x": dist.Normal(0.0, 1.0)}, "may be negative by its prior"),
        ({"x": dist.HalfNormal(jnp.ones(2))}, r"the prior has the shape \(2,\)"),
    ],
)
def test_bad_deviations_are_named(deviations, message):
    with pytest.raises((TypeError, ValueError), match=message):
        bayes.StateNoise(deviations)


@pytest.mark.usefixtures("without_type_checks")
def test_what_it_does_not_fit_is_named():
    noise = bayes.StateNoise({"x": 0.1})
    noisy = simulator(model=tvbjax.lems.load("OrnsteinUhlenbeck"), noise=tvbjax.noise.Additive(0.1))
    with pytest.raises(ValueError, match="noise of its own, Additive"):
        noise.put(noisy, 20.0)
    with pytest.raises(ValueError, match="no state variable 'y'; it has x"):
        bayes.StateNoise({"y": 0.1}).put(simulator(), 20.0)
    with pytest.raises(ValueError, match="every 0.7 ms is no multiple of dt"):
        dataclasses.replace(noise, every=0.7).put(simulator(), 20.0)
    import diffrax

    adaptive = simulator(
        model=tvbjax.lems.load("OrnsteinUhlenbeck"),
        integrator=integrators.Diffrax(dt=DT, solver=diffrax.Tsit5()),
    )
    with pytest.raises(ValueError, match="Diffrax is for equations without noise"):
        noise.put(adaptive, 20.0)
    with pytest.raises(TypeError, match="state_noise is 0.1"):
        program(0.1, state_noise=0.1)
