"""Data sets: the files against NumPy and known figures, synthetic ones against their laws."""

import importlib.util
import io
import zipfile

import jax
import numpy as np
import pytest
from scipy import stats

import tvbjax
from tvbjax import datasets


@pytest.fixture(scope="module")
def many():
    """(centres, weights) of large synthetic connectomes from different keys."""
    made = [datasets.synthetic_connectome(200, key=jax.random.key(i)) for i in range(4)]
    return [
        (np.asarray(c.centres), np.asarray(c.weights), np.asarray(c.tract_lengths)) for c in made
    ]


needs_tvb_data = pytest.mark.skipif(
    importlib.util.find_spec("tvb_data") is None, reason="tvb-data is not installed"
)


@needs_tvb_data
@pytest.mark.parametrize(
    "name, longest, heaviest",
    [
        ("tvb66", 238.0, 0.512),
        ("tvb68", 252.9, 0.1205),
        ("tvb76", 153.5, 3.0),
        ("tvb96", 150.1, 3.0),
        ("tvb192", 142.1, 3.0),
    ],
)
def test_known_connectomes_have_their_known_figures(name, longest, heaviest):
    connectome = datasets.connectome(name)
    size = int(name[3:])
    assert connectome.weights.shape == (size, size) and connectome.name == name
    assert connectome.tract_lengths.max() == pytest.approx(longest, abs=0.05)
    assert connectome.weights.max() == pytest.approx(heaviest, abs=5e-4)
    assert connectome.hemispheres is not None and connectome.hemispheres.sum() == size // 2


@needs_tvb_data
def test_tvb76_is_raw_and_exactly_what_numpy_reads():
    spec = importlib.util.find_spec("tvb_data")
    assert spec is not None and spec.submodule_search_locations is not None
    path = f"{list(spec.submodule_search_locations)[0]}/connectivity/connectivity_76.zip"
    with zipfile.ZipFile(path) as file:
        weights = np.loadtxt(io.BytesIO(file.read("weights.txt")))
        cortical = np.loadtxt(io.BytesIO(file.read("cortical.txt")))
        areas = np.loadtxt(io.BytesIO(file.read("areas.txt")))
    connectome = datasets.connectome("tvb76", speed=4.0)
    np.testing.assert_array_equal(connectome.weights, weights)
    np.testing.assert_array_equal(connectome.cortical, cortical.astype(bool))
    np.testing.assert_array_equal(connectome.areas, areas)
    assert np.count_nonzero(weights) == 1560
    assert connectome.in_strength().max() == pytest.approx(71.0)
    assert connectome.speed == 4.0
    assert connectome.labels[:2] == ("rA1", "rA2")
    np.testing.assert_array_equal(
        connectome.hemispheres, [label[0] == "r" for label in connectome.labels]
    )


def test_names_and_unknown_names():
    assert datasets.names() == ("tvb66", "tvb68", "tvb76", "tvb96", "tvb192")
    with pytest.raises(ValueError, match="no 'TVB-76'; did you mean 'tvb76'.*Known: tvb66, tvb68"):
        datasets.connectome("TVB-76")
    with pytest.raises(ValueError, match="there is no 'macaque'; Known"):
        datasets.connectome("macaque")


def test_without_tvb_data_the_message_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tvbjax\[data\]'"):
        datasets.connectome("tvb76")


def test_synthetic_is_symmetric_complete_and_of_the_stated_density():
    connectome = datasets.synthetic_connectome(60, key=jax.random.key(3), density=0.2, speed=5.0)
    weights = np.asarray(connectome.weights)
    np.testing.assert_array_equal(weights, weights.T)
    assert np.count_nonzero(weights) == 2 * round(0.2 * 60 * 59 / 2)
    assert weights.max() == 1.0 and not np.diag(weights).any()
    assert connectome.labels[0] == "l0" and connectome.labels[-1] == "r29"
    assert connectome.speed == 5.0
    assert (
        np.count_nonzero(
            datasets.synthetic_connectome(6, key=jax.random.key(0), density=1.0).weights
        )
        == 30
    )


def test_synthetic_hemispheres_mirror_each_other_inside_the_ellipsoid():
    connectome = datasets.synthetic_connectome(80, key=jax.random.key(5))
    centres = connectome.centres
    assert centres is not None and connectome.hemispheres is not None
    left, right = centres[:40], centres[40:]
    np.testing.assert_allclose(right, left * np.array([-1, 1, 1]))
    assert (left[:, 0] <= -5).all() and not connectome.hemispheres[:40].any()
    shell = np.linalg.norm((left + np.array([5.0, 0, 0])) / np.array([65.0, 85.0, 50.0]), axis=1)
    assert (shell >= 0.8 - 1e-9).all() and (shell <= 1 + 1e-9).all()


def test_synthetic_lengths_are_tortuosity_times_distance(many):
    for centres, _, lengths in many:
        distances = np.sqrt(((centres[:, None] - centres[None]) ** 2).sum(axis=-1))
        np.testing.assert_allclose(lengths, 1.4 * distances, atol=1e-9)


