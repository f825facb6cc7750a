"""The hot loop: delayed sums, local steps, monitors, in one compiled scan.

The rest of tvbjax enters through `start` and `advance` and knows nothing of rings and blocks.
"""

from tvbjax.engine._advance import (
    Carry as Carry,
    advance as advance,
    advance_members as advance_members,
    axes_of as axes_of,
    start as start,
    windows_of as windows_of,
)
from tvbjax.engine._afferent import channels as channels
from tvbjax.engine._ahead import (
    inputs_ahead as inputs_ahead,
    signals_ahead as signals_ahead,
    weights_of as weights_of,
)
from tvbjax.engine._derivatives import (
    Derivatives as Derivatives,
    Forward as Forward,
    Reverse as Reverse,
)
from tvbjax.engine._edges import Edges as Edges, edges_of as edges_of
from tvbjax.engine._layout import (
    BLOCKS as BLOCKS,
    Layout as Layout,
    Needs as Needs,
    fits as fits,
    laid_out as laid_out,
    layout_of as layout_of,
    predictions as predictions,
    span_of as span_of,
)
from tvbjax.engine._members import Members as Members, one_member as one_member
from tvbjax.engine._step import Outside as Outside
from tvbjax.engine._taps import taps_of as taps_of
