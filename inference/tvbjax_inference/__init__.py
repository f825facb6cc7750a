"""Inference on top of tvbjax: fitting by gradients, Bayesian inference, learning to learn."""
