"""Connectome: checks and pure methods; its leaves differentiate, batch and share compilations."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tvbjax.connectome import Connectome, in_strength, largest_in_strength
from tvbjax.regions import hemispheres_from_labels

LABELS = ["lA", "lB", "rA"]
WEIGHTS = np.array([[0.5, 2.0, 0.0], [1.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
LENGTHS = np.array([[0.0, 30.0, 91.0], [30.0, 0.0, 61.5], [90.0, 60.0, 0.0]])


def small(**changes) -> Connectome:
    fields = {
        "weights": WEIGHTS,
        "tract_lengths": LENGTHS,
        "speed": 3.0,
        "labels": LABELS,
        "centres": np.arange(9.0).reshape(3, 3),
        "hemispheres": [False, False, True],
        "cortical": [1, 1, 0],
        "areas": [10.0, 20.0, 0.0],
        "orientations": np.eye(3),
        "name": "small",
    }
    return Connectome(**(fields | changes))


def test_holds_what_it_was_given():
    connectome = small()
    np.testing.assert_array_equal(connectome.weights, WEIGHTS)
    np.testing.assert_array_equal(connectome.tract_lengths, LENGTHS)
    assert connectome.speed == 3.0 and connectome.speed.shape == ()
    assert connectome.labels == tuple(LABELS) and len(connectome.regions) == 3
    np.testing.assert_array_equal(connectome.centres, np.arange(9.0).reshape(3, 3))
    np.testing.assert_array_equal(connectome.hemispheres, [False, False, True])
    np.testing.assert_array_equal(connectome.cortical, [True, True, False])
    np.testing.assert_array_equal(connectome.areas, [10.0, 20.0, 0.0])
    np.testing.assert_array_equal(connectome.orientations, np.eye(3))


def test_only_weights_are_needed():
    connectome = Connectome([[0, 1], [2, 0]])
    assert connectome.weights.dtype == jnp.result_type(float)
    assert not connectome.tract_lengths.any()
    assert connectome.labels == ("region_0", "region_1")
    assert connectome.centres is None and connectome.hemispheres is None


def test_region_data_are_copies_and_read_only():
    centres = np.zeros((3, 3))
    connectome = small(centres=centres)
    centres[0, 0] = 7.0
    assert connectome.centres is not None and connectome.centres[0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        connectome.centres[0, 0] = 1.0


def test_delays_are_length_over_speed_and_steps_round_half_to_even():
    connectome = small(speed=2.0)
    np.testing.assert_array_equal(connectome.delays(), LENGTHS / 2.0)
    # 61.5 mm / 2 mm/ms / 0.5 ms = 61.5 steps -> 62; 91 / 2 / 1 = 45.5 -> 46; 45 / 2 = 22.5 -> 22.
    assert connectome.delay_steps(0.5)[1, 2] == 62
    assert connectome.delay_steps(1.0)[0, 2] == 46
    assert connectome.delay_steps(2.0)[2, 0] == 22
    expected = np.rint(LENGTHS / 2.0 / 0.1)
    np.testing.assert_array_equal(connectome.delay_steps(0.1), expected)


def test_speed_may_differ_between_connections_or_be_infinite():
    speed = np.full((3, 3), 3.0)
    speed[0, 2] = 6.0
    connectome = small(speed=speed)
    np.testing.assert_array_equal(connectome.delays(), LENGTHS / speed)
    np.testing.assert_array_equal(connectome.subset(["rA", "lA"]).speed, [[3.0, 3.0], [6.0, 3.0]])
    assert not small(speed=jnp.inf).delays().any()
    assert "3 to 6 mm/ms" in repr(connectome)


@pytest.mark.parametrize("dt", [0.0, -0.1, float("nan")])
def test_delay_steps_refuse_a_step_that_is_not_positive(dt):
    with pytest.raises(ValueError, match=r"dt is .*> 0 ms"):
        small().delay_steps(dt)


def test_normalise_divides_by_the_stated_scale():
    connectome = small()
    np.testing.assert_allclose(connectome.normalise().weights, WEIGHTS / 3.0)
    np.testing.assert_allclose(connectome.normalise(by=largest_in_strength).weights, WEIGHTS / 4.0)
    by_row = connectome.normalise(by=in_strength)
    np.testing.assert_allclose(by_row.weights[:2], WEIGHTS[:2] / np.array([[2.5], [4.0]]))
    np.testing.assert_array_equal(by_row.weights[2], 0.0)
    np.testing.assert_allclose(by_row.in_strength(), [1.0, 1.0, 0.0])
    spectral = connectome.normalise(by=lambda w: jnp.linalg.norm(w, ord=2))
    assert np.linalg.svd(np.asarray(spectral.weights))[1][0] == pytest.approx(1.0)
    assert spectral.regions == connectome.regions
    np.testing.assert_array_equal(spectral.tract_lengths, LENGTHS)


def test_normalise_leaves_a_connectome_without_connections_as_it_is():
    empty = Connectome(np.zeros((2, 2)))
    np.testing.assert_array_equal(empty.normalise().weights, 0.0)
    np.testing.assert_array_equal(empty.normalise(by=in_strength).weights, 0.0)


def test_normalise_refuses_a_scale_of_another_shape():
    with pytest.raises(ValueError, match=r"gave the shape \(3, 3\)"):
        small().normalise(by=jnp.abs)


def test_log_weights_is_the_logarithm_of_one_plus_weight():
    np.testing.assert_allclose(small().log_weights().weights, np.log(1.0 + WEIGHTS), rtol=1e-15)


def test_without_self_connections_clears_the_diagonal_only():
    weights = small().without_self_connections().weights
    np.testing.assert_array_equal(weights, WEIGHTS - np.diag(np.diag(WEIGHTS)))


def test_subset_takes_rows_columns_and_region_data_in_order():
    part = small().subset(["rA", 1])
    rows = [2, 1]
    np.testing.assert_array_equal(part.weights, WEIGHTS[rows][:, rows])
    np.testing.assert_array_equal(part.tract_lengths, LENGTHS[rows][:, rows])
    assert part.labels == ("rA", "lB")
    np.testing.assert_array_equal(part.centres, np.arange(9.0).reshape(3, 3)[rows])
    np.testing.assert_array_equal(part.hemispheres, [True, False])
    np.testing.assert_array_equal(part.areas, [0.0, 20.0])
    assert Connectome(WEIGHTS).subset([0]).centres is None


@pytest.mark.parametrize(
    "regions, message",
    [
        (["lA1"], "no region is labelled 'lA1'; did you mean 'lA'"),
        (["thalamus"], "no region is labelled 'thalamus'; see `labels`"),
        ([3], "region 3 does not exist; indices run from 0 to 2"),
        ([-1], "region -1 does not exist"),
        (["lA", 0], r"region 'lA' \(index 0\) is named twice"),
        ([], "no regions given"),
    ],
)
def test_subset_refuses(regions, message):
    with pytest.raises(ValueError, match=message):
        small().subset(regions)


def with_entry(array, place, value):
    changed = array.copy()
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"weights": np.zeros((3, 2))}, r"weights has the shape \(3, 2\); pass a square"),
        ({"weights": np.zeros(3)}, r"weights has the shape \(3,\)"),
        ({"weights": np.zeros((2, 3, 3))}, r"weights has the shape \(2, 3, 3\).*jax.vmap"),
        ({"weights": np.zeros((0, 0))}, r"weights has the shape \(0, 0\)"),
        (
            {"tract_lengths": np.zeros((2, 2))},
            r"tract_lengths \(2, 2\) and weights \(3, 3\) differ",
        ),
        (
            {"weights": with_entry(WEIGHTS, (1, 2), -0.25)},
            r"weights\[1, 2\] \(from 'rA' to 'lB'\) is -0.25; weights are finite .*jnp.abs",
        ),
        (
            {"weights": with_entry(WEIGHTS, ([0, 1], [1, 0]), np.nan)},
            r"weights\[0, 1\] \(from 'lB' to 'lA'\) is nan \(and 1 more\)",
        ),
        ({"weights": with_entry(WEIGHTS, (2, 0), np.inf)}, r"weights\[2, 0\].* is inf"),
        (
            {"tract_lengths": with_entry(LENGTHS, (2, 1), -60.0)},
            r"tract_lengths\[2, 1\] \(from 'lB' to 'rA'\) is -60; a tract length is finite",
        ),
        ({"tract_lengths": with_entry(LENGTHS, (0, 0), np.nan)}, r"tract_lengths\[0, 0\].* is nan"),
        ({"speed": 0.0}, "speed is 0; a conduction speed is > 0 mm/ms"),
        ({"speed": -3.0}, "speed is -3"),
        ({"speed": float("nan")}, "speed is nan"),
        (
            {"speed": with_entry(WEIGHTS * 0 + 3, (0, 1), 0.0)},
            r"speed\[0, 1\] \(from 'lB' to 'lA'\)",
        ),
        ({"speed": np.ones(3)}, r"speed has the shape \(3,\)"),
        ({"labels": ["a", "b"]}, r"2 labels for weights of the shape \(3, 3\)"),
        ({"labels": "abc"}, "labels is the text 'abc'; pass a list"),
        ({"labels": ["a", "b", "a"]}, r"labels\[0\] and labels\[2\] are both 'a'"),
        ({"labels": ["a", " ", "b"]}, r"labels\[1\] is empty"),
        ({"centres": np.zeros((3, 2))}, r"centres has the shape \(3, 2\), but \(3, 3\) fits the 3"),
        ({"centres": with_entry(LENGTHS, (1, 2), np.nan)}, r"centres\[1, 2\] is nan"),
        ({"hemispheres": [True, False]}, r"hemispheres has the shape \(2,\)"),
        ({"hemispheres": [0, 1, 2]}, r"hemispheres\[2\] is .*2.*; pass True \(right\)"),
        ({"cortical": [0.5, 1, 1]}, r"cortical\[0\] is .*0.5.*; pass True \(cortex\)"),
        ({"areas": [1.0, -1.0, 1.0]}, r"areas\[1\] \(region 'lB'\) is -1 mm²"),
        ({"areas": [1.0, np.inf, 1.0]}, r"areas\[1\] is inf"),
        ({"orientations": np.zeros(3)}, r"orientations has the shape \(3,\)"),
    ],
)
def test_construction_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_replace_changes_one_thing_keeps_the_rest_and_checks():
    faster = dataclasses.replace(small(), speed=6.0)
    assert faster.speed == 6.0 and faster.regions == small().regions and faster.name == "small"
    renamed = dataclasses.replace(small(), labels=["a", "b", "c"])
    assert renamed.labels == ("a", "b", "c")
    np.testing.assert_array_equal(renamed.centres, small().centres)
    with pytest.raises(ValueError, match="speed is -1"):
        dataclasses.replace(small(), speed=-1.0)


def test_equal_region_data_share_one_compilation_and_unequal_do_not():
    traces = []

    @jax.jit
    def total(connectome):
        traces.append(connectome.name)
        return connectome.weights.sum()

    total(small())
    total(small(weights=2 * WEIGHTS, speed=5.0))
    assert len(traces) == 1
    total(small(labels=["a", "b", "c"]))
    total(small(centres=np.ones((3, 3))))
    assert len(traces) == 3
    assert small().regions == small().regions and hash(small().regions) == hash(small().regions)
    assert small().regions != small(areas=None).regions


def test_can_be_built_and_changed_under_jit_and_checks_only_shapes_there():
    @jax.jit
    def in_strengths(weights):
        connectome = Connectome(weights, LENGTHS, labels=LABELS)
        return connectome.normalise().subset(["rA", "lA"]).in_strength()

    expected = (WEIGHTS / 3.0)[[2, 0]][:, [2, 0]].sum(axis=1)
    np.testing.assert_allclose(in_strengths(WEIGHTS), expected)
    with pytest.raises(ValueError, match="pass a square matrix"):
        in_strengths(WEIGHTS[:2])


def test_leaves_can_be_batched():
    scales = jnp.array([1.0, 2.0, 4.0])

    def build(scale):
        return eqx.tree_at(lambda c: c.weights, small(), small().weights * scale)

    batch = jax.vmap(build)(scales)
    assert batch.weights.shape == (3, 3, 3) and batch.speed.shape == (3,)
    assert "weights=f64[3,3,3]" in repr(batch)
    strengths = jax.vmap(lambda c: c.in_strength())(batch)
    np.testing.assert_allclose(strengths, scales[:, None] * WEIGHTS.sum(axis=1)[None])
    speeds = jax.vmap(lambda s: dataclasses.replace(small(), speed=s).delays())(scales)
    np.testing.assert_allclose(speeds, LENGTHS[None] / scales[:, None, None])


def test_has_no_other_leaves_than_three_arrays():
    assert len(jax.tree.leaves(small())) == 3


def spectral_norm(weights):
    return jnp.sqrt((weights**2).sum())


@pytest.mark.parametrize("by", [jnp.max, in_strength, largest_in_strength, spectral_norm])
def test_gradient_through_normalise_agrees_with_finite_differences(by):
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.5, 2.0, (4, 4))
    weights[3] = 0.0  # a region that nothing reaches
    mix = jnp.asarray(rng.normal(size=(4, 4)))

    def loss(weights):
        connectome = Connectome(weights).normalise(by=by).log_weights()
        return jnp.sum(jnp.sin(connectome.weights) * mix)

    gradient = np.asarray(jax.grad(loss)(jnp.asarray(weights)))
    assert np.isfinite(gradient).all()
    step = 1e-6
    for place in [(0, 1), (1, 1), (2, 3)]:
        up, down = weights.copy(), weights.copy()
        up[place] += step
        down[place] -= step
        difference = (loss(jnp.asarray(up)) - loss(jnp.asarray(down))) / (2 * step)
        assert gradient[place] == pytest.approx(float(difference), rel=1e-6, abs=1e-9)


def test_delays_are_differentiable_in_speed():
    gradient = jax.grad(lambda speed: dataclasses.replace(small(), speed=speed).delays().sum())(3.0)
    assert gradient == pytest.approx(-LENGTHS.sum() / 9.0)


def test_repr_tells_what_matters():
    text = repr(small())
    assert "'small': 3 regions, 4 connections (1 to self), directed, density 50.0%" in text
    assert "weights 0.5 to 3, largest in-strength 4" in text
    # 91 mm would be longer, but nothing is connected over it.
    assert "tracts to 61.5 mm at 3 mm/ms: longest delay 20.5 ms" in text
    assert "0 connections" in repr(Connectome([[0.0]]))
    assert "undirected" in repr(Connectome([[0.0, 1.0], [1.0, 0.0]]))


@pytest.mark.parametrize(
    "labels, right",
    [
        (["lA1", "Rv2"], [False, True]),
        (["Left_x", "Right_x"], [False, True]),
        (["V1_R", "A1_L", "BG_l"], [True, False, False]),
        (["region_0", "region_1"], None),  # every label begins with r: that is not a side
        (["rA", "lB", "thalamus"], None),
        (["", "lA", "rA"], None),
        (["ctx-lh-cuneus", "Right-Thalamus", "7Networks_RH_Vis_1"], [False, True, True]),
        (["ctx-lh-cuneus", "Right-Thalamus", "Brain-Stem"], None),
        (["ctx-lh-cuneus", "ctx-rh-left"], None),
        (["ctx-lh-a", "ctx-lh-b"], None),
        (["rhinal", "cleft", "bright"], None),  # parts of words are none
    ],
)
def test_hemispheres_are_guessed_only_where_every_label_tells(labels, right):
    guess = hemispheres_from_labels(labels)
    assert (None if guess is None else guess.tolist()) == right
