"""Spiking networks that are ready: a cortical column."""

from tvbjax.spiking.examples.cortical_column import (
    column_region as column_region,
    cortical_column as cortical_column,
)
