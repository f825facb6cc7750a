"""Commands as optimisees: what goes to them, what is read of them, and how they end."""

import sys

import jax.random as jr
import numpy as np
import pytest

from processes import await_ends
from tvbjax import l2l

SPACE = l2l.Space(
    x=l2l.Real(-2.0, 2.0),
    n=l2l.Integer(1, 9),
    kind=l2l.Categorical(["a b", "c;d", "$HOME"]),
    w=l2l.Real(0.0, 1.0, shape=(2,)),
)
X = l2l.Space(x=l2l.Real(-2.0, 2.0))


def run(command, *, size=4, generations=1, engine=None):
    stop = l2l.MaxGenerations(generations)
    study = l2l.Study(command, l2l.SeparableNes(size), jr.key(0), stop, engine=engine)
    return study.run(progress=False)


def python(code, *arguments):
    return [sys.executable, "-c", code, *arguments]


def test_values_arrive_as_they_are_and_nothing_goes_through_a_shell(tmp_path):
    script = tmp_path / "sim.py"
    script.write_text(
        "import json, sys\n"
        "x, n, kind, w, seed, values, result = sys.argv[1:]\n"
        "all_values = json.load(open(values))\n"
        "assert all_values == {'x': float(x), 'n': int(n), 'kind': kind, 'w': json.loads(w)}\n"
        "more = {'x': float(x), 'n': int(n), 'kind': kind, 'w': json.loads(w), 'seed': int(seed)}\n"
        "json.dump({'loss': float(x), 'outputs': [1, 2], 'more': more}, open(result, 'w'))\n"
    )
    places = ["{x}", "{n}", "{kind}", "{w}", "{seed}", "{values}", "{result}"]
    command = l2l.Command([sys.executable, str(script), *places], SPACE, result="out.json")
    found = run(command, engine=l2l.Inline())
    assert (found.statuses == "ok").all(), found.errors
    for number, more in enumerate(found.more):
        values = found.at(number)
        assert more["x"] == values["x"] == found.losses[number, 0]
        assert more["kind"] == values["kind"] and more["n"] == values["n"]
        np.testing.assert_array_equal(more["w"], values["w"])


def test_the_last_line_that_is_printed_is_the_loss():
    code = "import sys; print('step 1'); print(float(sys.argv[1]) ** 2); print()"
    found = run(l2l.Command(python(code, "{x}"), X), engine=l2l.Processes(2))
    np.testing.assert_allclose(
        found.losses[:, 0], [found.at(i)["x"] ** 2 for i in range(4)], rtol=1e-15
    )


@pytest.mark.parametrize(
    "code, status, words",
    [
        ("import sys; sys.exit(3)", "exited", "status 3"),
        ("import sys; sys.stderr.write('no licence'); sys.exit(1)", "exited", "no licence"),
        ("import os; os.kill(os.getpid(), 9)", "killed", "signal 9"),
        ("print('done')", "invalid", "'done'; print the loss last"),
        ("print('nan')", "nan", "nan"),
    ],
)
def test_every_end_of_a_command_is_a_status(code, status, words):
    code = f"import sys\nif float(sys.argv[1]) > 0.1: print(1.0); sys.exit()\n{code}"
    found = run(l2l.Command(python(code, "{x}"), X), size=8, engine=l2l.Inline())
    assert set(found.statuses) == {"ok", status}
    assert words in next(error for error in found.errors if error)


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "if float(sys.argv[1]) > 0.1: print(1.0); sys.exit()\n"
        f"child = subprocess.Popen(['sleep', '600']); open(r'{tmp_path}/' + str(child.pid), 'w')\n"
        "time.sleep(600)\n"
    )
    command = l2l.Command(python(code, "{x}"), X, timeout=2.0)
    found = run(command, size=4, engine=l2l.Processes(4))
    assert set(found.statuses) == {"ok", "timeout"}
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert pids
    await_ends(pids)


def test_a_command_has_ended_when_it_has_and_leaves_no_folder(tmp_path, monkeypatch):
    """What it leaves behind holds its output open; what is killed cannot remove its folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen(['sleep', '600'])\n"
        "print(1.0, flush=True)\n"
        "time.sleep(600 * (float(sys.argv[1]) > 0.1))\n"
    )
    command = l2l.Command(python(code, "{x}"), X, timeout=5.0)
    found = run(command, size=4, engine=l2l.Processes(4))
    assert set(found.statuses) == {"ok", "timeout"}
    assert not list(tmp_path.iterdir())


def test_names_that_are_no_words_have_their_places():
    space = l2l.Space({"e/i": l2l.Real(1.0, 2.0)})
    command = l2l.Command(python("import sys; print(sys.argv[1])", "{e/i}", '{"a": 1}'), space)
    found = run(command, engine=l2l.Inline())
    assert found.failures == {} and 1.0 <= found.loss <= 2.0


def test_a_result_that_is_not_written_is_told():
    command = l2l.Command(python("pass", "{x}"), X, result="out.json")
    with pytest.raises(l2l.StudyError, match="out.json is not to be read"):
        run(command, engine=l2l.Inline())


@pytest.mark.parametrize(
    "make, kind, words",
    [
        (lambda: l2l.Command(["no-such-program", "{x}"], X), ValueError, "no program"),
        (lambda: l2l.Command(python("", "{y}", "{x}"), X), ValueError, r"argv has \{y\}"),
        (lambda: l2l.Command(python(""), X), ValueError, "'x' is nowhere in argv"),
        (lambda: l2l.Command(python("", "{x}", "{result}"), X), ValueError, "name the file"),
        (lambda: l2l.Command(python("", "{x}"), X, result="../a"), ValueError, "folder"),
        (lambda: l2l.Command(python("", "{x}"), X, timeout=0.0), ValueError, "above 0"),
        (
            lambda: l2l.Command(python("", "{seed}"), l2l.Space(seed=l2l.Real(0.0, 1.0))),
            ValueError,
            "another meaning",
        ),
    ],
)
def test_commands_that_make_no_sense_are_told(make, kind, words):
    with pytest.raises(kind, match=words):
        make()
