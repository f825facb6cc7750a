"""Brains to begin with: The Virtual Brain's, from the package tvb-data, and synthetic ones.

tvb-data's files are under the GPL and stay in its package; nothing of it is imported or copied.
"""

from tvbjax.datasets._connectomes import (
    connectome as connectome,
    names as names,
    synthetic_connectome as synthetic_connectome,
)
from tvbjax.datasets._head import (
    gain as gain,
    region_mapping as region_mapping,
    sensors as sensors,
    surface as surface,
)
