"""Bayesian inference: a numpyro model from any simulator, draws of its posterior, and how far to
trust them."""

from tvbjax_inference.bayes import (
    amortised as amortised,
    calibration as calibration,
    coordinates as coordinates,
    epilepsy as epilepsy,
    initial as initial,
    likelihoods as likelihoods,
)
from tvbjax_inference.bayes.amortised import (
    Amortised as Amortised,
    load_amortised as load_amortised,
)
from tvbjax_inference.bayes.calibration import Calibration as Calibration
from tvbjax_inference.bayes.diagnosis import Diagnosis as Diagnosis, diagnose as diagnose
from tvbjax_inference.bayes.discretisation import (
    StepHalving as StepHalving,
    step_halving as step_halving,
)
from tvbjax_inference.bayes.held_out import electrodes as electrodes, leave_out as leave_out
from tvbjax_inference.bayes.loo import (
    Comparison as Comparison,
    Loo as Loo,
    compare_models as compare_models,
    loo as loo,
)
from tvbjax_inference.bayes.nuts import Nuts as Nuts
from tvbjax_inference.bayes.pooling import Pooled as Pooled, pooled as pooled
from tvbjax_inference.bayes.predictive import (
    PredictiveCheck as PredictiveCheck,
    posterior_check as posterior_check,
    prior_check as prior_check,
)
from tvbjax_inference.bayes.program import Program as Program, program as program
from tvbjax_inference.bayes.sampling import sample as sample
from tvbjax_inference.bayes.sbc import (
    simulation_based_calibration as simulation_based_calibration,
)
from tvbjax_inference.bayes.self_calibration import calibrate as calibrate
from tvbjax_inference.bayes.stacking import Stacked as Stacked, stacked as stacked
from tvbjax_inference.bayes.state_noise import StateNoise as StateNoise
from tvbjax_inference.bayes.tempering import Tempered as Tempered
from tvbjax_inference.bayes.variational import Variational as Variational
