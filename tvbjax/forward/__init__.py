"""Forward models: what EEG, MEG and intracranial electrodes measure of activity in the brain."""

from tvbjax.forward._analytic import (
    homogeneous_gain as homogeneous_gain,
    shells_eeg_gain as shells_eeg_gain,
    sphere_eeg_gain as sphere_eeg_gain,
    sphere_meg_gain as sphere_meg_gain,
)
from tvbjax.forward._dipoles import dipoles_of as dipoles_of, fitted_sphere as fitted_sphere
from tvbjax.forward._gain import Gain as Gain, gain_of as gain_of
from tvbjax.forward._mne import bem_gain as bem_gain, gain_from_mne as gain_from_mne
from tvbjax.forward._noise import with_noise as with_noise
from tvbjax.forward._placing import projected_onto as projected_onto
from tvbjax.forward._sensors import Sensors as Sensors
