"""Figures, and an interactive brain for the browser.

Figures need matplotlib (`pip install 'tvbjax[plot]'`), which is imported only when drawing; the
brain needs nothing more.
"""

from tvbjax.plot.bifurcation import bifurcation as bifurcation
from tvbjax.plot.cortex import surface as surface
from tvbjax.plot.electrodes import sensors as sensors
from tvbjax.plot.glass import glass_brain as glass_brain
from tvbjax.plot.matrices import (
    connectome as connectome,
    functional_connectivity as functional_connectivity,
    functional_connectivity_dynamics as functional_connectivity_dynamics,
)
from tvbjax.plot.overview import overview as overview
from tvbjax.plot.phase import phase_plane as phase_plane
from tvbjax.plot.recording import display as display, raster as raster
from tvbjax.plot.series import spectra as spectra, traces as traces
from tvbjax.plot.sweep_map import sweep as sweep
from tvbjax.plot.viewer import Brain as Brain, brain as brain
