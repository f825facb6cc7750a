"""How far to trust a model: leave-one-out, predictive checks, channels held out, stacking."""

import dataclasses
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
import xarray as xr
from numpyro import handlers
from scipy import stats

from bayes_models import DATA, DESIGN
from patients import LABELS, TRUTH, chain_weights
from tvbjax import Connectome, bayes, integrators, simulate
from tvbjax.forward import Gain
from tvbjax_inference.bayes import held_out
from tvbjax_inference.bayes.checkpoint import Checkpoint
from tvbjax_inference.bayes.flat import flat_of
from tvbjax_inference.bayes.held_out import electrodes, leave_out
from tvbjax_inference.bayes.likelihoods import Seeg, SeegLogPower
from tvbjax_inference.bayes.loo import compare_models, loo
from tvbjax_inference.bayes.predictive import posterior_check, prior_check
from tvbjax_inference.bayes.stacking import stacked, stacking_weights

NOISE = 0.3


def exact_posterior(design, data):
    """Mean and covariance of the slopes."""
    covariance = np.linalg.inv(np.eye(design.shape[1]) + design.T @ design / NOISE**2)
    return covariance @ design.T @ data / NOISE**2, covariance


def exact_left_out(design=DESIGN, data=DATA):
    """The log density of every datum given all others."""
    found = []
    for i in range(len(data)):
        kept = np.arange(len(data)) != i
        mean, covariance = exact_posterior(design[kept], data[kept])
        deviation = np.sqrt(design[i] @ covariance @ design[i] + NOISE**2)
        found.append(stats.norm.logpdf(data[i], design[i] @ mean, deviation))
    return np.array(found)


def regression_tree(design=DESIGN, data=DATA, draws=2000, name="data"):
    """Exact draws of the regression, and the densities of its data."""
    mean, covariance = exact_posterior(design, data)
    generator = np.random.default_rng(3)
    slopes = generator.multivariate_normal(mean, covariance, size=(4, draws))
    density = stats.norm.logpdf(data, slopes @ design.T, NOISE)
    groups = {
        "posterior": xr.Dataset({"slopes": (("chain", "draw", "slope"), slopes)}),
        "log_likelihood": xr.Dataset({name: (("chain", "draw", "channel"), density)}),
        "observed_data": xr.Dataset({name: ("channel", data)}),
    }
    labels = [f"A{i + 1}" for i in range(len(data))]
    for group in ("log_likelihood", "observed_data"):
        groups[group] = groups[group].assign_coords(channel=labels)
    return xr.DataTree.from_dict(groups)


# Leave-one-out


def test_left_out_densities_are_the_exact_ones():
    found = loo(regression_tree())
    expected = exact_left_out()
    good = found.table["pareto_k"].values < 0.5
    assert good.sum() >= 6
    np.testing.assert_allclose(found.table["elpd"].values[good], expected[good], atol=0.05)
    assert found.elpd == pytest.approx(expected.sum(), abs=0.5)
    assert found.se == pytest.approx(np.sqrt(12) * expected.std(), rel=0.1)
    assert list(found.table["contact"].values[:2]) == ["A1", "A2"]
    assert "12 contacts" in str(found)


def test_effective_parameters_of_many_data_are_the_slopes():
    generator = np.random.default_rng(4)
    design = generator.normal(size=(200, 3))
    data = design @ np.array([0.5, -1.0, 2.0]) + NOISE * generator.normal(size=200)
    found = loo(regression_tree(design, data))
    assert found.trusted
    assert found.p_loo == pytest.approx(3.0, abs=0.7)
    assert found.elpd == pytest.approx(exact_left_out(design, data).sum(), abs=0.05)


def test_a_contact_that_pulls_the_posterior_is_named():
    data = DATA.copy()
    data[4] += 5.0
    found = loo(regression_tree(data=data))
    assert not found.trusted
    assert "A5 (" in str(found) and "Pareto k is above 0.7" in str(found)
    assert "refit without it" in found.problems[0]


