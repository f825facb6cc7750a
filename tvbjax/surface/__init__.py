"""The cortical surface: meshes, which region a vertex is in, what neighbours tell each other."""

from tvbjax.surface._mapping import (
    checked_mapping as checked_mapping,
    without_vertices as without_vertices,
)
from tvbjax.surface._surface import Surface as Surface
