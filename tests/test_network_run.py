"""run: rows and times, what is recorded, going on from a state, keys, messages, files."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lems_text import network, run
from tvbjax import lems

MODEL = """
  <ComponentType name="Integrator" extends="Part">
    <Parameter name="rate" dimension="per_time"/>
    <Parameter name="tau" dimension="time"/>
    <Exposure name="v" dimension="voltage"/>
    <EventPort name="spike" direction="out"/>
    <Dynamics>
      <StateVariable name="v" exposure="v" dimension="voltage"/>
      <StateVariable name="phase" dimension="none"/>
      <DerivedVariable name="twice" dimension="voltage" value="2 * v"/>
      <TimeDerivative variable="v" value="-v / tau"/>
      <TimeDerivative variable="phase" value="rate"/>
      <OnStart><StateAssignment variable="v" value="VOLT"/></OnStart>
      <OnCondition test="phase .geq. 1">
        <StateAssignment variable="phase" value="phase - 1"/>
        <StateAssignment variable="v" value="v + VOLT"/>
        <EventOut port="spike"/>
      </OnCondition>
    </Dynamics>
    <Constant name="VOLT" dimension="voltage" value="1 mV"/>
  </ComponentType>
  <ComponentType name="Several" extends="Part">
    <Parameter name="size" dimension="none"/>
    <ComponentReference name="of" type="Integrator"/>
    <Structure><MultiInstantiate number="size" component="of"/></Structure>
  </ComponentType>
  <ComponentType name="Echo" extends="Part">
    <EventPort name="in" direction="in"/>
    <EventPort name="out" direction="out"/>
    <Dynamics>
      <StateVariable name="heard" dimension="none"/>
      <OnEvent port="in">
        <StateAssignment variable="heard" value="heard + 1"/><EventOut port="out"/>
      </OnEvent>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Hears" extends="Part">
    <Path name="sources"/><Path name="target"/>
    <Parameter name="delay" dimension="time"/>
    <Structure>
      <With instance="target" as="b"/>
      <ForEach instances="sources" as="a"><EventConnection from="a" to="b" delay="delay"/></ForEach>
    </Structure>
  </ComponentType>
  <Integrator id="cell" rate="0.2 per_ms" tau="10 ms"/>
  <Whole id="whole">
    <Several id="pop" size="3" of="cell"/>
    <Echo id="echo"/>
    <Hears id="hears" sources="../pop" target="../echo" delay="0.3 ms"/>
    <Integrator id="slow" rate="0.11 per_ms" tau="4 ms"/>
  </Whole>
  <Job id="job" increment="0.1 ms" total="20 ms" what="whole">
    <Table id="table" folder="data" file="v.dat">
      <Entry id="a" of="pop[1]/v"/>
      <Entry id="b" of="slow/twice"/>
      <Entry id="c" of="slow/phase"/>
    </Table>
    <Trains id="by_time" folder="" file="spikes.txt" format="TIME_ID">
      <Train id="7" of="slow" port="spike"/>
      <Train id="3" of="pop[0]" port="spike"/>
    </Trains>
    <Trains id="by_id" folder="." file="other.txt" format="ID_TIME">
      <Train id="7" of="slow" port="spike"/>
    </Trains>
  </Job>
