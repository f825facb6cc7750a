"""A differentiable virtual brain: whole-brain models from LEMS, simulated and fitted in JAX."""
