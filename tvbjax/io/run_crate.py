"""A run's manifest as RO-Crate: which inputs and parameters, by which versions, made which outputs.

`ro-crate-metadata.json` beside the outputs: RO-Crate 1.1 in the profile Process Run Crate 0.5, with
one CreateAction. Files are named by their hash; no path outside of the folder is told.
"""

import importlib.metadata
import json
import math
import mimetypes
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tvbjax.io.atomic import atomic_path
from tvbjax.io.hashes import sha256_of

FILE = "ro-crate-metadata.json"
_CRATE = "https://w3id.org/ro/crate/1.1"
_PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
# RO-Crate 1.1 has no term for a hash; this is that of the profiles of runs.
_TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
_CONTEXT = (f"{_CRATE}/context", _TERMS)
_PACKAGES = ("jax", "jaxlib", "equinox", "numpy", "scipy")
_KINDS = {".gii": "application/xml", ".tsv": "text/tab-separated-values"}
Entity = dict[str, Any]
File = str | os.PathLike[str]


@dataclass(frozen=True)
class Author:
    """Who is responsible for a run. `orcid`: the identifier's address, `https://orcid.org/...`."""

    name: str
    orcid: str

    def __post_init__(self):
        if not self.name or not self.orcid.startswith("https://orcid.org/"):
            raise ValueError(
                f"Author: {self.name!r}, {self.orcid!r}; give a name and https://orcid.org/..."
            )


def write_run_crate(
    folder: File,
    *,
    name: str,
    description: str,
    outputs: Sequence[File],
    started: datetime,
    ended: datetime,
    license: str,
    inputs: Sequence[File] = (),
    parameters: Mapping[str, Any] | None = None,
    seeds: Sequence[int] = (),
    packages: Sequence[str] = _PACKAGES,
    author: Author | None = None,
) -> Path:
    """Write `ro-crate-metadata.json` into `folder`, where the outputs are. Returns its path.

    `outputs`: files or folders (Zarr) in the folder, by their path or relative to it. `inputs`:
    such, or files from elsewhere, of which the name and the hash are told. `parameters`: values by
    name, for example `result.attributes`; numbers and texts as they are, others as JSON. `started`,
    `ended`: with a time zone. `license`: of the outputs, the address of its text. `packages`: whose
    versions are told, beside Python's and tvbjax's. `author`: nobody unless given.

    Raises FileNotFoundError for what is not there, ValueError for outputs elsewhere or times
    that are none, PackageNotFoundError for packages.
    """
    root = Path(folder).resolve()
    if not root.is_dir():
        raise FileNotFoundError(f"write_run_crate: there is no folder {folder}.")
    _check_times(started, ended)
    made = [_file(root, path) for path in outputs]
    used = [_file(root, path) for path in inputs]
    for entity, path in zip(made, outputs, strict=True):
        if entity["@id"].startswith("urn:"):
            raise ValueError(f"write_run_crate: the output {path} is not in {folder}.")
    if not license.startswith(("https://", "http://")):
        raise ValueError(
            f"write_run_crate: the license is {license!r}; give the address of its text, such as "
            "https://spdx.org/licenses/CC-BY-4.0."
        )
    if not made:
        raise ValueError("write_run_crate: give outputs; a crate tells what a run has made.")
    values = [
        _value(name, value, f"#parameter-{quote(name)}")
        for name, value in (parameters or {}).items()
    ]
    values += [_value("seed", int(seed), f"#seed-{i}") for i, seed in enumerate(seeds)]
    tool = {
        "@id": "#tvbjax",
        "@type": "SoftwareApplication",
        "name": "tvbjax",
        "softwareVersion": importlib.metadata.version("tvbjax"),
        "softwareRequirements": [],
    }
    others = [
        {
            "@id": f"#{package}",
            "@type": "SoftwareApplication",
            "name": package,
            "softwareVersion": version,
        }
        for package, version in _versions(packages).items()
    ]
    tool["softwareRequirements"] = _references(others)
    action: Entity = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": name,
        "description": description,
        "startTime": started.isoformat(timespec="seconds"),
        "endTime": ended.isoformat(timespec="seconds"),
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "instrument": {"@id": "#tvbjax"},
        "object": _references([*used, *values]),
        "result": _references(made),
    }
    files = list({one["@id"]: one for one in [*used, *made]}.values())
    dataset: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": name,
        "description": description,
        "datePublished": ended.isoformat(timespec="seconds"),
        "license": {"@id": license},
        "conformsTo": {"@id": _PROFILE},
        "hasPart": _references(files),
        "mentions": {"@id": "#run"},
    }
    people: list[Entity] = []
    if author is not None:
        people = [{"@id": author.orcid, "@type": "Person", "name": author.name}]
        action["agent"] = dataset["author"] = {"@id": author.orcid}
    graph = [
        {
            "@id": FILE,
            "@type": "CreativeWork",
            "conformsTo": {"@id": _CRATE},
            "about": {"@id": "./"},
        },
        dataset,
        _work(_PROFILE, "Process Run Crate", version="0.5"),
        _work(license, license, description="license of the outputs"),
        *people,
        action,
        tool,
        *others,
        *files,
        *values,
    ]
    path = root / FILE
    with atomic_path(path) as temporary:
        text = json.dumps({"@context": list(_CONTEXT), "@graph": graph}, indent=2, allow_nan=False)
        temporary.write_text(text + "\n")
    return path


def _check_times(started: datetime, ended: datetime) -> None:
    if started.tzinfo is None or ended.tzinfo is None:
        raise ValueError(
            f"write_run_crate: {started} and {ended} have no time zone; use "
            "datetime.now(timezone.utc)."
        )
    if ended < started:
        raise ValueError(f"write_run_crate: the run ended at {ended}, before it began, {started}.")


def _file(root: Path, path: File) -> Entity:
    """A file's or folder's entity: by its place in the crate, else by its hash."""
    place = Path(path)
    found = place if place.is_absolute() else root / place
    if not found.exists() and place.exists():  # relative to where the program runs
        found = place
    found = found.resolve()
    digest = sha256_of(found)
    name = found.name
    if found.is_relative_to(root) and found != root:
        name = found.relative_to(root).as_posix()
        identifier = quote(name) + ("/" if found.is_dir() else "")
    else:
        identifier = f"urn:hash::sha256:{digest}"
    if found.is_dir():
        return {"@id": identifier, "@type": "Dataset", "name": name, "sha256": digest}
    kind = mimetypes.guess_type(name)[0] or _KINDS.get(found.suffix, "application/octet-stream")
    return {
        "@id": identifier,
        "@type": "File",
        "name": name,
        "encodingFormat": kind,
        "contentSize": str(found.stat().st_size),
        "sha256": digest,
    }


def _value(name: str, value: Any, identifier: str) -> Entity:
    number_or_text = isinstance(value, str | int | bool)
    plain = number_or_text or (isinstance(value, float) and math.isfinite(value))
    return {
        "@id": identifier,
        "@type": "PropertyValue",
        "name": name,
        "value": value if plain else json.dumps(value, default=_as_list),
    }


def _as_list(value: Any) -> Any:
    """An array as lists; what has no such form is an error, not a text that looks like a value."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a parameter holds a {type(value).__name__}, which is no JSON.")


def _versions(packages: Sequence[str]) -> dict[str, str]:
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }


def _work(identifier: str, name: str, **more: str) -> Entity:
    return {"@id": identifier, "@type": "CreativeWork", "name": name, **more}


def _references(entities: Sequence[Entity]) -> list[dict[str, str]]:
    return [{"@id": one["@id"]} for one in entities]
