"""Runs jLEMS on NeuroML's and LEMS's examples; writes `jlems.json`, what it found, in numbers.

`PYTHONPATH=tests python -m conformance.make_jlems` (minutes). Per recorded quantity: lowest,
highest and last value, and the times of its up-crossings of the middle between lowest and highest,
at the file's own step and at a fifth of it. Quantities that depend on jLEMS's random numbers, which
is tried with a second seed, are left out. SI units, times in s.
"""

import json
import sys
from pathlib import Path

import numpy as np

from conformance import corpora, jlems, lems_files
from conformance.recorded import Recorded, up_crossings

STORED = Path(__file__).parent / "jlems.json"
LEMS_EXAMPLES = ("example4.xml", "example5.xml", "example7.xml", "example8.xml")
FINER = 5
MOST_STEPS = 400_000  # of the finer run, which for the longest files would take an hour
MOST_CROSSINGS = 100


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
        stored = {"engine": f"jLEMS in {corpora.jar().stem}", "files": dict(sorted(files.items()))}
        STORED.write_text(json.dumps(stored, indent=1) + "\n")


def _described(path: Path) -> dict:
    step = lems_files.simulation(path).step
    coarse = jlems.run(path)
    seeded = jlems.run(path, seed=98765) if _steps(path) <= MOST_STEPS else coarse
    finer = jlems.run(path, step=step / FINER) if _steps(path) * FINER <= MOST_STEPS else None
    quantities, random = {}, []
    for name, values in coarse.values.items():
        if np.array_equal(values, seeded.values[name]):
            quantities[name] = _quantity(name, coarse, finer)
        else:
            random.append(name)
    return {
        "step": step,
        "rows": len(coarse.t),
        "quantities": quantities,
        "events": {
            name: _rounded(times)
            for name, times in coarse.events.items()
            if np.array_equal(times, seeded.events[name])
        },
        "random": random,
    }


def _quantity(name: str, coarse: Recorded, finer: Recorded | None) -> dict:
    values = coarse.values[name]
    low, high = float(values.min()), float(values.max())
    threshold = (low + high) / 2
    described = {"low": low, "high": high, "last": float(values[-1]), "threshold": threshold}
    described["crossings"] = _rounded(coarse.t[up_crossings(values, threshold)])
    if finer is not None:
        fine = finer.t[up_crossings(finer.values[name], threshold)]
        described["crossings_finer"] = _rounded(fine)
    return described


def _rounded(times: np.ndarray) -> list[float]:
    return [float(f"{time:.7g}") for time in times[:MOST_CROSSINGS]]


def _steps(path: Path) -> int:
    return lems_files.simulation(path).steps


if __name__ == "__main__":
    main()
