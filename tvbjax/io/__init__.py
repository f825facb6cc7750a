"""Readers and writers of files. Each module knows one format and nothing of simulation."""

from tvbjax.io.bids import (
    read_bids_connectome as read_bids_connectome,
    write_bids_connectome as write_bids_connectome,
)
from tvbjax.io.bids_connectivity import (
    read_bids_connectivity as read_bids_connectivity,
    write_bids_connectivity as write_bids_connectivity,
)
from tvbjax.io.bids_regional import (
    write_bids_regional_series as write_bids_regional_series,
)
from tvbjax.io.bids_series import read_bids_series as read_bids_series
from tvbjax.io.bids_simulation import write_bids_simulation as write_bids_simulation
from tvbjax.io.bids_surface import read_bids_surface as read_bids_surface
from tvbjax.io.cifti import (
    cifti_parcels as cifti_parcels,
    read_cifti_matrix as read_cifti_matrix,
    read_cifti_series as read_cifti_series,
)
from tvbjax.io.gifti import (
    read_maps_gifti as read_maps_gifti,
    read_region_mapping_gifti as read_region_mapping_gifti,
    write_maps_gifti as write_maps_gifti,
    write_region_mapping_gifti as write_region_mapping_gifti,
    write_surface_gifti as write_surface_gifti,
)
from tvbjax.io.hashes import sha256_of as sha256_of
from tvbjax.io.labels import (
    read_labels as read_labels,
    read_numbered_labels as read_numbered_labels,
)
from tvbjax.io.matrices import read_connectome_matrices as read_connectome_matrices
from tvbjax.io.pipelines import (
    read_mrtrix3_connectome as read_mrtrix3_connectome,
    read_qsirecon_connectome as read_qsirecon_connectome,
)
from tvbjax.io.run_crate import Author as Author, write_run_crate as write_run_crate
from tvbjax.io.sensors import (
    read_gain_matrix as read_gain_matrix,
    read_sensors as read_sensors,
)
from tvbjax.io.series import read_regional_series as read_regional_series
from tvbjax.io.surfaces import (
    read_region_mapping as read_region_mapping,
    read_surface as read_surface,
)
from tvbjax.io.tvb_h5 import (
    read_connectome_h5 as read_connectome_h5,
    read_time_series_h5 as read_time_series_h5,
    write_connectome_h5 as write_connectome_h5,
    write_time_series_h5 as write_time_series_h5,
)
from tvbjax.io.tvb_zip import (
    read_connectome_zip as read_connectome_zip,
    write_connectome_zip as write_connectome_zip,
)
