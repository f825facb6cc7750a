"""State variables held still: fast subsystems, and curves of fixed points cut into points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from networks import trajectory
from test_declared_coupling import rateml
from tvbjax import coupling, integrators, lems


def test_the_fast_epileptor_turns_where_a_seizure_starts():
    """x1 and y1 for a frozen z: at rest z = 4.1 - x^3 - 2 x^2 below 0, with a fold at x = -4/3."""
    fast = lems.hold(lems.load("Epileptor"), z=3.2, x2=0.0, y2=0.0, g=0.0)
    assert fast.state_variables == ("x1", "y1")
    within = {"x1": (-2.5, -0.05), "y1": (-40.0, 2.0)}
    (branch,) = lems.continuation(fast, "z", (2.5, 4.0), within=within)
    x = branch.states[:, 0]
    np.testing.assert_allclose(branch.parameter_values, 4.1 - x**3 - 2 * x**2, atol=1e-10)
    (fold,) = branch.bifurcations
    assert fold.kind is lems.BifurcationKind.FOLD
    assert fold.values["x1"] == pytest.approx(-4 / 3, abs=1e-7)
    assert fold.parameter_value == pytest.approx(4.1 - 32 / 27, abs=1e-10)


@pytest.mark.parametrize("name, held", [("JansenRit", ("y1", "y4")), ("KIonEx", ("n",))])
def test_what_moves_moves_as_before(name, held):
    model = lems.load(name)
    low, high = np.array(model.initial_range).T
    states = np.random.default_rng(0).uniform(low[:, None], high[:, None], (len(low), 6))
    inputs = jnp.full((len(model.inputs), 6), 0.1)
    at = {variable: states[model.state_variables.index(variable)] for variable in held}
    rest = [i for i, variable in enumerate(model.state_variables) if variable not in held]
    fixed = lems.hold(model, **at)
    assert fixed.units == model.units and fixed.observables == model.observables
    whole = jnp.asarray(states)
    np.testing.assert_allclose(
        fixed.dfun(whole[jnp.array(rest)], inputs), model.dfun(whole, inputs)[jnp.array(rest)]
    )
    np.testing.assert_allclose(
        fixed.observe(whole[jnp.array(rest)], names=model.observables),
        model.observe(whole, names=model.observables),
    )


def test_a_held_variable_is_sent_and_differentiated():
    """V' = V^2 + ... + cr w r with r held: two regions that send each other a constant."""
    model = lems.load("MontbrioPazoRoxin")
    rates = np.array([0.1, 0.3])
    held = lems.hold(model, r=rates)
    found = trajectory(
        held, 5.0, np.array([[-2.0, -2.2]]), weights=np.array([[0.0, 1.0], [1.0, 0.0]]),
        rule={"c_r": coupling.Linear(a=2.0), "c_V": coupling.Linear(a=0.0)},
        integrator=integrators.Euler(dt=0.01), every=0.01,
    )  # fmt: skip
    V = np.array([-2.0, -2.2])
    for step in range(500):
        drive = -5.0 + 2.0 * rates[::-1] + 15.0 * rates - (np.pi * rates) ** 2
        V = V + 0.01 * (V**2 + drive)
        np.testing.assert_allclose(found[step, held.observables.index("V")], V, rtol=1e-10)
    np.testing.assert_array_equal(found[:, held.observables.index("r")], np.tile(rates, (500, 1)))

    one = lems.hold(model, r=0.2)
    slope = jax.grad(lambda r: one.dfun(jnp.array([-1.0]), jnp.zeros(2), one.params | {"r": r})[0])(
        jnp.asarray(0.2)
    )
    assert float(slope) == pytest.approx(15.0 - 2 * np.pi**2 * 0.2)


def test_curves_of_fixed_points_are_cut_into_points():
    hopfield = lems.load("Hopfield")
    with pytest.raises(ValueError, match="hold one of its state variables"):
        lems.fixed_points(hopfield, [0.3, 0.0])
    (point,) = lems.fixed_points(lems.hold(hopfield, theta=0.5), [0.3, 0.0])
    assert point.values == {"x": pytest.approx(0.3)} and point.stable

    column = lems.load("ZetterbergJansen")
    points = lems.fixed_points(lems.hold(column, v6=2.0, v7=3.0))  # integrals of differences
    assert points
    for point in points:
        known = point.values | {"v6": 2.0, "v7": 3.0}
        state = jnp.array([known[name] for name in column.state_variables])
        assert np.abs(np.asarray(column.dfun(state, jnp.zeros(1)))).max() < 1e-9


def test_what_cannot_be_held_is_said():
    model = lems.load("Epileptor2D")
    with pytest.raises(ValueError, match=r"\['q'\] are no state variables of Epileptor2D"):
        lems.hold(model, q=1.0)
    for values in ({}, {"x1": 0.0, "z": 3.0}):
        with pytest.raises(ValueError, match="leave some to move"):
            lems.hold(model, **values)
    montbrio = lems.load("MontbrioPazoRoxin")
    for value, said in ((np.nan, "nan"), (-5.0, "from 0 to inf"), (np.ones((2, 2)), "the shape")):
        with pytest.raises(ValueError, match=f"hold: r .*{said}"):
            lems.hold(montbrio, r=value)


@pytest.mark.filterwarnings("ignore::tvbjax_lems.LemsWarning")
def test_what_a_declared_coupling_reads_cannot_be_held():
    model = rateml("montbrio")
    name = model.couplings[0].sources[0]
    with pytest.raises(ValueError, match=rf"the coupling \w+ of \w+ reads \['{name}'\]"):
        lems.hold(model, **{name: 0.1})