"""
EXTRA = ["pop[*]/v", "echo/out", "pop[*]/spike", "echo/heard", "slow/v"]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return network(folder, MODEL, "job", lems.NEURAL, lems.DimensionCheck.STRICT)


@pytest.fixture(scope="module")
def whole(job):
    return run(job, record=EXTRA)


def by_hand(rate: float, tau: float, rows: int) -> tuple[np.ndarray, np.ndarray, list[float]]:
    v, phase, spikes = [1.0], [0.0], []
    for i in range(1, rows):
        v.append(v[-1] + 0.1 * (-v[-1] / tau))
        phase.append(phase[-1] + 0.1 * rate)
        if phase[-1] >= 1.0:
            phase[-1] -= 1.0
            v[-1] += 1.0
            spikes.append(i * 0.1)
    return np.array(v), np.array(phase), spikes


def test_rows_and_times_are_those_of_the_file(job, whole):
    assert (job.step, job.duration) == pytest.approx((0.1, 20.0))
    np.testing.assert_allclose(whole.t, np.arange(201) * 0.1, rtol=1e-14)
    v, phase, _ = by_hand(0.2, 10.0, 201)
    np.testing.assert_allclose(whole["pop[1]/v"], v, rtol=1e-12)
    np.testing.assert_allclose(whole["pop[*]/v"], np.tile(v, (3, 1)).T, rtol=1e-12)
    slow, phase, _ = by_hand(0.11, 4.0, 201)
    np.testing.assert_allclose(whole["slow/v"], slow, rtol=1e-12)
    np.testing.assert_allclose(whole["slow/phase"], phase, rtol=0, atol=1e-12)
    np.testing.assert_allclose(whole["slow/twice"][1:], 2.0 * slow[:-1], rtol=1e-12)


def test_events_are_listed_by_time_and_instance(whole):
    spikes = by_hand(0.2, 10.0, 201)[2]
    np.testing.assert_allclose(whole.events["pop[0]/spike"], spikes, rtol=1e-12)
    np.testing.assert_allclose(whole.events["slow/spike"], by_hand(0.11, 4.0, 201)[2], rtol=1e-12)
    every = whole.events["pop[*]/spike"]
    np.testing.assert_allclose(every[:, 0], np.repeat(spikes, 3), rtol=1e-12)
    np.testing.assert_array_equal(every[:, 1], np.tile([0, 1, 2], len(spikes)))
    # The echo sends one for each of three, three steps later.
    late = [t + 0.3 for t in spikes if t + 0.3 < 20.05]
    np.testing.assert_allclose(whole.events["echo/out"], np.repeat(late, 3), rtol=1e-12)


@pytest.fixture(scope="module")
def coarse(job):
    return run(job, record=EXTRA, every=8)


def test_every_keeps_each_so_many_rows(whole, coarse):
    np.testing.assert_array_equal(coarse.t, whole.t[::8])
    for path in ("pop[1]/v", "pop[*]/v", "slow/twice"):
        np.testing.assert_array_equal(coarse[path], whole[path][::8])


def test_every_leaves_the_times_of_events_alone(whole, coarse):
    np.testing.assert_array_equal(coarse.events["slow/spike"], whole.events["slow/spike"])


def test_going_on_is_one_long_run_bit_for_bit(job, whole):
    first = run(job, duration=7.3, record=EXTRA)
    then = run(job, duration=12.7, record=EXTRA, initial=first.final)
    np.testing.assert_array_equal(jnp.concatenate([first.t, then.t[1:]]), whole.t)
    for path in whole.quantities:
        both = jnp.concatenate([first[path], then[path][1:]])
        np.testing.assert_array_equal(both, whole[path], err_msg=path)
    for path in whole.events:
        both = np.concatenate([first.events[path], then.events[path]])
        np.testing.assert_array_equal(both, whole.events[path], err_msg=path)


def test_delayed_events_need_the_step_that_they_were_sent_with(job, whole):
    with pytest.raises(ValueError, match="there are delayed events; go on with its own, 0.1"):
        run(job, duration=1.0, step=0.05, initial=whole.final)
    with pytest.raises(ValueError, match="is not a state of"):
        run(job, duration=1.0, initial=eqx.tree_at(lambda s: s.states, whole.final, {}))


MANY = (
    MODEL.replace('size="3"', 'size="300"').replace('"0.2 per_ms"', '"0.4 per_ms"')
    .replace('of="pop[0]"', 'of="echo"').replace('<Train id="3" of="echo" port="spike"/>', "")
)  # fmt: skip


def test_hundreds_of_events_of_a_step_are_all_listed(tmp_path):
    found = run(network(tmp_path, MANY, "job", lems.NEURAL), duration=3.0, record=EXTRA)
    assert float(found["echo/heard"][-1]) == 300.0
    assert len(found.events["echo/out"]) == 300


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"step": 0.0}, "step is 0.0; give a positive time"),
        ({"step": -0.1}, "step is -0.1"),
        ({"step": math.nan}, "step is nan"),
        ({"duration": math.inf}, "duration is inf"),
        ({"duration": 0.01}, "makes 0 rows; give at least one step"),
        ({"duration": 1e12}, "at most 2,000,000,000 steps"),
        ({"every": 0}, "every is 0; give a whole number"),
        ({"record": ["pop[0]/w"]}, r"cannot record 'pop\[0\]/w'.*has no 'w'"),
        ({"record": ["pop[3]/v"]}, r"no (instance 3|\[3\])"),
        ({"record": ["pop/v"]}, "cannot record 'pop/v'"),
        ({"record": ["slwo/v"]}, "did you mean 'slow'"),
        ({"record": ["slow/twcie"]}, "did you mean 'twice'"),
    ],
)
def test_what_is_wrong_with_a_run_is_said(job, options: dict, said: str):
    with pytest.raises(ValueError, match=said):
        run(job, **options)


def test_a_quantity_that_was_not_recorded_is_asked_for(whole):
    with pytest.raises(KeyError, match="was not recorded; recorded: .*pop"):
        whole["slow/none"]


def test_without_a_run_the_step_must_be_given(tmp_path):
    bare = network(tmp_path, MODEL, "whole")
    assert bare.step is None and bare.duration is None
    with pytest.raises(ValueError, match=r"does not say its step; give step="):
        run(bare, duration=1.0)


def test_the_files_have_si_columns_and_events_in_order(whole, tmp_path):
    written = {path.relative_to(tmp_path).as_posix(): path for path in whole.write(tmp_path)}
    assert sorted(written) == ["data/v.dat", "other.txt", "spikes.txt"]
    table = np.loadtxt(written["data/v.dat"], delimiter="\t")
    paths = ["pop[1]/v", "slow/twice", "slow/phase"]
    scales = [1e-3, 1e-3, 1.0]
    expected = [np.asarray(whole.t) * 1e-3]
    expected += [np.asarray(whole[p], float) * s for p, s in zip(paths, scales, strict=True)]
    np.testing.assert_allclose(table, np.stack(expected, axis=1), rtol=1e-9)
    rows = [line.split("\t") for line in written["spikes.txt"].read_text().splitlines()]
    times = [float(t) for t, _ in rows]
    assert times == sorted(times)
    for label, path in (("7", "slow/spike"), ("3", "pop[0]/spike")):
        mine = [float(t) * 1e3 for t, name in rows if name == label]
        np.testing.assert_allclose(mine, whole.events[path], rtol=1e-9)
    other = [line.split("\t") for line in written["other.txt"].read_text().splitlines()]
    assert [name for name, _ in other] == ["7"] * len(whole.events["slow/spike"])


@pytest.mark.parametrize("name", ["../out.dat", "/out.dat", "a/../../out.dat"])
def test_files_stay_inside_of_the_folder(tmp_path, name: str):
    body = MODEL.replace('folder="data" file="v.dat"', f'folder="" file="{name}"')
    found = run(network(tmp_path, body, "job", lems.NEURAL), duration=0.1)
    (tmp_path / "inside").mkdir()
    with pytest.raises(ValueError, match="outside of"):
        found.write(tmp_path / "inside")
    assert not (tmp_path / "out.dat").exists()


RUNAWAY = """
  <ComponentType name="Runaway">
    <Parameter name="k" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none"/>
      <TimeDerivative variable="x" value="k * x^2"/>
      <OnStart><StateAssignment variable="x" value="1"/></OnStart>
    </Dynamics>
  </ComponentType>
  <Runaway id="runaway" k="1"/>
