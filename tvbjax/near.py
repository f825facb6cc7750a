"""Names that are not there: which of those that are may have been meant."""

import difflib
from collections.abc import Sequence


def near(name: object, known: Sequence[str]) -> str:
    """`did you mean 'Cz'?`, of names that are alike, whatever their case; empty where none is."""
    folded = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=3)
    return f"did you mean {' or '.join(repr(folded[one]) for one in close)}?" if close else ""