def test_densities_that_span_thousands_are_told():
    """A tail of weights of which all but one are 0 has no shape that could be fitted."""
    tree = regression_tree()
    density = np.asarray(tree["log_likelihood"]["data"])
    density[..., 2] = 3000.0 * np.random.default_rng(0).normal(size=density.shape[:2])
    found = loo(tree)
    assert found.table["pareto_k"].values[2] == np.inf and not found.trusted
    assert "A3 (inf)" in found.problems[0]


def two_models():
    generator = np.random.default_rng(5)
    design = generator.normal(size=(150, 3))
    data = design @ np.array([0.5, -1.0, 0.3]) + NOISE * generator.normal(size=150)
    return {"two slopes": (design[:, :2], data), "three": (design, data)}


def test_models_are_compared_by_exact_differences():
    models = two_models()
    trees = {name: regression_tree(*one) for name, one in models.items()}
    found = compare_models(trees)
    assert list(found.table["model"].values) == ["three", "two slopes"]
    away = exact_left_out(*models["two slopes"]) - exact_left_out(*models["three"])
    worse = found.table.sel(model="two slopes")
    assert float(worse["difference"]) == pytest.approx(away.sum(), abs=0.3)
    assert float(worse["difference_se"]) == pytest.approx(np.sqrt(150) * away.std(), rel=0.02)
    assert not found.problems and "'three' predicts contacts better" in str(found)


def test_models_that_are_alike_are_not_told_apart():
    design, data = two_models()["three"]
    short = {name: regression_tree(design[:60], data[:60]) for name in ("one", "same")}
    found = compare_models(short)
    assert "less than 4 is too little to tell them apart, whatever it is" in str(found)
    assert "There are 60 contacts" in found.problems[0]


def other_contacts():
    tree = regression_tree()
    groups = {name: one.to_dataset() for name, one in tree.children.items()}
    groups["log_likelihood"] = groups["log_likelihood"].isel(channel=slice(1, None))
    return xr.DataTree.from_dict(groups)


def not_finite():
    tree = regression_tree()
    np.asarray(tree["log_likelihood"]["data"])[0, 3, 1] = np.nan
    return tree


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: loo(xr.DataTree()), "no group 'log_likelihood'"),
        (lambda: loo(not_finite()), "log density of A2 is no finite number"),
        (lambda: compare_models({"one": regression_tree()}), "give two or more"),
        (
            lambda: compare_models({"a": regression_tree(), "b": other_contacts()}),
            "other contacts .A1 only in one",
        ),
        (
            lambda: compare_models({"a": regression_tree(), "b": regression_tree(data=-DATA)}),
            "the data of 'a' and 'b' differ",
        ),
    ],
)
def test_what_cannot_be_left_out_is_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_what_arviz_is_missing_for_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz_stats", None)
    for call in (bayes.diagnose, loo):
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'tvbjax\[bayes\]'"):
            call(regression_tree(draws=10))


def test_likelihoods_of_one_program_count_together():
    tree = regression_tree()
    group = tree["log_likelihood"].to_dataset()
    other = xr.DataArray(np.full((4, 2000), -1.5), dims=("chain", "draw"))
    tree["log_likelihood"] = group.assign(
        onset=other + 1e-3 * group["data"][..., 0].drop_vars("channel")
    )
    found = loo(tree).table
    assert list(found["contact"].values[[0, -1]]) == ["data of A1", "onset of onset"]


# Predictive checks


def checked_tree(data, replicates, group="posterior_predictive"):
    """Data (time, channel) and replicates of them, of one chain."""
    labels = [f"B{i + 1}" for i in range(data.shape[1])]
    dims = ("chain", "draw", "sample", "channel")
    return xr.DataTree.from_dict(
        {
            "observed_data": xr.Dataset({"seeg": (dims[2:], data)}, {"channel": labels}),
            group: xr.Dataset({"seeg": (dims, replicates[None])}, {"channel": labels}),
        }
    )


