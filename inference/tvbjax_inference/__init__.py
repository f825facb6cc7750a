"""Inference on top of tvbjax: fitting by gradients, Bayesian inference, learning to learn."""

from tvbjax_inference import (
    gradients as gradients,
    objectives as objectives,
    plots as plots,
    starts as starts,
)
from tvbjax_inference.cohort import Cohort as Cohort
from tvbjax_inference.fitted import Fit as Fit
from tvbjax_inference.fitting import fit as fit
from tvbjax_inference.growth import Growth as Growth, gradient_growth as gradient_growth
from tvbjax_inference.identifiability import (
    hessian as hessian,
    identifiability as identifiability,
    uncertainty as uncertainty,
)
from tvbjax_inference.information import Information as Information
from tvbjax_inference.problem import AbstractProblem as AbstractProblem, Problem as Problem
from tvbjax_inference.profile import Profile as Profile, profile_likelihood as profile_likelihood
