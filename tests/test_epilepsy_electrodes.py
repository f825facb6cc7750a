"""Electrodes: shafts of contacts, and what they hear of regions."""

import dataclasses
import math

import jax
import numpy as np
import pytest

from epilepsy_patients import (
    CENTRES,
    CHANNELS,
    PLACES,
    brain,
)
from tvbjax import Connectome
from tvbjax.forward import Sensors
from tvbjax_inference.bayes.epilepsy import (
    inverse_square_gain,
    shafts,
)


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
