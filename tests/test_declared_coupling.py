"""Coupling functions that a file declares, against the rules that say the same."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from networks import ring_connectome
from tvbjax import coupling, integrators, monitors

pytestmark = pytest.mark.filterwarnings("ignore::tvbjax_lems.LemsWarning")


def rateml(name: str):
    try:
        path = next(f for f in files("tvb-contrib") or () if f.name == f"{name}.xml")
    except (PackageNotFoundError, StopIteration):
        pytest.skip("tvb-contrib, which holds RateML's models, is not installed")
    return tvbjax.lems.load(Path(path.locate()))


def run(model, rule):
    simulator = tvbjax.Simulator(
        model, ring_connectome(), rule, integrators.Heun(dt=0.1), monitors=monitors.Raw()
    )
    states, nodes = len(model.state_variables), simulator.nodes
    low, high = np.asarray(model.initial_range).T[:, None, :, None]
    past = np.random.default_rng(0).random((simulator.horizon, states, nodes)) * 0.5
    result = tvbjax.simulate(simulator, 5.0, initial=low + (high - low) * past)
    return result.samples["raw"].values


@pytest.mark.parametrize(
    "name, rule",
    [
        ("kuramoto", coupling.Kuramoto(a=5.0)),  # RateML does not divide by the 5 regions
        ("rwongwang", coupling.Scaling(a=1.0)),
        ("oscillator", coupling.Scaling(a=1.0)),
        ("montbrio", coupling.Scaling(a=0.33)),
    ],
)
def test_a_rateml_coupling_is_the_rule_it_says(name, rule):
    model = rateml(name)
    declared = coupling.declared(model)
    assert list(declared) == ["c_pop0"]
    np.testing.assert_allclose(run(model, declared), run(model, rule), rtol=1e-12, atol=1e-14)
    weaker = eqx.tree_at(
        lambda d: d["c_pop0"].params["global_coupling"], declared, jnp.asarray(0.0)
    )
    assert np.abs(run(model, weaker) - run(model, declared)).max() > 1e-6


def test_an_input_without_a_rule_is_an_error():
    model = rateml("epileptor")
    assert list(coupling.declared(model)) == ["c_pop0"]
    with pytest.raises(ValueError, match="'c_pop1' and no coupling is given for it"):
        run(model, coupling.declared(model))
    rules = coupling.declared(model) | {"c_pop1": coupling.Linear(a=0.0)}
    simulator = tvbjax.Simulator(model, ring_connectome(), rules, integrators.Heun(dt=0.01))
    assert len(simulator.rules) == 2


def test_couplings_by_input():
    model = tvbjax.lems.load("MontbrioPazoRoxin")
    one = coupling.Linear(a=0.1)
    both = run(model, one)
    np.testing.assert_array_equal(run(model, {"c_r": one, "c_V": one}), both)
    with pytest.raises(ValueError, match="coupling names 'c_x', which is no input"):
        run(model, {"c_r": one, "c_V": one, "c_x": one})
    with pytest.raises(ValueError, match="'c_V' and no coupling is given"):
        run(model, {"c_r": one})
    with pytest.raises(ValueError, match="'c_r' and no coupling is given"):
        run(model, None)
    with pytest.raises(ValueError, match="SigmoidalJansenRit reads 2 variables"):
        run(model, coupling.SigmoidalJansenRit())
