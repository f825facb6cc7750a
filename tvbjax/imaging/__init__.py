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
from tvbjax.imaging.bundles import (
    Bundle as Bundle,
    connection_density as connection_density,
    streamline_count as streamline_count,
)
from tvbjax.imaging.deconvolution import (
    Response as Response,
    fibre_orientations as fibre_orientations,
    fibre_response as fibre_response,
)
from tvbjax.imaging.diffusion import (
    Diffusion as Diffusion,
    Tensors as Tensors,
    brain_mask as brain_mask,
    denoised as denoised,
    read_diffusion as read_diffusion,
    tensors as tensors,
)
from tvbjax.imaging.explained_signal import signal_shares as signal_shares
from tvbjax.imaging.figures import structural_quality as structural_quality
from tvbjax.imaging.fmriprep import FmriprepRun as FmriprepRun, fmriprep_run as fmriprep_run
from tvbjax.imaging.functional import (
    fmriprep_confounds as fmriprep_confounds,
    regional_series as regional_series,
    shrunk_correlation as shrunk_correlation,
    shrunk_partial_correlation as shrunk_partial_correlation,
    tangent_connectivity as tangent_connectivity,
)
from tvbjax.imaging.functional_figure import functional_quality as functional_quality
from tvbjax.imaging.gradients import (
    Gradients as Gradients,
    fibre_coherence as fibre_coherence,
    fsl_gradients as fsl_gradients,
    read_fsl_gradients as read_fsl_gradients,
)
from tvbjax.imaging.homogeneous import (
    RegionalMatrix as RegionalMatrix,
    homogeneous_matrix as homogeneous_matrix,
)
from tvbjax.imaging.images import Image as Image, read_image as read_image
from tvbjax.imaging.mrtrix import Mrtrix as Mrtrix, mrtrix_connectome as mrtrix_connectome
from tvbjax.imaging.multi_shell import (
    TissueResponses as TissueResponses,
    multi_shell_orientations as multi_shell_orientations,
    tissue_responses as tissue_responses,
)
from tvbjax.imaging.parcel_files import read_parcels as read_parcels
from tvbjax.imaging.phantom import (
    Phantom as Phantom,
    straight_bundles as straight_bundles,
    three_bundles as three_bundles,
)
from tvbjax.imaging.preparation import (
    Preparation as Preparation,
    Prepared as Prepared,
    prepared as prepared,
)
from tvbjax.imaging.regional_tables import read_regional_matrices as read_regional_matrices
from tvbjax.imaging.registration import Alignment as Alignment, aligned as aligned
from tvbjax.imaging.retrograde import read_retrograde_table as read_retrograde_table
from tvbjax.imaging.structural import (
    Structural as Structural,
    StructuralResult as StructuralResult,
    structural_connectome as structural_connectome,
)
from tvbjax.imaging.tissues import Tissues as Tissues, tissues_of as tissues_of
from tvbjax.imaging.tractography import (
    streamline_connectome as streamline_connectome,
    tracked as tracked,
)
