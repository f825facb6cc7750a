"""Results: xarray, files, provenance, interruption and going on."""

import dataclasses
import json
import pickle
import platform

import equinox as eqx
import jax
import numpy as np
import pytest

import tvbjax
from networks import linear_model, network
from tvbjax import monitors, noise, provenance, simulation


@pytest.fixture
def simulator(tmp_path):
    observers = (monitors.TemporalAverage(1.0), monitors.Bold(10.0))
    return network(tmp_path, noise=noise.Additive(0.05), monitors=observers)


def test_named_dims_units_and_provenance(simulator):
    result = tvbjax.simulate(simulator, 20.0, key=jax.random.key(7))
    array = result["temporal_average"]
    assert array.dims == ("time", "variable", "region")
    assert array["time"].attrs["units"] == "ms"
    assert array["region"].values.tolist() == list(simulator.connectome.labels)
    attributes = result.to_xarray().attrs
    assert json.loads(attributes["parameters"])["gamma"] == 1.0
    assert json.loads(attributes["key"])["data"] == [0, 7]
    assert json.loads(attributes["versions"])["jax"] == jax.__version__
    assert json.loads(attributes["coupling"])["type"] == "Linear"
    assert len(json.loads(attributes["connectome"])["weights"]["sha256"]) == 64
    with pytest.raises(KeyError, match="there are temporal_average, bold"):
        result["eeg"]


def test_packages_on_the_path_that_are_not_installed_lose_no_run():
    found = provenance.versions("jax", "no-such-package")
    assert found["jax"] == jax.__version__
    assert found["python"] == platform.python_version()
    assert found["no-such-package"] == "not installed"


def test_traced_samples_are_no_xarray(tmp_path):
    simulator = network(tmp_path, monitors=monitors.Raw())

    def total(gain):
        changed = eqx.tree_at(lambda s: s.coupling.a, simulator, gain)
        return tvbjax.simulate(changed, 1.0)["raw"].sum()

    for transformed in (jax.jit(total), jax.grad(total)):
        with pytest.raises(TypeError, match=r"use result\.samples\['raw'\]\.values"):
            transformed(0.1)


@pytest.mark.parametrize("name", ["run.nc", "run.zarr"])
def test_a_saved_result_reads_back_and_goes_on(simulator, tmp_path, name):
    key = jax.random.key(7)
    begun = tvbjax.simulate(simulator, 20.3, key=key)
    read = tvbjax.load_result(begun.save(tmp_path / name))
    assert read.attributes == begun.attributes
    for monitor in begun.samples:
        np.testing.assert_array_equal(read[monitor], begun[monitor])
        assert read[monitor].coords.equals(begun[monitor].coords)
    whole = tvbjax.simulate(simulator, 40.0, key=key)
    joined = tvbjax.join(read, tvbjax.simulate(simulator, 19.7, initial=read, key=key))
    for monitor in whole.samples:  # sums of a cut window may round differently
        np.testing.assert_allclose(joined[monitor], whole[monitor], rtol=1e-12)


def test_saving_replaces_whole_or_not_at_all(simulator, tmp_path, monkeypatch):
    result = tvbjax.simulate(simulator, 20.0, key=jax.random.key(7))
    path = result.save(tmp_path / "run.nc")
    before = path.read_bytes()

    def full_disk(self, path, **options):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("xarray.DataTree.to_netcdf", full_disk)
    with pytest.raises(OSError, match="no space left"):
        result.save(path)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir() if "run" in p.name) == ["run.nc"]


