"""Files and built-in names to models: the passes of the compiler in their order."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import ir
from .check_components import check_components
from .check_type import TypeCheck
from .declarations import declare
from .dialects.rateml import desugar, is_rateml
from .emit import Model
from .errors import Code, Diagnostic, LemsError, LemsWarning, Place, Report, failure, suggestion
from .family import Family
from .flat import FlatModel
from .flatten import flatten, is_rate_model
from .includes import CELLS, LIBRARY, check_is_lems, is_library, with_includes
from .resolve import choose, inherit, unknown_component
from .units import NEURAL, DimensionCheck, UnitSystem
from .xml import Element, read, serialise

_SHARED = ("units", "synapses")


def models() -> tuple[str, ...]:
    """The names of the built-in models, for `load`."""
    return tuple(sorted(p.stem for p in LIBRARY.glob("*.xml") if p.stem not in _SHARED))


def cells() -> tuple[str, ...]:
    """The names of the built-in cells, for `load_cell`."""
    return tuple(sorted(p.stem for p in CELLS.glob("*.xml") if p.stem not in _SHARED))


def citation(name: str) -> str:
    """What the file of a built-in model says of its equations' source. Raises LemsError."""
    if name not in models():
        raise failure(Code.COMPONENT, Place(name), "no built-in model", suggestion(name, models()))
    text = (LIBRARY / f"{name}.xml").read_text(encoding="utf-8")
    start, end = text.find("<!--"), text.find("-->")
    return " ".join(text[start + 4 : end].split()) if 0 <= start < end else ""


def load(
    name_or_path: str | Path,
    component: str | None = None,
    *,
    dimensions: DimensionCheck = DimensionCheck.STRICT,
    units: UnitSystem = NEURAL,
    include: Sequence[str | Path] = (),
) -> Model:
    """The model of a LEMS or RateML file, or a built-in one by its name.

    `component`: the id of the Component to load; by default the Target's, or the only one.
    `dimensions`: what a wrong dimension is. `units`: the system that all numbers are given in;
    the simulator expects NEURAL (ms, mm, mV, nA). `include`: folders in which to look for included
    files, after the file's own. Raises LemsError with everything that is wrong, with file, line
    and column; gives a LemsWarning for what is doubtful.
    """
    report = Report()
    spec = compile_file(locate(name_or_path), component, dimensions, units, report, include)
    for finding in report.warnings:
        if not is_library(finding.place.file):
            warnings.warn(str(finding), LemsWarning, stacklevel=2)
    return Model(spec)


def check(
    name_or_path: str | Path,
    component: str | None = None,
    *,
    dimensions: DimensionCheck | None = None,
    include: Sequence[str | Path] = (),
) -> list[Diagnostic]:
    """Everything that is wrong or doubtful about a file; an empty list where it is good.

    Every type and component is checked, used or not; what the file runs (or `component`) is
    compiled, too. `dimensions`: what a wrong dimension is; by default what `load` and
    `load_network` say: an error in a rate model, a warning elsewhere. Warnings about NeuroML's
    core types and tvbjax's library are left out where the file only includes them.
    """
    report = Report()
    try:
        path = locate(name_or_path)
        examined = examine(path, component, dimensions, report, include)
        for one in () if report.errors else examined.chosen:
            if is_rate_model(examined.types.get(one.type)):
                flatten(examined.document, examined.types, one, NEURAL, report)
            else:
                _compile_network(examined, one, report)
    except LemsError as error:
        report.extend(error)
    return [*report.errors, *(w for w in report.warnings if not is_library(w.place.file))]


def to_lems(path: str | Path) -> str:
    """The text of a model file as LEMS: a RateML file rewritten, a LEMS file as its tree says.

    RateML's meanings that LEMS lacks become attributes of tvbjax's namespace, which other LEMS
    tools ignore. Every dimension is `*`, since RateML has none. Raises LemsError.
    """
    report = Report()
    text = serialise(read_tree(locate(path), report))
    for finding in report.warnings:
        warnings.warn(str(finding), LemsWarning, stacklevel=2)
    return text