def walks(generator, *shape):
    return np.cumsum(generator.normal(size=shape), axis=-2) + 2.0 * generator.normal(size=shape)


def test_p_values_of_a_right_prior_are_uniform():
    generator = np.random.default_rng(6)
    found = prior_check(
        checked_tree(walks(generator, 30, 500), walks(generator, 399, 30, 500), "prior_predictive")
    )
    assert found.trusted, str(found)
    assert "500 channels look like" in str(found)
    for name in ("mean", "deviation", "range"):
        p = found.table["p"].sel(statistic=name).values
        assert stats.kstest(p, "uniform").pvalue > 0.01
    # An integer may be equal to many replicates': p is then too large, never too small.
    late = found.table["p"].sel(statistic="time of the maximum").values
    assert (late < 0.1).mean() < 0.15
    assert float(found.table["covered"].mean()) == pytest.approx(0.9, abs=0.02)


def test_statistics_are_those_of_the_data():
    data = np.array([[0.0, 1.0], [4.0, 1.5], [-2.0, 7.0]])
    made = data + np.random.default_rng(0).normal(size=(250, 3, 2))
    table = posterior_check(checked_tree(data, made)).table
    of_first = table["observed"].sel(channel="B1")
    assert of_first.values == pytest.approx([2 / 3, np.sqrt(56 / 9), 1.0, 6.0])
    means = made[:, :, 1].mean(axis=1)
    shown = table["replicated"].sel(channel="B2", statistic="mean")
    np.testing.assert_allclose(shown, np.quantile(means, [0.05, 0.5, 0.95]))
    assert float(table["covered"].sel(channel="B2")) == 1.0


def test_what_a_wrong_model_does_not_make_is_named():
    generator = np.random.default_rng(7)
    data = generator.normal(size=(60, 4))
    data[:, 2] *= 3.0
    found = posterior_check(checked_tree(data, generator.normal(size=(300, 60, 4))))
    p = found.table["p"]
    assert float(p.sel(channel="B3", statistic="deviation")) == pytest.approx(2 / 301)
    assert float(p.sel(channel="B1", statistic="deviation")) > 0.01
    assert not found.trusted
    said = str(found)
    assert "The deviation of 1 of 4 channels" in said and "B3 (" in said and "B1 (" not in said


def test_a_prior_that_never_covers_the_data_is_told():
    generator = np.random.default_rng(8)
    data = generator.normal(size=(20, 2)) + [0.0, 100.0]
    made = generator.normal(size=(300, 20, 2))
    made[0, 3, 1] = np.inf
    found = prior_check(checked_tree(data, made, "prior_predictive"))
    assert "never covers the data of B2:" in str(found)
    assert "1 of 300 replicates of 'seeg' are no finite numbers" in str(found)


def test_too_few_replicates_are_told():
    generator = np.random.default_rng(9)
    data, made = generator.normal(size=(20, 2)), generator.normal(size=(50, 20, 2))
    assert "no p value is below 0.039" in str(posterior_check(checked_tree(data, made)))
    with pytest.raises(ValueError, match="no group 'prior_predictive'"):
        prior_check(checked_tree(data, made))
    with pytest.raises(ValueError, match="fewer than two replicates"):
        posterior_check(checked_tree(data, np.nan * made))


# Channels held out

GAIN = Gain(
    np.array(
        [
            [1.0, 0.2, 0.1, 0.1, 0.1],
            [0.7, 0.6, 0.1, 0.1, 0.1],
            [0.1, 1.0, 0.3, 0.1, 0.1],
            [0.1, 0.2, 1.0, 0.1, 0.1],
            [0.1, 0.1, 0.1, 1.0, 0.4],
            [0.1, 0.1, 0.1, 0.3, 1.0],
        ]
    ),
    ("A1", "A2", "A3", "B1", "C'1", "C'2"),
)


