"""Equations and values as files to give away: they load to the same model, PyLEMS reads them."""

import dataclasses

import jax.numpy as jnp
import pytest

from tvbjax import lems
from tvbjax.lems import Model


@pytest.mark.parametrize("name", ["JansenRit", "Generic2dOscillator", "Epileptor"])
def test_equations_and_values_load_to_the_same_model(tmp_path, name):
    built_in = lems.load(name)
    model = Model(built_in.spec, {name: 1.25 * value for name, value in built_in.params.items()})
    (tmp_path / "eq.xml").write_text(lems.standalone_lems(name))
    (tmp_path / "values.xml").write_text(lems.values_lems(model, name, "eq.xml"))
    assert "Include" not in (tmp_path / "eq.xml").read_text()
    assert lems.load(tmp_path / "eq.xml").spec == built_in.spec
    again = lems.load(tmp_path / "values.xml", f"{name}_values")
    for parameter, value in model.params.items():
        assert float(again.params[parameter]) == pytest.approx(float(value), rel=1e-14)
    kept = {"component": name, "parameters": built_in.spec.parameters}
    assert dataclasses.replace(again.spec, **kept) == built_in.spec


def test_values_of_regions_are_components(tmp_path):
    built_in = lems.load("JansenRit")
    model = Model(built_in.spec, {**built_in.params, "B": jnp.array([22.0, 17.5])})
    (tmp_path / "eq.xml").write_text(lems.standalone_lems("JansenRit"))
    (tmp_path / "values.xml").write_text(lems.values_lems(model, "JansenRit", "eq.xml"))
    for region, value in enumerate((22.0, 17.5)):
        found = lems.load(tmp_path / "values.xml", f"JansenRit_values_{region}")
        assert float(found.params["B"]) == value and float(found.params["A"]) == 3.25


@pytest.mark.reference
def test_pylems_reads_the_files_alike(tmp_path):
    """Without tvbjax's library: units and dimensions are in the file."""
    model_module = pytest.importorskip("lems.model.model")
    built_in = lems.load("JansenRit")
    (tmp_path / "eq.xml").write_text(lems.standalone_lems("JansenRit"))
    (tmp_path / "values.xml").write_text(lems.values_lems(built_in, "JansenRit", "eq.xml"))
    found = model_module.Model(include_includes=True)
    found.import_from_file(str(tmp_path / "values.xml"))
    values = found.components["JansenRit_values"].parameters
    numeric = found.get_numeric_value(values["B"], "voltage")
    assert numeric == pytest.approx(0.022)  # V, PyLEMS works in SI
    assert found.get_numeric_value(values["a"], "per_time") == pytest.approx(100.0)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"B": jnp.array([jnp.nan, 1.0])}, "'B' has the shape .* not finite"),
        ({"B": jnp.ones((2, 2))}, r"'B' has the shape \(2, 2\)"),
        ({"A": jnp.ones(2), "B": jnp.ones(3)}, r"values for \[2, 3\] regions"),
    ],
)
def test_values_that_are_none_are_refused(values, message):
    built_in = lems.load("JansenRit")
    with pytest.raises(ValueError, match=message):
        lems.values_lems(Model(built_in.spec, {**built_in.params, **values}), "JansenRit", "eq.xml")
    with pytest.raises(ValueError, match="JansenRit: the parameter 'A' is no attribute"):
        lems.values_lems(built_in, "Generic2dOscillator", "eq.xml")
