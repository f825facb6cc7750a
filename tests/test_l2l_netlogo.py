"""NetLogo's adapter, against a stand-in that reads experiments as NetLogo's manual has them.

The engine itself runs in the last test alone, where NETLOGO_HOME is set.
"""

import os
import sys

import jax
import numpy as np
import pytest
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from tvbjax import l2l
from tvbjax.l2l import examples

netlogo = examples.netlogo

# A program that acts as netlogo-headless.sh: the table has a run's metrics by formulas.
STAND_IN = """
import csv, sys
import xml.etree.ElementTree as xml

pairs = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert set(pairs) == {"--model", "--setup-file", "--experiment", "--table", "--threads"}, pairs
assert open(pairs["--model"]).read() == "a model"
root = xml.parse(pairs["--setup-file"]).getroot()
(one,) = [e for e in root.iter("experiment") if e.get("name") == pairs["--experiment"]]
names = [child.tag for child in one]
order = ["setup", "go", "timeLimit", "metric", "enumeratedValueSet"]
assert names == sorted(names, key=order.index)
held = one.iter("enumeratedValueSet")
globals_ = {s.get("variable"): s.find("value").get("value") for s in held}
if globals_.get("crash") == "true":
    sys.exit("Exception: nobody is not a turtle")
metrics = [m.text for m in one.iter("metric")]
steps = int(one.find("timeLimit").get("steps"))
every = one.get("runMetricsEveryStep") == "true"
seed = int(one.find("setup").text.split()[1])
with open(pairs["--table"], "w", newline="") as file:
    write = csv.writer(file, quoting=csv.QUOTE_ALL).writerow
    write(["BehaviorSpace results (stand-in)"])
    write([pairs["--model"]]); write(["l2l"]); write(["01/01/2026 00:00:00:000 +0000"])
    write(["min-pxcor", "max-pxcor", "min-pycor", "max-pycor"]); write([-35, 35, -35, 35])
    write(["[run number]", *globals_, "[step]", *metrics])
    for step in range(steps + 1) if every else [steps]:
        far = (float(globals_["rate"]) - 3.0) ** 2
        write([1, *globals_.values(), step, *[far + step if m == "count turtles" else seed
                                             for m in metrics]])
"""


@pytest.fixture
def stand_in(tmp_path):
    """A folder with the program, made executable, and a model."""
    program = tmp_path / "netlogo-headless.sh"
    program.write_text(f"#!{sys.executable}\n{STAND_IN}")
    program.chmod(0o755)
    (tmp_path / "model.nlogo").write_text("a model")
    return tmp_path


def made(folder, **more):
    options = {
        "space": l2l.Space(rate=l2l.Real(0.0, 10.0)),
        "metrics": ["count turtles", "seed"],
        "loss": lambda table: table["count turtles"][-1],
        "ticks": 5,
        "command": (str(folder / "netlogo-headless.sh"),),
    }
    return netlogo.NetLogo(folder / "model.nlogo", **options | more)


def test_values_reach_the_model_and_the_table_the_loss(stand_in):
    seen = []

    def loss(table):
        seen.append(table)
        return {"loss": table["count turtles"][-1], "more": {"first": table["count turtles"][0]}}

    name = "hill-\"A\" <&> 'B'"
    task = made(stand_in, loss=loss, every_tick=True, constants={"name": name, "fast?": True})
    found = task({"rate": 5.5}, 2**32 - 5)
    assert found == {"loss": 2.5**2 + 5, "more": {"first": 2.5**2}}
    (table,) = seen
    assert table["[step]"] == [0, 1, 2, 3, 4, 5]
    assert table["rate"] == [5.5] * 6 and table["fast?"] == [True] * 6
    # As NetLogo writes a text: in quotation marks, those within after a backslash.
    assert table["name"][0] == '"hill-\\"A\\" <&> \'B\'"'
    assert table["seed"][0] == (2**32 - 5) % 2**31


