"""Synthetic patients with epilepsy: a truth that agrees with itself, and recordings with it."""

import jax
import numpy as np
import pytest

from tvbjax import Connectome
from tvbjax.datasets import synthetic_connectome
from tvbjax_inference.bayes.epilepsy import (
    check_seizure,
    feature_times,
    inverse_square_gain,
    log_power,
    read_patient,
    synthetic_patient,
    write_patient,
)

SMALL = {"regions": 24, "shafts": 5, "contacts": 4, "duration": 40.0}


@pytest.fixture(scope="module")
def made():
    return synthetic_patient(jax.random.key(0), **SMALL)


def test_the_activity_is_that_of_the_equations(made):
    """Heun's method in a loop over regions and steps; what is heard is held through a step."""
    patient, truth = made
    weights, eta = np.asarray(patient.connectome.weights), truth.excitability
    x, z = np.full(24, -2.5), np.full(24, 3.5)
    for step in range(len(truth.times)):
        drive = np.array([sum(weights[i] * (x - x[i])) for i in range(24)])

        def slope(x, z, drive=drive):
            return 1 - x**3 - 2 * x**2 - z + 3.1, (4 * (x - eta) - z - drive) / 10.0

        first = slope(x, z)
        second = slope(x + 0.1 * first[0], z + 0.1 * first[1])
        x, z = (
            now + 0.05 * (one + other)
            for now, one, other in zip((x, z), first, second, strict=True)
        )
        np.testing.assert_allclose(truth.activity[step], x, atol=1e-9)
    np.testing.assert_allclose(truth.times, 0.4 * np.arange(1, 101))


def test_onsets_agree_with_the_activity(made):
    patient, truth = made
    for region, onset in enumerate(truth.onsets):
        course = truth.activity[:, region]
        if np.isnan(onset):
            assert (course <= 0).all()
        else:
            first = int(np.flatnonzero(truth.times == onset)[0])
            assert course[first] > 0 and (course[:first] <= 0).all()
    (seizure,) = patient.seizures
    assert seizure.onset == np.nanmin(truth.onsets)
    assert seizure.end is not None
    assert (truth.activity[truth.times > seizure.end] <= 0).all()


def test_epileptogenic_regions_seize_first_and_the_seizure_spreads(made):
    patient, truth = made
    onsets = dict(zip(patient.regions, truth.onsets, strict=True))
    eta = dict(zip(patient.regions, truth.excitability, strict=True))
    assert len(truth.epileptogenic) == 2 and len(truth.propagation) == 3
    first = [onsets[label] for label in truth.epileptogenic]
    later = [onsets[label] for label in truth.propagation]
    assert max(first) < np.nanmin(later)
    assert all(eta[label] == -1.6 for label in truth.epileptogenic)
    assert all(-2.4 <= eta[label] <= -2.1 for label in truth.propagation)
    weights = np.asarray(patient.connectome.weights)
    places = [
        [patient.regions.index(label) for label in labels]
        for labels in (truth.epileptogenic, truth.propagation)
    ]
    assert (weights[np.ix_(*places)] == 1).all() and (weights[np.ix_(*places[::-1])] == 1).all()


def test_above_the_critical_excitability_and_not_below_a_region_alone_seizes():
    alone = {**SMALL, "coupling": 0.0, "propagation": 0, "epileptogenic": ["l3"]}
    for eta, seizes in ((-1.9, True), (-2.3, False)):
        patient, truth = synthetic_patient(jax.random.key(1), eta_epileptogenic=eta, **alone)
        assert np.isfinite(truth.onsets[patient.regions.index("l3")]) == seizes
        assert np.isnan(np.delete(truth.onsets, patient.regions.index("l3"))).all()
        assert (patient.seizures[0].onset is None) != seizes


def test_the_log_power_of_what_is_recorded_is_that_of_the_sources(made):
    """Up to a constant and to estimation's noise."""
    patient, truth = made
    (seizure,) = patient.seizures
    check_seizure(seizure)
    found = log_power(seizure.samples, seizure.period, points=200)
    times = feature_times(len(seizure.samples), seizure.period, 200)
    wanted = np.stack([np.interp(times, truth.times, c) for c in truth.features.T], axis=1)
    rest = found - wanted
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.98
    assert rest.std() < 0.2 and np.ptp(rest.mean(axis=0)) < 0.15


def test_features_are_sums_of_powers_of_the_sources(made):
    patient, truth = made
    for channel in range(0, 20, 7):
        powers = sum(
            float(patient.gain.matrix[channel, region]) * np.exp(truth.activity[:, region])
            for region in range(24)
        )
        np.testing.assert_allclose(truth.features[:, channel], np.log(powers), atol=1e-12)


def test_electrodes_lead_to_the_regions_of_the_seizure(made):
    patient, truth = made
    assert patient.sensors is not None and patient.connectome.centres is not None
    tips = [i for i, label in enumerate(patient.channels) if label.strip("'ABCDE") == "1"]
    reached = {int(np.argmax(patient.gain.matrix[tip])) for tip in tips}
    seizing = (*truth.epileptogenic, *truth.propagation)
    assert {patient.regions[region] for region in reached} == set(seizing)
    gain = inverse_square_gain(patient.connectome, patient.sensors)
    np.testing.assert_array_equal(patient.gain.matrix, gain.matrix)


