"""The built-in cells against NEST's neurons, SciPy and closed forms; cells from files."""

import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from nest_cells import Trace, cell_trace, nest_trace, stepper
from tvbjax import spiking
from tvbjax.lems import Exact, ExponentialEuler, LemsError, RungeKutta4, load_cell
from tvbjax.spiking.surrogates import FastSigmoid
from tvbjax_lems.includes import core_types
from tvbjax_lems.runtime.methods import AbstractFlatMethod

RNG = np.random.default_rng(1)
EXCITATORY = np.sort(RNG.choice(np.arange(20, 1990), 60)) * 0.1  # ms, some twice
INHIBITORY = np.sort(RNG.choice(np.arange(20, 1990), 20)) * 0.1


class ForwardEuler(AbstractFlatMethod):
    def prepared(self, machine, given):
        return self

    def move(self, field, states, t, dt):
        slopes = field(states, t)
        return {name: value + dt * slopes[name] for name, value in states.items()}


def until(times, duration):
    return times[times < duration]


def worst(mine: Trace, theirs: Trace, stop: int | None = None) -> float:
    """The largest difference of the potentials, mV."""
    return float(np.abs(mine.values["v"] - theirs.values["V_m"])[:stop].max())


# Linear cells: NEST's steps are exact, too.


@pytest.mark.parametrize("t_ref", [2.0, 0.0])
def test_potentials_that_jump_are_nests(t_ref):
    params = {"tau_m": 20.0, "C_m": 1.0, "E_L": 0.0, "V_th": 20.0, "V_reset": 10.0, "V_m": 0.0}
    theirs = nest_trace(
        "iaf_psc_delta", params | {"t_ref": t_ref, "I_e": 0.5},
        [(None, 7.0, EXCITATORY), (None, -3.0, INHIBITORY)], 0.1, 200.0,
    )  # fmt: skip
    cell = load_cell("LifDelta").with_params(I_e=5e-4, t_ref=t_ref)
    mine = cell_trace(
        cell, Exact(), [("in", 7.0, EXCITATORY), ("in", -3.0, INHIBITORY)], 0.1, 200.0
    )
    assert len(mine.spikes) > 15
    np.testing.assert_array_equal(mine.spikes, theirs.spikes)
    assert worst(mine, theirs) < 1e-12


@pytest.mark.parametrize("shape, t_ref", [("exp", 2.0), ("alpha", 2.0), ("exp", 0.0)])
def test_synaptic_currents_are_nests(shape, t_ref):
    params = {"I_e": 200.0, "tau_syn_ex": 2.0, "tau_syn_in": 5.0, "t_ref": t_ref}
    theirs = nest_trace(
        f"iaf_psc_{shape}", params,
        [(None, 1500.0, EXCITATORY), (None, -400.0, INHIBITORY)], 0.1, 200.0,
    )  # fmt: skip
    kind = {"exp": "exponential_current", "alpha": "alpha_current"}[shape]
    cell = load_cell("LifCurrent", synapses={"fast": kind, "slow": kind})
    cell = cell.with_params(I_e=0.2, t_ref=t_ref).with_params("slow", tau=5.0)
    arrivals = [("fast", 1.5, EXCITATORY), ("slow", -0.4, INHIBITORY)]
    mine = cell_trace(cell, Exact(), arrivals, 0.1, 200.0)
    assert len(mine.spikes) > 15
    np.testing.assert_array_equal(mine.spikes, theirs.spikes)
    assert worst(mine, theirs) < 1e-12


def test_a_step_of_any_length_is_exact_between_events():
    """Beside a run of much smaller steps; no spikes, for these are sent at ends of steps."""
    cell = load_cell("LifCurrent", synapses=["alpha_current"])
    arrivals = [("alpha_current", 0.3, [2.0, 8.0, 9.0])]
    coarse = cell_trace(cell, Exact(), arrivals, 1.0, 30.0)
    fine = cell_trace(cell, Exact(), arrivals, 0.01, 30.0)
    np.testing.assert_allclose(coarse.values["v"], fine.values["v"][99::100], rtol=1e-12)
    assert np.ptp(coarse.values["v"]) > 5.0


