"""Facade of Bayesian inference: `tvbjax.bayes` is `tvbjax_inference.bayes`."""

from tvbjax_inference.bayes import *  # noqa: F403
