"""Patients with epilepsy: what fits and what does not."""

import math

import numpy as np
import pytest

from epilepsy_patients import (
    CHANNELS,
    LABELS,
    PLACES,
    RATE,
    brain,
    patient,
    samples,
    seizure,
)
from tvbjax import Connectome
from tvbjax.forward import Gain, Sensors
from tvbjax_inference.bayes.epilepsy import (
    Patient,
    Seizure,
    inverse_square_gain,
    matched,
)

# Seizures


def with_value(value, sample=70, channel=1):
    values = samples()
    values[sample, channel] = value
    return values


def dead():
    values = samples()
    values[:, 2] = 0.25
    return values


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"values": with_value(np.nan)}, r"\"A'2\": 1 samples .* sample 70, at 1.09375 s; cut"),
        ({"values": with_value(np.inf, 0)}, r"\"A'2\": 1 samples are NaN or infinite.* sample 0"),
        ({"values": dead()}, "channel 'B1' is 0.25 throughout, as dead contacts are; leave it"),
        ({"channels": ("a", "b", "a")}, "two channels are called 'a'"),
        ({"values": samples(channels=2)}, r"samples have the shape \(640, 2\) and there are 3"),
        ({"values": samples(1)}, "two samples or more"),
        ({"channels": (), "values": np.zeros((5, 0))}, "there are no channels"),
        ({"onset": 10.0}, "onset is at 10 s, and the recording lasts from 0 to 10 s"),
        ({"onset": -0.5}, "onset is at -0.5 s"),
        ({"onset": math.nan}, "onset, in s, is nan; give a finite number"),
        ({"end": 10.5}, r"end is at 10.5 s; it is after the onset \(2.0 s\) and within"),
        ({"end": 1.0}, "end is at 1 s"),
        ({"onsets": {"lHip": 11.0}}, "onset in region 'lHip' is at 11 s"),
        ({"onsets": {"lHip": -1.0}}, "math.inf for 'not reached'"),
    ],
)
def test_seizures_that_are_none_are_refused(changed, message):
    with pytest.raises(ValueError, match=f"Seizure 'night1'.*{message}"):
        seizure(**changed)


@pytest.mark.parametrize("period", [0.0, -1.0, math.nan, math.inf])
def test_a_period_is_positive(period):
    with pytest.raises(ValueError, match="Seizure 's': period, in s,.*give a number above 0"):
        Seizure("s", CHANNELS, samples(), period)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"name": 3}, "Seizure: name is 3"),
        ({"channels": "A1"}, "give a list of names"),
        ({"onset": "2"}, "onset, in s, is '2'"),
        ({"onsets": {"lHip": "2"}}, r"onsets\['lHip'\] is '2'"),
        ({"onsets": [2.0]}, "onsets is"),
    ],
)
def test_kinds_of_arguments_of_seizures(changed, message, without_type_checks):
    with pytest.raises(TypeError, match=message):
        seizure(**{"channels": CHANNELS, "values": samples()} | changed)


def test_all_that_is_wrong_is_told_at_once():
    values = with_value(np.nan)
    values[:, 0] = 1.0
    with pytest.raises(ValueError) as raised:
        seizure(values=values, onset=99.0, end=None)
    assert len(str(raised.value).splitlines()) == 3


def test_a_seizure_keeps_a_copy_and_gives_channels():
    values = samples()
    one = seizure(values=values)
    values[:] = 0.0
    assert one.samples.any() and not one.samples.flags.writeable
    assert one.duration == 10.0 and one.times[64] == 1.0
    assert repr(one) == "Seizure('night1': 3 channels, 10 s at 64 Hz, onset=2, end=8.5)"
    taken = one.take(["B1", "A'1"])
    np.testing.assert_array_equal(taken.samples, one.samples[:, [2, 0]])
    with pytest.raises(ValueError, match="no channel 'b1'; did you mean 'B1'"):
        one.take(["b1"])


# Patients


def deaf_gain() -> Gain:
    matrix = np.array(patient().gain.matrix)
    matrix[2] *= 1e-3
    return Gain(matrix, CHANNELS)