def test_instances_with_parameters_of_their_own_are_alone():
    drives = np.array([0.2, 0.6])
    cell = load_cell("LifCurrent", synapses="exponential_current")
    arrivals = [("exponential_current", 0.8, [5.0, 7.0, 20.0])]
    many = cell.with_params(I_e=drives)
    values, spikes = jax.jit(stepper(many, 2, Exact(), arrivals, 0.1, 50.0))(many.params)
    for i, drive in enumerate(drives):
        one = cell_trace(cell.with_params(I_e=drive), Exact(), arrivals, 0.1, 50.0)
        np.testing.assert_allclose(np.asarray(values["v"])[:, i], one.values["v"], rtol=1e-12)
        np.testing.assert_array_equal(1 + np.flatnonzero(spikes[:, i]), one.spikes)


# Others: NEST's steps have an error of their own.


@pytest.mark.parametrize("shape", ["exp", "alpha"])
def test_synaptic_conductances_are_nests(shape):
    """With 0.01 ms NEST's adaptive steps and these are far below their tolerance of 1e-3."""
    params = {"I_e": 200.0, "tau_syn_ex": 1.0, "tau_syn_in": 2.0}
    exc, inh = until(EXCITATORY, 60.0), until(INHIBITORY, 60.0)
    theirs = nest_trace(
        f"iaf_cond_{shape}", params, [(None, 50.0, exc), (None, -10.0, inh)], 0.01, 60.0
    )
    cell = _conducting("LifConductance", shape).with_params(I_e=0.2)
    arrivals = [("exc", 0.05, exc), ("inh", 0.01, inh)]
    mine = cell_trace(cell, RungeKutta4(), arrivals, 0.01, 60.0)
    assert len(mine.spikes) > 5
    np.testing.assert_array_equal(mine.spikes, theirs.spikes)
    assert worst(mine, theirs) < 1e-7


def _conducting(name, shape):
    kind = {"exp": "conductance", "alpha": "alpha"}[shape]
    cell = load_cell(name, synapses={"exc": f"excitatory_{kind}", "inh": f"inhibitory_{kind}"})
    return cell.with_params("exc", tau=1.0, erev=0.0).with_params("inh", tau=2.0, erev=-85.0)


@pytest.mark.parametrize("model, t_ref", [("cond_exp", 2.0), ("cond_alpha", 0.0)])
def test_adaptive_exponential_cells_are_nests(model, t_ref):
    """NEST sends a spike, and resets, within a step; here that is at its end. So spikes differ by
    steps, and what went before the first of them by much less."""
    params = {"I_e": 500.0, "tau_syn_ex": 1.0, "tau_syn_in": 2.0, "t_ref": t_ref}
    dt, exc, inh = 0.002, until(EXCITATORY, 50.0), until(INHIBITORY, 50.0)
    theirs = nest_trace(
        f"aeif_{model}", params | {"gsl_error_tol": 1e-9},
        [(None, 50.0, exc), (None, -10.0, inh)], dt, 50.0, ("V_m", "w"),
    )  # fmt: skip
    cell = _conducting("AdEx", model.removeprefix("cond_")).with_params(I_e=0.5, t_ref=t_ref)
    arrivals = [("exc", 0.05, exc), ("inh", 0.01, inh)]
    mine = cell_trace(cell, RungeKutta4(), arrivals, dt, 50.0, ("v", "w"))
    assert len(mine.spikes) == len(theirs.spikes) > 3
    np.testing.assert_allclose(mine.spikes * dt, theirs.spikes * dt, rtol=0, atol=0.05)
    assert worst(mine, theirs, min(mine.spikes[0], theirs.spikes[0]) - 50) < 1e-6
    assert 1e3 * mine.values["w"][-1] == pytest.approx(theirs.values["w"][-1], rel=2e-4)


