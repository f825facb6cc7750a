"""A report of one patient: one file of HTML that needs nothing else, to be read and printed.

How far to trust the posterior comes first, and again beside everything that is read off it.
"""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpyro.distributions as dist

from tvbjax.forward import Sensors
from tvbjax.identity import digest
from tvbjax.io.atomic import atomic_path
from tvbjax.provenance import versions
from tvbjax_inference.bayes.diagnosis import Diagnosis, diagnose
from tvbjax_inference.bayes.discretisation import StepHalving
from tvbjax_inference.bayes.epilepsy import figures
from tvbjax_inference.bayes.epilepsy.regions import cells
from tvbjax_inference.bayes.epilepsy.report_page import (
    document,
    header,
    listed,
    paragraph,
    picture,
    section,
    table,
)
from tvbjax_inference.bayes.epilepsy.resolution import correlations
from tvbjax_inference.bayes.epilepsy.runs import check_patient
from tvbjax_inference.bayes.epilepsy.surgery import Search
from tvbjax_inference.bayes.likelihoods import AbstractRecording
from tvbjax_inference.bayes.priors import prior_text
from tvbjax_inference.bayes.program import Program

if TYPE_CHECKING:
    import xarray as xr

_LIMITS = (
    "This report describes a mathematical model that was fitted to recordings. It is no medical "
    "device, was not validated for decisions about patients, and replaces no clinical judgement. "
    "Probabilities are those of the model: they hold as far as the model, the connectome and the "
    "positions of the electrodes do."
)
_UNKNOWN_STEPS = (
    "Nobody looked how far the log density depends on the integrator's step: see step_halving."
)
# Attributes of the posterior that have their place elsewhere.
_SHOWN = ("model", "connectome", "coupling", "integrator", "duration", "versions", "files, sha256")
_REGIONS = 25  # rows of a table
_SAID = 20  # pairs that are named
_SHA256 = re.compile("[0-9a-f]{64}")
_PACKAGES = ("tvbjax", "jax", "jaxlib", "numpyro", "equinox", "numpy", "arviz-stats")


def write_report(
    path: str | Path,
    program: Program,
    tree: "xr.DataTree",
    *,
    patient: str,
    summary: "xr.Dataset",
    surgery: "Search | xr.Dataset | None" = None,
    sensors: Sensors | None = None,
    truth: np.ndarray | None = None,
    hypothesis: str = "",
    hashes: Mapping[str, str] | None = None,
    date: str = "",
    diagnosis: Diagnosis | None = None,
    halving: StepHalving | None = None,
) -> Path:
    """Write the report of a posterior to an `.html` file, which loads nothing from elsewhere.

    `patient`: how the report calls them. `summary`, `surgery`: what `epilepsy.summary` and
    `virtual_surgery` or `smallest_resection` gave. `sensors`: contacts, for the map. `truth`:
    excitabilities of a simulated patient. `hypothesis`: where the prior of excitability comes from,
    such as `Excitability.said`. `hashes`: SHA-256 of the patient's files by name, beside those of
    the arrays in the program. `date`: as text. `diagnosis`: by default `diagnose(tree)`. `halving`:
    what `step_halving` gave; without it the report says that nobody looked.

    Needs `pip install 'tvbjax[bayes,plot]'`. Raises `TypeError` or `ValueError` for what does not
    fit, `FileNotFoundError` where there is no such folder.
    """
    check_patient("write_report", program, tree, ())
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"write_report: the path is {path.name}; give one that ends in .html.")
    for name, value in (hashes or {}).items():
        if not _SHA256.fullmatch(value):
            raise ValueError(
                f"write_report: the hash of '{name}' is {value!r:.70}; give the 64 digits of a "
                "SHA-256, e.g. hashlib.sha256(path.read_bytes()).hexdigest()."
            )
    found = diagnose(tree) if diagnosis is None else diagnosis
    warning = "" if found.trusted else paragraph(found.verdict, "warning")
    parts = [
        _head(patient, date),
        _banner(found),
        section(
            "Steps of the integrator",
            paragraph(_UNKNOWN_STEPS if halving is None else str(halving)),
        ),
        _regions(program, tree, summary, sensors, truth, warning),
        _predictions(program, tree, warning),
        "" if surgery is None else _surgery(surgery, warning),
        _unresolved(tree, summary),
        _settings(program, tree, hypothesis),
        section("Data", table([("what", "SHA-256"), *_hashes(program, hashes or {})])),
        section("Versions", table([("package", "version"), *versions(*_PACKAGES).items()])),
    ]
    page = document(f"{patient}: epileptogenic regions", parts)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _head(patient: str, date: str) -> str:
    use = paragraph("For research use only", "research")
    return header(patient, use + (paragraph(date) if date else "") + paragraph(_LIMITS))


