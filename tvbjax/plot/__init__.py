"""Figures, and an interactive brain for the browser.

Figures need matplotlib (`pip install 'tvbjax[plot]'`), which is imported only when drawing; the
brain needs nothing more.
"""

from tvbjax.plot.bifurcation import bifurcation as bifurcation
from tvbjax.plot.overview import overview as overview
from tvbjax.plot.phase import phase_plane as phase_plane
from tvbjax.plot.recording import display as display, raster as raster
from tvbjax.plot.viewer import Brain as Brain, brain as brain