def test_equal_keys_give_equal_patients(made):
    patient, truth = made
    again, same = synthetic_patient(jax.random.key(0), **SMALL)
    np.testing.assert_array_equal(again.seizures[0].samples, patient.seizures[0].samples)
    np.testing.assert_array_equal(same.excitability, truth.excitability)
    other, _ = synthetic_patient(jax.random.key(2), **SMALL)
    assert not np.array_equal(other.connectome.weights, patient.connectome.weights)


def test_a_key_means_the_same_patient_in_both_precisions(made):
    patient, truth = made
    with jax.enable_x64(False):
        single, told = synthetic_patient(jax.random.key(0), **SMALL)
    np.testing.assert_array_equal(told.excitability, truth.excitability)
    np.testing.assert_allclose(told.onsets, truth.onsets, atol=0.21)
    assert single.channels == patient.channels and told.propagation == truth.propagation
    np.testing.assert_allclose(single.connectome.weights, patient.connectome.weights, rtol=1e-6)


def test_noise_of_contacts_adds_to_their_power():
    quiet, truth = synthetic_patient(jax.random.key(0), noise=0.0, **SMALL)
    loud, _ = synthetic_patient(jax.random.key(0), noise=2.0, **SMALL)
    powers = [(p.seizures[0].samples ** 2).mean(axis=0) for p in (quiet, loud)]
    np.testing.assert_allclose(powers[1] / powers[0], 5.0, rtol=0.15)
    np.testing.assert_allclose(powers[0], np.exp(truth.features).mean(axis=0), rtol=0.1)


def test_ones_own_connectome_and_labels():
    own = synthetic_connectome(24, key=jax.random.key(5))
    scaled = Connectome(7 * own.weights + np.eye(24), own.tract_lengths, regions=own.regions)
    patient, truth = synthetic_patient(
        jax.random.key(0),
        connectome=scaled,
        epileptogenic=["l3", "r3"],
        propagation=["l4"],
        tract=0.0,
        **SMALL,
    )
    assert truth.epileptogenic == ("l3", "r3") and truth.propagation == ("l4",)
    np.testing.assert_allclose(patient.connectome.weights, own.weights / own.weights.max())
    np.testing.assert_array_equal(patient.connectome.tract_lengths, own.tract_lengths)
    counted, drawn = synthetic_patient(jax.random.key(0), connectome=own, propagation=2, **SMALL)
    ties = np.asarray(own.weights)[:, [own.regions.index(r) for r in drawn.epileptogenic]].sum(1)
    rest = [i for i, label in enumerate(own.labels) if label not in drawn.epileptogenic]
    best = sorted(rest, key=lambda i: -ties[i])[:2]
    assert set(drawn.propagation) == {own.labels[i] for i in best}
    assert len(counted.channels) == 20


def test_a_synthetic_patient_is_written_and_read(made, tmp_path):
    patient, _ = made
    write_patient(patient, tmp_path / "one")
    found = read_patient(tmp_path / "one")
    np.testing.assert_array_equal(found.seizures[0].samples, patient.seizures[0].samples)
    np.testing.assert_array_equal(found.connectome.weights, patient.connectome.weights)
    np.testing.assert_array_equal(found.gain.matrix, patient.gain.matrix)
    assert found.seizures[0].onset == patient.seizures[0].onset


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"tau0": 0.0}, "tau0 is 0"),
        ({"duration": -1.0}, "duration, in s, is -1"),
        ({"rate": 0.0}, "rate, in Hz, is 0"),
        ({"pace": 0.0}, "pace is 0"),
        ({"noise": -0.1}, "noise is -0.1"),
        ({"tract": 1.5}, "tract is 1.5; 1 is the largest weight"),
        ({"coupling": -1.0}, "coupling is -1"),
        ({"shafts": 25}, "25 shafts are more than the 24 regions"),
        ({"shafts": 0}, "shafts is 0"),
        ({"epileptogenic": 20, "propagation": 5}, "25 epileptogenic and propagation regions are"),
        ({"epileptogenic": -1}, "epileptogenic is -1"),
        ({"propagation": -1}, "propagation is -1"),
        ({"epileptogenic": ["l33"]}, "no region is labelled 'l33'; did you mean"),
        ({"epileptogenic": ["l3", "l3"]}, "epileptogenic names 'l3' twice"),
        ({"epileptogenic": ["l3"], "propagation": ["l3"]}, "'l3' is both epileptogenic and of p"),
    ],
)
def test_arguments_that_do_not_fit_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        synthetic_patient(jax.random.key(0), **(SMALL | arguments))


def test_one_label_is_not_a_list_of_letters():
    with pytest.raises(TypeError, match="epileptogenic is 'l3'; give a list of labels"):
        synthetic_patient(jax.random.key(0), epileptogenic="l3", **SMALL)
