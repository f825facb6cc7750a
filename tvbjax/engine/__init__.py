"""The hot loop: delayed sums, local steps, monitors, in one compiled scan.

The rest of tvbjax enters through `start` and `advance` and knows nothing of layouts and blocks.
"""

from tvbjax.engine._advance import Carry as Carry, advance as advance, start as start
from tvbjax.engine._edges import Edges as Edges, edges_of as edges_of
