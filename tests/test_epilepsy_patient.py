"""Patients with epilepsy: what fits and what does not, electrodes, and patients in folders."""

import builtins
import dataclasses
import hashlib
import json
import math
import re

import jax
import numpy as np
import pytest

from recording_files import write_brainvision, write_edf
from tvbjax import Connectome
from tvbjax.forward import Gain, Sensors
from tvbjax.io.tvb_zip import write_connectome_zip
from tvbjax_inference.bayes.epilepsy import (
    Patient,
    Seizure,
    inverse_square_gain,
    matched,
    read_patient,
    shafts,
    validate_patient,
    write_patient,
)

LABELS = ("lHip", "lAmy", "rHip", "rAmy", "rIns")
CENTRES = np.array([[-30.0, 0, 0], [-20, 20, 5], [30, 0, 0], [20, 20, 5], [10, -20, 30]])
CHANNELS = ("A'1", "A'2", "B1")
PLACES = np.array([[-29.0, 1, 0], [-26, 1, 0], [25, 10, 3]])
RATE = 64


def brain(weights=None, **more) -> Connectome:
    if weights is None:
        weights = np.random.default_rng(1).uniform(0.1, 0.9, (5, 5))
        np.fill_diagonal(weights, 0.0)
        weights[0, 1] = 1.0
    return Connectome(weights, 2.0 * weights, 4.0, LABELS, centres=CENTRES, **more)


def samples(count=10 * RATE, channels=3, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, channels))


def seizure(name="night1", channels=CHANNELS, values=None, **more) -> Seizure:
    values = samples(channels=len(channels)) if values is None else values
    marks: dict = {"onset": 2.0, "end": 8.5} | more
    return Seizure(name, channels, values, 1 / RATE, **marks)


def patient(**changed) -> Patient:
    sensors = Sensors(CHANNELS, PLACES)
    given = {
        "connectome": brain(),
        "gain": inverse_square_gain(brain(), sensors),
        "seizures": (seizure(), seizure("night.2", onset=None, end=None)),
        "sensors": sensors,
        "hypothesis": ("lHip",),
        "lesions": ("rIns", "lAmy"),
    }
    return Patient("anna", **(given | changed))


@pytest.fixture
def folder(tmp_path):
    write_patient(patient(), tmp_path / "anna")
    return tmp_path / "anna"


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


# Electrodes


def test_the_gain_falls_with_the_square_of_the_distance():
    sensors = Sensors(("far", "near", "at"), [[0.0, 0, 40], [-30, 0, 2], [20.1, 20, 5]])
    gain = inverse_square_gain(brain(), sensors)
    for i, place in enumerate(sensors.positions):
        for j, centre in enumerate(CENTRES):
            distance = max(1.0, math.dist(place, centre))
            assert float(gain.matrix[i, j]) == pytest.approx(1 / distance**2, rel=1e-14)
    assert gain.channels == sensors.labels and gain.unit == "1/mm²"
    wide = inverse_square_gain(CENTRES, sensors, floor=5.0)
    assert float(wide.matrix.max()) == 1 / 25


def test_gains_need_centres_and_a_floor():
    sensors = Sensors(CHANNELS, PLACES)
    with pytest.raises(ValueError, match="'bare' has no centres"):
        inverse_square_gain(Connectome(np.ones((3, 3)), name="bare"), sensors)
    with pytest.raises(ValueError, match="floor, in mm, is 0"):
        inverse_square_gain(CENTRES, sensors, floor=0.0)


def many(regions=30) -> Connectome:
    centres = np.random.default_rng(0).normal(size=(regions, 3)) * 40
    return Connectome(np.ones((regions, regions)), centres=centres)


