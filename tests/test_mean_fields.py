"""Mean fields and columns where The Virtual Brain's code or text is at odds with the papers."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from tvbjax import lems


@pytest.mark.parametrize("name", ["CoombesByrne", "CoombesByrne2D"])
def test_rate_and_potential_move_as_the_pole_of_the_density_of_neurons(name):
    """A neuron's V' = V^2 - g V + ... moves the Lorentzian's pole w = V + i pi r, as it moves V."""
    model = lems.load(name)
    p = {key: float(value) for key, value in model.params.items()}
    r, V, c = 0.4, -0.3, 0.2
    state = np.array([r, V, 1.7, 0.2][: len(model.state_variables)])
    g = state[2] if len(state) > 2 else p["k"] * np.pi * r
    w = V + 1j * np.pi * r
    slope = w**2 - g * w + p["eta"] + 1j * p["Delta"] + p["v_syn"] * g + c
    found = np.asarray(model.dfun(jnp.asarray(state), jnp.array([c])))
    np.testing.assert_allclose(found[:2], [slope.imag / np.pi, slope.real], rtol=1e-12)


def test_both_inhibitory_potentials_of_the_column_rest_in_proportion_to_their_synapses():
    model = lems.load("ZetterbergJansen")
    names = model.state_variables
    p = {key: float(value) for key, value in model.params.items()}
    state = np.zeros(12)
    state[names.index("v4")] = 8.0
    rate = 2 * p["e0"] / (1 + np.exp(p["rho_1"] * (p["rho_2"] - (8.0 - 3.0))))
    state[names.index("v5")] = 3.0
    odd = eqx.tree_at(lambda m: m.params["ke_in_v5"], model, 1.0)
    for one, decay in ((model, p["ki"] ** 2), (odd, p["ke"] ** 2)):
        found = np.asarray(one.dfun(jnp.asarray(state), jnp.zeros(1)))
        gain = p["Hi"] * p["ki"] * rate
        assert found[names.index("y3")] == pytest.approx(gain * p["gamma_4"], rel=1e-12)
        expected = gain * p["gamma_5"] - decay * 3.0
        assert found[names.index("y5")] == pytest.approx(expected, rel=1e-12)


def test_shifted_response_functions_make_rest_a_fixed_point():
    model = lems.load("WilsonCowan")
    plain = eqx.tree_at(lambda m: m.params["shift_sigmoid"], model, 0.0)
    rest, nothing = jnp.zeros(2), jnp.zeros(1)
    np.testing.assert_allclose(model.dfun(rest, nothing), 0.0, atol=1e-17)
    p = {key: float(value) for key, value in model.params.items()}
    found = plain.dfun(rest, nothing)
    for one, slope in zip("ei", found, strict=True):
        response = p[f"c_{one}"] / (1 + np.exp(p[f"a_{one}"] * p[f"b_{one}"]))
        assert slope == pytest.approx(p[f"k_{one}"] * response / p[f"tau_{one}"], rel=1e-12)
