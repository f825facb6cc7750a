"""Reads and changes what a LEMS file says of its simulation: length, step, what is recorded."""

import re
from dataclasses import dataclass
from pathlib import Path

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


@dataclass(frozen=True)
class Simulation:
    """`length`, `step`: s. `quantities`: recorded paths. `events`: path/port of recorded events.
    `files`: file to write -> the quantities that are its columns."""

    length: float
    step: float
    quantities: tuple[str, ...]
    events: tuple[str, ...]
    files: dict[str, tuple[str, ...]]

    @property
    def steps(self) -> int:
        return round(self.length / self.step)


def simulation(path: Path) -> Simulation:
    element = _simulation(etree.parse(path))
    inside = [child for child in element.iter() if isinstance(child.tag, str)]
    quantities = dict.fromkeys(child.get("quantity") for child in inside)
    events = [(child.get("select"), child.get("eventPort")) for child in inside]
    columns = {
        child.get("fileName"): tuple(
            column.get("quantity") for column in child.iter("{*}OutputColumn")
        )
        for child in inside
        if etree.QName(child).localname == "OutputFile"
    }
    return Simulation(
        seconds(element.get("length", "")),
        seconds(element.get("step", "")),
        tuple(quantity for quantity in quantities if quantity),
        tuple(dict.fromkeys(f"{select}/{port}" for select, port in events if port)),
        columns,
    )


def change(
    path: Path,
    *,
    output: str | None = None,
    event_output: str | None = None,
    step: float | None = None,
    length: float | None = None,
    seed: int | None = None,
) -> None:
    """Rewrite a (copied) file: other step or length (s), seed, or one more file `output` with
    every quantity that is recorded anywhere, in the order of `simulation(path).quantities`, and
    `event_output` with every event, by its number in `simulation(path).events`."""
    recorded = simulation(path)
    document = etree.parse(path)
    element = _simulation(document)
    for name, value in (("step", step), ("length", length)):
        if value is not None:
            element.set(name, f"{value * 1e3!r}ms")
    if seed is not None:
        element.set("seed", str(seed))
    if output is not None:
        writer = etree.SubElement(element, "OutputFile", id="conformance", fileName=output)
        for column, quantity in enumerate(recorded.quantities):
            etree.SubElement(writer, "OutputColumn", id=f"column{column}", quantity=quantity)
    if event_output is not None and recorded.events:
        writer = etree.SubElement(
            element, "EventOutputFile", id="events", fileName=event_output, format="ID_TIME"
        )
        for number, event in enumerate(recorded.events):
            select, port = event.rsplit("/", 1)
            etree.SubElement(
                writer, "EventSelection", id=str(number), select=select, eventPort=port
            )
    document.write(path)


def seconds(text: str) -> float:
    matched = re.fullmatch(r"\s*([-+.\deE]+)\s*(s|ms|us)\s*", text)
    if matched is None:
        raise ValueError(f"'{text}' is no time in s, ms or us")
    return float(matched[1]) * _SECONDS[matched[2]]


def _simulation(document: etree._ElementTree) -> etree._Element:
    """The component that the file's Target names."""
    elements = [element for element in document.iter() if isinstance(element.tag, str)]
    target = next(e for e in elements if etree.QName(e).localname == "Target").get("component")
    return next(e for e in elements if e.get("id") == target)