def test_shafts_are_straight_lead_to_their_targets_and_stay_within():
    one = many()
    targets = ["region_3", "region_0", "region_7"]
    found = shafts(one, jax.random.key(0), 3, 8, 4.0, targets)
    assert len(found) == 24
    centres = one.centres
    assert centres is not None
    bounds = centres.min(axis=0) - 1e-9, centres.max(axis=0) + 1e-9
    for number, target in enumerate(targets):
        place = centres[one.regions.index(target)]
        name = "ABC"[number] + ("'" if place[0] < 0 else "")
        shaft = found.take([f"{name}{i}" for i in range(1, 9)]).positions
        np.testing.assert_allclose(shaft[0], place)
        steps = np.diff(shaft, axis=0)
        np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 4.0)
        np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-12)
        assert (shaft >= bounds[0]).all() and (shaft <= bounds[1]).all()
    assert found == shafts(one, jax.random.key(0), 3, 8, 4.0, targets)
    assert found != shafts(one, jax.random.key(1), 3, 8, 4.0, targets)


def test_shafts_are_drawn_without_replacement_and_named_past_z():
    found = shafts(many(), jax.random.key(0), 28, 1)
    assert len({tuple(place) for place in found.positions}) == 28
    assert {label.strip("'1") for label in found.labels} >= {"A", "Z", "AA", "AB"}
    sided = dataclasses.replace(many(), hemispheres=np.ones(30, dtype=bool))
    assert not any("'" in label for label in shafts(sided, jax.random.key(0), 9).labels)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"count": 0}, "count is 0"),
        ({"contacts": 0}, "contacts is 0"),
        ({"spacing": 0.0}, "spacing, in mm, is 0"),
        ({"count": 31}, "31 shafts have no target each among 30"),
        ({"count": 2, "targets": ["region_1"]}, "a list of 2 labels"),
        ({"count": 1, "targets": ["region1"]}, "no region is labelled 'region1'; did you mean"),
    ],
)
def test_shafts_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        shafts(many(), jax.random.key(0), **arguments)


def test_shafts_need_a_hull():
    flat = Connectome(np.ones((4, 4)), centres=np.eye(4)[:, :3] * [1, 1, 0])
    with pytest.raises(ValueError, match="centres of the 4 regions have no hull"):
        shafts(flat, jax.random.key(0), 1)


# Folders


def same(one: Patient, other: Patient) -> None:
    assert (one.name, one.hypothesis, one.lesions) == (other.name, other.hypothesis, other.lesions)
    for field in ("weights", "tract_lengths", "speed"):
        np.testing.assert_array_equal(
            getattr(one.connectome, field), getattr(other.connectome, field)
        )
    assert one.regions == other.regions and one.sensors is not None and other.sensors is not None
    np.testing.assert_array_equal(one.gain.matrix, other.gain.matrix)
    np.testing.assert_array_equal(one.sensors.positions, other.sensors.positions)
    assert [s.name for s in one.seizures] == [s.name for s in other.seizures]
    for mine, theirs in zip(one.seizures, other.seizures, strict=True):
        assert (mine.period, mine.onset, mine.end) == (theirs.period, theirs.onset, theirs.end)
        assert mine.onsets == theirs.onsets and mine.channels == theirs.channels
        np.testing.assert_array_equal(mine.samples, theirs.samples)


