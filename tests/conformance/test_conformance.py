"""The table of `make conformance` as tests, and the rules by which it compares, tried alone.

The files are NeuroML's and PyLEMS's: where their packages are not installed the tests skip.
"""

import numpy as np
import pytest

from conformance import compare, corpora
from conformance.cases import CASES, Case
from conformance.check import check
from conformance.recorded import Recorded, maxima, relative_error, up_crossings


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_agrees_with_its_references(case: Case):
    if not case.required:
        pytest.skip(f"{case.file} holds cells of several compartments, which LEMS cannot describe")
    try:
        row = check(case, live=False)
    except corpora.Absent as absent:
        pytest.skip(str(absent))
    assert not row.error, row.error
    failed = [f"{each.against}: {each.said}" for each in row.outcomes if not each.passed]
    assert not failed, "\n".join(failed)


T = np.arange(1001) * 1e-3
WAVE = np.sin(20.0 * np.pi * T - 1.0)


def recorded(values: np.ndarray, switched: tuple[float, ...] = ()) -> Recorded:
    return Recorded(T, {"v": values}, switched=np.asarray(switched))


def test_a_crossing_is_the_first_sample_above_the_threshold():
    np.testing.assert_array_equal(up_crossings(np.array([0.0, 1.0, 1.0, 0.0, 2.0]), 0.5), [1, 4])
    np.testing.assert_array_equal(up_crossings(np.array([np.nan, 1.0, 0.0, 1.0]), 0.5), [3])
    np.testing.assert_array_equal(up_crossings(np.array([2.0, 1.0]), 0.5), [])


def test_a_maximum_is_the_last_sample_that_is_not_lower_than_the_one_before():
    np.testing.assert_array_equal(maxima(np.array([0.0, 1.0, 0.0, 2.0, 2.0, 1.0])), [1, 4])


def test_spike_trains_of_different_length_differ_by_infinity():
    assert relative_error(np.array([1.0, 2.2]), np.array([1.0, 2.0])) == pytest.approx(0.1)
    assert relative_error(np.array([1.0]), np.array([1.0, 2.0])) == np.inf


def test_runs_that_differ_by_rounding_are_equal():
    outcome = compare.exact(recorded(WAVE + 1e-13), recorded(WAVE), "reference")
    assert outcome.passed and "equal" in outcome.said


@pytest.mark.parametrize(
    ("first_event", "passed"), [(0.2, True), (0.8, False)], ids=["after", "before"]
)
def test_runs_may_differ_only_after_the_first_event(first_event: float, passed: bool):
    late = np.where(np.arange(1001) > 500, np.roll(WAVE, 1), WAVE)
    outcome = compare.exact(recorded(late), recorded(WAVE, (first_event,)), "reference")
    assert outcome.passed == passed and "row 501" in outcome.said


def test_events_more_than_one_step_apart_fail():
    assert compare.events(recorded(np.roll(WAVE, 1)), recorded(WAVE), "reference").passed
    assert not compare.events(recorded(np.roll(WAVE, 2)), recorded(WAVE), "reference").passed


@pytest.mark.parametrize(("stretch", "passed"), [(1.008, True), (1.02, False)])
def test_jlems_events_are_compared_within_a_hundredth(stretch: float, passed: bool):
    level = {"threshold": 0.0, "crossings": list(T[up_crossings(WAVE, 0.0)])}
    stored = {"quantities": {"v": {"levels": [level]}}, "events": {}}
    ours = recorded(np.sin(20.0 * np.pi * T / stretch - 1.0))
    assert compare.jlems_events(ours, stored).passed == passed


def test_a_missing_jlems_event_fails_unless_the_run_ends_there():
    quiet = recorded(np.zeros(1001))
    for at, passed in ((0.5, False), (0.995, True)):
        level = {"threshold": 0.5, "crossings": [at]}
        stored = {"quantities": {"v": {"levels": [level]}}, "events": {}}
        assert compare.jlems_events(quiet, stored).passed == passed


def test_jlems_events_may_approach_ours_as_the_step_goes_to_zero():
    """Both late by a multiple of the step, ours by 3 and jLEMS's by 40."""
    start = np.arange(0.05, 1.0, 0.1)
    level = {"threshold": 0.0, "crossings": list(start + 0.04), "other": list(start + 0.008)}
    stored = {"quantities": {"v": {"levels": [level]}}, "events": {}}

    def late(step: float) -> Recorded:
        t = np.arange(round(1.0 / step) + 1) * step
        return Recorded(t, {"v": np.sin(20.0 * np.pi * (t - 0.05 - 3.0 * step + step / 2))})

    own, other = late(1e-3), late(2e-4)
    assert not compare.jlems_events(own, stored).passed
    assert compare.jlems_events(own, stored, other=other).passed


def test_published_times_are_compared_with_the_tolerance_given(tmp_path):
    np.savetxt(tmp_path / "v.dat", np.stack([T, WAVE], axis=1))
    expected = T[up_crossings(WAVE, 0.5)] * 1e3
    experiment = {
        "spike_times_ms": list(expected * 1.001),
        "file": "v.dat",
        "columns": [0, 1],
        "scaling": [1000, 1],
        "threshold_scaled": 0.5,
    }
    for tolerance, passed in ((1e-3, True), (1e-4, False)):
        test = {"experiments": {"v": experiment | {"relative_tolerance": tolerance}}}
        assert compare.published(tmp_path, test).passed == passed