def patient(samples=60):
    """Five regions, of which a has a seizure, and what six contacts record of it: of excitabilities
    and the coupling nothing is known but the prior."""
    connectome = Connectome(chain_weights(), labels=LABELS)
    network = bayes.epilepsy.network(connectome, integrator=integrators.Euler(dt=0.1))
    form = bayes.epilepsy.forms.SMOOTH
    initial = np.stack([np.full(5, -1.8), np.full(5, 3.4)])
    free = {"excitability": form.free_excitability, "coupling": form.free_coupling}
    priors = {"excitability": dist.Normal(-2.5, 0.5), "coupling": dist.LogNormal(0.0, 0.3)}
    truth = {"excitability": jnp.asarray(TRUTH), "coupling": jnp.array(1.0)}
    generator = np.random.default_rng(1)

    def of(data):
        # The offsets' own prior is said: sources are not 0 on average, nor are data.
        seeg = Seeg(GAIN, data, amplitude=2.0, noise=0.2, error=0.05, offset=(0.0, 0.3))
        return bayes.program(network, free, seeg, priors=priors, initial=initial)

    draft = of(generator.normal(size=(samples, 6)))
    simulator, begin = draft.begun(truth)
    run = simulate(simulator, draft.length, initial=begin, progress=False)["raw"].values[:, 0]
    offsets, noise = generator.normal(size=6), generator.normal(size=(samples, 6))
    return of(2.0 * run @ np.asarray(GAIN.matrix).T + 0.3 * offsets + 0.2 * noise)


def patient_of_noise():
    """Twenty samples of noise, of which nothing is to be learned."""
    network = bayes.epilepsy.network(Connectome(chain_weights(), labels=LABELS))
    data = np.random.default_rng(0).normal(size=(20, 6))
    return bayes.epilepsy.patient_program(network, Seeg(GAIN, data))


@pytest.mark.slow
def test_a_channel_that_was_left_out_is_predicted(tmp_path):
    program = patient()
    given = {"key": jax.random.key(2), "starts": 1, "progress": False, "checkpoint": tmp_path}
    method = bayes.Nuts(chains=2, warmup=40, draws=40, max_tree_depth=4, block=40)
    found = leave_out(program, ["A2", "C'2"], method=method, **given)
    assert list(found["channel"].values) == ["A2", "C'2"]
    seen = found.sel(channel="A2")
    assert float(seen["log_density"]) > float(seen["reference"]) + 50.0
    assert float(seen["correlation"]) > 0.95
    assert float(seen["coverage"]) > 0.6
    assert "effective draws" in found.attrs["problems"]
    assert len(list(tmp_path.glob("without-A2-*.npz"))) == 1


def test_channels_of_pooled_programs_are_left_out_of_a_member():
    one = patient_of_noise()
    with pytest.raises(
        TypeError, match=r"pooled of a, b; .* give that, e.g. pooled.members\['a'\]"
    ):
        leave_out(bayes.pooled({"a": one, "b": one}), "A2", key=jax.random.key(0))


@pytest.mark.slow
def test_a_fit_without_channels_that_was_ended_goes_on(tmp_path, monkeypatch):
    program, method = patient_of_noise(), bayes.Nuts(1, 4, 8, max_tree_depth=2, block=4)
    given = {"key": jax.random.key(2), "method": method, "starts": 1, "progress": False}
    whole = leave_out(program, "A2", **given)
    keep, kept = Checkpoint.keep, []

    def ended(self, state, draws):
        keep(self, state, draws)
        kept.append(draws["numbers"].shape[1])
        if kept[-1] == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "keep", ended)
    with pytest.raises(KeyboardInterrupt):
        leave_out(program, "A2", checkpoint=tmp_path, **given)
    found = leave_out(program, "A2", checkpoint=tmp_path, **given)
    assert kept == [4, 8, 12]  # and not from the beginning again
    xr.testing.assert_identical(found, whole)


