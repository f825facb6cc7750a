"""Sweeps: every member is the simulation one would have run alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from networks import network
from tvbjax import Free, Interval, Points, Positive, monitors, noise

GAIN = Free(lambda s: s.coupling.a, Interval(0.0, 1e9))
GAMMA = Free(lambda s: s.model.params["gamma"], Positive())


@pytest.fixture
def simulator(tmp_path):
    return network(tmp_path, noise=noise.Additive(0.05), monitors=monitors.TemporalAverage(1.0))


def alone(simulator, number, **values):
    if "a" in values:
        simulator = GAIN.replace(simulator, values["a"])
    if "gamma" in values:
        simulator = GAMMA.replace(simulator, values["gamma"])
    key = jax.random.fold_in(jax.random.key(4), number)
    return tvbjax.simulate(simulator, 10.0, key=key)["temporal_average"].values


@pytest.mark.parametrize("tile", [1, 3, 8])
def test_a_grid_has_one_dim_per_parameter(simulator, tile):
    space = {GAIN: [0.0, 0.1, 0.3], GAMMA: [0.5, 1.0]}
    swept = tvbjax.sweep(simulator, space, 10.0, key=jax.random.key(4), tile=tile)
    assert swept["temporal_average"].dims == ("a", "gamma", "time", "variable", "region")
    assert swept["time"].attrs["units"] == "ms"
    for i, a in enumerate([0.0, 0.1, 0.3]):
        for j, gamma in enumerate([0.5, 1.0]):
            member = swept["temporal_average"].sel(a=a, gamma=gamma)
            expected = alone(simulator, 2 * i + j, a=a, gamma=gamma)
            np.testing.assert_allclose(member, expected, rtol=1e-12)
    assert not swept["diverged"].any()


def test_points_are_taken_together(simulator):
    points = Points({GAIN: [0.0, 0.3], GAMMA: [1.0, 0.5]})
    swept = tvbjax.sweep(simulator, points, 10.0, key=jax.random.key(4))
    assert swept["temporal_average"].dims == ("member", "time", "variable", "region")
    np.testing.assert_allclose(swept["gamma"], [1.0, 0.5])
    expected = alone(simulator, 1, a=0.3, gamma=0.5)
    np.testing.assert_allclose(swept["temporal_average"][1], expected, rtol=1e-12)


def test_a_diverging_member_is_marked_and_the_others_go_on(simulator):
    def measure(result):
        values = result.samples["temporal_average"].values
        return {"mean": values.mean(), "shape": jnp.asarray(values.shape)}

    space = {GAIN: [0.1, 1e7, 0.2]}
    swept = tvbjax.sweep(simulator, space, 30.0, key=jax.random.key(4), measure=measure)
    assert swept["diverged"].values.tolist() == [False, True, False]
    assert 0.0 < float(swept["diverged_at"][1]) < 30.0
    assert np.isnan(swept["diverged_at"].values[[0, 2]]).all()
    assert np.isnan(swept["mean"][1]) and np.isfinite(swept["mean"].values[[0, 2]]).all()
    quiet = tvbjax.sweep(simulator, {GAIN: [0.1]}, 30.0, key=jax.random.key(4), measure=measure)
    np.testing.assert_allclose(swept["mean"][0], quiet["mean"][0], rtol=1e-12)


def test_regional_values(simulator):
    regional = eqx.tree_at(lambda s: s.model.params["gamma"], simulator, jnp.ones(5))
    values = np.array([[0.5, 0.6, 0.7, 0.8, 0.9], [1.0, 1.1, 1.2, 1.3, 1.4]])
    swept = tvbjax.sweep(regional, {GAMMA: values}, 10.0, key=jax.random.key(4))
    np.testing.assert_allclose(swept["gamma_values"], values)
    key = jax.random.fold_in(jax.random.key(4), 1)
    expected = tvbjax.simulate(GAMMA.replace(regional, values[1]), 10.0, key=key)
    np.testing.assert_allclose(
        swept["temporal_average"][1], expected["temporal_average"], rtol=1e-12
    )


def test_speed_may_be_swept_within_the_horizon(simulator, tmp_path):
    speed = Free(lambda s: s.connectome.speed, Positive())
    swept = tvbjax.sweep(simulator, {speed: [2.0, 4.0]}, 5.0, key=jax.random.key(4))
    assert np.abs(swept["temporal_average"].diff("speed")).max() > 1e-6
    with pytest.raises(ValueError, match="exceeds the history"):
        tvbjax.sweep(simulator, {speed: [2.0, 1.0]}, 5.0, key=jax.random.key(4))


def test_a_sweep_goes_on_from_a_result_and_checks_a_state(simulator):
    begun = tvbjax.simulate(simulator, 10.0, key=jax.random.key(1))
    swept = tvbjax.sweep(simulator, {GAIN: [0.1]}, 3.0, initial=begun, key=jax.random.key(4))
    alone = tvbjax.simulate(
        GAIN.replace(simulator, 0.1),
        3.0,
        initial=begun,
        key=jax.random.fold_in(jax.random.key(4), 0),
    )
    np.testing.assert_allclose(swept["time"], [10.5, 11.5, 12.5])
    np.testing.assert_allclose(swept["temporal_average"][0], alone["temporal_average"], rtol=1e-12)
    with pytest.raises(ValueError, match="initial has x = nan"):
        tvbjax.sweep(
            simulator, {GAIN: [0.1]}, 3.0, initial=np.full((1, 5), np.nan), key=jax.random.key(4)
        )


def test_an_interrupted_sweep_keeps_what_was_finished(simulator, monkeypatch):
    from tvbjax import sweeps

    real = sweeps._run

    def interrupted(call, plan, number):
        if number >= 2:
            raise KeyboardInterrupt
        return real(call, plan, number)

    monkeypatch.setattr(sweeps, "_run", interrupted)
    monkeypatch.setattr(sweeps, "tile_for", lambda *_: 2)
    monkeypatch.setattr(sweeps, "members_per_call", lambda *_: 2)
    gains = np.linspace(0.0, 0.5, 7)
    with pytest.warns(UserWarning, match="interrupted; 4 of 7 members"):
        swept = tvbjax.sweep(simulator, {GAIN: gains}, 10.0, key=jax.random.key(4))
    assert swept["finished"].values.tolist() == [True] * 4 + [False] * 3
    assert np.isnan(swept["temporal_average"][4:]).all() and not swept["diverged"].any()
    np.testing.assert_allclose(
        swept["temporal_average"][3], alone(simulator, 3, a=gains[3]), rtol=1e-12
    )


def test_names_that_clash_are_found_before_the_run(simulator):
    for name in ("a", "diverged", "region"):
        with pytest.raises(ValueError, match=f"'{name}' names a measure or monitor and something"):
            tvbjax.sweep(
                simulator,
                {GAIN: [0.1]},
                5.0,
                key=jax.random.key(0),
                measure=lambda r, name=name: {name: r.final.state.mean()},
            )


def test_labels_are_unique(simulator):
    other = Free(lambda s: s.noise.nsig, name="D")
    assert other.label(simulator) == "D"
    assert GAIN.label(simulator) == "a"
    swept = tvbjax.sweep(simulator, {GAIN: [0.1], other: [0.1, 0.2]}, 5.0, key=jax.random.key(4))
    assert swept["temporal_average"].sizes["D"] == 2


@pytest.mark.parametrize(
    "space, message",
    [
        ({}, "the space is empty"),
        ({GAIN: [0.1, -0.2]}, r"Free 'a': value -0.2 \(number 1\) is outside of Interval"),
        ({GAIN: []}, "give a sequence of values"),
        ({GAIN: 0.3}, "give a sequence of values"),
        ({GAIN: np.ones((2, 3))}, r"each value has shape \(3,\) and the leaf has shape \(\)"),
        ({Free(lambda s: s.coupling.q): [1.0]}, "where finds nothing in the simulator"),
        ({Free(lambda s: s.coupling): [1.0]}, "where selects a Linear, not one array"),
        ({GAIN: [0.1], Free(lambda s: s.coupling.a): [0.1]}, "select the same leaf"),
        (Points({GAIN: [0.1, 0.2], GAMMA: [1.0]}), "give all as many"),
    ],
)
def test_a_wrong_space_is_an_error(simulator, space, message):
    with pytest.raises(ValueError, match=message):
        tvbjax.sweep(simulator, space, 5.0, key=jax.random.key(4))


def test_a_missing_key_and_a_wrong_tile_are_errors(simulator):
    with pytest.raises(ValueError, match="give a key"):
        tvbjax.sweep(simulator, {GAIN: [0.1]}, 5.0)
    with pytest.raises(ValueError, match="tile is 0"):
        tvbjax.sweep(simulator, {GAIN: [0.1]}, 5.0, key=jax.random.key(0), tile=0)


def test_samples_that_are_no_numbers_mark_their_member(tmp_path):
    """As simulate does, though the states are finite; the others are unharmed."""
    kernel = monitors.FirstOrderVolterra()
    simulator = network(tmp_path, monitors=monitors.Bold(2.0, kernel=kernel))
    strength = tvbjax.Free(lambda s: s.monitors[0].kernel.V0)
    space = {strength: [0.02, 1e308]}

    def last(result):
        return {"last": result.samples["bold"].values[-1, 0, 0]}

    found = tvbjax.sweep(simulator, space, 6.0, measure=last, progress=False)
    np.testing.assert_array_equal(found["diverged"], [False, True])
    np.testing.assert_array_equal(found["diverged_at"], [np.nan, 2.0])
    assert np.isfinite(found["last"][0]) and np.isnan(found["last"][1])
