"""The cortical surface: meshes, which region a vertex is in, what neighbours tell each other."""

from tvbjax.surface._cortex import Cortex as Cortex
from tvbjax.surface._geodesic import (
    edge_distances as edge_distances,
    focal_pattern as focal_pattern,
    geodesic_distances as geodesic_distances,
)
from tvbjax.surface._local import (
    LocalConnectivity as LocalConnectivity,
    local_connectivity as local_connectivity,
    local_kernel as local_kernel,
    neighbour_average as neighbour_average,
)
from tvbjax.surface._mapping import (
    Mapping as Mapping,
    checked_mapping as checked_mapping,
    region_indices as region_indices,
    without_vertices as without_vertices,
)
from tvbjax.surface._surface import Surface as Surface