def test_adaptive_exponential_cells_take_currents_as_nests():
    dt, exc = 0.002, until(EXCITATORY, 40.0)
    params = {"I_e": 500.0, "tau_syn_ex": 1.0, "t_ref": 1.0, "gsl_error_tol": 1e-9}
    theirs = nest_trace("aeif_psc_alpha", params, [(None, 1000.0, exc)], dt, 40.0)
    cell = load_cell("AdEx", synapses="alpha_current").with_params(I_e=0.5, t_ref=1.0)
    cell = cell.with_params("alpha_current", tau=1.0)
    mine = cell_trace(cell, RungeKutta4(), [("alpha_current", 1.0, exc)], dt, 40.0)
    assert len(mine.spikes) == len(theirs.spikes) > 2
    np.testing.assert_allclose(mine.spikes * dt, theirs.spikes * dt, rtol=0, atol=0.02)
    assert worst(mine, theirs, min(mine.spikes[0], theirs.spikes[0]) - 50) < 1e-6


def test_hodgkin_huxley_cells_are_nests():
    """NEST sends a spike in the step after the maximum of v; here it is sent at 0 mV."""
    exc, inh = until(EXCITATORY, 60.0), until(INHIBITORY, 60.0)
    params = {"I_e": 700.0, "tau_syn_ex": 2.0, "tau_syn_in": 2.0}
    theirs = nest_trace(
        "hh_psc_alpha", params, [(None, 500.0, exc), (None, -100.0, inh)], 0.01, 60.0
    )
    cell = load_cell("HodgkinHuxley", synapses={"exc": "alpha_current", "inh": "alpha_current"})
    arrivals = [("exc", 0.5, exc), ("inh", -0.1, inh)]
    mine = cell_trace(cell.with_params(I_e=0.7), RungeKutta4(), arrivals, 0.01, 60.0)
    assert worst(mine, theirs) < 1e-3  # in the upstroke of some 400 mV/ms
    v = theirs.values["V_m"]
    rises = 2 + np.flatnonzero((v[:-1] < 0.0) & (v[1:] >= 0.0))
    np.testing.assert_array_equal(mine.spikes, rises)
    v = mine.values["v"]
    peaks = 2 + np.flatnonzero((v[1:-1] >= 0.0) & (v[1:-1] > v[:-2]) & (v[2:] < v[1:-1]))
    np.testing.assert_array_equal(1 + peaks, theirs.spikes)
    assert len(rises) > 3


def test_rates_of_gates_have_a_value_and_a_slope_everywhere():
    """alpha_n is 0/0 at -55 mV as it is written, alpha_m at -40 mV."""
    cell = load_cell("HodgkinHuxley")
    program = stepper(cell, 1, ExponentialEuler(), [], 0.01, 0.1)

    def end(v0):
        params = {cell.name: cell.params[cell.name] | {"v0": v0}}
        return program(params)[0]["v"][-1, 0]

    found = jax.jit(jax.value_and_grad(end))
    for v0 in (-55.0, -40.0):
        (above, _), (below, _) = (found(jnp.asarray(v0 + h)) for h in (1e-4, -1e-4))
        by_hand = float(above - below) / 2e-4
        assert float(found(jnp.asarray(v0))[1]) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("dt", [0.1, 1.0])
def test_izhikevichs_cells_are_nests(dt):
    times = np.unique(np.rint(EXCITATORY / dt))[2:] * dt
    theirs = nest_trace("izhikevich", {"I_e": 4.0}, [(None, 7.0, times)], dt, 200.0, ("V_m", "U_m"))
    cell = load_cell("Izhikevich").with_params(I_e=0.004)
    mine = cell_trace(cell, ForwardEuler(), [("in", 7.0, times)], dt, 200.0, ("v", "u"))
    assert len(mine.spikes) > 2
    np.testing.assert_array_equal(mine.spikes, theirs.spikes)
    assert worst(mine, theirs) < 1e-9
    np.testing.assert_allclose(mine.values["u"], theirs.values["U_m"], rtol=1e-11)


