"""A model as files to give away: its equations in one LEMS file, the values of a run in another."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import ir
from .emit import Model
from .errors import Place, Report
from .includes import with_includes
from .library import examine, locate, read_tree
from .resolve import choose
from .units import NEURAL, Dimension, DimensionCheck
from .xml import Attribute, Element, serialise


def standalone_lems(name_or_path: str | Path) -> str:
    """The text of a model file as LEMS with all that it includes, so that it needs no other file.

    Raises LemsError.
    """
    path, report = locate(name_or_path), Report()
    root = read_tree(path, report)
    return serialise(dataclasses.replace(root, children=with_includes(root, path)))


def values_lems(model: Model, name_or_path: str | Path, include: str) -> str:
    """The parameters of `model` as LEMS: Components that include the file of the equations.

    `name_or_path`: where the model was loaded from; `include`: the name of the file of its
    equations, as `standalone_lems` gives it. A Component `Name_values` holds values
    that are the same for all regions; with values of their own there is `Name_values_0` and so on,
    one for each region: `load(path, "Name_values_3")` gives a model with the values of region 3.
    Raises ValueError for a parameter that is no attribute of the file's Component, values that are
    not finite or of different lengths, and LemsError.
    """
    examined = examine(locate(name_or_path), None, DimensionCheck.OFF, Report())
    component = choose(examined.document, None)
    declared = {p.name: p.dimension for p in examined.types[component.type].parameters}
    values = {name: np.asarray(value) for name, value in model.params.items()}
    _check(values, declared, model.name)
    wanted = dict.fromkeys(declared[name] for name in values)
    dimensions = {name: examined.document.dimensions[name] for name in wanted}
    units = {name: _unit(name, found) for name, found in dimensions.items()}
    regions = max((value.size for value in values.values() if value.ndim), default=0)
    base = f"{component.id}_values"
    names = [f"{base}_{i}" for i in range(regions)] or [base]
    components = []
    for i, name in enumerate(names):
        texts = {
            # The shortest text that is this number in its own precision.
            parameter: str(value[i] if value.ndim else value[()])
            + (f" {_symbol(declared[parameter])}" if units[declared[parameter]] else "")
            for parameter, value in values.items()
        }
        components.append(_component(component, name, texts))
    place = component.element.place
    children = [
        _element("Include", {"file": include}, place),
        *(unit for unit in units.values() if unit is not None),
        *components,
    ]
    return serialise(Element("Lems", "", (), tuple(children), place))


def _check(values: Mapping[str, np.ndarray], declared: Mapping[str, str], model: str) -> None:
    sizes = {value.size for value in values.values() if value.ndim}
    for name, value in values.items():
        if name not in declared:
            raise ValueError(
                f"{model}: the parameter '{name}' is no attribute of the file's Component, whose "
                f"are {', '.join(declared)}; is the model of this file?"
            )
        if value.ndim > 1 or not np.isfinite(value).all():
            raise ValueError(
                f"{model}: the parameter '{name}' has the shape {value.shape} or values that are "
                "not finite; give one number, or one for each region."
            )
    if len(sizes) > 1:
        raise ValueError(f"{model}: parameters have values for {sorted(sizes)} regions; give one.")


def _symbol(dimension: str) -> str:
    return f"neural_{dimension}"


def _unit(name: str, dimension: Dimension) -> Element | None:
    """A unit of tvbjax's own system for a dimension, by a name that no file has."""
    if dimension.is_any or dimension.is_none:
        return None
    power = str(NEURAL.power(dimension))
    attributes = {"symbol": _symbol(name), "dimension": name, "power": power}
    return _element("Unit", attributes, Place(""))


def _component(component: ir.Component, name: str, texts: Mapping[str, str]) -> Element:
    """The file's Component with another id and other values; all else it says is kept."""
    given: dict[str, Any] = {"id": name, **texts}
    kept = [
        dataclasses.replace(one, value=given.pop(one.name))
        if not one.namespace and one.name in given
        else one
        for one in component.element.attributes
    ]
    place = component.element.place
    added = [Attribute(name, "", value, place) for name, value in given.items()]
    return dataclasses.replace(component.element, attributes=(*kept, *added))


def _element(tag: str, attributes: Mapping[str, str], place: Place) -> Element:
    found = tuple(Attribute(name, "", value, place) for name, value in attributes.items())
    return Element(tag, "", found, (), place)