def locate(name_or_path: str | Path) -> Path:
    """The file of a built-in model or a path. Raises LemsError where there is neither."""
    return _located(name_or_path, LIBRARY, models(), "model")


def locate_cell(name_or_path: str | Path) -> Path:
    """The file of a built-in cell or a path. Raises LemsError where there is neither."""
    return _located(name_or_path, CELLS, cells(), "cell")


def _located(name_or_path: str | Path, folder: Path, known: tuple[str, ...], kind: str) -> Path:
    name = str(name_or_path)
    if name in known:
        return folder / f"{name}.xml"
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and "\0" not in name and not path.suffix:
        if not path.exists():
            raise failure(
                Code.UNREADABLE,
                Place(name),
                f"neither a file nor a built-in {kind}",
                suggestion(name, known),
            )
    return path


def compile_file(
    path: Path,
    component: str | None,
    dimensions: DimensionCheck,
    units: UnitSystem,
    report: Report,
    include: Sequence[str | Path] = (),
) -> FlatModel:
    """The flat model of a file; warnings go to the report. Raises LemsError."""
    examined = examine(path, component, dimensions, report, include)
    report.stop()
    one = choose(examined.document, component)
    kind = examined.types.get(one.type)
    if kind is not None and kind.run is not None:
        raise failure(
            Code.NOT_SUPPORTED,
            one.element.place,
            f"'{one.id}' is a simulation of a network, not a rate model of a brain region",
            "use lems.load_network and lems.run, or tvbjax lems run",
        )
    return flatten(examined.document, examined.types, one, units, report)


@dataclass(frozen=True)
class Examined:
    """A document that has been checked. `chosen`: the components to run, where they are known."""

    document: ir.Document
    types: Mapping[str, ir.ComponentType]
    chosen: tuple[ir.Component, ...]


def examine(
    path: Path,
    component: str | None,
    dimensions: DimensionCheck | None,
    report: Report,
    include: Sequence[str | Path] = (),
) -> Examined:
    """Read a file and check every type and component in it; findings go to the report.

    Raises LemsError only for what cannot be gone on from: no XML, no LEMS.
    """
    root = read_tree(path, report)
    children = with_includes(root, path, include, report)
    document = declare(root, children, str(path), report)
    types = inherit(document, report)
    chosen = _chosen(document, component, report)
    rate_models = {one.id for one in chosen if is_rate_model(types.get(one.type))}
    if component is None and not document.targets:
        # The only component of a file is its model only if it can be one by itself.
        chosen = tuple(one for one in chosen if one.id in rate_models)
    if dimensions is None:
        dimensions = DimensionCheck.STRICT if rate_models else DimensionCheck.WARN
    family = Family(types)
    for item in types.values():
        TypeCheck(document, item, dimensions, report, family).run()
    check_components(document, family, report, rate_models)
    return Examined(document, types, chosen)


def _compile_network(examined: Examined, one: ir.Component, report: Report) -> None:
    # Imported here since networks are the larger part of the compiler, and this part need not
    # know it.
    from .runtime.network import compile_network

    compile_network(examined, one, NEURAL, report)


def _chosen(
    document: ir.Document, component: str | None, report: Report
) -> tuple[ir.Component, ...]:
    """The component of that name, else those of the Targets, else the only one."""
    known = {one.id: one for one in document.components}
    wanted = [component] if component is not None else [t.component for t in document.targets]
    found = tuple(known[name] for name in wanted if name in known)
    places = [document.place] * len(wanted)
    if component is None:
        places = [target.element.place for target in document.targets]
    for name, place in zip(wanted, places, strict=True):
        if name not in known and name not in document.lost:
            report.extend(unknown_component(name, place, known, component is None))
    if not (known or document.types or len(document.dimensions) > 2 or report.errors):
        message = "the file declares nothing"
        report.add(Diagnostic(Code.COMPONENT, document.place, message, warning=True))
    return found if wanted else document.components if len(known) == 1 else ()


def read_tree(path: Path, report: Report) -> Element:
    root = read(path)
    check_is_lems(root)
    return desugar(root, path.stem, report) if is_rateml(root) else root
