"""What a run is asked to record: the file's outputs, and the paths that its caller names."""

from collections.abc import Sequence

from .paths import PathError
from .plan import Plan, Recorded


def asked(
    plan: Plan, record: Sequence[str], function: str
) -> tuple[list[Recorded], list[Recorded]]:
    """What is recorded, quantities and events. Raises ValueError, which says the `function`."""
    quantities = {one.path: one for one in plan.quantities}
    events = {one.path: one for one in plan.events}
    for path in [record] if isinstance(record, str) else record:
        try:
            one, is_event = named(plan, path)
        except PathError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise ValueError(
                f"{function}: cannot record '{path}': {error.message}{hint}."
            ) from None
        _check(plan, one, function)
        (events if is_event else quantities).setdefault(path, one)
    return list(quantities.values()), list(events.values())


def named(plan: Plan, path: str) -> tuple[Recorded, bool]:
    """What a path names, and whether these are events: of a port. Raises PathError."""
    try:
        return plan.find(path, ""), False
    except PathError as error:
        head, _, port = path.rpartition("/")
        try:
            return plan.find(head, port), True
        except PathError:
            raise error from None


def _check(plan: Plan, one: Recorded, function: str) -> None:
    """That it can be recorded of the network as it was compiled. Raises ValueError."""
    for part in one.parts:
        if part.unit >= len(plan.units):
            raise ValueError(
                f"{function}: '{one.path}' is of a component that takes no part in the run."
            )
        if plan.units[part.unit].pool is not None:
            raise ValueError(
                f"{function}: '{one.path}' is of a synapse that is kept together with others of "
                "its cell; to record each, load_network(..., pool=False)."
            )
