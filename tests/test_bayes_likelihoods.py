"""Likelihoods of recordings, against dense normal distributions."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from scipy import stats

import tvbjax
from tvbjax import bayes, coupling, forward, integrators, monitors

Seeg, SeegLogPower = bayes.likelihoods.Seeg, bayes.likelihoods.SeegLogPower

SAMPLES, CHANNELS, REGIONS = 7, 4, 3


def simulator(regions=REGIONS):
    weights = np.ones((regions, regions)) - np.eye(regions)
    labels = [f"r{i}" for i in range(regions)]
    return tvbjax.Simulator(
        model=tvbjax.lems.load("Epileptor2DSmooth"),
        connectome=tvbjax.Connectome(weights, np.zeros_like(weights), labels=labels),
        coupling=coupling.Difference(a=0.3),
        integrator=integrators.Euler(dt=0.1),
        monitors=(monitors.Raw(variables="x"),),
    )


def gain(channels=CHANNELS, regions=REGIONS, seed=0):
    matrix = np.random.default_rng(seed).uniform(0.1, 2.0, (channels, regions))
    return forward.Gain(matrix, tuple(f"A{i}" for i in range(channels)))


def data(channels=CHANNELS, samples=SAMPLES):
    return np.random.default_rng(1).normal(3.0, 2.0, (samples, channels))


def run(samples=SAMPLES):
    initial = np.array([[-2.0, -1.5, 0.5], [3.6, 3.5, 3.0]])
    return tvbjax.simulate(simulator(), samples * 0.1, initial=initial, progress=False)


def statements(likelihood, result, **values):
    with handlers.trace() as trace, handlers.substitute(data=values), handlers.seed(rng_seed=0):
        likelihood.observe(result)
    return trace


def normal(mean, cov):
    return stats.multivariate_normal(mean, cov)  # type: ignore[arg-type]


def ornstein_uhlenbeck(samples, correlation):
    """The covariance between reflecting ends, by its eigenfunctions one by one."""
    found = np.zeros((samples, samples))
    time = (np.arange(samples) + 0.5) / samples
    total = 0.0
    for mode in range(samples):
        wave = np.cos(np.pi * mode * time)
        wave /= np.linalg.norm(wave)
        power = 1.0 / (1.0 + (correlation * np.pi * mode / samples) ** 2)
        found += power * np.outer(wave, wave)
        total += power
    return found * samples / total


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_linear_seeg_is_the_dense_normal_distribution(channels):
    likelihood = Seeg(
        gain(channels),
        data(channels),
        amplitude=dist.LogNormal(),
        noise=dist.LogNormal(),
        offset=(2.0, 0.7),
        error=0.4,
        correlation=3.0,
    )
    result = run()
    amplitude, noise = 1.3, 0.8
    trace = statements(
        likelihood, result, amplitude=jnp.asarray(amplitude), noise=jnp.asarray(noise)
    )
    found = float(trace["seeg"]["fn"].log_prob(trace["seeg"]["value"]))

    matrix = np.asarray(gain(channels).matrix)
    x = np.asarray(result.samples["raw"].values[:, 0])
    mean = amplitude * x @ matrix.T + 2.0
    in_time = ornstein_uhlenbeck(SAMPLES, 3.0)
    covariance = np.kron(in_time, (amplitude * 0.4) ** 2 * matrix @ matrix.T)
    covariance += noise**2 * np.eye(SAMPLES * channels)
    covariance += 0.7**2 * np.kron(np.ones((SAMPLES, SAMPLES)), np.eye(channels))
    expected = normal(mean.ravel(), cov=covariance).logpdf(data(channels).ravel())
    assert found == pytest.approx(expected, rel=1e-10)

    left_out = np.asarray(trace["seeg_log_likelihood"]["value"])
    for channel in range(channels):
        # Of one channel given all others: the joint density over theirs.
        keep = np.ones((SAMPLES, channels), bool)
        keep[:, channel] = False
        keep = keep.ravel()
        others = normal(mean.ravel()[keep], cov=covariance[np.ix_(keep, keep)])
        rest = others.logpdf(data(channels).ravel()[keep])
        assert left_out[channel] == pytest.approx(expected - rest, rel=1e-9)


def test_log_power_is_the_dense_normal_distribution():
    likelihood = SeegLogPower(gain(), data(), spread=0.5, error=0.3, correlation=2.0)
    result = run()
    values = {"amplitude": 1.2, "noise": 0.6, "offset": 0.4}
    trace = statements(likelihood, result, **{n: jnp.asarray(v) for n, v in values.items()})
    found = float(trace["seeg"]["fn"].log_prob(trace["seeg"]["value"]))

    matrix = np.asarray(gain().matrix)
    x = np.asarray(result.samples["raw"].values[:, 0])
    power = np.log(np.exp(x) @ (matrix / matrix.max()).T)
    mean = values["amplitude"] * (power + values["offset"])
    rows = matrix / np.sqrt((matrix**2).sum(axis=1, keepdims=True))
    covariance = np.kron(ornstein_uhlenbeck(SAMPLES, 2.0), 0.3**2 * rows @ rows.T)
    covariance += values["noise"] ** 2 * np.eye(SAMPLES * CHANNELS)
    covariance += 0.5**2 * np.kron(np.ones((SAMPLES, SAMPLES)), np.eye(CHANNELS))
    expected = normal(mean.ravel(), cov=covariance).logpdf(data().ravel())
    assert found == pytest.approx(expected, rel=1e-10)


def test_replicates_have_the_covariance_that_is_stated():
    likelihood = Seeg(gain(), data(), amplitude=1.0, noise=0.5, offset=(0.0, 1.5), error=0.6)
    result = run()
    trace = statements(likelihood, result)
    with jax.numpy_rank_promotion("allow"):  # numpyro's
        drawn = trace["seeg"]["fn"].sample(jax.random.key(0), (20_000,))
    measured = np.asarray(likelihood.as_measured(drawn)).reshape(20_000, -1)
    matrix = np.asarray(gain().matrix)
    expected = np.kron(ornstein_uhlenbeck(SAMPLES, 30.0), 0.6**2 * matrix @ matrix.T)
    expected += 0.5**2 * np.eye(SAMPLES * CHANNELS)
    expected += 1.5**2 * np.kron(np.ones((SAMPLES, SAMPLES)), np.eye(CHANNELS))
    # The deviation of a variance's estimate is sqrt(2 / 20,000) = 1 % of it.
    found = np.cov(measured.T)
    assert np.abs(found - expected).max() < 0.05 * np.diag(expected).max()


@pytest.mark.parametrize("kind", [Seeg, SeegLogPower])
def test_channels_are_taken_with_their_data_and_all_settings(kind):
    settings = {
        "amplitude": dist.LogNormal(0.1, 0.2),
        "noise": 0.7,
        "offset": (1.0, 0.5) if kind is Seeg else 0.4,
        "spread": 0.6,
        "reference": 3.0,
        "error": 0.2,
        "correlation": 7.0,
        "monitor": "raw",
        "variable": "x",
        "skip": 0.3,
        "name": "first",
    }
    of_kind = {
        n for n, one in inspect.signature(kind).parameters.items() if one.default != one.empty
    }
    given = {name: settings[name] for name in of_kind}
    taken = kind(gain(), data(), **given).take(["A3", "A1"])
    assert isinstance(taken, kind)
    assert taken.recorded.gain.channels == ("A3", "A1")
    np.testing.assert_array_equal(taken.recorded.data, data()[:, [3, 1]])
    for name, value in given.items():
        where = taken.recorded if name in ("monitor", "variable", "skip") else taken
        assert getattr(where, name) == value, name


MANY = 40


@pytest.fixture(scope="module")
def seizing():
    """A run of 40 regions, of which two have a seizure; the others rest at about -2."""
    model = simulator(MANY)
    eta = np.full(MANY, -2.5)
    eta[:2] = -1.5
    model = eqx.tree_at(lambda s: s.model.params["eta"], model, jnp.asarray(eta))
    initial = np.stack([np.full(MANY, -1.8), np.full(MANY, 3.4)])
    return tvbjax.simulate(model, 20.0, initial=initial, progress=False)


@pytest.mark.parametrize("level", [-300.0, 0.0, 50.0])
def test_any_level_of_the_signals_gives_the_amplitude_of_their_changes(seizing, level):
    """With offsets of which nothing is known, the posterior of the amplitude is that of regression
    of signals on sources without their means: whatever sources at rest add up to, whether channels
    have a level, and also where a filter took it away."""
    random, truth, noise = np.random.default_rng(3), 1.7, 0.5
    matrix = np.asarray(gain(6, MANY).matrix)
    seen = np.asarray(seizing.samples["raw"].values[:, 0]) @ matrix.T
    assert seen.mean() < -40.0 and seen.std(axis=0).max() < 10.0
    signals = truth * seen + noise * random.normal(size=seen.shape)
    signals += level + 20.0 * random.normal(size=6) if level else -signals.mean(axis=0)
    likelihood = Seeg(gain(6, MANY), signals, noise=noise, error=0.0)

    changes, moved = seen - seen.mean(axis=0), signals - signals.mean(axis=0)
    expected = (changes * moved).sum() / (changes**2).sum()
    deviation = noise / np.sqrt((changes**2).sum())
    assert expected == pytest.approx(truth, abs=4.0 * deviation)

    def log_density(amplitude):
        trace = statements(likelihood, seizing, amplitude=amplitude)
        return trace["seeg"]["fn"].log_prob(trace["seeg"]["value"])

    grid = jnp.linspace(expected - 6.0 * deviation, expected + 6.0 * deviation, 121)
    weights = np.asarray(jax.nn.softmax(jax.lax.map(log_density, grid)))
    mean = (weights * grid).sum()
    assert mean == pytest.approx(expected, abs=0.1 * deviation)
    assert np.sqrt((weights * (grid - mean) ** 2).sum()) == pytest.approx(deviation, rel=0.02)
    # The offsets that there were are what the default expects, which hardly moves them.
    middle, width = likelihood.offset
    offsets = signals.mean(axis=0) - truth * seen.mean(axis=0)
    assert np.abs(offsets - middle).max() < 2.0 * width
    assert noise**2 / len(signals) < 1e-4 * width**2


def with_value(array, index, value):
    found = array.copy()
    found[index] = value
    return found


@pytest.mark.parametrize(
    "given, message",
    [
        ({"data": with_value(data(), (3, 2), np.nan)}, r"nan at sample 3 of channel 'A2'"),
        ({"data": data(3)}, r"shape \(7, 3\) and the gain has 4 channels"),
        ({"data": with_value(data(), (slice(None), 1), 5.0)}, "'A1' is 5 in all samples"),
        ({"noise": 0.0}, "noise is 0"),
        ({"error": -0.1}, "error is -0.1"),
        ({"correlation": -1.0}, "correlation"),
        ({"amplitude": dist.Normal(jnp.zeros(2), 1.0)}, r"amplitude: the prior has the shape"),
        ({"data": data()[:0]}, "the number of the data's samples is 0; give two or more"),
        ({"data": data()[:1]}, "the number of the data's samples is 1; give two or more"),
        ({"data": [["a"] * CHANNELS] * 2}, "the data are of the type <U1; give real numbers"),
        ({"data": data() + 1j}, "the data are of the type complex128; give real numbers"),
        ({"correlation": "x"}, "correlation, in samples, is 'x'"),
        ({"name": ""}, "name is ''; give text"),
        ({"offset": (1.0, 2.0, 3.0)}, r"offset is \(1.0, 2.0, 3.0\)"),
        ({"amplitude": dist.Normal(0.0, 1.0)}, r"amplitude may be negative by its prior, Normal"),
        ({"noise": dist.Uniform(-1.0, 2.0)}, "noise may be negative by its prior"),
        ({"error": dist.StudentT(3.0)}, "error may be negative by its prior"),
        ({"amplitude": "loud"}, "amplitude is 'loud'"),
    ],
)
@pytest.mark.parametrize("kind", [Seeg, SeegLogPower])
@pytest.mark.usefixtures("without_type_checks")
def test_bad_input_is_named(kind, given, message):
    with pytest.raises((ValueError, TypeError), match=f"{kind.__name__}: .*{message}"):
        kind(gain(), **{"data": data()} | given)


@pytest.mark.parametrize(
    "kind, given, message",
    [
        (Seeg, {"offset": 3.0}, "Seeg: offset is 3.0; give the mean and the deviation"),
        (Seeg, {"offset": (0.0, -1.0)}, "Seeg: the offset's deviation is -1.0"),
        (SeegLogPower, {"spread": "a"}, "SeegLogPower: spread is 'a'"),
        (SeegLogPower, {"reference": "a"}, "SeegLogPower: reference is 'a'"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_bad_settings_of_one_kind_are_named(kind, given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        kind(gain(), data(), **given)


@pytest.mark.parametrize(
    "prior",
    [
        dist.HalfNormal(1.0),
        dist.Uniform(0.0, 2.0),
        dist.TruncatedNormal(1.0, 0.5, low=0.0),
        dist.Gamma(2.0),
        dist.TransformedDistribution(dist.Normal(0.0, 1.0), dist.transforms.ExpTransform()),
        np.float32(0.5),
        1,
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_priors_of_positive_numbers_and_numbers_are_taken(prior):
    made = SeegLogPower(gain(), data(), amplitude=prior, noise=prior, error=prior, offset=-1.0)
    assert made.amplitude is prior
    assert made.unknowns == (("amplitude", "noise", "error") if hasattr(prior, "support") else ())


def test_what_does_not_fit_the_simulator_is_named():
    with pytest.raises(ValueError, match="the gain has 5 sources and 'raw' has 3 regions"):
        Seeg(gain(regions=5), data()).check(simulator(), 0.7)
    with pytest.raises(ValueError, match="7 samples and 'raw' has 9 of 0.9 ms"):
        Seeg(gain(), data()).check(simulator(), 0.9)


def test_power_has_no_logarithm_where_a_gain_is_negative():
    matrix = np.array(gain().matrix)
    matrix[2, 1] = -0.5
    with pytest.raises(ValueError, match="the gain of 'A2' is negative"):
        SeegLogPower(forward.Gain(matrix, gain().channels), data())


@pytest.mark.parametrize("level", [-40.0, 0.0, 9.0])
def test_the_default_offset_of_log_power_is_where_quiet_sources_are_as_loud_as_the_data(level):
    # A contact in the middle of a region: its gain is a thousand times that of the others.
    matrix = np.asarray(gain().matrix).copy()
    matrix[0, 0] = 1000.0
    power = np.log(matrix.sum(axis=1)) + level  # of sources of 0
    recorded = power[None] + 0.1 * np.random.default_rng(0).normal(size=(SAMPLES, CHANNELS))
    found = SeegLogPower(forward.Gain(matrix, gain().channels), recorded).offset
    assert isinstance(found, dist.Normal)
    assert np.asarray(found.loc) == pytest.approx(level + np.log(1000.0), abs=0.1)
