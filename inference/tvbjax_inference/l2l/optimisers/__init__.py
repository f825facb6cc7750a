"""The optimisers of `tvbjax.l2l`, each with the paper it is from."""

from tvbjax_inference.l2l.optimisers.cma import Cma as Cma
from tvbjax_inference.l2l.optimisers.cma_restarts import Bipop as Bipop, Ipop as Ipop
from tvbjax_inference.l2l.optimisers.separable_nes import SeparableNes as SeparableNes