def _banner(diagnosis: Diagnosis) -> str:
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in diagnosis.numbers.items())
    counted = paragraph(numbers) if numbers else ""
    if diagnosis.trusted:
        return section("Diagnosis of the sampling: no sign of trouble", counted, "banner good")
    return section(
        "Diagnosis of the sampling: not to be trusted as it is",
        listed(diagnosis.problems) + counted,
        "banner bad",
    )


def _regions(
    program: Program,
    tree: "xr.DataTree",
    summary: "xr.Dataset",
    sensors: Sensors | None,
    truth: np.ndarray | None,
    warning: str,
) -> str:
    unknown, total = int((~summary["known"]).sum()), summary.sizes["region"]
    rows = cells(summary, _REGIONS)
    first = f"The first {_REGIONS} of {total} regions. " if total > _REGIONS else ""
    early = (
        "P(early): of a discharge soon after the first region's, however excitable it is. "
        if "early" in summary
        else ""
    )
    said = (
        f"{first}These are probabilities, not labels, of an excitability at which a region has "
        f"seizures by itself. {early}Of {unknown} of {total} regions the data say nothing: what "
        "stands there, pale, is the prior."
    )
    violins = figures.excitability_violins(tree, summary, truth=truth)
    pictures = [picture(violins, "Excitability by region, with the prior")]
    connectome = program.simulator.connectome
    if connectome.centres is not None:
        drawn = figures.map_of_probability(summary, connectome, sensors)
        pictures.append(picture(drawn, "Probabilities in the brain, from three sides"))
    if truth is not None:
        drawn = figures.shrinkage_scatter(tree, summary, truth)
        pictures.append(picture(drawn, "Distance from the truth of the simulated patient"))
    kinds = ["" if known == "yes" else "unknown" for *_, known in rows]
    kinds[0] = ""
    return section("Regions", warning + paragraph(said) + table(rows, kinds) + "".join(pictures))


def _predictions(program: Program, tree: "xr.DataTree", warning: str) -> str:
    """What was recorded beside what is predicted, of recordings of channels."""
    if "posterior_predictive" not in tree.children or "observed_data" not in tree.children:
        return ""
    predicted = tree["posterior_predictive"].data_vars
    pictures = [
        picture(figures.predicted_seeg(tree, name=one.name), f"Recorded and predicted: {one.name}")
        for one in program.likelihoods.values()
        if isinstance(one, AbstractRecording) and one.name in predicted
    ]
    return section("Recorded and predicted", warning + "".join(pictures)) if pictures else ""


