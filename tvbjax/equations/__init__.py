"""Equations: functions of time or of distance, for stimuli, local connectivity and patterns."""

from tvbjax.equations._equation import AbstractEquation as AbstractEquation
from tvbjax.equations._given import (
    Expression as Expression,
    Function as Function,
    Sampled as Sampled,
    Windowed as Windowed,
)
from tvbjax.equations._shapes import (
    Alpha as Alpha,
    Cosine as Cosine,
    DoubleGaussian as DoubleGaussian,
    Gaussian as Gaussian,
    GeneralizedSigmoid as GeneralizedSigmoid,
    Linear as Linear,
    PulseTrain as PulseTrain,
    Sigmoid as Sigmoid,
    Sinusoid as Sinusoid,
)
from tvbjax.equations._trains import (
    BiphasicTrain as BiphasicTrain,
    BurstTrain as BurstTrain,
    deep_brain_stimulation as deep_brain_stimulation,
    theta_burst as theta_burst,
)
