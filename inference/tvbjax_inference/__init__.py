"""Inference on top of tvbjax: fitting by gradients, Bayesian inference, learning to learn."""

from tvbjax_inference import objectives as objectives
