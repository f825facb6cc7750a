"""Patients in folders: what is written is read, and what is wrong with a file is told."""

import builtins
import dataclasses
import hashlib
import json
import math
import re
import zipfile

import numpy as np
import pytest

from epilepsy_patients import (
    CHANNELS,
    LABELS,
    RATE,
    brain,
    patient,
    samples,
    seizure,
)
from recording_files import write_brainvision, write_edf
from tvbjax.forward import Gain
from tvbjax.io.tvb_zip import write_connectome_zip
from tvbjax_inference.bayes.epilepsy import (
    Patient,
    read_patient,
    validate_patient,
    write_patient,
)


@pytest.fixture
def folder(tmp_path):
    write_patient(patient(), tmp_path / "anna")
    return tmp_path / "anna"


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
    assert len(validate_patient(folder)) == 2 and "--match" in validate_patient(folder)[0]
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
        ("electrodes.tsv", "name\tx\ty\tz\n", "electrodes.tsv has a header and no rows"),
        ("electrodes.tsv", "name x y z\nB1 1 2 3\n", "electrodes.tsv: there is no tab in .*'name"),
        ("gain.tsv", "channel," + ",".join(LABELS), "gain.tsv: .*separated by one tab"),
        ("gain.tsv", "channel\t" + "\t".join(LABELS) + "\n", "gain.tsv has a header and no rows"),
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
        ("seizures/night1.tsv", "time,B1\n0,1\n1,2\n", "night1.tsv: there is no tab in the header"),
        ("seizures/night1.tsv", HEADER + "n/a\t1\t2\t3\n" * 2, "line 2: time is not a finite"),
        (
            "seizures/night1.tsv",
            HEADER + "0\t1\t2\tn/a\n.1\t1\t2\t3\n",
            "'B1': 1 samples are NaN .*status bad in night1_channels.tsv",
        ),
        ("seizures/night1.tsv", HEADER + "0\t1\t2\tn/a\n.1\t1\tx\t3\n", "line 3, .*'x' is not"),
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

    # Marks of what is not there are no second problem.
    (folder / "onsets.tsv").write_text(ONSETS + "night1\tn/a\t1\t2\n")
    assert len(validate_patient(folder)) == 2
    (folder / "seizures").rmdir()
    (folder / "seizures").write_text("none")
    assert "seizures is a file; put recordings into a folder" in validate_patient(folder)[1]


@pytest.mark.parametrize(
    "name", ["connectome.zip", "gain.tsv", "seizures/night1.tsv", "seizures/night1_events.tsv"]
)
def test_folders_in_the_place_of_files(folder, name):
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    assert f"{name} is a folder; give a file of that name." in validate_patient(folder)


def test_gaps_of_a_channel_that_is_bad_are_none_of_ours(folder):
    path = folder / "seizures" / "night1.tsv"
    lines = path.read_text().splitlines()
    lines[7] = "\t".join([*lines[7].split("\t")[:-1], "n/a"])
    path.write_text("\n".join(lines))
    assert len(validate_patient(folder)) == 1
    (folder / "seizures" / "night1_channels.tsv").write_text("name\tstatus\nB1\tbad\n")
    assert read_patient(folder).channels == ("A'1", "A'2")


def test_labels_that_are_there_twice_in_a_zip_are_told(folder):
    """TVB's own zips have such, which are read as numbered ones."""
    with zipfile.ZipFile(folder / "connectome.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(folder / "connectome.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content.replace(b"rAmy", b"rHip"))
    (folder / "patient.json").write_text('{"lesions": ["rHip"]}')
    found = "\n".join(validate_patient(folder))
    assert "connectome.zip: the label 'rHip' is there twice, and was read as 'rHip_0'" in found
    assert "patient.json: no region is labelled 'rHip'; the label 'rHip' is there twice" in found


def test_the_extra_that_reads_edf_is_named(folder, monkeypatch):
    (folder / "seizures" / "night3.edf").write_text("0")
    imported = builtins.__import__

    def without(name, *arguments, **more):
        if name == "mne":
            raise ImportError(name)
        return imported(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert any("pip install 'tvbjax[mne]'" in problem for problem in validate_patient(folder))
