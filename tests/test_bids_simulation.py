"""Simulations in BIDS's folders: a whole study is valid and reads back; series of all dialects."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import h5py
import jax
import jax.numpy as jnp
import nibabel
import numpy as np
import pytest

import tvbjax
from bids_files import sidecar, tab, validator_errors
from meshes import sphere
from tvbjax import coupling, integrators, lems, monitors
from tvbjax.io import (
    read_bids_connectivity,
    read_bids_connectome,
    read_bids_series,
    read_bids_surface,
    write_bids_connectivity,
    write_bids_simulation,
    write_run_crate,
)

LABELS = ("lA", "rA", "rB")
SERIES = np.random.default_rng(0).normal(size=(5, 3))
TIMES = 2.0 * np.arange(5) + 1.0


@pytest.fixture(scope="module")
def run():
    """A result, and the simulator that made it, with parameters of its own."""
    weights = [[0.0, 1.5, 0.0], [2.0, 0.0, 0.25], [0.1, 0.0, 0.0]]
    built_in = lems.load("Generic2dOscillator")
    values = {**built_in.params, "a": jnp.array([-2.0, -1.5, 0.1]), "tau": jnp.asarray(1.1)}
    simulator = tvbjax.Simulator(
        model=lems.Model(built_in.spec, values),
        connectome=tvbjax.Connectome(weights, labels=LABELS),
        coupling=coupling.Linear(a=0.02),
        integrator=integrators.Heun(dt=0.5),
        monitors=monitors.TemporalAverage(2.0, variables=("V", "W")),
    )
    return simulator, tvbjax.simulate(simulator, 20.0, key=jax.random.key(3))


def export(run, folder, subject, **more):
    simulator, result = run
    return write_bids_simulation(
        result["temporal_average"],
        simulator.model,
        simulator.connectome,
        folder,
        subject,
        **({"desc": "rest", "atlas": "DK", "run": result.attributes, "seed": 3} | more),
    )


def test_a_whole_study_is_valid_and_reads_back(run, tmp_path):
    simulator, result = run
    series = result["temporal_average"]
    tables = export(run, tmp_path, "01")
    export(run, tmp_path, "02", session="a", repository="https://example.org/study@1a2b")
    connectivity = np.corrcoef(series.values[:, 0].T)
    write_bids_connectivity(connectivity, LABELS, tmp_path, "01", atlas="DK", desc="rest")
    now = datetime.now(UTC)
    about: Any = {"name": "A", "description": "B", "license": "https://spdx.org/licenses/CC0-1.0"}
    write_run_crate(tmp_path, outputs=tables, started=now, ended=now, **about)
    assert validator_errors(tmp_path) == []

    found = read_bids_series(tmp_path, "01")
    np.testing.assert_array_equal(found, series)
    assert found.drop_attrs().coords.equals(series.drop_attrs().coords)
    assert found["time"].attrs["units"] == "ms"
    np.testing.assert_array_equal(read_bids_series(tmp_path, "02", session="a"), series)
    np.testing.assert_array_equal(read_bids_connectivity(tmp_path, "01"), connectivity)
    for region, name in enumerate(LABELS):  # what was simulated can be again
        model = lems.load(
            tmp_path / found.attrs["ModelParam"], f"{simulator.model.name}_values_{region}"
        )
        assert float(model.params["a"]) == float(simulator.model.params["a"][region]), name
        assert float(model.params["tau"]) == 1.1
    assert (
        lems.load(tmp_path / found.attrs["ModelEq"]).spec == lems.load("Generic2dOscillator").spec
    )
    connectome = read_bids_connectome(tmp_path, "01")
    np.testing.assert_array_equal(connectome.weights, simulator.connectome.weights)

    about = json.loads(tables[0].with_suffix(".json").read_text())
    required = {
        *("SourceCodeRepository", "MachineCodeRepository", "ModelEq", "ModelParam"),
        *("Connectivity", "SourceCode", "SourceCodeVersion", "SoftwareVersion", "SoftwareName"),
        *("SoftwareRepository", "Network", "NumberOfRows", "NumberOfColumns", "Description"),
    }
    assert required <= set(about) and all(about[name] for name in required)
    assert (about["SamplingFrequency"], about["SamplingPeriod"], about["Seed"]) == (500.0, 2.0, 3)
    for path, digest in about["InputSHA256"].items():
        assert hashlib.sha256((tmp_path / path).read_bytes()).hexdigest() == digest
    for path in (about["SourceCode"], about["MachineCodeRepository"], *about["CoordsRows"]):
        assert (tmp_path / path).is_file()
    assert f"jax=={jax.__version__}" in (tmp_path / about["MachineCodeRepository"]).read_text()
    assert json.loads((tmp_path / about["SourceCode"]).read_text())["seed"] == 3


def test_what_was_not_simulated_so_is_not_written(run, tmp_path):
    simulator, result = run
    series, connectome = result["temporal_average"], simulator.connectome
    nan = series.copy()
    nan[3, 1, 2] = np.nan
    for more, message in (
        ((series.isel(variable=0), simulator.model), "has the dims"),
        ((series[:, :, ::-1], simulator.model), r"3 regions, \('rB', 'rA', 'lA'\)"),
        ((nan, simulator.model), "is nan in sample 3, variable 1, region 2"),
        ((series[[0, 1, 4]], simulator.model), "steps between them differ"),
    ):
        with pytest.raises(ValueError, match=message):
            write_bids_simulation(*more, connectome, tmp_path, "01", desc="rest", atlas="DK")
    with pytest.raises(ValueError, match="equations of Epileptor2D are not those of Generic2d"):
        export(run, tmp_path, "01", equations="Epileptor2D")
    with pytest.raises(ValueError, match="desc is 'a_b'; BIDS's names"):
        export(run, tmp_path, "01", desc="a_b")
    assert not list(tmp_path.iterdir())


def test_another_simulation_does_not_lie_among_the_tables(run, tmp_path):
    simulator, result = run
    series, (model, connectome) = (
        result["temporal_average"],
        (simulator.model, simulator.connectome),
    )
    export(run, tmp_path, "01")
    export(run, tmp_path, "01")  # replaced
    names: Any = {"desc": "rest", "atlas": "DK"}
    with pytest.raises(ValueError, match="has .*var-V_ts.tsv, .* of another simulation"):
        write_bids_simulation(series[:, :1], model, connectome, tmp_path, "01", **names)
    write_bids_simulation(series[:, :1], model, connectome, tmp_path, "01", desc="b", atlas="DK")
    assert read_bids_series(tmp_path, "01", desc="b")["variable"].values.tolist() == ["V"]
    with pytest.raises(ValueError, match="several series of V|differ in times"):
        read_bids_series(tmp_path, "01")


def test_models_of_ones_own_are_written_from_their_file(run, tmp_path):
    simulator, result = run
    text = lems.standalone_lems("Generic2dOscillator").replace("Generic2dOscillator", "Mine_1")
    (tmp_path / "mine.xml").write_text(text)
    model = lems.load(tmp_path / "mine.xml")
    given = (result["temporal_average"], model, simulator.connectome, tmp_path / "study", "01")
    names: Any = {"desc": "rest", "atlas": "DK"}
    with pytest.raises(ValueError, match="Mine_1 is no built-in model; .* equations=path"):
        write_bids_simulation(*given, **names)
    write_bids_simulation(*given, **names, equations=tmp_path / "mine.xml")
    found = read_bids_series(tmp_path / "study", "01")
    assert found.attrs["ModelEq"] == "model/desc-Mine1_eq.xml"
    (tmp_path / "study" / "model" / "desc-Mine1_eq.xml").write_text("another")
    with pytest.raises(ValueError, match="has other equations under this name"):
        write_bids_simulation(*given, **names, equations=tmp_path / "mine.xml")


def check(found, times=TIMES, labels=LABELS):
    np.testing.assert_allclose(found.values[:, 0], SERIES, rtol=1e-6)
    np.testing.assert_allclose(found["time"], times)
    assert tuple(found["region"].values) == labels and found.dims == ("time", "variable", "region")


def test_series_of_the_pull_request(tmp_path):
    folder = tmp_path / "sub-01" / "timeseries"
    tab(folder / "sub-01_desc-testsim.tsv", SERIES, LABELS)
    about = folder / "sub-01_desc-testsim.json"
    sidecar(about, SamplingFrequency=500.0, ModelEq="../../model/desc-X_eq.xml")
    tab(tmp_path / "model" / "desc-X_eq.xml", [[1]])
    found = read_bids_series(tmp_path, "01", desc="testsim")
    check(found, TIMES - 1.0)
    assert found.attrs["ModelEq"] == "model/desc-X_eq.xml"
    about.unlink()
    with pytest.raises(ValueError, match="no times; its sidecar should have CoordsRows"):
        read_bids_series(tmp_path, "01")


@pytest.mark.parametrize(
    "scale, unit", [(1.0, {}), (1e-3, {}), (1e-3, {"SamplingPeriodUnits": "s"})]
)
def test_series_of_tvbs_importer(tmp_path, scale, unit):
    folder = tmp_path / "sub-01" / "ts"
    tab(folder / "sub-01_desc-x_bold.tsv", SERIES, by=" ")
    tab(folder / "sub-01_desc-x_bold_times.tsv", scale * TIMES[:, None])
    (tmp_path / "coord").mkdir()
    (tmp_path / "coord" / "labels.tsv").write_text("\n".join(LABELS))
    names = {
        "CoordsRows": ["sub-01_desc-x_bold_times.tsv"],
        "CoordsColumns": "../../coord/labels.tsv",
    }
    about = folder / "sub-01_desc-x_bold.json"
    sidecar(about, **names, SamplingFrequency=500.0, **unit)
    check(read_bids_series(tmp_path, "01"))
    sidecar(about, **names, SamplingFrequency=12.0)
    with pytest.raises(ValueError, match="12 Hz, fits neither in ms nor in s"):
        read_bids_series(tmp_path, "01")
    tab(folder / "sub-01_desc-x_bold_times.tsv", TIMES[:4, None])
    with pytest.raises(ValueError, match="4 times for the 5 rows"):
        read_bids_series(tmp_path, "01")


def test_series_of_tvbo_in_tables(tmp_path):
    folder = tmp_path / "sub-01" / "ses-1" / "ts"
    for name, factor in (("V", 1.0), ("W", 2.0)):
        rows = np.column_stack([np.arange(5), TIMES, factor * SERIES])
        tab(folder / f"sub-01_ts-{name}_State.tsv", rows, ("", "time", *LABELS))
    found = read_bids_series(tmp_path, "01", session="1")
    check(found)
    np.testing.assert_array_equal(found.sel(variable="W"), 2.0 * SERIES)
    tab(
        folder / "sub-01_ts-X_State.tsv",
        np.column_stack([TIMES, SERIES[:, :2]]),
        ("time", "a", "b"),
    )
    with pytest.raises(ValueError, match="ts-X_State.tsv .* differ in times or regions"):
        read_bids_series(tmp_path, "01", session="1")


def test_series_of_tvbo_in_hdf5_and_cifti(tmp_path):
    folder = tmp_path / "sub-01" / "ts"
    folder.mkdir(parents=True)
    with h5py.File(folder / "sub-01_ts-V_State.h5", "w") as file:
        data = file.create_dataset("data", data=SERIES[:, None, :, None])
        data.attrs["sample_period_unit"] = "s"
        file["time"] = 1e-3 * TIMES
        file["labels/State Variable"] = ["V"]
        file["labels/Region"] = list(LABELS)
    check(read_bids_series(tmp_path, "01"))
    axes: Any = nibabel.cifti2.cifti2_axes  # type: ignore
    models = [
        (label, axes.BrainModelAxis.from_surface([i], 3, "CORTEX_LEFT"))
        for i, label in enumerate(LABELS)
    ]
    parcels = axes.ParcelsAxis.from_brain_models(models)
    image: Any = nibabel.cifti2.Cifti2Image(  # type: ignore
        SERIES.astype("f4"), header=(axes.SeriesAxis(0.001, 0.002, 5), parcels)
    )
    nibabel.save(image, folder / "sub-01_ts-V_BOLD.ptseries.nii")  # type: ignore
    with pytest.raises(ValueError, match="several kinds, .*h5, ptseries.nii"):
        read_bids_series(tmp_path, "01")
    (folder / "sub-01_ts-V_State.h5").unlink()
    found = read_bids_series(tmp_path, "01")
    check(found)
    assert found["variable"].values.tolist() == ["V"]
    (folder / "sub-01_ts-V_BOLD.ptseries.nii").write_bytes(b"no image")
    with pytest.raises(ValueError, match="no readable CIFTI"):
        read_bids_series(tmp_path, "01")


@pytest.mark.parametrize(
    "rows, message",
    [
        ("0\t1\n2\tnan\n", r"a_bold.tsv: nan at \(1, 0, 1\), counted from 0"),
        ("0\t1\n2\tn/a\n", "line 2: 'n/a' is not a number"),
        ("0\t1\n2\n", "line 2: 1 numbers, where the line before has 2"),
        ("time\ta\n1\t2\n0\t2\n", "2 times are not finite and ascending"),
        ("", "is empty"),
    ],
)
def test_tables_that_are_no_series_are_refused(tmp_path, rows, message):
    path = tmp_path / "sub-01" / "ts" / "sub-01_desc-a_bold.tsv"
    sidecar(path.with_suffix(".json"), SamplingPeriod=1.0)
    path.write_text(rows)
    with pytest.raises(ValueError, match=message):
        read_bids_series(tmp_path, "01")


def test_a_folder_without_series_is_told(tmp_path):
    (tmp_path / "sub-01" / "ts").mkdir(parents=True)
    with pytest.raises(ValueError, match="no table of series; there is none"):
        read_bids_series(tmp_path, "01")
    with pytest.raises(FileNotFoundError, match="no ses-b; there is no folder ses-"):
        read_bids_series(tmp_path, "01", session="b")


@pytest.mark.parametrize("first", [0, 1])
def test_a_surface_of_tvbs_importer_counts_from_one(tmp_path, first):
    ball = sphere(1)
    folder = tmp_path / "sub-01" / "coord"
    tab(folder / "sub-01_desc-cortex_vertices.tsv", ball.vertices)
    tab(folder / "sub-01_desc-cortex_faces.tsv", ball.triangles + first)
    found = read_bids_surface(tmp_path, "01")
    np.testing.assert_array_equal(found.vertices, ball.vertices)
    np.testing.assert_array_equal(found.triangles, ball.triangles)
    tab(folder / "sub-01_desc-cortex_faces.tsv", ball.triangles + 2)
    with pytest.raises(ValueError, match="the least number is 2"):
        read_bids_surface(tmp_path, "01")
    tab(folder / "sub-01_desc-cap_faces.tsv", ball.triangles)
    with pytest.raises(ValueError, match="several tables of faces"):
        read_bids_surface(tmp_path, "01")
