"""From scans and tracers to connectomes and regional signals."""

from tvbjax.imaging.allen import (
    TracerConnectome as TracerConnectome,
    allen_connectome as allen_connectome,
    density_per_injection as density_per_injection,
    projection_density as projection_density,
    projection_energy as projection_energy,
)
from tvbjax.imaging.allen_places import (
    Places as Places,
    allen_parcellation as allen_parcellation,
    allen_places as allen_places,
)
from tvbjax.imaging.allen_tables import (
    AllenTables as AllenTables,
    allen_tables as allen_tables,
)
from tvbjax.imaging.homogeneous import (
    RegionalMatrix as RegionalMatrix,
    homogeneous_matrix as homogeneous_matrix,
)
