"""Paths in `select`: their form, where each step can lead, and what dimension they give.

A step is `name`, `name[*]`, `name[attribute='text']`, `name[2]`, `..` or `.`; a path may start with
`//Type[attribute=path]`, which finds a component anywhere.
"""

import re
from dataclasses import dataclass

from . import ir
from .errors import Code, suggestion
from .family import Family
from .syntax import ExpressionError

_STEP = re.compile(
    r"\s*(?:(?P<up>\.\.?)|(?P<name>[A-Za-z_]\w*)\s*(?:\[\s*(?P<inside>[^\[\]]*?)\s*\])?)\s*",
    re.ASCII,
)
_INSIDE = re.compile(r"\*|\d+|\w+\s*=\s*(?:'[^']*'|[\w./]+)", re.ASCII)
_FORM = "write steps as name, name[*], name[attribute='text'] or .., with / between them"
PATH_LIMIT = 50  # steps


@dataclass(frozen=True)
class Step:
    """`name` is ".." or "." too; `inside` is the text in brackets."""

    name: str
    inside: str
    offset: int


@dataclass(frozen=True)
class SelectPath:
    """`anywhere`: whether it starts with //, and its first step names a type."""

    anywhere: bool
    steps: tuple[Step, ...]

    @property
    def is_list(self) -> bool:
        return any(step.inside == "*" for step in self.steps)

    @property
    def filters(self) -> bool:
        return any("=" in step.inside for step in self.steps)


def parse_select(text: str) -> SelectPath:
    """The steps of a path. Raises ExpressionError with the offset of what is wrong."""
    start = len(text) - len(text.lstrip())
    anywhere = text.startswith("//", start)
    position = start + 2 * anywhere
    steps: list[Step] = []
    while True:
        match = _STEP.match(text, position)
        if match is None:
            raise ExpressionError(
                Code.PATH, min(position, len(text)), _fault(text, position), _FORM
            )
        inside = match["inside"]
        if inside is not None and not _INSIDE.fullmatch(inside):
            message = f"'[{inside[:40]}]' selects nothing"
            raise ExpressionError(Code.PATH, match.start("inside"), message, _FORM)
        name = match["name"] or match["up"]
        steps.append(Step(name, inside or "", match.start("name" if match["name"] else "up")))
        position = match.end()
        if len(steps) > PATH_LIMIT:
            raise ExpressionError(Code.TOO_LARGE, position, f"more than {PATH_LIMIT} steps")
        if position == len(text):
            return SelectPath(anywhere, tuple(steps))
        if text[position] != "/":
            raise ExpressionError(Code.PATH, position, _fault(text, position), _FORM)
        position += 1


def _fault(text: str, position: int) -> str:
    if not text.strip():
        return "the path is empty"
    if position >= len(text):
        return "the path ends where a name is needed"
    return f"'{text[position]}' has no meaning in a path"


Quantity = ir.Exposure | ir.Parameter | ir.DerivedParameter | ir.Constant | ir.Requirement


@dataclass(frozen=True)
class Found:
    """What the last step of a path can name: declarations of the types that the path leads to."""

    items: tuple[Quantity, ...]


def follow(path: SelectPath, item: ir.ComponentType, family: Family) -> Found | None:
    """What a path from an instance of a type leads to; None where that cannot be known here.

    Raises ExpressionError for a step that no type there can have. Every subtype of the type that a
    child or reference declares may stand there.
    """
    first = path.steps[0]
    if path.anywhere:
        if first.name not in family.types:
            message = f"unknown type '{first.name}'"
            raise ExpressionError(
                Code.UNKNOWN_TYPE, first.offset, message, suggestion(first.name, family.types)
            )
        here, steps = family.below(first.name), path.steps[1:]
    else:
        here, steps = (item,), path.steps
    for step in steps[:-1]:
        if step.name in (".", ".."):
            return None
        following = _following(step, here, family)
        if not following:
            return None
        here = following
    return _last(steps[-1], here, len(path.steps) == 1) if steps else None


def _following(
    step: Step, here: tuple[ir.ComponentType, ...], family: Family
) -> tuple[ir.ComponentType, ...] | None:
    leads = [family.leads(kind) for kind in here]
    types = {one[step.name] for one in leads if step.name in one}
    if not types:
        if any(step.name in kind.lost for kind in here):
            return None
        known = {name for one in leads for name in one}
        message = f"no child, reference or attachments '{step.name}' in {_described(here)}"
        raise ExpressionError(Code.PATH, step.offset, message, suggestion(step.name, known))
    if any(not family.is_known(name) for name in types):
        return None
    return tuple(kind for name in sorted(types) for kind in family.below(name))


def _last(step: Step, here: tuple[ir.ComponentType, ...], is_only: bool) -> Found | None:
    if is_only or step.name in (".", ".."):
        return None
    every = [
        one
        for kind in here
        for one in (
            *kind.exposures,
            *kind.parameters,
            *kind.derived_parameters,
            *kind.constants,
            *kind.requirements,
        )
    ]
    found = tuple(one for one in every if one.name == step.name)
    if not found and not any(step.name in kind.lost for kind in here):
        message = f"no exposure or parameter '{step.name}' in {_described(here)}"
        hint = suggestion(step.name, {one.name for one in every})
        raise ExpressionError(Code.PATH, step.offset, message, hint)
    return Found(found) if found else None


def _described(here: tuple[ir.ComponentType, ...]) -> str:
    return f"type '{here[0].name}'" + (" or its subtypes" if len(here) > 1 else "")
