"""What only single precision shows; the other tests run in double."""

import jax
import numpy as np
import pytest

import tvbjax
from networks import network
from tvbjax import Free, coupling, integrators, lems, monitors, noise, spiking


@pytest.fixture(autouse=True)
def single_precision():
    with jax.enable_x64(False):
        yield


def still(folder, period):
    """A state that stays at 0.7: dx/dt = c - x with c = 0.7."""
    return network(
        folder,
        coupling=coupling.Linear(a=0.0, b=0.7),
        integrator=integrators.Euler(dt=1.0),
        monitors=monitors.TemporalAverage(period),
        connectome=tvbjax.Connectome(np.eye(2)),
    )


@pytest.mark.parametrize("period", [100_000, 99_991])
def test_means_over_many_steps_stay_exact(tmp_path, period):
    """1e5 single sums would be off by 1e-3; sums of blocks are by about 3e-5."""
    simulator = still(tmp_path, float(period))
    start = np.full((1, 2), 0.7)
    whole = tvbjax.simulate(simulator, float(period), initial=start)
    begun = tvbjax.simulate(simulator, 1.0, initial=start)
    cut = tvbjax.simulate(simulator, period - 1.0, initial=begun)
    for result in (whole, cut):
        assert result.samples["temporal_average"].values.dtype == np.float32
        np.testing.assert_allclose(result["temporal_average"], 0.7, rtol=1e-4)


def test_every_tile_of_a_sweep_computes_in_the_precision_of_its_caller(tmp_path):
    """JAX's context managers hold for one thread; the tiles run in several."""
    gains = np.linspace(0.0, 0.3, 12)
    with jax.enable_x64(True):
        simulator = network(
            tmp_path, noise=noise.Additive(0.05), monitors=monitors.TemporalAverage(1.0)
        )
        key = jax.random.key(4)
        gain = Free(lambda s: s.coupling.a)
        swept = tvbjax.sweep(simulator, {gain: gains}, 5.0, key=key, tile=2)
        for i in (0, 5, 11):
            alone = tvbjax.simulate(
                gain.replace(simulator, gains[i]), 5.0, key=jax.random.fold_in(key, i)
            )
            expected = alone["temporal_average"].values
            np.testing.assert_allclose(swept["temporal_average"][i], expected, rtol=1e-12)


def test_a_potential_decays_as_it_should_though_a_nA_would_lift_it_by_100_mV_in_a_step():
    """What a current that may come does in a step is no reason to lose digits of what is there:
    after 200 steps 1e-3 were off where the matrix was halved for it."""
    cell = spiking.Population(
        lems.load_cell("LifDelta"), 1, initial={"v": 15.0}, method=lems.Exact()
    )
    watch = spiking.States("E", ("v",))
    found = spiking.simulate(spiking.Network({"E": cell}, dt=0.1, monitors=watch), 20.0)["E"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, 0, 0], 15.0 * np.exp(-found.time / 20.0), rtol=3e-5)
