"""Analysis of signals, simulated or measured: pure functions of arrays.

Signals are `(time, region)`, e.g. `result.samples["bold"].values[:, 0]`; times in ms, frequencies
in Hz. What is differentiable is JAX, for use under `jit` and `vmap`; what counts, sorts or searches
is NumPy, SciPy, networkx or scikit-learn (the extra `analysis`), and says so.
"""

from tvbjax.analysis.avalanches import (
    Avalanches as Avalanches,
    PowerLaw as PowerLaw,
    branching_ratio as branching_ratio,
    find_avalanches as find_avalanches,
    find_events as find_events,
    fit_power_law as fit_power_law,
)
from tvbjax.analysis.complexity import (
    multiscale_entropy as multiscale_entropy,
    permutation_entropy as permutation_entropy,
    sample_entropy as sample_entropy,
    spectral_entropy as spectral_entropy,
)
from tvbjax.analysis.components import (
    IndependentComponents as IndependentComponents,
    PrincipalComponents as PrincipalComponents,
    independent_components as independent_components,
    principal_components as principal_components,
)
from tvbjax.analysis.connectivity import (
    covariance as covariance,
    cross_correlation as cross_correlation,
    fcd_distance as fcd_distance,
    functional_connectivity as functional_connectivity,
    functional_connectivity_dynamics as functional_connectivity_dynamics,
    ks_distance as ks_distance,
    partial_correlation as partial_correlation,
)
from tvbjax.analysis.envelopes import (
    amplitude_envelope as amplitude_envelope,
    band_pass as band_pass,
    envelope_correlation as envelope_correlation,
    orthogonal_envelope_correlation as orthogonal_envelope_correlation,
)
from tvbjax.analysis.graphs import (
    betweenness as betweenness,
    binarise as binarise,
    characteristic_path_length as characteristic_path_length,
    clustering as clustering,
    density as density,
    find_communities as find_communities,
    global_efficiency as global_efficiency,
    in_degree as in_degree,
    in_strength as in_strength,
    local_efficiency as local_efficiency,
    modularity as modularity,
    out_degree as out_degree,
    out_strength as out_strength,
    participation as participation,
    path_lengths as path_lengths,
    small_worldness as small_worldness,
    transitivity as transitivity,
)
from tvbjax.analysis.phases import (
    analytic_signal as analytic_signal,
    instantaneous_phase as instantaneous_phase,
    kuramoto_order as kuramoto_order,
    metastability as metastability,
    phase_lag_index as phase_lag_index,
    phase_locking_value as phase_locking_value,
    synchrony as synchrony,
)
from tvbjax.analysis.spectra import (
    band_power as band_power,
    coherence as coherence,
    complex_coherence as complex_coherence,
    cross_spectrum as cross_spectrum,
    frequencies as frequencies,
    imaginary_coherence as imaginary_coherence,
    power_spectrum as power_spectrum,
)
from tvbjax.analysis.variability import (
    global_variance as global_variance,
    proxy_metastability as proxy_metastability,
    proxy_synchrony as proxy_synchrony,
    spatial_deviation as spatial_deviation,
    variance_of_node_variance as variance_of_node_variance,
)
from tvbjax.analysis.wavelets import wavelet_transform as wavelet_transform
