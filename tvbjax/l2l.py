"""Facade of learning to learn: `tvbjax.l2l` is `tvbjax_inference.l2l`."""

from tvbjax_inference.l2l import *  # noqa: F403