def test_densities_are_those_of_a_program_of_one_channel(monkeypatch):
    program = patient()
    generator = np.random.default_rng(12)
    positions = np.append(0.0, TRUTH) + 0.02 * generator.normal(size=(2, 4, 6))
    posterior = {"coupling": (("chain", "draw"), np.exp(positions[..., 0]))}
    position = {"position": (("chain", "draw", "number"), positions)}
    groups = {"posterior": posterior, "unconstrained_posterior": position}
    tree = xr.DataTree.from_dict({name: xr.Dataset(one) for name, one in groups.items()})
    monkeypatch.setattr(held_out, "sample", lambda *given, **more: tree)
    found = leave_out(program, ["A2", "C'2"], key=jax.random.key(0))
    seeg = program.likelihoods["seeg"]
    assert isinstance(seeg, Seeg)
    for place, channel in ((1, "A2"), (5, "C'2")):
        alone = {"seeg": seeg.take([channel])}
        flat = flat_of(dataclasses.replace(program, likelihoods=alone))
        density = jax.jit(lambda x, flat=flat: flat.prior_potential(x) - flat.potential(x))
        densities = [density(x) for x in jnp.asarray(positions.reshape(8, 6))]
        seen = found.sel(channel=channel)
        likely = np.exp(np.array(densities))
        assert float(seen["log_density"]) == pytest.approx(np.log(likely.mean()), rel=1e-9)
        effective = likely.sum() ** 2 / (likely**2).sum()
        assert float(seen["effective_draws"]) == pytest.approx(effective)
        kept = np.delete(seeg.measured, [1, 5], axis=1)
        by_hand = stats.norm.logpdf(seeg.measured[:, place], kept.mean(), kept.std()).sum()
        assert float(seen["reference"]) == pytest.approx(by_hand)
    known = found.sel(channel="A2")
    assert float(known["log_density"]) > float(known["reference"]) + 50.0
    assert float(known["correlation"]) > 0.9


def test_a_taken_channel_of_log_power_keeps_its_offset():
    network = bayes.epilepsy.network(Connectome(chain_weights(), labels=LABELS))
    run = simulate(network, 2.0, initial=np.array([[-1.8], [3.4]]) * np.ones(5), progress=False)
    data = np.random.default_rng(0).normal(size=(20, 6))
    whole = SeegLogPower(GAIN, data, amplitude=1.2, noise=0.5, error=0.2, offset=0.4)

    def by_channel(likelihood):
        with handlers.trace() as trace:
            likelihood.observe(run)
        return trace["seeg_log_likelihood"]["value"]

    # Without errors that channels share, each is alone, whichever others there are.
    apart = eqx.tree_at(lambda one: one.error, whole, 1e-9)
    np.testing.assert_allclose(by_channel(apart)[1], by_channel(apart.take(["A2"]))[0])


def test_electrodes_are_the_letters_before_the_number():
    found = electrodes(["A1", "A'2", "B10", "A12", "A'1", "TP3"])
    assert found == {"A": ("A1", "A12"), "A'": ("A'2", "A'1"), "B": ("B10",), "TP": ("TP3",)}
    with pytest.raises(ValueError, match="'A1-A2' is not a shaft's letters"):
        electrodes(["A1-A2"])


@pytest.mark.parametrize(
    "channels, message",
    [
        ([], "no channel is named"),
        (["A1", "Z9"], "'Z9' is no channel"),
        (list(GAIN.channels), "no other channel"),
    ],
)
def test_channels_that_cannot_be_left_out_are_named(channels, message):
    with pytest.raises(ValueError, match=message):
        leave_out(patient_of_noise(), channels, key=jax.random.key(0))


# Stacking