def test_what_is_written_is_read_bit_for_bit(tmp_path):
    marked = seizure(onsets={"lHip": 2.0, "rHip": math.inf, "lAmy": 1 / 3})
    # In the order of names, as folders are read.
    whole = patient(seizures=(marked, seizure("night2", onset=None, end=None)))
    write_patient(whole, tmp_path / "anna")
    assert validate_patient(tmp_path / "anna") == []
    found = read_patient(tmp_path / "anna")
    same(whole, found)
    path = tmp_path / "anna" / "seizures" / "night1.tsv"
    assert found.hashes["seizures/night1.tsv"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert set(found.hashes) == {
        *("patient.json", "connectome.zip", "gain.tsv", "electrodes.tsv", "onsets.tsv"),
        *("seizures/night1.tsv", "seizures/night2.tsv"),
    }


def test_a_folder_is_not_written_over_and_names_are_those_of_files(tmp_path, folder):
    with pytest.raises(FileExistsError, match="is there and not empty"):
        write_patient(patient(), folder)
    for name in ("a/b", "", "x_ieeg", "x_events", ".x"):
        with pytest.raises(ValueError, match="no name of a file of samples"):
            write_patient(patient(seizures=(seizure(name),)), tmp_path / "new")
    tabbed = seizure(channels=("A\t1",))
    odd = Patient("x", brain(), Gain(np.ones((1, 5)), ("A\t1",)), (tabbed,))
    with pytest.raises(ValueError, match="cannot be a cell"):
        write_patient(odd, tmp_path / "new")
    paced = dataclasses.replace(brain(), speed=np.full((5, 5), 3.0))
    with pytest.raises(ValueError, match="a speed for each connection"):
        write_patient(patient(connectome=paced), tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        read_patient(tmp_path / "new")
    assert validate_patient(tmp_path / "new") == [f"there is no folder {tmp_path / 'new'}."]


def test_without_a_gain_distances_make_it_and_columns_go_by_labels(folder):
    (folder / "gain.tsv").unlink()
    np.testing.assert_array_equal(read_patient(folder).gain.matrix, patient().gain.matrix)
    rows = ["\t".join(("rIns", "channel", *LABELS[:4]))]
    rows += ["\t".join(("0.5", c, "1", "2", "3", "4")) for c in CHANNELS[::-1]]
    (folder / "gain.tsv").write_text("\n".join(rows) + "\n")
    (folder / "patient.json").unlink()
    found = read_patient(folder)
    np.testing.assert_array_equal(found.gain.matrix, np.tile([1, 2, 3, 4, 0.5], (3, 1)))
    assert found.channels == CHANNELS[::-1] == found.seizures[0].channels
    assert found.name == "anna" and found.hypothesis == ()


@pytest.mark.parametrize("kind", ["edf", "vhdr"])
def test_recordings_that_mne_reads(folder, kind):
    pytest.importorskip("mne")
    (folder / "seizures" / "night1.tsv").unlink()
    values = 100 * samples()
    path = folder / "seizures" / f"sub-01_ieeg.{kind}"
    (write_edf if kind == "edf" else write_brainvision)(path, CHANNELS, values, RATE)
    step = write_edf(folder / "x", CHANNELS, values, RATE) if kind == "edf" else 1e-4
    (folder / "onsets.tsv").unlink()
    events = "onset\tduration\ttrial_type\n0\tn/a\tbaseline\n3.25\t4\tSeizure (focal)\n"
    (folder / "seizures" / "sub-01_events.tsv").write_text(events)
    found = {s.name: s for s in read_patient(folder).seizures}["sub-01"]
    np.testing.assert_allclose(found.samples * 1e6, values, atol=0.51 * step, rtol=1e-6)
    assert (found.period, found.onset, found.end) == (1 / RATE, 3.25, 7.25)


def test_channels_that_are_bad_or_of_another_kind_are_left_out_of_all(folder):
    wide = np.column_stack([np.arange(640) / RATE, samples(), np.zeros(640)])
    text = "\t".join(("time", *CHANNELS, "ECG")) + "\n"
    text += "".join("\t".join(map(repr, row)) + "\n" for row in wide.tolist())
    (folder / "seizures" / "night1.tsv").write_text(text)
    told = "name\ttype\tstatus\nECG\tECG\tgood\nA'2\tSEEG\tbad\nB1\tn/a\tgood\n"
    (folder / "seizures" / "night1_channels.tsv").write_text(told)
    found = read_patient(folder)
    assert found.channels == ("A'1", "B1") == found.seizures[1].channels
    assert found.sensors is not None and found.sensors.labels == found.channels


def test_matching_keeps_what_both_have(folder):
    path = folder / "seizures" / "night1.tsv"
    path.write_text(path.read_text().replace("A'2", "Ax", 1))
    assert len(validate_patient(folder)) == 2
    with pytest.raises(ValueError, match=r"has 2 problems:\n- seizures/night1.tsv: the gain lacks"):
        read_patient(folder)
    assert read_patient(folder, match=True).channels == ("A'1", "B1")


def test_times_may_be_rounded_and_not_have_gaps(folder):
    path = folder / "seizures" / "night1.tsv"
    lines = path.read_text().splitlines()
    rounded = [lines[0]]
    for line in lines[1:]:
        time, *rest = line.split("\t")
        rounded.append("\t".join((f"{float(time):.3f}", *rest)))
    path.write_text("\n".join(rounded))
    assert read_patient(folder).seizures[1].period == pytest.approx(1 / RATE, rel=1e-4)
    del lines[300]
    path.write_text("\n".join(lines))
    assert "night1.tsv, line" in validate_patient(folder)[0]
    assert "give samples without gaps" in validate_patient(folder)[0]


def spoil(folder, name, content):
    path = folder / name
    path.unlink() if content is None else path.write_text(content)


HEADER = "time\t" + "\t".join(CHANNELS) + "\n"
ONSETS = "seizure\tregion\tonset\tend\n"


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("connectome.zip", None, "connectome.zip is missing"),
        ("connectome.zip", "none", "connectome.zip: not a zip archive"),
        ("gain.tsv", "channel\tlHip\nB1\t1\n", "gain.tsv: columns are missing.*none for 'lAmy'"),
        ("gain.tsv", "channel\t" + "\t".join(("x", *LABELS)), "the columns 'x' are no regions"),
        ("gain.tsv", "chanel\t" + "\t".join(LABELS), "'channel'; did you mean 'chanel'"),
        ("gain.tsv", "channel\t" + "\t".join(LABELS) + "\nB1\t1\t2\n", "gain.tsv, line 2: 3 cells"),
        ("electrodes.tsv", "name\tx\ty\tz\nB1\t1\t2\tn/a\n", "line 2, column 'z': 'n/a' is not"),
        ("electrodes.tsv", "name\tx\ty\nB1\t1\t2\n", "electrodes.tsv: there is no column 'z'"),
        ("electrodes.tsv", "name\tx\ty\tz\n", "electrodes.tsv: Sensors: labels is"),
        ("electrodes.tsv", "", "electrodes.tsv is empty"),
        ("electrodes.tsv", "x\tx\n", "two columns are called 'x'"),
        ("patient.json", "{", "patient.json is not JSON"),
        ("patient.json", "[]", r"patient.json holds \[\]"),
        (
            "patient.json",
            '{"nam": "x"}',
            "patient.json: there is no key 'nam'; did you mean 'name'",
        ),
        ("patient.json", '{"name": 3}', "patient.json: name is 3; give a text"),
        ("patient.json", '{"name": "a", "name": "b"}', "the key 'name' is there twice"),
        ("patient.json", '{"lesions": "lHip"}', "lesions is 'lHip'; give a list of labels"),
        ("patient.json", '{"reach": -1}', "patient.json: reach is -1"),
        ("patient.json", '{"hypothesis": ["lHyp"]}', "patient.json: no region is labelled 'lHyp'"),
        (
            "onsets.tsv",
            ONSETS + "night\tn/a\t1\t2\n",
            "line 2: there is no recording of 'night'; d",
        ),
        ("onsets.tsv", ONSETS + "night1\tn/a\t1\t2\n" * 2, "line 3: 'night1' is marked twice"),
        ("onsets.tsv", ONSETS + "night1\tlHip\t1\tn/a\n" * 2, "line 3: 'lHip' is there twice"),
        ("onsets.tsv", ONSETS + "night1\tlHip\tsoon\tn/a\n", "column 'onset': 'soon' is not a"),
        ("onsets.tsv", ONSETS + "night1\tn/a\t99\tn/a\n", "onsets.tsv: Seizure 'night1': onset is"),
        (
            "onsets.tsv",
            ONSETS + "night1\txHip\t1\tn/a\n",
            "onsets.tsv: no region is labelled 'xHip",
        ),
        ("seizures/night1.tsv", HEADER, "night1.tsv has a header and no rows"),
        ("seizures/night1.tsv", HEADER + "0\t1\t2\t3\n", "first column is 'time', of 1 rows"),
        ("seizures/night1.tsv", HEADER + "0\t1\tx\t3\n", "line 2, column \"A'2\": 'x' is not a f"),
        ("seizures/night1.tsv", HEADER + "0\t1\t3\n", "line 2: 3 cells, and the header has 4"),
        ("seizures/night1.tsv", HEADER + "0\t1\t2\tnan\n.1\t1\t2\t3\n", "'B1': 1 samples are NaN"),
        ("seizures/night1.edf", "0       x", "night1.edf and night1.tsv are both recordings of"),
        ("seizures/night3.edf", "0       x", "night3.edf cannot be read by MNE"),
        (
            "seizures/night1_channels.tsv",
            "name\tstatus\nB\tbad\n",
            "no channel 'B'; did you mean 'B1",
        ),
        (
            "seizures/night1_channels.tsv",
            "name\tstatus\n" + "".join(f"{c}\tbad\n" for c in CHANNELS),
            "night1.tsv: all channels are left out, as seizures/night1_channels.tsv says",
        ),
        (
            "seizures/night1_events.tsv",
            "onset\tduration\ttrial_type\n1\t2\tseizure\n5\t1\tseizure\n",
            "night1_events.tsv, line 3: a second seizure",
        ),
        (
            "seizures/night1_events.tsv",
            "onset\tduration\ttrial_type\n1\tn/a\tseizure\n",
            "'night1' is marked from 2.0 to 8.5 s, and in seizures/night1_events.tsv from 1.0 to N",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_file(folder, name, content, message):
    if name.endswith(".edf"):
        pytest.importorskip("mne")
    spoil(folder, name, content)
    problems = validate_patient(folder)
    assert any(re.search(message, p) for p in problems), problems
    with pytest.raises(ValueError, match=f"(?s)read_patient: .*{message}"):
        read_patient(folder)


def test_all_files_are_looked_at(folder):
    write_connectome_zip(brain(4 * np.asarray(brain().weights)), folder / "connectome.zip")
    (folder / "patient.json").write_text(json.dumps({"nam": 1, "reach": 0}))
    (folder / "electrodes.tsv").write_text("name\tx\n")
    (folder / "gain.tsv").unlink()
    (folder / "seizures" / "night1.tsv").write_text(HEADER)
    (folder / "onsets.tsv").write_text("seizure\tregion\n")
    found = "\n".join(validate_patient(folder))
    for part in ("'nam'", "reach is 0", "no column 'y'", "no rows", "no column 'onset'", "not 1,"):
        assert part in found, (part, found)


def test_folders_without_gain_or_recordings(folder):
    (folder / "gain.tsv").unlink()
    (folder / "electrodes.tsv").unlink()
    for path in (folder / "seizures").iterdir():
        path.unlink()
    (folder / "onsets.tsv").unlink()
    found = validate_patient(folder)
    assert len(found) == 2
    assert "gain.tsv is missing" in found[0] and "there are no recordings" in found[1]


def test_the_extra_that_reads_edf_is_named(folder, monkeypatch):
    (folder / "seizures" / "night3.edf").write_text("0")
    imported = builtins.__import__

    def without(name, *arguments, **more):
        if name == "mne":
            raise ImportError(name)
        return imported(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert any("pip install 'tvbjax[mne]'" in problem for problem in validate_patient(folder))
