"""Files and built-in names to models: the passes of the compiler in their order."""

import warnings
from pathlib import Path

from . import ir
from .declarations import declare
from .dialects.rateml import desugar, is_rateml
from .emit import Model
from .errors import Code, Diagnostic, LemsError, LemsWarning, Place, Report, failure, suggestion
from .flat import FlatModel
from .flatten import flatten
from .includes import LIBRARY, check_is_lems, with_includes
from .resolve import TypeCheck, choose, inherit
from .units import NEURAL, DimensionCheck, UnitSystem
from .xml import Element, read, serialise

_SHARED = ("units",)


def models() -> tuple[str, ...]:
    """The names of the built-in models, for `load`."""
    return tuple(sorted(p.stem for p in LIBRARY.glob("*.xml") if p.stem not in _SHARED))


def load(
    name_or_path: str | Path,
    component: str | None = None,
    *,
    dimensions: DimensionCheck = DimensionCheck.STRICT,
    units: UnitSystem = NEURAL,
) -> Model:
    """The model of a LEMS or RateML file, or a built-in one by its name.

    `component`: the id of the Component to load; by default the Target's, or the only one.
    `dimensions`: what a wrong dimension is. `units`: the system that all numbers are given in;
    the simulator expects NEURAL (ms, mm, mV, nA). Raises LemsError with everything that is wrong,
    with file, line and column; gives a LemsWarning for what is doubtful.
    """
    report = Report()
    spec = compile_file(locate(name_or_path), component, dimensions, units, report)
    for finding in report.warnings:
        warnings.warn(str(finding), LemsWarning, stacklevel=2)
    return Model(spec)


def check(
    name_or_path: str | Path,
    component: str | None = None,
    *,
    dimensions: DimensionCheck = DimensionCheck.STRICT,
) -> list[Diagnostic]:
    """Everything that is wrong or doubtful about a file; an empty list where it is good."""
    report = Report()
    try:
        compile_file(locate(name_or_path), component, dimensions, NEURAL, report)
    except LemsError as error:
        return [*error.diagnostics, *report.warnings]
    return list(report.warnings)


def to_lems(path: str | Path) -> str:
    """The text of a model file as LEMS: a RateML file rewritten, a LEMS file as its tree says.

    RateML's meanings that LEMS lacks become attributes of tvbjax's namespace, which other LEMS
    tools ignore. Every dimension is `*`, since RateML has none. Raises LemsError.
    """
    report = Report()
    text = serialise(_tree(locate(path), report))
    for finding in report.warnings:
        warnings.warn(str(finding), LemsWarning, stacklevel=2)
    return text


def locate(name_or_path: str | Path) -> Path:
    """The file of a built-in model or a path. Raises LemsError where there is neither."""
    name = str(name_or_path)
    if name in models():
        return LIBRARY / f"{name}.xml"
    path = Path(name_or_path)
    if isinstance(name_or_path, str) and "\0" not in name and not path.suffix:
        if not path.exists():
            raise failure(
                Code.UNREADABLE,
                Place(name),
                "neither a file nor a built-in model",
                suggestion(name, models()),
            )
    return path


def compile_file(
    path: Path,
    component: str | None,
    dimensions: DimensionCheck,
    units: UnitSystem,
    report: Report,
) -> FlatModel:
    """The flat model of a file; warnings go to the report. Raises LemsError."""
    root = _tree(path, report)
    document = declare(root, with_includes(root, path), str(path))
    return _compile(document, component, dimensions, units, report)


def _tree(path: Path, report: Report) -> Element:
    root = read(path)
    check_is_lems(root)
    return desugar(root, path.stem, report) if is_rateml(root) else root


def _compile(
    document: ir.Document,
    component: str | None,
    dimensions: DimensionCheck,
    units: UnitSystem,
    report: Report,
) -> FlatModel:
    types = inherit(document)
    for item in types.values():
        TypeCheck(document, item, dimensions, report).run()
    report.stop()
    return flatten(document, types, choose(document, component), units, report)
