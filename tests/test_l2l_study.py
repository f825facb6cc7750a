"""Studies: what is told is what was evaluated, and a store goes on from wherever it was left."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from l2l_optimisees import bowl, noisy_bowl
from tvbjax import l2l

PLANE = l2l.Space(x=l2l.Real(-2.0, 2.0), y=l2l.Real(-2.0, 2.0))
BOWL = l2l.Function(lambda values, key: bowl(values, key), PLANE)
NOISY = l2l.Function(lambda values, key: bowl(values, key) + 0.1 * jr.normal(key), PLANE)


SIX = l2l.MaxGenerations(6)


def study(optimisee: Any = BOWL, stop: Any = SIX, **more: Any):
    settings = {"optimiser": l2l.SeparableNes(8), "key": jr.key(1)} | more
    return l2l.Study(optimisee, stop=stop, **settings)


def same(one, other):
    np.testing.assert_array_equal(one.losses, other.losses)
    np.testing.assert_array_equal(one.coordinates, other.coordinates)
    assert one.statuses.tolist() == other.statuses.tolist()


@pytest.fixture(scope="module")
def whole():
    return study(NOISY).run(progress=False)


def test_a_study_finds_the_least_loss():
    found = study(stop=[l2l.Target(1e-6), l2l.MaxGenerations(200)]).run(progress=False)
    assert found.loss <= 1e-6 and "target" in found.stopped
    np.testing.assert_allclose([found.values["x"], found.values["y"]], [0.5, -1.0], atol=1e-3)
    assert found.loss == pytest.approx(bowl(found.values, 0))
    assert (np.diff(found.least) <= 0).all() and found.least[-1] == found.loss


def test_losses_are_those_of_the_values_in_the_table():
    table = study().run(progress=False).table()
    assert len(table) == 48 and (table.status == "ok").all()
    np.testing.assert_allclose(table.loss, bowl(table, 0), rtol=1e-12)
    assert table.generation.tolist() == np.repeat(np.arange(6), 8).tolist()


def test_minimise_and_a_study_of_the_same_keys_agree():
    search, trace = l2l.minimise(
        NOISY.function, PLANE, l2l.SeparableNes(8), jr.key(1), generations=6
    )
    found = study(NOISY).run(progress=False)
    np.testing.assert_allclose(trace.losses.ravel(), found.losses[:, 0], rtol=1e-12)
    assert float(search.least) == pytest.approx(found.loss, rel=1e-12)


@pytest.mark.parametrize("tile", [1, 3, 8, 20])
def test_tiles_change_nothing(tile, whole):
    tiled = l2l.Function(NOISY.function, PLANE, tile=tile)
    np.testing.assert_allclose(study(tiled).run(progress=False).losses, whole.losses, rtol=1e-12)


def test_batched_functions_are_given_all_at_once(whole):
    batched = l2l.Function(jax.vmap(NOISY.function), PLANE, batched=True)
    np.testing.assert_allclose(study(batched).run(progress=False).losses, whole.losses, rtol=1e-12)


def test_a_jax_function_in_workers_gives_the_same(whole):
    found = study(NOISY, engine=l2l.Inline()).run(progress=False)
    np.testing.assert_allclose(found.losses, whole.losses, rtol=1e-12)


def test_more_and_objectives_are_kept(tmp_path):
    def function(values, key):
        return l2l.Evaluated(
            jnp.stack([values["x"], -values["x"]]), more={"row": values["y"] * jnp.arange(3.0)}
        )

    two = l2l.Function(function, PLANE, objectives=2)
    with pytest.raises(ValueError, match="2 objectives, and SeparableNes takes one"):
        study(two)
    one = l2l.Function(lambda v, k: l2l.Evaluated(v["x"], v["y"], {"twice": 2 * v["y"]}), PLANE)
    found = study(one).run(tmp_path / "kept", progress=False)
    kept = l2l.load_outcome(tmp_path / "kept")
    np.testing.assert_allclose(kept.table()["twice"], 2 * kept.table()["y"], rtol=1e-12)
    same(found, kept)


def test_the_front_is_what_nothing_is_better_than():
    losses = np.array([[1, 4], [2, 2], [4, 1], [3, 3], [2, 2], [np.nan, 0]], float)
    found = study().run(progress=False)
    six = {name: getattr(found, name)[:6] for name in ("generations", "candidates", "coordinates")}
    six |= {name: getattr(found, name)[:6] for name in ("statuses", "seconds", "attempts")}
    outcome = l2l.Outcome(
        PLANE, losses=losses, errors=(None,) * 6, more=({},) * 6, stopped="", **six
    )
    assert outcome.front.tolist() == [0, 1, 2, 4]


@pytest.mark.parametrize("generations", [1, 4, 6])
def test_a_store_goes_on_with_the_same_numbers(tmp_path, generations, whole):
    store = tmp_path / "kept"
    study(NOISY, l2l.MaxGenerations(generations)).run(store, progress=False)
    same(study(NOISY).resume(store, progress=False), whole)
    same(l2l.load_outcome(store), whole)


def test_a_store_without_its_state_goes_on_from_the_journal(tmp_path, whole):
    store = tmp_path / "kept"
    study(NOISY, l2l.MaxGenerations(4)).run(store, progress=False)
    (store / "state.npz").unlink()
    same(study(NOISY).resume(store, progress=False), whole)
    (store / "state.npz").write_bytes(b"not a state")
    with pytest.warns(UserWarning, match="found again from the journal"):
        same(study(NOISY).resume(store, progress=False), whole)


@pytest.mark.parametrize("cut", [1, 30, 200, 700, 1500])
def test_a_journal_cut_anywhere_goes_on(tmp_path, cut, whole):
    """As if the process had been killed in the middle of a line, or before it."""
    store = tmp_path / "kept"
    study(NOISY).run(store, progress=False)
    (store / "state.npz").unlink()
    journal = store / "journal.jsonl"
    os.truncate(journal, journal.stat().st_size - cut)
    same(study(NOISY).resume(store, progress=False), whole)


@pytest.mark.parametrize("lines", [1, 4, 7])
def test_a_journal_shorter_than_the_state_goes_on_whole(tmp_path, lines, whole):
    """As after a line that was damaged, from which on the journal was cut off."""
    store = tmp_path / "kept"
    study(NOISY).run(store, progress=False)
    journal = store / "journal.jsonl"
    kept = journal.read_text().splitlines(keepends=True)[:lines]
    journal.write_text("".join(kept))
    with pytest.warns(UserWarning, match="journal does not have all before it"):
        same(study(NOISY).resume(store, progress=False), whole)


def test_only_what_is_missing_is_evaluated(tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()

    def counted(values, seed):
        with open(marks / str(seed), "a") as file:
            file.write("x")
        return noisy_bowl(values, seed)

    store = tmp_path / "kept"
    made = study(l2l.Python(counted, PLANE), engine=l2l.Inline())
    whole = made.run(store, progress=False)
    lines = (store / "journal.jsonl").read_bytes().splitlines(keepends=True)
    keep = len(lines) - 12  # the last generation, and three evaluations of the one before
    (store / "journal.jsonl").write_bytes(b"".join(lines[:keep]))
    (store / "state.npz").unlink()
    same(made.resume(store, progress=False), whole)
    counts = sorted(len(path.read_text()) for path in marks.iterdir())
    assert counts == [1] * 37 + [2] * 11


def test_a_finished_study_goes_on_when_it_may_go_further(tmp_path, whole):
    store = tmp_path / "kept"
    first = study(NOISY, l2l.MaxEvaluations(16)).run(store, progress=False)
    assert len(first.losses) == 16
    again = study(NOISY, l2l.MaxEvaluations(16)).resume(store, progress=False)
    same(first, again)
    same(study(NOISY).resume(store, progress=False), whole)


def test_a_killed_driver_loses_nothing(tmp_path):
    """SIGKILL in the middle of a generation; the rest is evaluated, and all is as without it."""
    script = tmp_path / "driver.py"
    script.write_text(
        "import sys, time, jax, jax.random as jr\n"
        "jax.config.update('jax_enable_x64', True)\n"
        "from tvbjax import l2l\n"
        "def slow(values, seed):\n"
        "    time.sleep(0.1)\n"
        "    return values['x'] ** 2 + seed / 2**32\n"
        "space = l2l.Space(x=l2l.Real(-2.0, 2.0), y=l2l.Real(-2.0, 2.0))\n"
        "study = l2l.Study(l2l.Python(slow, space), l2l.SeparableNes(8), jr.key(1),\n"
        "                  l2l.MaxGenerations(5), engine=l2l.Processes(2))\n"
        "if __name__ == '__main__':\n"
        "    go = study.run if sys.argv[1] == 'run' else study.resume\n"
        "    print(repr(go(sys.argv[2], progress=False).losses.sum()))\n"
    )

    def run(*arguments):
        return subprocess.Popen([sys.executable, str(script), *arguments], stdout=subprocess.PIPE)

    clean = run("run", str(tmp_path / "clean")).communicate()[0]
    driver = run("run", str(tmp_path / "killed"))
    journal = tmp_path / "killed" / "journal.jsonl"
    until = time.monotonic() + 120
    while not journal.exists() or journal.read_bytes().count(b"\n") < 14:
        assert time.monotonic() < until and driver.poll() is None
        time.sleep(0.01)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    assert journal.read_bytes().count(b"\n") < 45
    assert run("resume", str(tmp_path / "killed")).communicate()[0] == clean
    one, other = (l2l.load_outcome(tmp_path / name) for name in ("clean", "killed"))
    same(one, other)


def test_a_full_disk_is_one_error_and_the_study_goes_on(tmp_path, whole):
    """A limit on the length of files stands for the disk."""
    store = tmp_path / "kept"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    held = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OSError, match="make room, and resume"):
            study(NOISY).run(store, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, held)
    assert len(l2l.load_outcome(store).losses) >= 8
    same(study(NOISY).resume(store, progress=False), whole)


def test_ctrl_c_ends_a_study_well(tmp_path, whole):
    count = tmp_path / "count"

    def interrupted(values, seed):
        with open(count, "a") as file:
            file.write("x")
        if count.stat().st_size == 20:
            raise KeyboardInterrupt
        return noisy_bowl(values, seed)

    store = tmp_path / "kept"
    made = study(l2l.Python(interrupted, PLANE), engine=l2l.Inline())
    with pytest.warns(UserWarning, match="nothing is lost"):
        found = made.run(store, progress=False)
    assert found.stopped == "interrupted" and len(found.losses) == 19
    clean = study(l2l.Python(noisy_bowl, PLANE), engine=l2l.Inline()).run(progress=False)
    same(made.resume(store, progress=False), clean)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"optimisee": l2l.Function(BOWL.function, l2l.Space(x=l2l.Real(-2.0, 3.0)))}, "space 'x'"),
        (
            {"optimisee": l2l.Function(BOWL.function, l2l.Space(dict(PLANE.dimensions[::-1])))},
            "another order of names",
        ),
        ({"optimiser": l2l.SeparableNes(9)}, "another optimiser"),
        ({"key": jr.key(2)}, "another key"),
        ({"start": {"x": 0.0, "y": 1.0}}, "another start"),
        ({"on_failure": l2l.Redraw(2)}, "another redrawn"),
    ],
)
def test_another_study_does_not_go_on(tmp_path, change, words):
    store = tmp_path / "kept"
    study(stop=l2l.MaxGenerations(1)).run(store, progress=False)
    with pytest.raises(ValueError, match=words):
        study(**change).resume(store, progress=False)


def test_another_function_is_told(tmp_path):
    store = tmp_path / "kept"
    study(stop=l2l.MaxGenerations(1)).run(store, progress=False)
    with pytest.warns(UserWarning, match="losses of both go together"):
        study(NOISY).resume(store, progress=False)


def test_folders_that_are_no_store_are_told(tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty"):
        study().run(full, progress=False)
    with pytest.raises(FileNotFoundError, match="no study at"):
        study().resume(full, progress=False)
    with pytest.raises(FileNotFoundError, match="no folder"):
        study().run(tmp_path / "no" / "such", progress=False)
    assert [path.name for path in full.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("damage", ["journal", "arrays", "study", "format"])
def test_damaged_stores_are_told(tmp_path, damage):
    store = tmp_path / "kept"
    study(stop=l2l.MaxGenerations(2)).run(store, progress=False)
    if damage == "journal":
        lines = (store / "journal.jsonl").read_text().splitlines()
        (store / "journal.jsonl").write_text("\n".join(["{nonsense", *lines[1:], ""]))
        words = "journal.jsonl:1 is damaged"
    elif damage == "arrays":
        data = bytearray((store / "arrays.bin").read_bytes())
        data[5] ^= 1
        (store / "arrays.bin").write_bytes(data)
        words = "not what was written"
    elif damage == "study":
        (store / "study.json").write_text("[]")
        words = "no study of tvbjax"
    else:
        about = json.loads((store / "study.json").read_text())
        (store / "study.json").write_text(json.dumps(about | {"format": 99}))
        words = "format 99"
    with pytest.raises(ValueError, match=words):
        study().resume(store, progress=False)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ('"places": [0, 1,', '"places": [0, 99,', "of 8 candidates"),
        ('"places": [0, 1,', '"places": [0, 0,', "of 8 candidates"),
        ('"generation": 1', '"generation": 77', "77 has not been asked for"),
        ('"asked": 1', '"asked": 0', "asked for twice"),
    ],
)
def test_a_journal_that_was_edited_is_told(tmp_path, old, new, words):
    store = tmp_path / "kept"
    study(stop=l2l.MaxGenerations(2)).run(store, progress=False)
    text = (store / "journal.jsonl").read_text()
    assert old in text
    (store / "journal.jsonl").write_text(text.replace(old, new, 1))
    for read in (l2l.load_outcome, lambda path: study().resume(path, progress=False)):
        with pytest.raises(ValueError, match=rf"journal.jsonl:\d is damaged .*{words}"):
            read(store)


def test_a_store_without_its_arrays_is_told(tmp_path):
    store = tmp_path / "kept"
    study(stop=l2l.MaxGenerations(1)).run(store, progress=False)
    (store / "arrays.bin").unlink()
    with pytest.raises(ValueError, match="has no arrays.bin"):
        l2l.load_outcome(store)


def test_numbers_that_json_does_not_have_are_kept(tmp_path):
    def function(values, seed):
        return {"loss": values["x"], "more": {"q": float("-inf"), "rows": [1.0, float("nan")]}}

    made = study(l2l.Python(function, PLANE), l2l.MaxGenerations(1), engine=l2l.Inline())
    found = made.run(tmp_path / "kept", progress=False)
    kept = l2l.load_outcome(tmp_path / "kept")
    assert found.more[0]["q"] == kept.more[0]["q"] == -np.inf
    np.testing.assert_array_equal(kept.more[0]["rows"], [1.0, np.nan])


def test_names_of_columns_may_be_values(tmp_path):
    space = l2l.Space(loss=l2l.Real(5.0, 6.0), error=l2l.Real(7.0, 8.0))
    table = study(l2l.Function(lambda v, k: v["loss"] - 5.0, space)).run(progress=False).table()
    np.testing.assert_allclose(table["loss"], table["value_loss"] - 5.0, rtol=1e-12)
    errors = table["value_error"].to_numpy()
    assert ((errors >= 7.0) & (errors <= 8.0)).all()
    assert [*table["error"]] == [None] * len(table)


def test_outputs_of_another_length_are_invalid_and_only_where_they_are_needed():
    def function(values, seed):
        return {"loss": values["x"] ** 2, "outputs": [values["x"]] * (2 if values["x"] > 0 else 1)}

    optimisee = l2l.Python(function, PLANE)
    plain = study(optimisee, engine=l2l.Inline()).run(progress=False)
    assert set(plain.statuses) == {"ok"}
    kalman = l2l.EnsembleKalman(np.zeros(1), np.ones(1), size=8)
    found = study(optimisee, l2l.MaxGenerations(1), optimiser=kalman, engine=l2l.Inline()).run(
        progress=False
    )
    assert set(found.statuses) == {"ok", "invalid"}
    assert "there are 2 outputs, and EnsembleKalman has 1 data" in found.errors


@pytest.mark.parametrize("loss", [None, "0.5", {"loss": 0.5}, 1j, True])
def test_a_jax_function_without_a_loss_is_told(loss):
    with pytest.raises(TypeError, match="for a loss; return a real number"):
        study(l2l.Function(lambda values, key: loss, PLANE)).run(progress=False)


def test_two_processes_do_not_write_to_one_store(tmp_path):
    from tvbjax_inference.l2l.store import opened

    store, made = tmp_path / "kept", study(stop=l2l.MaxGenerations(1))
    made.run(store, progress=False)
    with opened(store, made.about(), new=False):
        with pytest.raises(BlockingIOError, match="another process"):
            study().resume(store, progress=False)


def test_what_always_fails_is_an_error():
    def broken(values, seed):
        raise KeyError("no such thing")

    with pytest.raises(l2l.StudyError, match="(?s)all 8 .*no such thing"):
        study(l2l.Python(broken, PLANE), engine=l2l.Inline()).run(progress=False)


def test_losses_that_are_all_nan_are_told():
    nan = l2l.Function(lambda values, key: values["x"] * jnp.nan, PLANE)
    with pytest.warns(UserWarning, match="no evaluation .* has a finite loss"):
        found = study(nan, l2l.MaxGenerations(2)).run(progress=False)
    assert found.failures == {"nan": 16} and "no loss" in repr(found)
    with pytest.raises(ValueError, match="no evaluation has a loss"):
        _ = found.values


def test_failures_are_redrawn_or_end_the_study(tmp_path):
    """A loss that is NaN for three in ten keys."""

    def shaky(values, key):
        return jnp.where(jr.uniform(key) < 0.3, jnp.nan, bowl(values, key))

    optimisee = l2l.Function(shaky, PLANE)
    assert study(optimisee).run(progress=False).failures["nan"] > 5
    redrawn = study(optimisee, on_failure=l2l.Redraw(20)).run(tmp_path / "a", progress=False)
    assert redrawn.failures == {}
    same(l2l.load_outcome(tmp_path / "a"), redrawn)
    with pytest.raises(l2l.StudyError, match="ended in 'nan'"):
        study(optimisee, on_failure=l2l.Stop()).run(tmp_path / "b", progress=False)


def test_what_failed_is_evaluated_again_when_it_is_asked_for(tmp_path):
    mended = tmp_path / "mended"

    def breaks(values, seed):
        if seed % 2 and not mended.exists():
            raise OSError("no licence")
        return noisy_bowl(values, seed)

    made = study(l2l.Python(breaks, PLANE), engine=l2l.Inline(), on_failure=l2l.Stop())
    with pytest.raises(l2l.StudyError, match="no licence"):
        made.run(tmp_path / "kept", progress=False)
    mended.touch()
    found = made.resume(tmp_path / "kept", progress=False, again=True)
    clean = study(l2l.Python(noisy_bowl, PLANE), engine=l2l.Inline()).run(progress=False)
    same(found, clean)
    same(made.resume(tmp_path / "kept", progress=False), clean)


@pytest.mark.parametrize(
    "change, kind, words",
    [
        ({"stop": []}, TypeError, "MaxEvaluations"),
        ({"start": {"x": 5.0, "y": 0.0}}, ValueError, "'x' is 5.0"),
        ({"start": {"x": 0.0}}, ValueError, "'y' is missing"),
    ],
)
def test_studies_that_make_no_sense_are_told(change, kind, words):
    with pytest.raises(kind, match=words):
        study(**change)


def test_stops():
    progress = l2l.stops.Progress(10, 80, 0.5, 3, 7.0)
    for stop, words in (
        (l2l.MaxEvaluations(80), "80 evaluations"),
        (l2l.MaxEvaluations(81), None),
        (l2l.MaxGenerations(10), "10 generations"),
        (l2l.MaxGenerations(11), None),
        (l2l.Target(0.5), "0.5"),
        (l2l.Target(0.49), None),
        (l2l.Stalled(3), "3 generations"),
        (l2l.Stalled(4), None),
        (l2l.Walltime(7.0), "7 s"),
        (l2l.Walltime(7.1), None),
    ):
        reason = stop.reason(progress)
        assert reason is None if words is None else words in str(reason)


@pytest.fixture(autouse=True)
def no_other_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
