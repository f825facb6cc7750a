"""Which derivatives will be taken of a run, and how much of it reverse mode keeps."""

import enum
import math


class Derivatives(enum.Enum):
    """The engine gets ready for them: others come out right, too, but slower.

    `NONE`: or whatever comes of plain automatic differentiation. `REVERSE`: gradients of a few
    numbers by many. `FORWARD`: derivatives of many numbers by a few.
    """

    NONE = "none"
    REVERSE = "reverse"
    FORWARD = "forward"


# Bytes of a run that reverse mode may keep before it rather runs parts again.
_MOST_KEPT = 128 << 20


def spans_together(spans: int, bytes_of_span: int) -> int:
    """How many spans are run again together in reverse mode: all, where what is kept of all is
    little; else about the square root of their number, so that what is kept of a group and the
    beginnings of all groups are as many, and a divisor of it if one is near.
    """
    if spans * bytes_of_span <= _MOST_KEPT:
        return spans
    root = max(1, round(math.sqrt(spans)))
    near = range(max(1, (2 * root) // 3), (3 * root) // 2 + 1)
    dividing = [group for group in near if spans % group == 0]
    return min(dividing, key=lambda group: abs(group - root), default=root)
