"""Models of NetLogo, run headless: values become a BehaviorSpace experiment, its table a loss.

NetLogo is in no package registry: set NETLOGO_HOME to where it is installed. Our tests run a
stand-in that checks the command line and the experiment and writes a table as NetLogo's manual
describes it; the engine itself was not run.
"""

import csv
import dataclasses
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from tvbjax.kinds import check_count, check_kind, names_of
from tvbjax_inference.l2l.space import Space

# BehaviorSpace's own columns.
Table = dict[str, list[Any]]
_PROGRAMS = ("netlogo-headless.sh", "NetLogo_Console", "netlogo-headless.bat")
_TAIL = 2_000  # characters of what NetLogo said


@dataclasses.dataclass(frozen=True, eq=False)
class NetLogo:
    """An optimisee for `Python`: a model's run with globals set to values.

    `model`: the .nlogo file. `space`: of the model's globals, by their names (`diffusion-rate`), as
    `Space({"diffusion-rate": Real(0.0, 99.0)})`. `metrics`: reporters, such as `count turtles`.
    `loss`: from the table, columns by name with a row for each run, or each tick, to a number, a
    row, or what `Python` takes. `ticks`: when a run ends, unless the model does. `every_tick`:
    measure in each. `constants`: globals that stay. `command`: the program with its first
    arguments, by default netlogo-headless.sh in NETLOGO_HOME. Time limits are `Python`'s.
    """

    model: str | Path
    space: Space
    metrics: Sequence[str]
    loss: Callable[[Table], Any]
    ticks: int
    every_tick: bool = False
    setup: str = "setup"
    go: str = "go"
    constants: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    command: Sequence[str] | None = None

    def __post_init__(self):
        check_kind("NetLogo: space", self.space, Space, "Space({'diffusion-rate': Real(0, 99)})")
        check_count("NetLogo: ticks", self.ticks)
        metrics = names_of("NetLogo: metrics", self.metrics, "['count turtles']")
        object.__setattr__(self, "metrics", metrics)
        object.__setattr__(self, "model", Path(self.model).absolute())
        if not Path(self.model).is_file():
            raise FileNotFoundError(f"NetLogo: there is no model {self.model}.")
        twice = sorted(set(self.space.names) & set(self.constants))
        if twice:
            raise ValueError(f"NetLogo: '{twice[0]}' is searched and constant; give it once.")

    def __call__(self, values: dict[str, Any], seed: int) -> Any:
        with tempfile.TemporaryDirectory(prefix="tvbjax-netlogo-") as folder:
            setup, table = Path(folder, "experiment.xml"), Path(folder, "table.csv")
            setup.write_bytes(self.experiment(values, seed))
            argv = [*self._program(), *self.arguments(setup, table)]
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
            )
            if done.returncode or not table.is_file():
                raise RuntimeError(
                    f"NetLogo: {argv[0]} ended with status {done.returncode} and "
                    f"{'a' if table.is_file() else 'no'} table: "
                    f"{(done.stderr or done.stdout)[-_TAIL:]}"
                )
            return self.loss(read_table(table))

    def arguments(self, setup: Path, table: Path) -> list[str]:
        """Those of NetLogo's headless mode (its manual, BehaviorSpace Guide, "Running from the
        command line")."""
        given = {"--model": self.model, "--setup-file": setup, "--experiment": "l2l"}
        given |= {"--table": table, "--threads": 1}
        return [str(part) for pair in given.items() for part in pair]

    def experiment(self, values: Mapping[str, Any], seed: int) -> bytes:
        """The experiment's XML. NetLogo's random numbers are those of the seed."""
        every = "true" if self.every_tick else "false"
        root = etree.Element("experiments")
        one = etree.SubElement(root, "experiment", name="l2l", repetitions="1")
        one.set("runMetricsEveryStep", every)
        # NetLogo's seeds are of 32 bits, with a sign.
        etree.SubElement(one, "setup").text = f"random-seed {seed % 2**31}\n{self.setup}"
        etree.SubElement(one, "go").text = self.go
        etree.SubElement(one, "timeLimit", steps=str(self.ticks))
        for metric in self.metrics:
            etree.SubElement(one, "metric").text = metric
        for name, value in (dict(self.constants) | dict(values)).items():
            held = etree.SubElement(one, "enumeratedValueSet", variable=name)
            etree.SubElement(held, "value", value=literal(value))
        return etree.tostring(
            root,
            xml_declaration=True,
            encoding="UTF-8",
            doctype='<!DOCTYPE experiments SYSTEM "behaviorspace.dtd">',
            pretty_print=True,
        )

    def _program(self) -> list[str]:
        if self.command is not None:
            return list(self.command)
        home = os.environ.get("NETLOGO_HOME")
        for name in _PROGRAMS:
            found = shutil.which(name, path=home) if home else None
            if found:
                return [found, "--headless"] if name == "NetLogo_Console" else [found]
        raise FileNotFoundError(
            f"NetLogo: there is no {' or '.join(_PROGRAMS)} in NETLOGO_HOME, which is "
            f"{home!r}; install NetLogo and set it to its folder, or give command=(...)."
        )


def literal(value: Any) -> str:
    """A value as NetLogo writes it: a number, true, a text in quotation marks, or a list."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not np.isfinite(value):
            raise ValueError(f"NetLogo has no number {value}; give finite values.")
        return repr(value)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t") + '"'
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(literal, value))}]"
    raise TypeError(f"NetLogo has nothing like {value!r:.60}; give numbers, texts or lists.")


def read_table(path: str | Path) -> Table:
    """The columns of BehaviorSpace's table output by name, numbers as numbers.

    Raises `ValueError` where there is no header, or no run.
    """
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    heads = [i for i, row in enumerate(rows) if row and row[0] == "[run number]"]
    if not heads:
        raise ValueError(f"NetLogo: {path} has no row that begins with [run number].")
    head, *body = rows[heads[0] :]
    body = [row for row in body if row]
    if not body or any(len(row) != len(head) for row in body):
        raise ValueError(f"NetLogo: {path} has no run, or rows of another length than its header.")
    return {name: [_read(row[i]) for row in body] for i, name in enumerate(head)}


def _read(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text
