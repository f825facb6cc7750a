"""Facade of the inference layer: `tvbjax.inference` is `tvbjax_inference`."""

from tvbjax_inference import *  # noqa: F403
