"""The optimisers of `tvbjax.l2l`, each with the paper it is from."""

from tvbjax_inference.l2l.optimisers.separable_nes import SeparableNes as SeparableNes
