"""random(x) in a network: its law, its independence, and that the same key draws the same."""

import jax
import numpy as np
import pytest
from scipy import stats

from lems_text import network, run
from tvbjax import lems

CELLS, STEPS, DT = 500, 8, 0.125

MODEL = f"""
  <ComponentType name="Dice">
    <Parameter name="top" dimension="none"/>
    <EventPort name="in" direction="in"/>
    <Dynamics>
      <StateVariable name="start" dimension="none"/>
      <StateVariable name="x" dimension="none"/>
      <StateVariable name="heard" dimension="none"/>
      <StateVariable name="kicked" dimension="none"/>
      <DerivedVariable name="r" value="random(top)"/>
      <DerivedVariable name="again" value="random(top)"/>
      <DerivedVariable name="two" value="random(1) + 10 * random(1)"/>
      <TimeDerivative variable="x" value="r"/>
      <OnStart><StateAssignment variable="start" value="random(1)"/></OnStart>
      <OnEvent port="in"><StateAssignment variable="heard" value="heard + random(1)"/></OnEvent>
      <OnCondition test="random(1) .lt. 0.25">
        <StateAssignment variable="kicked" value="kicked + 1"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Twins" extends="Part">
    <Parameter name="at" dimension="time"/>
    <EventPort name="out" direction="out"/>
    <Dynamics>
      <StateVariable name="sent" dimension="none"/>
      <OnCondition test="t .geq. at .and. sent .lt. 1">
        <EventOut port="out"/><EventOut port="out"/>
        <StateAssignment variable="sent" value="1"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Many" extends="Part">
    <Parameter name="size" dimension="none"/>
    <ComponentReference name="of" type="Dice"/>
    <Structure><MultiInstantiate number="size" component="of"/></Structure>
  </ComponentType>
  <ComponentType name="ToAll" extends="Part">
    <Path name="from"/><Path name="to"/>
    <Structure>
      <With instance="from" as="a"/>
      <ForEach instances="to" as="b"><EventConnection from="a" to="b"/></ForEach>
    </Structure>
  </ComponentType>
  <Dice id="dice" top="3"/>
  <Whole id="whole">
    <Twins id="twins" at="0.5s"/>
    <Many id="first" size="{CELLS}" of="dice"/>
    <Many id="second" size="{CELLS}" of="dice"/>
    <ToAll id="all" from="../twins" to="../first"/>
  </Whole>
"""
RECORDED = [f"first[*]/{name}" for name in ("r", "again", "two", "x", "start", "heard", "kicked")]


@pytest.fixture(scope="module")
def dice(tmp_path_factory):
    return network(tmp_path_factory.mktemp("dice"), MODEL, "whole")


def thrown(dice, seed: int):
    options = {"step": DT, "duration": STEPS * DT, "record": [*RECORDED, "second[*]/r"]}
    return run(dice, key=jax.random.key(seed), **options)


@pytest.fixture(scope="module")
def throw(dice):
    return thrown(dice, 0)


def test_draws_are_uniform(throw):
    # Of the right law a p-value below 1e-4 comes once in 10,000 keys, and this key is fixed.
    assert stats.kstest(np.ravel(throw["first[*]/r"]), "uniform", (0.0, 3.0)).pvalue > 1e-4
    assert stats.kstest(np.asarray(throw["first[*]/start"][0]), "uniform").pvalue > 1e-4


def correlation(a, b) -> float:
    return float(np.corrcoef(np.ravel(a), np.ravel(b))[0, 1])


def test_draws_differ_between_instances_steps_expressions_and_populations(throw):
    r, again = np.asarray(throw["first[*]/r"]), np.asarray(throw["first[*]/again"])
    assert r.shape == (STEPS + 1, CELLS)
    bound = 4.0 / np.sqrt(STEPS * CELLS)  # four standard deviations of a correlation of nothing
    assert abs(correlation(r[1:], r[:-1])) < bound
    assert abs(correlation(r[:, 1:], r[:, :-1])) < bound
    assert abs(correlation(r, again)) < bound
    assert abs(correlation(r, throw["second[*]/r"])) < bound
    # Two draws of one expression: the variance is (1 + 100)/12, where one draw's would be 121/12.
    assert np.var(throw["first[*]/two"]) == pytest.approx(101.0 / 12.0, rel=0.05)


def test_a_derived_value_is_drawn_once_a_step(throw):
    """The derivative has the very number that is recorded."""
    grown = np.diff(np.asarray(throw["first[*]/x"], float), axis=0)
    np.testing.assert_allclose(grown, DT * np.asarray(throw["first[*]/r"])[1:], rtol=1e-12)


def test_conditions_draw_anew_at_every_step(throw):
    kicks = np.diff(np.asarray(throw["first[*]/kicked"], float), axis=0)
    n = kicks.size
    assert stats.binomtest(int(kicks.sum()), n, 0.25).pvalue > 1e-4
    runs = np.bincount(kicks.sum(axis=0).astype(int), minlength=STEPS + 1)
    expected = CELLS * stats.binom.pmf(np.arange(STEPS + 1), STEPS, 0.25)
    pooled = slice(0, 5)  # beyond four kicks fewer than five instances are expected
    seen = [*runs[pooled], runs[5:].sum()]
    assert stats.chisquare(seen, [*expected[pooled], expected[5:].sum()]).pvalue > 1e-4


def test_each_event_of_a_step_draws_its_own(throw):
    """The sum of two uniform numbers has a triangular law."""
    heard = np.asarray(throw["first[*]/heard"][-1])
    assert stats.kstest(heard, stats.triang(0.5, 0.0, 2.0).cdf).pvalue > 1e-4


def test_the_same_key_draws_the_same_and_another_another(dice, throw):
    same, other = thrown(dice, 0), thrown(dice, 1)
    for path in RECORDED:
        np.testing.assert_array_equal(same[path], throw[path])
    assert abs(correlation(other["first[*]/r"], throw["first[*]/r"])) < 0.1


def test_random_without_a_key_says_what_to_do(dice):
    with pytest.raises(ValueError, match=r"draws random numbers.*key=jax.random.key"):
        run(dice, step=DT, duration=DT)


SMALL = """
  <ComponentType name="Walk">
    <Dynamics>
      <StateVariable name="x" dimension="none"/>
      <DerivedVariable name="r" value="random(3)"/>
      <TimeDerivative variable="x" value="r"/>
    </Dynamics>
  </ComponentType>
  <Walk id="walk"/>
  <Job id="job" increment="0.125s" total="1s" what="walk" seed="7"/>
"""


def test_the_seed_of_the_file_is_a_key_and_draws_are_held_over_the_stages_of_a_step(tmp_path):
    walk = network(tmp_path, SMALL, "job")
    options = {"method": lems.Heun(), "record": ["x", "r"]}
    seeded, keyed = run(walk, **options), run(walk, key=jax.random.key(7), **options)
    np.testing.assert_array_equal(seeded["x"], keyed["x"])
    other = run(walk, key=jax.random.key(8), **options)
    assert not np.any(np.asarray(other["r"]) == np.asarray(seeded["r"]))
    grown = np.diff(np.asarray(seeded["x"], float))
    np.testing.assert_allclose(grown, DT * np.asarray(seeded["r"])[1:], rtol=1e-12)
