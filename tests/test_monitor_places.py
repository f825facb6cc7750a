"""Means over regions, sensors and coupling inputs, against NumPy on the raw trajectory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from networks import network
from tvbjax import monitors, noise
from tvbjax.forward import Gain
from tvbjax.monitors import (
    AfferentCoupling,
    Bold,
    FunctionalConnectivity,
    GlobalAverage,
    Projection,
    Raw,
    SpatialAverage,
    SubSample,
    TemporalAverage,
)

MATRIX = np.random.default_rng(0).normal(size=(3, 5))
GAIN = Gain(MATRIX, ("Fz", "Cz", "Pz"), "V")
GROUPS = ["left", "right", "left", "stem", "right"]


def test_places_are_combinations_of_the_trajectory(tmp_path):
    watch = (
        Raw(),
        GlobalAverage(SubSample(0.5)),
        SpatialAverage(SubSample(0.5), GROUPS),
        SpatialAverage(TemporalAverage(0.5), [1, 0, 1, 2, 0], ["a", "b", "c"], name="means"),
        Projection(TemporalAverage(0.5), GAIN, name="eeg"),
    )
    simulator = network(tmp_path, monitors=watch, noise=noise.Additive(0.1))
    result = tvbjax.simulate(simulator, 12.3, key=jax.random.key(0))
    raw = result["raw"].values[:120, 0].reshape(24, 5, 5)
    last, mean = raw[:, -1], raw.mean(axis=1)
    np.testing.assert_allclose(result["global_average"][:, 0, 0], last.mean(axis=1), rtol=1e-12)
    groups = result["spatial_average"]
    assert groups.region.values.tolist() == ["left", "right", "stem"]
    np.testing.assert_allclose(groups[:, 0, 0], last[:, [0, 2]].mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(groups[:, 0, 2], last[:, 3], rtol=1e-12)
    named = result["means"]
    assert named.region.values.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(named.sel(region="a")[:, 0], mean[:, [1, 4]].mean(axis=1))
    eeg = result["eeg"]
    assert eeg.dims == ("time", "variable", "channel")
    assert eeg.channel.values.tolist() == ["Fz", "Cz", "Pz"]
    np.testing.assert_allclose(eeg[:, 0], mean @ MATRIX.T, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(eeg.time, 0.25 + 0.5 * np.arange(24))


def test_named_groups_stand_in_the_order_in_which_they_appear(tmp_path):
    """So that labels stand beside the names as they are written; numbers have an order."""
    named = SpatialAverage(Raw(), ["right", "left", "right", "stem", "left"], ["R", "L", "S"])
    assert named.labels == ("R", "L", "S") and named.members == (0, 1, 0, 2, 1)
    numbered = SpatialAverage(Raw(), np.array([2, 0, 2, 1, 0]))
    assert numbered.labels == ("0", "1", "2") and numbered.members == (2, 0, 2, 1, 0)
    halves = SpatialAverage(Raw(), np.array([True, False, True]), ["left", "right"])
    assert halves.members == (1, 0, 1)


def test_bold_of_groups_is_the_mean_of_their_regions_bold(tmp_path):
    bold = Bold(2.0, kernel=monitors.Gamma(length=0.05, tau=0.01))
    simulator = network(tmp_path, monitors=(bold, SpatialAverage(bold, GROUPS, name="groups")))
    result = tvbjax.simulate(simulator, 20.0)
    expected = result["bold"].values[..., [1, 4]].mean(axis=-1)
    np.testing.assert_allclose(result["groups"].sel(region="right"), expected, rtol=1e-10)


def test_afferent_coupling_is_what_led_to_each_state(tmp_path):
    """With Euler's method the input can be read off two states: x' = c - x."""
    watch = (Raw(), AfferentCoupling(Raw()), AfferentCoupling(TemporalAverage(1.0), name="means"))
    simulator = network(tmp_path, monitors=watch, integrator=tvbjax.integrators.Euler(dt=0.1))
    result = tvbjax.simulate(simulator, 20.0)
    raw = np.concatenate([np.ones((1, 5)), result["raw"].values[:, 0]])
    expected = (raw[1:] - raw[:-1]) / 0.1 + raw[:-1]
    afferent = result["afferent_coupling"]
    assert afferent.coords["variable"].values.tolist() == ["c"]
    np.testing.assert_allclose(afferent[:, 0], expected, atol=1e-12)
    means = expected.reshape(20, 10, 5).mean(axis=1)
    np.testing.assert_allclose(result["means"][:, 0], means, atol=1e-12)


def test_inputs_are_chosen_by_name_and_blocks_do_not_matter():
    def run(block):
        simulator = tvbjax.Simulator(
            tvbjax.lems.load("MontbrioPazoRoxin"),
            tvbjax.datasets.synthetic_connectome(8, key=jax.random.key(0)),
            tvbjax.coupling.Linear(a=0.1),
            tvbjax.integrators.Heun(dt=0.1),
            noise.Additive(0.001),
            AfferentCoupling(SubSample(0.3, variables="c_V")),
            block=block,
        )
        return tvbjax.simulate(simulator, 30.0, key=jax.random.key(1))["afferent_coupling"]

    alone, together = run(1), run(16)
    assert alone.coords["variable"].values.tolist() == ["c_V"]
    assert np.ptp(alone.values) > 0
    np.testing.assert_allclose(together, alone, rtol=1e-9)


def test_members_have_gains_and_inputs_of_their_own(tmp_path):
    watch = (
        Projection(TemporalAverage(1.0), GAIN, name="eeg"),
        AfferentCoupling(TemporalAverage(1.0)),
    )
    simulator = network(tmp_path, monitors=watch)
    strength = tvbjax.Free(lambda s: s.coupling.a)
    gain = tvbjax.Free(lambda s: s.monitors[0].gain.matrix, name="gain")
    points = tvbjax.Points({strength: [0.1, 0.3], gain: np.stack([MATRIX, 2.0 * MATRIX])})
    swept = tvbjax.sweep(simulator, points, 10.0, progress=False)
    for number, a in enumerate([0.1, 0.3]):
        alone = network(
            tmp_path,
            coupling=tvbjax.coupling.Linear(a=a, b=0.05),
            monitors=(TemporalAverage(1.0), watch[1]),
        )
        result = tvbjax.simulate(alone, 10.0)
        expected = result["temporal_average"].values @ ((number + 1) * MATRIX).T
        np.testing.assert_allclose(swept.eeg[number], expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            swept.afferent_coupling[number], result["afferent_coupling"], rtol=1e-10
        )


def test_the_gain_is_differentiable(tmp_path):
    simulator = network(tmp_path, monitors=Projection(TemporalAverage(1.0), GAIN))
    free = tvbjax.Free(lambda s: s.monitors[0].gain.matrix)

    def power(matrix):
        found = tvbjax.simulate(free.replace(simulator, matrix), 5.0, progress=False)
        return jnp.sum(found.samples["projection"].values ** 2)

    slope = jax.jit(jax.grad(power))(jnp.asarray(MATRIX))
    means = tvbjax.simulate(network(tmp_path, monitors=TemporalAverage(1.0)), 5.0)
    activity = means["temporal_average"].values[:, 0]
    expected = 2.0 * (activity @ MATRIX.T).T @ activity
    np.testing.assert_allclose(slope, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: Projection(Raw(), Gain(np.ones((2, 7)), ("a", "b"))),
            r"7 sources, and the network has 5 nodes; .* gain.summed_over_regions\(.*, 5\), or",
        ),
        (
            lambda: Projection(Raw(), Gain(np.ones((2, 3)), ("a", "b"))),
            r"3 sources, .*dipoles_of\(cortex\); .*the 2 missing regions by gain.with_sources",
        ),
        (lambda: SpatialAverage(Raw(), ["a", "b"]), "given for 2 nodes, and the network has 5"),
        (lambda: SpatialAverage(Raw(), np.ones((2, 2))), "groups has the shape"),
        (lambda: SpatialAverage(Raw(), GROUPS, ["one"]), "1 labels for 3 groups"),
        (lambda: SpatialAverage(Raw(), GROUPS, ["a", "b", "a"]), "2 groups have the label 'a'"),
        (
            lambda: SpatialAverage(Raw(), [0, 1, np.nan, 0, 1]),
            "group of node 2 is nan; give a name",
        ),
        (lambda: SpatialAverage(Raw(), ["a", None, "b", "a", "b"]), "group of node 1 is None"),
        (lambda: SpatialAverage(Raw(), ["a", "b", "a", "b", np.nan]), "group of node 4 is nan"),
        (lambda: AfferentCoupling(Raw(variables="x")), "'x' cannot be observed of Decay; it has c"),
        (lambda: GlobalAverage(SubSample(0.25)), "nearest are 0.2 or 0.3"),
        (
            lambda: SpatialAverage(Projection(Raw(), GAIN), ["a", "b", "c"]),
            "samples of a Projection are not those of all nodes",
        ),
        (
            lambda: Projection(SpatialAverage(Raw(), GROUPS), GAIN),
            "samples of a SpatialAverage are not those",
        ),
        (
            lambda: GlobalAverage(FunctionalConnectivity(Raw(), 9)),
            "samples of a FunctionalConnectivity are not those",
        ),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, make, says):
    with pytest.raises(ValueError, match=says):
        network(tmp_path, monitors=make())


def test_means_of_many_nodes_keep_their_digits_in_single_precision():
    draws = np.random.default_rng(0).normal(1.0, 0.01, (3, 2, 16_384)).astype(np.float32)
    groups = np.arange(16_384) % 5
    whole = monitors.GlobalAverage(monitors.Raw()).combined(jnp.asarray(draws))
    several = monitors.SpatialAverage(monitors.Raw(), groups).combined(jnp.asarray(draws))
    exact = draws.astype(float)
    np.testing.assert_allclose(whole[..., 0], exact.mean(axis=-1), rtol=5e-7)
    for group in range(5):
        mean = exact[..., groups == group].mean(axis=-1)
        np.testing.assert_allclose(several[..., group], mean, rtol=5e-7)


def test_labels_are_a_list(without_type_checks):
    with pytest.raises(TypeError, match="labels is the text 'ab'; give a list"):
        SpatialAverage(Raw(), [0, 0, 1, 1, 0], labels="ab")
