"""Dynamics of components in a network: starts, conditions, events, regimes, inheritance, random.

The toys run with a step of 1/8, so that times and sums are exact; expected values are worked out
from the order of a step: events, derived values, states, conditions, regimes (forward Euler).
"""

import numpy as np
import pytest

from lems_text import network, run
from lems_toys import PATHS, PORTS, TYPES, WHOLE
from tvbjax import lems

DT = 0.125
STEPS = 16


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    with (
        pytest.warns(lems.LemsWarning, match="'first': it has no default Case"),
        pytest.warns(lems.LemsWarning, match="'t': it hides the time"),
    ):
        return network(folder, f'{TYPES}<Whole id="toys">{WHOLE}</Whole>', "toys")


@pytest.fixture(scope="module")
def toy(toys):
    return run(toys, step=DT, duration=STEPS * DT, record=[*PATHS, *PORTS])


def rows(*parts: tuple[int, float]) -> np.ndarray:
    """A column of so many rows of each value."""
    return np.concatenate([np.full(count, float(value)) for count, value in parts])


T = np.arange(STEPS + 1) * DT


def test_on_start_runs_children_first_and_reads_derived_values(toy):
    assert toy["starts/outer/inner/x"][0] == 7.0  # d + 1 = 2*3 + 1
    assert toy["starts/outer/y"][0] == 70.0  # 10 * inner/x, by way of a derived variable
    assert toy["starts/outer/z"][0] == 71.0  # after y, in document order


def test_on_start_assigns_in_document_order(toy):
    assert toy["starts/backwards/b"][0] == 1.0, "a is still 0 when b = a + 1"


def test_on_start_may_assign_a_variable_twice(toy):
    assert toy["starts/twice/a"][0] == 9.0


def test_conditions_hold_at_every_step_while_true(toy):
    expected = np.maximum(np.arange(STEPS + 1) - 7, 0)  # x is 1 at row 8
    np.testing.assert_array_equal(toy["conditions/levels/level"], expected)


def test_conditions_see_new_states_but_derived_values_of_before(toy):
    expected = np.maximum(np.arange(STEPS + 1) - 8, 0)
    np.testing.assert_array_equal(toy["conditions/levels/late"], expected)


def test_assignments_act_in_document_order(toy):
    np.testing.assert_array_equal(toy["conditions/sequence/a"], rows((9, 1), (8, 2)))
    np.testing.assert_array_equal(toy["conditions/sequence/b"], rows((9, 2), (8, 20)))


def test_a_condition_sees_what_those_before_it_did(toy):
    np.testing.assert_array_equal(toy["conditions/sequence/seen"], rows((9, 0), (8, 1)))
    assert not np.any(toy["conditions/sequence/missed"])


@pytest.mark.parametrize(("name", "events"), [("three", 3), ("six", 6)])
def test_each_of_several_events_in_a_step_acts(toy, name: str, events: int):
    resource, conductance = 1.0, 0.0
    for _ in range(events):
        conductance += 0.5 * resource
        resource *= 0.5
    first = 9  # the burst of the step that starts at t = 1 is heard in it
    np.testing.assert_array_equal(toy[f"events/{name}/heard"], rows((first, 0), (8, events)))
    np.testing.assert_array_equal(toy[f"events/{name}/R"], rows((first, 1), (8, resource)))
    np.testing.assert_array_equal(toy[f"events/{name}/g"], rows((first, 0), (8, conductance)))
    assert list(toy.events[f"events/{name}/out"]) == [T[first]] * events


def test_events_are_relayed_in_the_step_in_which_they_arrive(toy):
    np.testing.assert_array_equal(toy["events/chain/heard"], toy["events/three/heard"])
    np.testing.assert_array_equal(toy["events/end/heard"], toy["events/six/heard"])


def test_a_child_sends_to_its_parent_and_on_in_one_step(toy):
    count = np.maximum(np.arange(STEPS + 1) - 8, 0)
    for path in ("relay/ticker/ticks", "relay/n", "above/heard"):
        np.testing.assert_array_equal(toy[f"relays/{path}"], count)
    np.testing.assert_array_equal(toy.events["relays/relay/out"], T[9:])


def test_each_port_has_its_handler(toy):
    assert toy["events/ports/n"][-1] == 3 - 30