def test_weights_are_those_of_the_mixture_that_made_the_data():
    generator = np.random.default_rng(10)
    data = np.where(generator.uniform(size=4000) < 0.3, -1.0, 1.0) + generator.normal(size=4000)
    density = stats.norm.logpdf(data[:, None], [-1.0, 1.0, 30.0], 1.0)
    found = stacking_weights(density)
    # The deviation of the greatest likelihood's weight is 0.012.
    assert found == pytest.approx([0.3, 0.7, 0.0], abs=0.04)
    likelihood = np.logaddexp.reduce(density + np.log(found), axis=1).sum()
    for weight in np.linspace(0.01, 0.99, 99):
        other = np.logaddexp(density[:, 0] + np.log(weight), density[:, 1] + np.log1p(-weight))
        assert other.sum() <= likelihood + 1e-3
    assert stacking_weights(density[:, [0, 0]]) == pytest.approx([0.5, 0.5])
    assert stacking_weights(density[:, [2, 1]] * 10.0) == pytest.approx([0.0, 1.0], abs=1e-3)


Y = 0.6 + np.random.default_rng(11).normal(size=40)


def humps_that_predict():
    """Equal humps at -3 and 3 of the prior; that at 3 has the mean of the data."""
    x = numpyro.sample("x", dist.Normal(0.0, 10.0))
    hump = jnp.logaddexp(-0.5 * ((x + 3.0) / 0.2) ** 2, -0.5 * ((x - 3.0) / 0.2) ** 2)
    numpyro.factor("humps", hump)
    of_data = dist.Normal(0.3 + 0.1 * x, 1.0).expand((40,))
    numpyro.deterministic("data_log_likelihood", of_data.log_prob(jnp.asarray(Y)))
    numpyro.deterministic("never_moves", jnp.zeros(2))
    numpyro.sample("data", of_data.to_event(), obs=Y)


def test_the_mode_that_predicts_better_has_the_weight():
    tree = bayes.sample(
        humps_that_predict,
        key=jax.random.key(1),
        method=bayes.Nuts(chains=4, warmup=100, draws=200, jumps=0),
        starts=8,
        progress=False,
    )
    assert tree["modes"].sizes["mode"] == 2
    found = stacked(tree, key=jax.random.key(0))
    better = int(np.argmax(np.asarray(tree["modes"]["position"])[:, 0]))
    assert found.weights[better] > 0.9 and found.weights.sum() == pytest.approx(1.0)
    assert found.chains == ((0, 2), (1, 3))
    # By hand: within a mode x is nearly known.
    alone = stats.norm.logpdf(Y, 0.6, 1.0).sum()
    assert found.modes[better].elpd == pytest.approx(alone, abs=1.0)
    drawn = np.asarray(found.tree["posterior"]["x"])
    assert drawn.shape == (1, 800)
    assert (drawn > 0).mean() == pytest.approx(found.weights[better], abs=2 / 800)
    # Groups still belong together, draw by draw.
    expected = stats.norm.logpdf(Y, 0.3 + 0.1 * drawn[..., None], 1.0)
    np.testing.assert_allclose(found.tree["log_likelihood"]["data"], expected)
    few = found.tree["posterior_predictive"]
    np.testing.assert_array_equal(few["draw"], np.unique(few["draw"]))
    assert "no masses of the posterior" in str(found) and "chains 0, 2" in str(found)
    one_chain = tree.filter(lambda node: node.name != "prior").isel(
        chain=[0], missing_dims="ignore"
    )
    with pytest.raises(ValueError, match="2 modes and 1 chains"):
        stacked(one_chain, key=jax.random.key(0))


def test_what_cannot_be_stacked_is_named():
    with pytest.raises(ValueError, match="no group 'modes'"):
        stacked(regression_tree(), key=jax.random.key(0))
    tree = regression_tree()
    tree["modes"] = xr.Dataset({"log_density": ("mode", [0.0])})
    with pytest.raises(ValueError, match="has one mode"):
        stacked(tree, key=jax.random.key(0))
    tree["modes"] = xr.Dataset({"log_density": ("mode", [0.0, 0.0])})
    tree["sample_stats"] = xr.Dataset({"jumped": (("chain", "draw"), np.ones((2, 3)))})
    with pytest.raises(ValueError, match="jump between modes"):
        stacked(tree, key=jax.random.key(0))
