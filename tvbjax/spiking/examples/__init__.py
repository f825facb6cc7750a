"""Spiking networks that are ready: a cortical column, and the basal ganglia."""

from tvbjax.spiking.examples.basal_ganglia import (
    basal_ganglia as basal_ganglia,
    ganglia_region as ganglia_region,
    suppressing_pulses as suppressing_pulses,
)
from tvbjax.spiking.examples.cortical_column import (
    column_region as column_region,
    cortical_column as cortical_column,
)