def test_it_runs_where_netlogo_home_leads(stand_in, monkeypatch):
    monkeypatch.setenv("NETLOGO_HOME", str(stand_in))
    assert made(stand_in, command=None)({"rate": 3.0}, 0) == 5.0
    monkeypatch.delenv("NETLOGO_HOME")
    with pytest.raises(FileNotFoundError, match="NETLOGO_HOME"):
        made(stand_in, command=None)({"rate": 3.0}, 0)


def test_an_experiment_is_well_formed_whatever_its_texts(stand_in):
    rule = "ask turtles [ if who < 3 and color = red [ fd 1 ] ]"
    task = made(stand_in, go=rule, metrics=["count turtles with [who < 3]"])
    root = etree.fromstring(task.experiment({"rate": 0.1, "a&b": [1, 2.5, "x"]}, 7))
    assert root.findtext(".//go") == rule
    assert root.findtext(".//metric") == "count turtles with [who < 3]"
    held = {one.get("variable"): one[0].get("value") for one in root.iter("enumeratedValueSet")}
    assert held == {"rate": "0.1", "a&b": '[1 2.5 "x"]'}
    assert root.findtext(".//setup") == "random-seed 7\nsetup"


@pytest.mark.parametrize(
    "value, text",
    [
        (3, "3"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-7, "1e-07"),
        (False, "false"),
        ("a\\b", '"a\\\\b"'),
        (np.array([1.0, 2.0]), "[1.0 2.0]"),
        (np.int32(4), "4"),
    ],
)
def test_values_are_written_as_netlogo_reads_them(value, text):
    assert netlogo.literal(value) == text


@pytest.mark.parametrize("value", [float("nan"), None, {"a": 1}])
def test_values_that_netlogo_has_not_are_told(value):
    with pytest.raises((TypeError, ValueError), match="NetLogo has no"):
        netlogo.literal(value)


def test_a_run_that_fails_says_what_netlogo_said(stand_in):
    with pytest.raises(RuntimeError, match="nobody is not a turtle"):
        made(stand_in, constants={"crash": True})({"rate": 1.0}, 0)


def test_a_table_without_runs_is_told(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('"BehaviorSpace results"\n"[run number]","[step]"\n')
    with pytest.raises(ValueError, match="no run"):
        netlogo.read_table(path)
    path.write_text("nothing\n")
    with pytest.raises(ValueError, match="run number"):
        netlogo.read_table(path)


@pytest.mark.parametrize(
    "wrong, match",
    [
        (dict(ticks=0), "ticks"),
        (dict(metrics="count turtles"), "metrics"),
        (dict(constants={"rate": 1.0}), "'rate' is searched and constant"),
        (dict(space={"rate": 1}), "space"),
    ],
)
def test_wrong_arguments_are_told(stand_in, wrong, match):
    with pytest.raises((TypeError, ValueError), match=match):
        made(stand_in, **wrong)


def test_a_study_finds_the_rate(stand_in):
    task = made(stand_in, loss=_last)
    study = l2l.Study(
        l2l.Python(task, task.space, timeout=60.0),
        l2l.SeparableNes(8),
        jax.random.key(0),
        l2l.MaxGenerations(6),
        start={"rate": 8.0},
        engine=l2l.Processes(1),
    )
    found = study.run(progress=False)
    assert not found.failures
    assert found.values["rate"] == pytest.approx(3.0, abs=0.5)


def _last(table):
    return table["count turtles"][-1]


@pytest.mark.skipif("NETLOGO_HOME" not in os.environ, reason="NETLOGO_HOME is not set")
def test_the_engine_itself(tmp_path):
    """A model of NetLogo's own format is needed: the ants of its library."""
    from pathlib import Path

    home = Path(os.environ["NETLOGO_HOME"])
    model = next(home.rglob("Ants.nlogo*"))
    task = netlogo.NetLogo(
        model,
        l2l.Space({"diffusion-rate": l2l.Real(0.0, 99.0), "evaporation-rate": l2l.Real(0.0, 99.0)}),
        ["sum [food] of patches"],
        lambda table: table["sum [food] of patches"][-1],
        ticks=500,
        constants={"population": 125},
    )
    far, near = (
        task({"diffusion-rate": d, "evaporation-rate": e}, 1) for d, e in ((0, 99), (50, 10))
    )
    assert near < far