def test_the_regime_says_which_derivatives_hold(toy):
    # Up to 0.5, at once +10 and down to 10, then up without another transition.
    expected = [0.0, 0.125, 0.25, 0.375, 10.5, 10.0, *(10.0 + DT * np.arange(1, 12))]
    np.testing.assert_array_equal(toy["regimes/phases/x"], expected)
    np.testing.assert_array_equal(toy["regimes/phases/y"], T)
    np.testing.assert_array_equal(toy["regimes/phases/entries"], rows((4, 0), (13, 1)))


def test_the_regime_says_who_hears_events(toy):
    # The phases stand before the pulses, so they hear them a step later: 100 when rising.
    np.testing.assert_array_equal(
        toy["regimes/phases/heard"], rows((4, 0), (1, 100), (2, 101), (10, 201))
    )
    np.testing.assert_array_equal(
        toy["regimes/phases/always"], rows((4, 0), (1, 1), (2, 2), (10, 3))
    )


def test_an_event_makes_a_transition_and_on_entry_acts_at_once(toy):
    np.testing.assert_array_equal(toy["regimes/called/since"], rows((6, 0), (11, 0.625)))
    np.testing.assert_array_equal(toy["regimes/called/x"], np.maximum(T - 0.625, 0.0))
    np.testing.assert_array_equal(toy["regimes/answer/heard"], rows((6, 0), (11, 1)))
    assert list(toy.events["regimes/called/out"]) == [0.75]


def test_a_subtype_without_dynamics_inherits_all_of_them(toy):
    np.testing.assert_array_equal(toy["heirs/same/x"], 7.0 + 3.0 * T)  # k is fixed at 3
    np.testing.assert_array_equal(toy["heirs/same/n"], np.maximum(np.arange(STEPS + 1) - 8, 0))


def test_super_merges_and_the_subtype_wins(toy):
    np.testing.assert_array_equal(toy["heirs/merged/x"], 7.0 - 2.0 * T)
    np.testing.assert_array_equal(toy["heirs/merged/y"], -4.0 * T)
    np.testing.assert_array_equal(toy["heirs/merged/n"], toy["heirs/same/n"])


def test_dynamics_without_super_replace(toy):
    np.testing.assert_array_equal(toy["heirs/replaced/x"], 20.0 * T)


def test_conditional_and_other_derived_variables_are_sorted_together(toy):
    x = np.concatenate([[0.0], T[:-1]])  # a derived value is of the step's start
    first = np.where(x < 1.0, x, np.where(x < 1.5, 2.0 * x, 0.0))
    doubled = 2.0 * first
    second = np.where(doubled > 3.0, doubled + 100.0, np.where(doubled > 1.0, doubled, -1.0))
    for name, expected in zip(
        ("first", "doubled", "second", "last"), (first, doubled, second, 10.0 * second), strict=True
    ):
        np.testing.assert_array_equal(toy[f"cases/sorted/{name}"], expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("edge", 0.5),
        ("above", 1.0),
        ("minus", -9.0),
        ("times", -45.0),
        ("tower", 64.0),
        ("left", -1.0),
        ("logic", 1.0),
        ("tight", 1.0),
        ("functions", 2 * np.log(3) + 3 + 2 + np.sqrt(3) + np.cosh(3) + np.tan(3) + 6),
        ("warmth", 310.15),
        ("coldness", 273.15),
    ],
)
def test_expressions_mean_what_the_language_says(toy, name: str, expected: float):
    np.testing.assert_allclose(toy[f"cases/g/{name}"], expected, rtol=1e-15)


def test_a_state_named_t_hides_the_time(toy):
    np.testing.assert_array_equal(toy["cases/g/shadow"][1:], 3.0 * T[:-1])


@pytest.fixture(scope="module")
def flat(toys):
    return run(
        toys, method=lems.RungeKutta4(), step=DT, duration=STEPS * DT, record=[*PATHS, *PORTS]
    )


def test_methods_that_move_all_states_at_once_do_the_same_things(toy, flat):
    """Their conditions see the time of the step's end, and events act in the row they are sent."""
    for path in PATHS:
        if path.startswith(("starts/", "heirs/", "events/")) and not path.endswith("/n"):
            assert float(flat[path][-1]) == pytest.approx(float(toy[path][-1]), rel=1e-12), path
    assert flat["heirs/same/n"][-1] == 9.0  # from row 8 on, which is at t = 1
    assert flat["relays/above/heard"][-1] == 9.0  # all of the ticker's
    np.testing.assert_allclose(flat["regimes/phases/y"], T, rtol=1e-12)
    np.testing.assert_array_equal(flat["regimes/phases/entries"], toy["regimes/phases/entries"])


