"""Forward models: what EEG, MEG and intracranial electrodes measure of activity in the brain."""

from tvbjax.forward._gain import Gain as Gain, gain_of as gain_of
from tvbjax.forward._placing import projected_onto as projected_onto
from tvbjax.forward._sensors import Sensors as Sensors
