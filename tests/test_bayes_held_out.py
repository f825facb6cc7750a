"""Channels that are left out of the fit and predicted."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr
from numpyro import handlers
from scipy import stats

from patients import LABELS, TRUTH, chain_weights
from tvbjax import Connectome, bayes, integrators, simulate
from tvbjax.forward import Gain
from tvbjax_inference.bayes import held_out
from tvbjax_inference.bayes.checkpoint import Checkpoint
from tvbjax_inference.bayes.flat import flat_of
from tvbjax_inference.bayes.held_out import electrodes, leave_out
from tvbjax_inference.bayes.likelihoods import Seeg, SeegLogPower

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
