"""Bayesian inference."""
