"""Epilepsy patients: the Epileptor network of a brain, held against what was recorded in it."""

from tvbjax_inference.bayes.epilepsy import forms as forms, priors as priors
from tvbjax_inference.bayes.epilepsy.excitability import Equilibrium as Equilibrium
from tvbjax_inference.bayes.epilepsy.model import (
    network as network,
    patient_program as patient_program,
)
from tvbjax_inference.bayes.epilepsy.permittivity import NearSlowManifold as NearSlowManifold
from tvbjax_inference.bayes.epilepsy.priors import THRESHOLD as THRESHOLD