def far() -> dict:
    sensors = Sensors(CHANNELS, PLACES + [[0, 0, 0], [0, 0, 0], [0, 60, 0]])
    return {"sensors": sensors, "gain": patient().gain}


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"connectome": brain(np.full((5, 5), 3.0) - 3 * np.eye(5))}, "weight is 3, not 1.*normal"),
        ({"connectome": brain(np.eye(5)[::-1] * 1.0)}, "1 regions are connected to themselves.*rH"),
        ({"gain": Gain(np.ones((3, 4)), CHANNELS)}, "gain: it has 4 columns and the connectome 5"),
        ({"gain": deaf_gain()}, "gain: no region is in reach of 'B1': their largest gain is 1%"),
        (far(), r"sensors: 1 contacts are farther than 20 mm .*: 'B1' \(50.* mm\); leave"),
        ({"seizures": ()}, "seizures: there are none"),
        ({"seizures": (seizure(), seizure())}, "two are called 'night1'"),
        (
            {"hypothesis": ("lHippo",)},
            "hypothesis: no region is labelled 'lHippo'; did you mean 'l",
        ),
        ({"lesions": ("xyz",)}, "lesions: no region is labelled 'xyz'; there are 'lHip', 'lAmy'"),
        ({"lesions": ("lHip", "lHip")}, "lesions: the region 'lHip' is named twice"),
        (
            {"seizures": (seizure(onsets={"lhip": 3.0}),)},
            "onsets of 'night1': no region is labelled 'lhip'; did you mean 'lHip'",
        ),
        (
            {"seizures": (seizure(channels=("A1", "A'2", "B1")),)},
            "the gain lacks the channels 'A1' - did you mean \"A'1\".*nothing of the gain's "
            'channels "A\'1".*match=True',
        ),
        ({"seizures": (seizure(channels=("B1", "A'1", "A'2")),)}, "in another order; give Pat"),
        ({"sensors": Sensors(CHANNELS[:2], PLACES[:2])}, "sensors: there is nothing of .* 'B1'"),
    ],
)
def test_patients_that_do_not_fit_are_refused(changed, message):
    with pytest.raises(ValueError, match=f"(?s)Patient 'anna': .*{message}"):
        patient(**changed)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"connectome": None}, "connectome is None"),
        ({"gain": np.ones((3, 5))}, "give e.g. inverse_square_gain"),
        ({"seizures": seizure()}, "seizures is Seizure.*a list of Seizure"),
        ({"hypothesis": "lHip"}, "hypothesis is 'lHip'"),
        ({"lesions": (3,)}, r"lesions\[0\] is 3"),
        ({"sensors": PLACES}, "sensors is"),
    ],
)
def test_kinds_of_arguments_of_patients(changed, message, without_type_checks):
    with pytest.raises(TypeError, match=message):
        patient(**changed)


def test_a_patient_of_what_all_have():
    wide = seizure(channels=("ECG", "B1", "A'1", "A'2"))
    narrow = seizure("night2", channels=("A'2", "B1"))
    sensors = Sensors(CHANNELS, PLACES)
    gain = inverse_square_gain(brain(), sensors)
    one = Patient.matched("anna", brain(), gain, [wide, narrow], sensors, lesions=("lHip",))
    assert one.channels == ("A'2", "B1") == one.seizures[0].channels == one.seizures[1].channels
    assert one.sensors is not None and one.sensors.labels == one.channels
    np.testing.assert_array_equal(one.seizures[0].samples, wide.samples[:, [3, 1]])
    np.testing.assert_array_equal(one.gain.matrix, gain.matrix[1:])
    assert one.lesions == ("lHip",) and one.regions == LABELS
    assert repr(one) == "Patient('anna': 5 regions, 2 channels, seizures night1, night2)"
    with pytest.raises(ValueError, match="no channel is in the gain.*'night1', 'ECG'.*alike"):
        matched(gain, [seizure(channels=("ECG",))])


def test_the_reach_is_for_the_user_to_say():
    assert patient(**far(), reach=60.0).reach == 60.0
    with pytest.raises(ValueError, match="reach, in mm, is 0"):
        patient(reach=0.0)


def test_a_patients_gain_of_the_literature_reaches_all_contacts(shared):
    path = shared / "bvep" / "patient1_84.npz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    found = np.load(path)
    weights = found["weights"] * (1 - np.eye(84))
    channels = tuple(f"C{i}" for i in range(162))
    connectome = Connectome(weights).normalise()
    whole = Patient(
        "p1",
        connectome,
        Gain(found["gain"], channels),
        (Seizure("s", channels, samples(100, 162), 1 / RATE),),
    )
    assert len(whole.channels) == 162