def _surgery(operations: "Search | xr.Dataset", warning: str) -> str:
    surgery = operations.tried if isinstance(operations, Search) else operations
    percent = f"{100 * surgery.attrs['level']:.0f} %"
    rows = [("operation", f"P(no seizure) ({percent})", "regions seizing on average")]
    size = surgery["size"].mean("draw").values
    order = np.argsort(-surgery["prevented"].values, kind="stable")
    shown = order[:_REGIONS]
    if len(shown) < len(order) and 0 not in shown:
        shown = np.append(shown, 0)  # no surgery, as a rule: what the others are held against
    for place in shown:
        one = surgery.isel(candidate=place)
        chance = f"{float(one['prevented']):.2f}"
        ends = f"{float(one['low']):.2f} to {float(one['high']):.2f}"
        rows.append((str(one["candidate"].values), f"{chance} ({ends})", f"{size[place]:.1f}"))
    said = (
        f"A seizure is a discharge of more than {surgery.attrs['more_than']} regions within "
        f"{surgery.attrs['duration']:g} ms of the model, in "
        f"{surgery.sizes['draw']} draws of the posterior. This is about the model, and no advice "
        "to operate."
    )
    if isinstance(operations, Search):
        said = f"{operations} {said}"
    if len(shown) < len(order):
        said = f"{said} The best of the {len(order)} operations that were tried are shown."
    bars = picture(figures.surgery_bars(surgery), "Probability of no seizure by operation")
    return section("Virtual surgery", warning + paragraph(said) + table(rows) + bars)


def _unresolved(tree: "xr.DataTree", summary: "xr.Dataset") -> str:
    said = list(correlations(tree).said)
    if len(said) > _SAID:
        said = [*said[:_SAID], f"... and {len(said) - _SAID} more such pairs."]
    unknown = [str(label) for label in summary["region"].values[~summary["known"].values]]
    if unknown:
        said.append(f"Regions of which the data say nothing: {', '.join(unknown)}.")
    none = paragraph("No two unknowns make up for one another, and every region is known of.")
    return section("What the data cannot resolve", listed(said) if said else none)


def _settings(program: Program, tree: "xr.DataTree", hypothesis: str) -> str:
    simulator = program.simulator
    rules = [type(rule).__name__ for several in simulator.rules for rule in several]
    rows = [
        ("setting", "value"),
        ("model", simulator.model.name),
        ("regions", str(simulator.regions)),
        ("connectome", simulator.connectome.name),
        ("coupling", ", ".join(rules)),
        ("integrator", f"{type(simulator.integrator).__name__}, dt {simulator.integrator.dt:g} ms"),
        ("duration", f"{program.length:g} ms of the model"),
        *((str(n), _read(value)) for n, value in tree.attrs.items() if n not in _SHOWN),
    ]
    priors = [("unknown", "prior")]
    priors += [(name, prior_text(prior)) for name, prior in program.priors.items()]
    priors += _fields("initial state", program.initial)
    if program.state_noise is not None:
        noises = program.state_noise.deviations.items()
        priors += [row for name, one in noises for row in _row(f"state noise: {name}", one)]
    for likelihood in program.likelihoods.values():
        priors += _fields(likelihood.name, likelihood)
    where = paragraph(f"Excitability: {hypothesis}.") if hypothesis else ""
    return section("Settings", table(rows) + where + table(priors))


def _fields(what: str, module: Any) -> list[tuple[str, str]]:
    """What a part of a program takes as unknown, or as a known number."""
    found = []
    for field in dataclasses.fields(module):
        found += _row(f"{what}: {field.name}", getattr(module, field.name))
    return found


def _row(what: str, value: Any) -> list[tuple[str, str]]:
    """A row for a prior or a number, and none for all else."""
    if isinstance(value, dist.Distribution):
        return [(what, prior_text(value))]
    if isinstance(value, float | int):
        return [(what, f"{value:.4g}, not estimated")]
    return []


def _hashes(program: Program, given: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    yield "weights of the connectome", digest(np.asarray(program.simulator.connectome.weights))
    for one in program.likelihoods.values():
        yield f"data of {one.name}", digest(np.asarray(one.measured))
        if isinstance(one, AbstractRecording):
            yield f"gain of {one.name}", digest(np.asarray(one.recorded.gain.matrix))
    yield from given.items()


def _read(value: Any) -> str:
    """An attribute: of a JSON object its fields, else the text itself."""
    try:
        read = json.loads(value)
    except (TypeError, ValueError):
        return str(value)
    if isinstance(read, dict):
        return ", ".join(f"{name} {part}" for name, part in read.items())
    return str(read)
