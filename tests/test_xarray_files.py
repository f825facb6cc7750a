"""Results in NetCDF and Zarr: xarray, netCDF4 and zarr alone read what was simulated."""

import json

import jax
import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

import tvbjax
from networks import network
from tvbjax import Free, features, monitors, noise
from tvbjax.io.xarray_files import write_dataset

ENGINES = {".nc": "netcdf4", ".zarr": "zarr"}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    observers = (monitors.TemporalAverage(1.0), monitors.Bold(10.0))
    folder = tmp_path_factory.mktemp("model")
    return network(folder, noise=noise.Additive(0.05), monitors=observers)


@pytest.fixture(scope="module")
def result(simulator):
    return tvbjax.simulate(simulator, 30.0, key=jax.random.key(7))


@pytest.mark.parametrize("ending", ENGINES)
def test_xarray_alone_reads_a_result(result, tmp_path, ending):
    path = result.save(tmp_path / f"run{ending}")
    with xr.open_datatree(path, engine=ENGINES[ending]) as opened:
        tree = opened.load()
    for name in result.samples:
        array = tree[name].to_dataset()[name]
        array.encoding = {}
        xr.testing.assert_identical(array, result[name])  # values, coordinates, units, attributes
        assert array["time"].attrs == {"units": "ms", "long_name": "time"}
        assert array.dtype == result[name].dtype
    for name, text in result.attributes.items():
        assert tree.attrs[name] == text
    assert json.loads(tree.attrs["parameters"])["gamma"] == 1.0


def test_other_libraries_read_the_numbers(result, tmp_path):
    wanted = result["temporal_average"]
    with netCDF4.Dataset(result.save(tmp_path / "run.nc")) as file:
        group = file["temporal_average"]
        np.testing.assert_array_equal(group["temporal_average"][:], wanted.values)
        assert group["temporal_average"].dimensions == ("time", "variable", "region")
        assert group["time"].units == "ms"
        assert group["region"][:].tolist() == wanted["region"].values.tolist()
    store = zarr.open_group(result.save(tmp_path / "run.zarr"), mode="r")
    values = store["temporal_average/temporal_average"]
    assert isinstance(values, zarr.Array)
    np.testing.assert_array_equal(values[:], wanted.values)
    assert values.attrs["_ARRAY_DIMENSIONS"] == ["time", "variable", "region"]


@pytest.mark.parametrize("ending", ENGINES)
def test_a_sweep_reads_back(simulator, tmp_path, ending):
    grid = tvbjax.sweep(
        simulator,
        {Free(lambda s: s.coupling.a, name="coupling"): np.linspace(0.0, 0.3, 3)},
        20.0,
        key=jax.random.key(1),
        measure=features.FunctionalConnectivity("temporal_average", "x"),
    )
    path = write_dataset(grid, tmp_path / f"grid{ending}")
    with xr.open_dataset(path, engine=ENGINES[ending]) as opened:
        found = opened.load()
    xr.testing.assert_equal(found, grid)
    assert {name: str(value) for name, value in found.attrs.items()} == {
        name: str(value) for name, value in grid.attrs.items()
    }
    for name, coordinate in grid.coords.items():
        assert found[name].attrs == coordinate.attrs