def test_izhikevichs_cells_take_currents():
    """Beside SciPy, up to the first spike. A current of 10 pA is 10 of the paper's."""
    cell = load_cell("Izhikevich", synapses="exponential_current")
    cell = cell.with_params("exponential_current", tau=4.0)
    arrivals = [("exponential_current", 0.02, [2.0])]
    mine = cell_trace(cell, RungeKutta4(), arrivals, 0.01, 20.0, ("v", "u"))

    def slopes(t, y):
        drive = 20.0 * math.exp(-(t - 2.0) / 4.0)
        v, u = y
        return [0.04 * v**2 + 5.0 * v + 140.0 - u + drive, 0.02 * (0.2 * v - u)]

    start = [mine.values["v"][199], mine.values["u"][199]]
    stop = int(mine.spikes[0]) - 5
    t = 0.01 * np.arange(200, stop + 1)
    found = solve_ivp(slopes, (2.0, t[-1]), start, t_eval=t, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(mine.values["v"][199:stop], found.y[0], rtol=0, atol=1e-4)


def test_synapses_that_tire_are_nests():
    """What they remember, over intervals of 1.5 to 80 ms."""
    times, duration = np.array([5.0, 15.0, 25.0, 32.0, 33.5, 60.0, 61.0, 140.0, 150.0]), 160.0
    numbers = {"U": 0.3, "tau_rec": 120.0, "tau_fac": 50.0}
    theirs = nest_trace(
        "iaf_psc_exp", {"V_th": 1e3}, [(None, 100.0, times)], 0.1, duration,
        synapse={"synapse_model": "tsodyks2_synapse", "u": 0.3, "x": 1.0, **numbers},
    )  # fmt: skip
    cell = load_cell("LifCurrent", synapses={"tiring": "short_term_current"})
    cell = cell.with_params(V_th=1e3).with_params("tiring", **numbers)
    sender = load_cell("LifDelta").with_params(t_ref=0.0)
    projection = spiking.Projection(
        "source", "target", spiking.AllToAll(), weight=0.1, delay=1.0, receptor="tiring"
    )
    network = spiking.Network(
        {
            "source": spiking.Population(sender, 1, method=Exact()),
            "target": spiking.Population(cell, 1, method=Exact()),
        },
        {"projection": projection},
        {"given": spiking.SpikeTimes("source", times - 1.0, np.zeros(9, int), 100.0)},
        dt=0.1,
        monitors=spiking.States("target", ("v",)),
    )
    v = spiking.simulate(network, duration)["target"].values[:, 0, 0]
    np.testing.assert_allclose(v, theirs.values["V_m"], rtol=0, atol=1e-11)
    assert np.ptp(v) > 0.2


# Quadratic integrate-and-fire.


@pytest.mark.parametrize("eta, dt, rel", [(1.0, 0.05, 1e-4), (1.0, 0.2, 1e-3), (9.0, 0.1, 5e-4)])
def test_a_quadratic_cell_spikes_at_the_rate_that_it_should(eta, dt, rel):
    """f = sqrt(eta) / (pi tau), whatever the step and where a spike is cut off."""
    cell = load_cell("QuadraticIf").with_params(eta=eta)
    spikes = cell_trace(cell, RungeKutta4(), [], dt, 1000.0).spikes
    rate = (len(spikes) - 1) / (dt * float(spikes[-1] - spikes[0]))
    assert rate == pytest.approx(math.sqrt(eta) / (math.pi * 10.0), rel=rel)


def test_quadratic_cells_hear_spikes_with_their_gain():
    """At once or through an activation, whose integral is the weight; beside SciPy."""
    cell = load_cell("QuadraticIf", synapses="exponential_activation")
    cell = cell.with_params(eta=-1.0, J=2.0, v0=-1.0).with_params("exponential_activation", tau=3.0)
    arrivals = [("exponential_activation", 0.5, [1.0]), ("in", 0.3, [5.0])]
    mine = cell_trace(cell, RungeKutta4(), arrivals, 0.01, 20.0)

    def slope(t, y):
        s = 0.5 / 3.0 * math.exp(-(t - 1.0) / 3.0)
        return (y**2 - 1.0 + 2.0 * 10.0 * s) / 10.0

    def after(start, stop, y):
        return solve_ivp(slope, (start, stop), [y], rtol=1e-11, atol=1e-12).y[0, -1]

    first = after(1.0, 5.0, -1.0)
    last = after(5.0, 20.0, first + 2.0 * 0.3)
    assert mine.values["v"][499] == pytest.approx(first + 0.6, rel=1e-8)
    assert mine.values["v"][-1] == pytest.approx(last, rel=1e-8)
    assert len(mine.spikes) == 0


# Gradients.


@pytest.mark.parametrize(
    "name, method, drive",
    [
        ("LifDelta", ExponentialEuler(), {"I_e": 0.0015}),
        ("LifCurrent", Exact(), {"I_e": 0.5}),
        ("LifConductance", ExponentialEuler(), {"I_e": 0.4}),
        ("AdEx", ExponentialEuler(), {"I_e": 0.8}),
        ("Izhikevich", RungeKutta4(), {"I_e": 0.01}),
        ("HodgkinHuxley", ExponentialEuler(), {"I_e": 0.8}),
        ("QuadraticIf", RungeKutta4(), {"I": 1.0}),
    ],
)
def test_soft_thresholds_spike_as_hard_ones_and_have_slopes(name, method, drive):
    cell = load_cell(name).with_params(**drive)
    ((parameter, value),) = drive.items()
    dt, duration = (0.1, 60.0) if name != "HodgkinHuxley" else (0.02, 20.0)
    hard = jax.jit(stepper(cell, 1, method, [], dt, duration))(cell.params)
    surrogate = FastSigmoid(5.0).in_steps_of(dt)
    soft = stepper(cell, 1, method, [], dt, duration, surrogate=surrogate)

    def count(value):
        values, spikes = soft({name: cell.params[name] | {parameter: value}})
        return jnp.sum(spikes), (values, spikes)

    (total, (values, spikes)), slope = jax.jit(jax.value_and_grad(count, has_aux=True))(
        jnp.asarray(value)
    )
    np.testing.assert_array_equal(spikes, hard[1])
    np.testing.assert_allclose(values["v"], hard[0]["v"], rtol=1e-8)
    assert float(total) >= 1.0
    assert np.isfinite(slope) and float(slope) != 0.0


def test_gradients_between_spikes_are_those_of_the_equations():
    cell = load_cell("LifCurrent", synapses="alpha_current")
    program = stepper(cell, 1, Exact(), [("alpha_current", 0.1, [1.0])], 0.1, 5.0)

    def end(tau):
        own = {"LifCurrent": cell.params["LifCurrent"], "alpha_current": {"tau": tau}}
        return program(own)[0]["v"][-1, 0]

    found = jax.jit(jax.value_and_grad(end))
    (above, _), (below, _) = (found(jnp.asarray(2.0 + h)) for h in (1e-4, -1e-4))
    slope = float(found(jnp.asarray(2.0))[1])
    assert slope == pytest.approx(float(above - below) / 2e-4, rel=1e-6)


# What cannot be.


def test_what_is_not_linear_has_no_exact_steps():
    for cell, where in (
        (load_cell("AdEx"), "'bounded' of AdEx"),
        (load_cell("QuadraticIf"), "'v' of QuadraticIf"),
        (
            load_cell("LifConductance", synapses="excitatory_alpha"),
            "'i' of excitatory_alpha",
        ),
    ):
        with pytest.raises(ValueError, match=f"Exact: {where} is not linear.*RungeKutta4"):
            cell_trace(cell, Exact(), [], 0.1, 1.0)


def test_synapses_that_are_not_there_or_do_not_fit_are_named_with_the_cells_line():
    cases = {
        "alpha_curent": "there is no synapse 'alpha_curent'.*alpha_current",
        "excitatory_alpha": "it takes no AlphaConductance; it takes currents of type Current",
    }
    for synapse, message in cases.items():
        with pytest.raises(LemsError, match=rf"LifCurrent\.xml:\d+:\d+: .*{message}"):
            load_cell("LifCurrent", synapses=synapse)
    with pytest.raises(LemsError, match="neither a file nor a built-in cell.*'LifDelta'"):
        load_cell("LifDleta")


def test_names_that_are_taken_are_not_for_synapses():
    for name in ("in", "Izhikevich"):
        with pytest.raises(LemsError, match=f"a synapse cannot be called '{name}', which the cell"):
            load_cell("Izhikevich", synapses={name: "alpha_current"})
    with pytest.raises(LemsError, match="a synapse cannot be called 'a b'; use letters"):
        load_cell("Izhikevich", synapses={"a b": "alpha_current"})


def test_parameters_that_are_not_there_are_named():
    cell = load_cell("LifCurrent", synapses="alpha_current")
    with pytest.raises(ValueError, match="'LifCurrent' has no parameter 'tua'.*tau"):
        cell.with_params(tua=1.0)
    with pytest.raises(ValueError, match="there is no component 'alpha_curent'.*alpha_current"):
        cell.with_params("alpha_curent", tau=1.0)
    for constant in ("soon", "weight"):
        assert not any(constant in own for own in cell.params.values())


OWN = """<Lems>
  <Include file="units.xml"/>
  <Include file="synapses.xml"/>
  <ComponentType name="Cell">
    <Parameter name="tau" dimension="time"/>
    <Property name="weight" dimension="none" defaultValue="0"/>
    <Attachments name="currents" type="CurrentSynapse"/>
    <EventPort name="in" direction="in"/>
    <EventPort name="more" direction="in"/>
    <EventPort name="spike" direction="out"/>
    <Exposure name="v" dimension="none"/>
    <Dynamics>
      <StateVariable name="v" dimension="none" exposure="v"/>
      <DerivedVariable name="i" dimension="current" select="currents[*]/i" reduce="add"/>
      <TimeDerivative variable="v" value="-v / tau"/>
      <OnCondition test="v .gt. 1"><EventOut port="spike"/></OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Odd" extends="CurrentSynapse">
    <Parameter name="tau" dimension="time"/>
    <Constant name="nA" dimension="current" value="1 nA"/>
    <Dynamics>
      <StateVariable name="i" dimension="current" exposure="i"/>
      <TimeDerivative variable="i" value="-i / tau"/>
      <OnEvent port="in"><StateAssignment variable="i" value="i + weight"/></OnEvent>
    </Dynamics>
  </ComponentType>
  <Cell id="cell" tau="10 ms"/>
  <Odd id="odd" tau="1 ms"/>
</Lems>"""


def own(folder: Path, *changes: tuple[str, str]) -> Path:
    """The file with changes, each of which must be of something in it."""
    text = OWN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "own.xml").write_text(text)
    return folder / "own.xml"