def pairs(centres, weights):
    rows, columns = np.triu_indices(len(centres), k=1)
    distances = np.linalg.norm(centres[rows] - centres[columns], axis=1)
    return distances, weights[rows, columns]


def test_synthetic_weights_are_lognormal_about_an_exponential_fall(many):
    for centres, weights, _ in many:
        distances, values = pairs(centres, weights)
        edges = values > 0
        (slope, intercept), spread = np.polyfit(
            distances[edges], np.log(values[edges]), 1, cov=True
        )
        error = np.sqrt(spread[0, 0])
        assert abs(slope + 1 / 25.0) < 4 * error
        residuals = np.log(values[edges]) - intercept - slope * distances[edges]
        assert residuals.std() == pytest.approx(1.4, rel=0.05)
        assert stats.kstest(residuals / residuals.std(), "norm").pvalue > 1e-3


def test_synthetic_connections_grow_rare_exponentially(many):
    # Drawing without replacement thins out near pairs, so compare with the law of that scheme:
    # a pair is chosen if its exponential clock of rate exp(-d / 25) rings before a common time T.
    for centres, weights, _ in many:
        distances, values = pairs(centres, weights)
        edges = values > 0
        rates = np.exp(-distances / 25.0)
        low, high = 0.0, 1e12
        for _ in range(200):
            time = (low + high) / 2
            low, high = (
                (time, high) if (1 - np.exp(-rates * time)).sum() < edges.sum() else (low, time)
            )
        expected = 1 - np.exp(-rates * low)
        bins = np.quantile(distances, np.linspace(0, 1, 11))[1:-1]
        which = np.digitize(distances, bins)
        for b in range(10):
            inside = which == b
            spread = np.sqrt((expected[inside] * (1 - expected[inside])).sum())
            assert abs(edges[inside].sum() - expected[inside].sum()) < 4.5 * spread


def test_synthetic_depends_on_the_key_alone():
    same = [datasets.synthetic_connectome(20, key=jax.random.key(7)) for _ in range(2)]
    other = datasets.synthetic_connectome(20, key=jax.random.key(8))
    np.testing.assert_array_equal(same[0].weights, same[1].weights)
    assert same[0].regions == same[1].regions
    assert not np.array_equal(same[0].weights, other.weights)
    with jax.enable_x64(False):
        single = datasets.synthetic_connectome(20, key=jax.random.key(7))
    assert single.weights.dtype == np.float32
    np.testing.assert_array_equal(single.weights, np.asarray(same[0].weights, dtype=np.float32))
    assert single.regions == same[0].regions


@pytest.mark.parametrize(
    "recipe, message",
    [
        ({"regions": 7}, "regions is 7; pass an even number"),
        ({"regions": 0}, "regions is 0"),
        ({"density": 0.0}, "density is 0.0; pass a share"),
        ({"density": 1.5}, "density is 1.5"),
        ({"density": 1e-9}, "leaves no connection among 76 regions"),
        ({"length_scale": 0.0}, "length_scale is 0.0; pass mm > 0"),
        ({"spread": -1.0}, "spread is -1.0"),
        ({"tortuosity": 0.9}, "tortuosity is 0.9; a tract is no shorter"),
        ({"speed": 0.0}, "speed is 0"),
    ],
)
def test_synthetic_refuses(recipe, message):
    with pytest.raises(ValueError, match=message):
        datasets.synthetic_connectome(key=jax.random.key(0), **recipe)


def test_the_catalogue_says_what_there_is_and_how_it_is_loaded():
    found = datasets.catalogue()
    names = {one.name for one in found}
    assert {*datasets.names(), "mouse98", "macaque29", "synthetic", "hcp/*"} <= names
    assert all(one.origin and one.licence and one.fit_for and one.call for one in found)
    for one in found:
        path = one.call.split("(")[0].split(".")
        place = tvbjax
        for part in path:
            place = getattr(place, part)
        assert callable(place)
    table = repr(found)
    assert "tvb76 (human)" in table and "GPL-3.0" in table and "CoCoMac" in table
    assert "needs    a file that you bring" in table
    by_name = {one.name: one for one in found}
    assert by_name["synthetic"].there and not by_name["mouse98"].there


def test_what_the_catalogue_says_loads(shared, monkeypatch):
    monkeypatch.chdir(shared / "connectomes")
    regions = {}
    for one in datasets.catalogue():
        if one.kind != "human, epilepsy" and (one.there or one.name == "mouse98"):
            call = one.call.replace("key=...", "key=jax.random.key(0)")
            loaded = eval(call, {"datasets": datasets, "io": tvbjax.io, "jax": jax})
            connectome = getattr(loaded, "connectome", loaded)
            regions[one.name] = len(getattr(connectome, "labels", ()))
    told = {"tvb66": 66, "tvb68": 68, "tvb76": 76, "tvb96": 96, "tvb192": 192, "mouse98": 98}
    told |= {"hcp/*": 94, "gw/*": 94, "synthetic": 76, "cortex": 0}
    assert regions == {name: told[name] for name in regions} and "mouse98" in regions
