"""Likelihoods: what was measured, and how likely it is given a run."""

from tvbjax_inference.bayes.likelihoods._likelihood import (
    AbstractLikelihood as AbstractLikelihood,
    Shown as Shown,
)
from tvbjax_inference.bayes.likelihoods._onsets import OnsetTimes as OnsetTimes
from tvbjax_inference.bayes.likelihoods._recorded import AbstractRecording as AbstractRecording
from tvbjax_inference.bayes.likelihoods._seeg import Seeg as Seeg, SeegLogPower as SeegLogPower