"""


def test_a_divergence_is_said_and_keeps_what_was_recorded(tmp_path):
    """x' = x^2 from 1 is infinite at t = 1, where Euler's steps blow up soon after."""
    model = network(tmp_path, RUNAWAY, "runaway")
    with pytest.raises(
        lems.DivergenceError, match="not finite by t = .*/x.*smaller step"
    ) as caught:
        run(model, step=0.1, duration=4.0, record=["x"])
    x = np.asarray(caught.value.recording["x"])
    expected = [1.0]
    for _ in range(12):
        expected.append(expected[-1] + 0.1 * expected[-1] ** 2)
    np.testing.assert_allclose(x[:13], expected, rtol=1e-12)
    assert not np.isfinite(x[-1])


STRICT = """
  <Whole id="bare"><Pulse id="p" at="0.1s"/></Whole>
  <Whole id="lone"><Integrator id="one" rate="1per_s" tau="1s"/></Whole>
"""


@pytest.mark.parametrize("method", [lems.Euler(), lems.Heun()])
def test_networks_run_under_strict_promotion(tmp_path, method):
    with jax.numpy_dtype_promotion("strict"):
        lems.run(
            network(tmp_path, MODEL + STRICT, "whole"), method=method, step=1e-4, duration=1e-3
        )


def test_constants_are_what_their_annotation_says(tmp_path):
    body = """
      <ComponentType name="Lonely" extends="Part">
        <Attachments name="inputs" type="Part"/>
        <Exposure name="x" dimension="none"/>
        <Dynamics><DerivedVariable name="i" select="inputs[*]/x" reduce="add"/>
          <StateVariable name="x" dimension="none"/></Dynamics>
      </ComponentType>
      <Whole id="whole"><Lonely id="a"/></Whole>"""
    with jax.numpy_dtype_promotion("standard"):
        lems.run(network(tmp_path, body, "whole"), step=0.1, duration=0.1)
