"""`make conformance`: a table with a row per file of NeuroML's and LEMS's examples.

`PYTHONPATH=tests python -m conformance [--stored] [NAME ...]`: `--stored` runs neither PyLEMS nor
jLEMS, NAME is one of the files, such as `Ex1_HH`. Ends with status 1 where a required file fails.
"""

import argparse
import sys

import jax

from conformance import corpora
from conformance.cases import CASES, NEUROML_REQUIRED
from conformance.check import Row, check


def main() -> int:
    options = argparse.ArgumentParser(prog="conformance")
    options.add_argument("names", nargs="*")
    options.add_argument("--stored", action="store_true")
    given = options.parse_args()
    jax.config.update("jax_enable_x64", True)

    cases = [case for case in CASES if not given.names or case.name in given.names]
    print(f"{'file':27s} parsed compiled  ran     load s  run s  compared with: result")
    rows, absent = [], 0
    for case in cases:
        try:
            row = check(case, live=not given.stored)
        except corpora.Absent as reason:
            print(f"{case.name:27s} skipped: {reason}", flush=True)
            absent += 1
            continue
        print(_text(row), flush=True)
        rows.append(row)
    return _verdict(rows, absent, whole=len(cases) == len(CASES))


def _text(row: Row) -> str:
    marks = [_mark(row.parsed), _mark(row.compiled), _mark(row.ran)]
    head = f"{row.case.name:27s} {marks[0]:>6s} {marks[1]:>8s} {marks[2]:>4s}"
    head += f" {row.load_seconds:10.1f} {row.run_seconds:6.1f}  "
    said = [
        f"{'' if outcome.passed else 'FAILED '}{outcome.against}: {outcome.said}"
        for outcome in row.outcomes
    ]
    said += [f"({note})" for note in row.notes]
    if row.error:
        said.append(f"ERROR {row.error}")
    return head + ("\n" + " " * 66).join(said)


def _mark(done: bool) -> str:
    return "yes" if done else "no"


def _verdict(rows: list[Row], absent: int, whole: bool) -> int:
    neuroml = [row for row in rows if row.case.is_neuroml]
    ran = sum(row.ran for row in neuroml)
    failed = [row.case.name for row in rows if row.case.required and not row.passed]
    print(f"\n{ran} of {len(neuroml)} NeuroML examples run; {len(rows) - len(failed)} of ", end="")
    print(f"{len(rows)} files pass or are not required; {absent} skipped")
    if failed:
        print("failed: " + ", ".join(failed))
    too_few = whole and bool(neuroml) and ran < NEUROML_REQUIRED
    return 1 if failed or too_few or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
