"""NEST beside a brain, as an optional extra: `pip install 'tvbjax[nest]'`."""

from tvbjax.spiking.nest.session import Nest as Nest, NestSession as NestSession