DECAY, HEARD = 'value="-i / tau"', 'value="i + weight"'


@pytest.mark.parametrize(
    "old, new, line, message",
    [
        (DECAY, 'value="-i * i / tau / nA"', 29, "what the cell reads of it is not linear in its"),
        (DECAY, 'value="(weight - i) / tau"', 29, "or depends on the weight; let spikes add"),
        (HEARD, 'value="weight"', 29, "a spike does not add to 'i', it sets it"),
        ("</Dynamics>\n  </ComponentType>\n  <Cell", "<OnStart><StateAssignment variable='i' "
         "value='nA'/></OnStart></Dynamics>\n  </ComponentType>\n  <Cell", 29,
         "its state 'i' does not start from 0"),
        ('direction="out"', 'direction="in"', 28, "event ports of direction out: none; a cell has"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_synapse_or_a_cell_says_so_with_its_line(
    tmp_path, old, new, line, message
):
    changes = [(old, new)]
    if "out" in old:
        changes.append(('<EventOut port="spike"/>', ""))
    path = own(tmp_path, *changes)
    with pytest.raises(LemsError) as caught:
        load_cell(path, "cell", synapses="odd")
    assert f"{path}:{line}:3: " in str(caught.value)
    assert message in str(caught.value)


EVENT = '<OnEvent port="{}"><StateAssignment variable="v" value="{}"/></OnEvent>'
CONDITION = "<OnCondition"


@pytest.mark.parametrize(
    "events, message",
    [
        (EVENT.format("in", "weight"), "the port 'in': a spike does not add to 'v', it sets it"),
        (2 * EVENT.format("in", "v + weight"), "events at 'in' are heard in more than one OnEvent"),
        (
            EVENT.format("more", "v + weight") + '<Regime name="only" initial="true">'
            + EVENT.format("in", "v + weight") + "</Regime>",
            "its ports hear events in different regimes",
        ),
    ],
)  # fmt: skip
def test_ports_that_cannot_be_receptors_say_so(tmp_path, events, message):
    path = own(tmp_path, (CONDITION, events + CONDITION))
    with pytest.raises(LemsError) as caught:
        load_cell(path, "cell")
    assert f"{path}:28:3: " in str(caught.value) and message in str(caught.value)


def test_the_only_component_that_sends_events_is_the_cell(tmp_path):
    cell = load_cell(own(tmp_path))
    assert (cell.name, cell.kind, cell.receptors) == ("cell", "Cell", ())
    path = own(tmp_path, ('<Cell id="cell"', '<Cell id="other" tau="1 ms"/><Cell id="cell"'))
    with pytest.raises(LemsError, match=r"events: other, cell; name one: load_cell\(path, 'id'\)"):
        load_cell(path)


def test_derivatives_that_depend_on_time_have_no_exact_steps(tmp_path):
    path = own(tmp_path, ('value="-v / tau"', 'value="(t / tau - v) / tau"'))
    with pytest.raises(ValueError, match="Exact: 'v' of cell is not linear"):
        cell_trace(load_cell(path), Exact(), [], 0.1, 1.0)
    found = cell_trace(load_cell(path), RungeKutta4(), [], 0.1, 20.0)
    expected = 2.0 - 1.0 + math.exp(-2.0)
    assert found.values["v"][-1] == pytest.approx(expected, rel=1e-7)


# NeuroML.

NEUROML = """<neuroml id="n">
  <iafRefCell id="iaf" leakReversal="-70mV" thresh="-55mV" reset="-60mV" C="250pF"
      leakConductance="16.6667nS" refract="2ms"/>
  <adExIaFCell id="adex" C="281pF" gL="30nS" EL="-70.6mV" reset="-60mV" VT="-50.4mV"
      thresh="-40mV" refract="2ms" delT="2mV" tauw="144ms" a="4nS" b="0.0805nA"/>
  <izhikevich2007Cell id="izhikevich" v0="-82.65564437074638mV" C="1pF" k="0.04nS_per_mV"
      vr="-82.65564437074638mV" vt="-42.34435562925362mV" vpeak="30mV" a="0.02per_ms" b="0.2nS"
      c="-65mV" d="8pA"/>
  <ionChannelHH id="leak" conductance="10pS"/>
  <ionChannelHH id="na" conductance="10pS">
    <gateHHrates id="m" instances="3">
      <forwardRate type="HHExpLinearRate" rate="1per_ms" midpoint="-40mV" scale="10mV"/>
      <reverseRate type="HHExpRate" rate="4per_ms" midpoint="-65mV" scale="-18mV"/>
    </gateHHrates>
    <gateHHrates id="h" instances="1">
      <forwardRate type="HHExpRate" rate="0.07per_ms" midpoint="-65mV" scale="-20mV"/>
      <reverseRate type="HHSigmoidRate" rate="1per_ms" midpoint="-35mV" scale="10mV"/>
    </gateHHrates>
  </ionChannelHH>
  <ionChannelHH id="k" conductance="10pS">
    <gateHHrates id="n" instances="4">
      <forwardRate type="HHExpLinearRate" rate="0.1per_ms" midpoint="-55mV" scale="10mV"/>
      <reverseRate type="HHExpRate" rate="0.125per_ms" midpoint="-65mV" scale="-80mV"/>
    </gateHHrates>
  </ionChannelHH>
  <pointCellCondBased id="hh" C="100pF" v0="-65mV" thresh="0mV">
    <channelPopulation id="leaks" ionChannel="leak" number="3000" erev="-54.402mV"/>
    <channelPopulation id="nas" ionChannel="na" number="1200000" erev="50mV"/>
    <channelPopulation id="ks" ionChannel="k" number="360000" erev="-77mV"/>
  </pointCellCondBased>
  <expOneSynapse id="synapse" gbase="1nS" erev="0mV" tauDecay="1ms"/>
</neuroml>"""
_REST = -82.65564437074638  # where 0.04 v^2 + 5 v + 140 is 0
OURS = {
    "iaf": ("LifConductance", {}, 60.0),
    "adex": ("AdEx", {"V_peak": -40.0, "t_ref": 2.0}, 60.0),
    # Its recovery is counted from the resting potential.
    "izhikevich": ("Izhikevich", {"v0": _REST, "I_e": 2e-4 * _REST}, 1.0),
    "hh": ("HodgkinHuxley", {}, 60.0),
}


@pytest.mark.skipif(core_types() is None, reason="needs pip install 'tvbjax[neuroml]'")
@pytest.mark.parametrize("name", OURS)
def test_cells_of_neuroml_are_the_built_in_ones(tmp_path, name):
    """With the same synapse, whose weight counts its `gbase`; spikes to the steps by which the
    ends of their refractory times differ."""
    path = tmp_path / "cells.nml"
    path.write_text(NEUROML)
    theirs = load_cell(path, name, synapses="synapse")
    builtin, params, weight = OURS[name]
    ours = load_cell(builtin, synapses={"synapse": "excitatory_conductance"})
    ours = ours.with_params(**params).with_params("synapse", tau=1.0)
    times, dt = np.arange(2.0, 40.0, 1.5), 0.01
    found = cell_trace(theirs, RungeKutta4(), [("synapse", weight, times)], dt, 40.0)
    expected = cell_trace(ours, RungeKutta4(), [("synapse", 1e-3 * weight, times)], dt, 40.0)
    assert len(found.spikes) == len(expected.spikes) > 1
    np.testing.assert_allclose(found.spikes, expected.spikes, rtol=0, atol=len(found.spikes))
    first = int(min(found.spikes[0], expected.spikes[0])) - 2
    np.testing.assert_allclose(
        found.values["v"][:first], expected.values["v"][:first], rtol=1e-9, atol=0
    )


def test_a_cell_that_is_loaded_twice_is_compiled_once():
    """Static parts of a network that are equal share what JAX compiled; other numbers are another
    cell."""
    first, again = (load_cell("AdEx", synapses=["alpha_current"]) for _ in range(2))
    assert first.plan == again.plan and hash(first.plan) == hash(again.plan)
    assert first.plan is not again.plan
    others = (load_cell("AdEx"), load_cell("AdEx", synapses=["exponential_current"]))
    assert all(first.plan != other.plan for other in others)
    compiled = []

    @eqx.filter_jit
    def rate(cell, x):
        compiled.append(cell.name)
        return x * cell.params["AdEx"]["a"]

    rate(first, jnp.ones(2))
    rate(again, jnp.zeros(2))
    rate(others[0], jnp.ones(2))
    assert len(compiled) == 2
