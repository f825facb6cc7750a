"""RateML's own model files, compiled by tvbjax, against RateML's own Python models.

The files are read from the package tvb-contrib, where it is installed. The derivatives are made by
`reference/make_rateml.py`: random states, inputs and parameter values at 64 points a model.
RateML's inputs `c_pop0`, `c_pop1`, ... are rows of TVB's coupling array, one per state variable.
"""

import importlib.metadata
from contextlib import nullcontext
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from reference import cases

MODELS = ("epileptor", "kuramoto", "montbrio", "oscillator", "rwongwang", "rwongwang_deco")


# What is doubtful in them, and said when they are loaded.
DOUBTFUL = {
    "epileptor": "'c_pop1' comes from the network",
    "montbrio": "the noise depends on the time step",
}


def loaded(name: str) -> tvbjax.lems.Model:
    doubt = DOUBTFUL.get(name)
    warned = pytest.warns(tvbjax.lems.LemsWarning, match=doubt) if doubt else nullcontext()
    with warned:
        return tvbjax.lems.load(rateml_file(name))


def rateml_file(name: str) -> Path:
    """One of RateML's XML files as tvb-contrib installs it."""
    try:
        files = importlib.metadata.files("tvb-contrib") or ()
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("tvb-contrib is not installed: pip install --no-deps tvb-contrib==2.11.0")
    found = [file for file in files if file.parts[-2:] == ("XMLmodels", f"{name}.xml")]
    assert found, f"tvb-contrib has no {name}.xml"
    return Path(str(found[0].locate()))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_that_of_ratemls_python_target(name: str):
    stored = cases.stored(f"rateml_{name}")
    model = loaded(name)
    assert model.state_variables == tuple(stored["state_variables"])
    assert model.variables_of_interest == tuple(stored["variables_of_interest"])
    np.testing.assert_array_equal(model.bounds, stored["bounds"])
    for parameter, default in zip(stored["parameters"], stored["defaults"], strict=True):
        assert float(model.params[parameter]) == pytest.approx(default, rel=1e-15), parameter

    values = dict(zip(stored["parameters"], jnp.asarray(stored["values"]), strict=True))
    rows = [int(given.removeprefix("c_pop")) for given in model.inputs]
    inputs = jnp.asarray(stored["inputs"][rows])
    got = model.dfun(jnp.asarray(stored["states"]), inputs, params=model.params | values)
    expected = stored["derivatives"]
    for variable, ours, theirs in zip(
        model.state_variables, np.asarray(got), expected, strict=True
    ):
        tolerance = 1e-12 * np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=tolerance, err_msg=variable)


@pytest.mark.parametrize("name", ["zerlaut", "model_template"])
def test_what_ratemls_own_generator_cannot_read_is_rejected_with_a_line(name: str):
    """One has a bare `&`, the other placeholders such as `[name]`."""
    with pytest.raises(tvbjax.lems.LemsError, match=rf"{name}\.xml:\d+"):
        tvbjax.lems.load(rateml_file(name))