TOGGLE = """
  <ComponentType name="Toggle" extends="Part">
    <EventPort name="in" direction="in"/><EventPort name="out" direction="out"/>
    <Exposure name="heard" dimension="none"/><Exposure name="entries" dimension="none"/>
    <Dynamics>
      <StateVariable name="heard" dimension="none" exposure="heard"/>
      <StateVariable name="entries" dimension="none" exposure="entries"/>
      <StateVariable name="x" dimension="none"/>
      <Regime name="a" initial="true">
        <OnEvent port="in"><StateAssignment variable="heard" value="10 * heard + 1"/>
          <Transition regime="b"/></OnEvent>
      </Regime>
      <Regime name="b">
        <OnEntry><StateAssignment variable="entries" value="entries + 1"/></OnEntry>
        <TimeDerivative variable="x" value="1"/>
        <OnEvent port="in"><StateAssignment variable="heard" value="10 * heard + 2"/>
          <EventOut port="out"/><Transition regime="c"/></OnEvent>
      </Regime>
      <Regime name="c">
        <OnEntry><StateAssignment variable="entries" value="entries + 100"/></OnEntry>
        <OnEvent port="in"><StateAssignment variable="heard" value="10 * heard + 3"/>
          <Transition regime="b"/></OnEvent>
      </Regime>
    </Dynamics>
  </ComponentType>
"""


@pytest.mark.parametrize("method", [lems.Euler(), lems.RungeKutta4()])
@pytest.mark.parametrize(
    "together, heard, entries, sent", [(3, 1232, 202, 2), (6, 1232323, 304, 3)]
)
def test_each_of_several_events_is_heard_in_the_regime_that_the_last_led_to(
    tmp_path, method, together, heard, entries, sent
):
    """The numbers are those that jLEMS gives for this network (jNeuroML 0.14.0)."""
    pulses = [("p", 0.25)] + [(f"p{i}", 0.5) for i in range(together)]
    parts = "".join(f'<Pulse id="{name}" at="{at}s"/>' for name, at in pulses)
    parts += '<Toggle id="toggle"/>'
    parts += "".join(f'<Wire id="w{n}" source="{n}" target="toggle"/>' for n, _ in pulses)
    made = network(tmp_path, f'{TOGGLE}<Whole id="all">{parts}</Whole>', "all")
    asked = ("toggle/heard", "toggle/entries", "toggle/out")
    found = run(made, step=DT, duration=1.0, method=method, record=asked)
    at = 0.25 if isinstance(method, lems.RungeKutta4) else 0.25 + DT  # the row after the step
    first, second = round(at / DT), round(at / DT) + 2
    values, entered = (np.asarray(found[path]) for path in asked[:2])
    assert values[first - 1] == 0 and values[first] == 1 and entered[first] == 1
    assert values[second - 1] == 1 and values[second] == heard and entered[second] == entries
    events = found.events["toggle/out"]
    assert len(events) == sent and (events == second * DT).all()


@pytest.mark.parametrize("method", [lems.Euler(), lems.Heun()])
def test_what_an_initial_regime_sends_with_a_delay_arrives(tmp_path, method):
    """Sent as if in the step before the first: with a delay of 4 steps it is heard in step 3."""
    body = """
      <ComponentType name="Herald" extends="Part">
        <EventPort name="out" direction="out"/>
        <Dynamics>
          <StateVariable name="x" dimension="none"/>
          <Regime name="only" initial="true">
            <OnEntry><EventOut port="out"/></OnEntry>
            <TimeDerivative variable="x" value="1"/>
          </Regime>
        </Dynamics>
      </ComponentType>
      <ComponentType name="Ear" extends="Part">
        <EventPort name="in" direction="in"/>
        <Dynamics>
          <StateVariable name="heard" dimension="none"/>
          <OnEvent port="in"><StateAssignment variable="heard" value="heard + 1"/></OnEvent>
        </Dynamics>
      </ComponentType>
      <ComponentType name="Late" extends="Part">
        <Path name="source"/><Path name="target"/>
        <Structure>
          <With instance="source" as="a"/><With instance="target" as="b"/>
          <EventConnection from="a" to="b" delay="half"/>
        </Structure>
        <Constant name="half" dimension="time" value="0.5s"/>
      </ComponentType>
      <Whole id="all"><Herald id="h"/><Ear id="e"/><Late id="l" source="h" target="e"/></Whole>"""
    found = run(network(tmp_path, body, "all"), step=DT, duration=2.0, method=method,
                record="e/heard")["e/heard"]  # fmt: skip
    np.testing.assert_array_equal(found, rows((4, 0), (13, 1)))
