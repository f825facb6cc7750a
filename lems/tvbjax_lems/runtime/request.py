"""What a file asks for: the component to run, how long, and what to record into which file."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from .. import ir
from ..errors import Code, Diagnostic, Place, Report, suggestion
from ..units import SI, QuantityError, UnitSystem, quantity
from .bind import Binder, Bound


@dataclass(frozen=True)
class Column:
    """One recorded quantity. `scale` and `time_scale`: one unit of the plot, in SI; 1 for files."""

    label: str
    path: str
    place: Place
    port: str = ""
    scale: float = 1.0
    time_scale: float = 1.0
    color: str = ""


@dataclass(frozen=True)
class Output:
    """A plot or a file. `kind`: DataDisplay, DataWriter or EventWriter.

    `region`: the least and largest time, the least and largest value of a plot, in its scales;
    empty where the file does not say all four.
    """

    kind: str
    title: str
    file: str
    format: str
    columns: tuple[Column, ...]
    region: tuple[float, ...] = ()


@dataclass(frozen=True)
class Request:
    """`component`: what is run; `target`: the id of what asks for it.

    `step` and `duration` in working units, None where the file has no Run.
    """

    target: str
    component: Bound
    step: float | None
    duration: float | None
    outputs: tuple[Output, ...]
    seed: int | None


class Reader:
    """Reads the request of a target component; what is wrong goes to the report."""

    def __init__(self, binder: Binder, system: UnitSystem, report: Report):
        self.binder, self.system, self.report = binder, system, report
        self.files: set[str] = set()

    def request(self, target: Bound) -> Request:
        run = target.type.run
        outputs = self.outputs(target)
        if run is None:
            return Request(target.id, target, None, None, outputs, None)
        component = self.binder.referenced(target, run.component)
        if component is None:
            wanted = target.texts.get(run.component, "")
            message = f"'{run.component}' names the unknown component '{wanted}'"
            if not wanted:
                message = f"it does not say what to run: '{run.component}' is missing"
            hint = suggestion(wanted, self.binder.declared)
            element = target.component.element
            self.report.add(ir.finding(Code.SIMULATION, element, target.context, message, hint))
            self.report.stop()
            component = target
        step, duration = (self.time(target, name) for name in (run.increment, run.total))
        seed = target.texts.get("seed", "")
        return Request(
            target.id, component, step, duration, outputs, int(seed) if seed.isdigit() else None
        )

    def time(self, target: Bound, name: str) -> float | None:
        value = self.binder.number(target, name)
        if value is None or value <= 0.0:
            what = "has no value" if value is None else f"is {value:g}, not a positive time"
            element = target.component.element
            message = f"'{name}' {what}"
            self.report.add(ir.finding(Code.SIMULATION, element, target.context, message))
            return None
        return value

    def outputs(self, target: Bound) -> tuple[Output, ...]:
        found: list[Output] = []
        loose: list[Column] = []
        for one in target.walk():
            writer = one.type.writer
            if writer is None:
                continue
            columns = [self.column(one, child) for child in one.walk() if child.type.record]
            folder, name = (one.texts.get(part, "") for part in (writer.path, writer.file_name))
            file = self.file(one, folder, name)
            found.append(
                Output(
                    writer.kind,
                    one.texts.get(writer.title, one.id),
                    file,
                    one.texts.get(writer.format, "TIME_ID"),
                    tuple(columns),
                    self.region(one, writer.element.get("dataRegion") or ""),
                )
            )
        written = {id(child) for one in target.walk() if one.type.writer for child in one.walk()}
        loose = [
            self.column(target, one)
            for one in target.walk()
            if one.type.record and id(one) not in written
        ]
        if loose:
            found.append(Output("DataDisplay", target.id, "", "", tuple(loose)))
        return tuple(found)

    def region(self, group: Bound, names: str) -> tuple[float, ...]:
        """The four numbers of a plot's ends, () where one is missing or they are in no order."""
        values = [self.binder.number(group, name.strip()) for name in names.split(",") if name]
        found = tuple(value for value in values if value is not None)
        if len(found) != 4 or found[0] >= found[1] or found[2] >= found[3]:
            return ()
        return found

    def file(self, bound: Bound, folder: str, name: str) -> str:
        """The path of an output's file; reports names that cannot be written."""
        if bound.type.writer is None or bound.type.writer.kind == "DataDisplay":
            return ""
        file = str(PurePosixPath(folder) / name) if name else ""
        wrong = ""
        if not name:
            wrong = "it names no file"
        elif file in (".", "..") or name.endswith("/"):
            wrong = f"'{file}' is a folder, not a file"
        elif any(len(part) > 200 for part in PurePosixPath(file).parts):
            wrong = f"the file name '{file[:40]}...' is too long"
        elif file in self.files:
            wrong = f"the file '{file}' is written by another output already"
        self.files.add(file)
        form = bound.texts.get(bound.type.writer.format, "TIME_ID")
        if bound.type.writer.kind == "EventWriter" and form.upper() not in ("TIME_ID", "ID_TIME"):
            wrong = wrong or f"the format is '{form[:40]}', not TIME_ID or ID_TIME"
        if wrong:
            element = bound.component.element
            self.report.add(ir.finding(Code.SIMULATION, element, bound.context, wrong))
        return file

    def column(self, group: Bound, bound: Bound) -> Column:
        record = bound.type.record
        assert record is not None
        path = bound.texts.get(record.quantity, "")
        given = next((a for a in bound.component.values if a.name == record.quantity), None)
        if not path:
            element = bound.component.element
            message = f"'{record.quantity}' is missing, so there is nothing to record"
            self.report.add(ir.finding(Code.SIMULATION, element, bound.context, message))
        port = bound.texts.get(record.port, record.port) if record.port else ""
        return Column(
            bound.id,
            path,
            given.place if given else bound.component.element.place,
            port,
            self.scale(bound, group, record.scale),
            self.scale(bound, group, record.time_scale),
            bound.texts.get(record.color, ""),
        )

    def scale(self, bound: Bound, group: Bound, name: str) -> float:
        """The number of a scale in SI units; a line without one takes its display's."""
        if not name:
            return 1.0
        for one in (bound, group):
            given = next((a for a in one.component.values if a.name == name), None)
            if given is None:
                continue
            dimension = self.binder.dimension(
                next((p.dimension for p in one.type.parameters if p.name == name), "*")
            )
            try:
                value = _si(given.value, dimension, self.binder)
            except QuantityError as error:
                self.report.add(
                    Diagnostic(error.code, given.place, error.message, error.hint, one.context)
                )
                continue
            if value > 0.0:
                return value
            message = f"{name} is {value:g}; a scale is what one unit of the plot is, over 0"
            self.report.add(Diagnostic(Code.SIMULATION, given.place, message, "", one.context))
        return 1.0


def _si(text: str, dimension, binder: Binder) -> float:
    return quantity(text, dimension, binder.document.units, SI)
