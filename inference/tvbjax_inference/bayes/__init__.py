"""Bayesian inference: posteriors of what is free, and checks of how far to trust them."""