def test_wrong_paths_are_errors(simulator, tmp_path):
    result = tvbjax.simulate(simulator, 5.0, key=jax.random.key(7))
    with pytest.raises(ValueError, match="must end in .nc or .zarr"):
        result.save(tmp_path / "run.csv")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        result.save(tmp_path / "nowhere" / "run.nc")
    with pytest.raises(FileNotFoundError, match="there is no"):
        tvbjax.load_result(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("no netcdf")
    with pytest.raises(ValueError, match="is no result of tvbjax"):
        tvbjax.load_result(tmp_path / "text.nc")


def test_ctrl_c_keeps_what_was_finished_and_the_run_goes_on(simulator, monkeypatch):
    key = jax.random.key(7)
    whole = tvbjax.simulate(simulator, 100.0, key=key)
    monkeypatch.setattr(simulation, "_NODE_STEPS_PER_CHUNK", 1000)
    real, calls = simulation._advance, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(simulation, "_advance", interrupted)
    with pytest.warns(UserWarning, match="interrupted at 60 ms"):
        begun = tvbjax.simulate(simulator, 100.0, key=key)
    assert not begun.complete and begun.last == 600
    ended = tvbjax.simulate(simulator, 40.0, initial=begun, key=key)
    joined = tvbjax.join(begun, ended)
    assert joined.complete
    for monitor in whole.samples:
        np.testing.assert_array_equal(joined[monitor], whole[monitor])


def test_an_interruption_anywhere_leaves_a_result_that_goes_on(simulator, monkeypatch):
    """Also between the computation of a chunk and its being kept."""
    key = jax.random.key(7)
    whole = tvbjax.simulate(simulator, 100.0, key=key)
    monkeypatch.setattr(simulation, "_NODE_STEPS_PER_CHUNK", 1000)
    real, calls = simulation._cut, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(simulation, "_cut", interrupted)
    with pytest.warns(UserWarning, match="interrupted at 40 ms"):
        begun = tvbjax.simulate(simulator, 100.0, key=key)
    assert int(begun.final.step) == begun.last == 400
    ended = tvbjax.simulate(simulator, 60.0, initial=begun, key=key)
    np.testing.assert_allclose(tvbjax.join(begun, ended)["bold"], whole["bold"], rtol=1e-12)


def test_another_model_step_or_monitor_does_not_go_on(simulator, tmp_path):
    begun = tvbjax.simulate(simulator, 5.0, key=jax.random.key(7))
    for changes in (
        {"integrator": tvbjax.integrators.Heun(dt=0.2)},
        {"monitors": (monitors.SubSample(1.0), monitors.Bold(10.0))},
        {"model": linear_model(tmp_path, gamma=1.0), "integrator": tvbjax.integrators.Euler(0.1)},
    ):
        other = dataclasses.replace(simulator, **changes)
        with pytest.raises(ValueError, match="is of another simulator"):
            tvbjax.simulate(other, 5.0, initial=begun, key=jax.random.key(7))
    mean, bold = simulator.monitors
    for watch in (
        (mean, monitors.Bold(10.0, kernel=monitors.Gamma())),
        (mean, dataclasses.replace(bold, kernel=monitors.FirstOrderVolterra(length=19.9999))),
        (mean, dataclasses.replace(bold, interim=2.0)),
        (dataclasses.replace(mean, variables=("x",)), bold),
        (mean,),
    ):
        other = dataclasses.replace(simulator, monitors=watch)
        with pytest.raises(ValueError, match="another simulator .monitors differ"):
            simulation.continued(other, begun)


def test_a_run_goes_on_with_other_parameters_of_monitors(simulator):
    """As sweeps do: leaves may change, and what is carried on does not depend on them."""
    key = jax.random.key(7)
    begun = tvbjax.simulate(simulator, 20.0, key=key)
    free = tvbjax.Free(lambda s: s.monitors[1].kernel.tau_s)
    other = free.replace(simulator, 1.1)
    alone = tvbjax.simulate(other, 20.0, initial=begun, key=key)["bold"].values
    keys = tvbjax.PerMember(key[None])
    swept = tvbjax.sweep(simulator, {free: [1.1]}, 20.0, initial=begun, key=keys, progress=False)
    np.testing.assert_allclose(swept["bold"].values[0], alone, rtol=1e-9)
    same = tvbjax.simulate(simulator, 20.0, initial=begun, key=key)["bold"].values
    assert np.abs(alone - same).min() > 1e-7


def test_a_divergence_can_be_pickled_and_samples_are_checked(simulator):
    kernel = monitors.FirstOrderVolterra()
    with pytest.raises(ValueError, match="0 < tau_f < 4 tau_s"):
        monitors.FirstOrderVolterra(tau_s=0.3)
    broken = eqx.tree_at(lambda k: k.tau_s, kernel, kernel.tau_s * 0.3)
    observed = dataclasses.replace(simulator, monitors=monitors.Bold(10.0, kernel=broken))
    with pytest.raises(
        tvbjax.DivergenceError, match="the samples of 'bold' have x = nan"
    ) as caught:
        tvbjax.simulate(observed, 20.0, key=jax.random.key(0))
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.result.last == 200


def test_an_interruption_before_the_first_chunk_gives_an_empty_result(simulator, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulation, "_advance", interrupted)
    with pytest.warns(UserWarning, match="interrupted at 0 ms"):
        begun = tvbjax.simulate(simulator, 100.0, key=jax.random.key(0))
    assert begun["bold"].sizes["time"] == 0 and begun.last == 0


def test_results_of_another_simulator_are_refused(simulator, tmp_path):
    begun = tvbjax.simulate(simulator, 5.0, key=jax.random.key(7))
    other = network(tmp_path, regions=6)
    with pytest.raises(ValueError, match="is of another simulator"):
        tvbjax.simulate(other, 5.0, initial=begun)
    with pytest.raises(ValueError, match="give results of which one continues the other"):
        tvbjax.join(begun, begun)


@pytest.mark.parametrize(
    "initial, message",
    [
        (np.zeros((2, 5)), r"initial has shape \(2, 5\); give \(1, 5\)"),
        (np.zeros(5), r"initial has shape \(5,\)"),
        (np.zeros((3, 1, 5)), "initial holds 3 steps of history"),
        (np.full((1, 5), np.nan), "initial has x = nan in region"),
    ],
)
def test_a_wrong_initial_state_is_an_error(simulator, initial, message):
    with pytest.raises(ValueError, match=message):
        tvbjax.simulate(simulator, 5.0, initial=initial, key=jax.random.key(0))


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan"), float("inf")])
def test_a_duration_that_is_not_positive_is_an_error(simulator, duration):
    with pytest.raises(ValueError, match="give a positive time"):
        tvbjax.simulate(simulator, duration, key=jax.random.key(0))


def test_a_duration_is_whole_steps(simulator):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="the duration 5.03 ms is no .* nearest are 5 or 5.1 ms"):
        tvbjax.simulate(simulator, 5.03, key=key)
    assert (
        simulation.whole_steps(5.0, 0.1) == simulation.whole_steps(0.1 * 50 * (1 + 1e-8), 0.1) == 50
    )
