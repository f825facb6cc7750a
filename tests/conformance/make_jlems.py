"""Runs jLEMS on NeuroML's and LEMS's examples; writes `jlems.json`, what it found, in numbers.

`PYTHONPATH=tests python -m conformance.make_jlems [FILE ...]` (a quarter of an hour). Per recorded
quantity: lowest, highest and last value, and the times of its up-crossings of three levels, at the
file's own step and at another: a fifth of it, or, for files of many steps, five times it. The
levels are quarters of the range in which the quantity is 99 % of the time. A level that is crossed
another number of times at a smaller step is left out, and so are quantities that depend on jLEMS's
random numbers, which a second seed shows. SI units, times in s.
"""

import json
import sys
from pathlib import Path

import numpy as np

from conformance import corpora, jlems, lems_files
from conformance.compare import LISTED
from conformance.recorded import Recorded, up_crossings

STORED = Path(__file__).parent / "jlems.json"
LEMS_EXAMPLES = ("example4.xml", "example5.xml", "example7.xml", "example8.xml")
OTHER = 5
MOST_STEPS = 600_000  # with the smaller step, which for the longest files would take an hour
LEVELS = (0.25, 0.5, 0.75)


def main() -> None:
    paths = sorted(corpora.neuroml_examples().glob("LEMS_*.xml"), key=_steps)
    paths += [corpora.lems_examples() / name for name in LEMS_EXAMPLES]
    only = sys.argv[1:]
    files = json.loads(STORED.read_text())["files"] if STORED.exists() else {}
    for path in paths:
        if only and path.name not in only:
            continue
        try:
            files[path.name] = _described(path)
        except RuntimeError as error:
            print(f"{path.name}: {error}", flush=True)
            continue
        print(path.name, len(files[path.name]["quantities"]), flush=True)
        _store(files)


def _store(files: dict) -> None:
    """A line per file."""
    engine = json.dumps(f"jLEMS in {corpora.jar().stem}")
    lines = [f'"{name}": {json.dumps(files[name])}' for name in sorted(files)]
    STORED.write_text(f'{{"engine": {engine},\n"files": {{\n' + ",\n".join(lines) + "\n}}\n")


def _described(path: Path) -> dict:
    step = lems_files.simulation(path).step
    own = jlems.run(path)
    seeded = jlems.run(path, seed=98765) if _steps(path) <= MOST_STEPS else own
    other_step = step / OTHER if _steps(path) * OTHER <= MOST_STEPS else step * OTHER
    other = jlems.run(path, step=other_step)
    quantities, random = {}, []
    for name, values in own.values.items():
        if np.array_equal(values, seeded.values[name]):
            quantities[name] = _quantity(name, own, other)
        else:
            random.append(name)
    return {
        "step": step,
        "other_step": other_step,
        "rows": len(own.t),
        "quantities": quantities,
        "events": {
            name: _rounded(times)
            for name, times in own.events.items()
            if np.array_equal(times, seeded.events[name])
        },
        "random": random,
    }


def _quantity(name: str, own: Recorded, other: Recorded) -> dict:
    values = own.values[name]
    usual = np.quantile(values, [0.005, 0.995])
    thresholds = [usual[0] + level * (usual[1] - usual[0]) for level in LEVELS if np.ptp(usual) > 0]
    levels = []
    for threshold in (float(f"{threshold:.5g}") for threshold in thresholds):
        crossings = _rounded(own.t[up_crossings(values, threshold)])
        others = _rounded(other.t[up_crossings(other.values[name], threshold)])
        level: dict[str, float | list[float]] = {"threshold": threshold, "crossings": crossings}
        if _same_number(crossings, others, float(own.t[-1])):
            level["other"] = others
        elif other.step < own.step:
            continue
        levels.append(level)
    described = {"low": values.min(), "high": values.max(), "last": values[-1]}
    return {key: float(value) for key, value in described.items()} | {"levels": levels}


def _same_number(some: list[float], others: list[float], end: float) -> bool:
    """Whether there are as many, but for a last one shortly before the end of the run."""
    common = min(len(some), len(others))
    return all(time > 0.95 * end for time in some[common:] + others[common:])


def _rounded(times: np.ndarray) -> list[float]:
    return [float(f"{time:.7g}") for time in times[:LISTED]]


def _steps(path: Path) -> int:
    return lems_files.simulation(path).steps


if __name__ == "__main__":
    main()
