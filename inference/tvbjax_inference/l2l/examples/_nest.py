"""NEST as the examples use it: one thread, a fresh kernel, silence."""

from typing import Any

from tvbjax_inference.l2l.examples._engines import engine


def fresh_nest(who: str, seed: int, resolution: float) -> Any:
    """NEST with an empty kernel. `resolution`: ms.

    The kernel is global to the process: a worker of its own for every evaluation that runs.
    """
    nest = engine(who, "nest", "nest")
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.ResetKernel()
    # More threads wait for one another by spinning, which other workers pay for.
    nest.local_num_threads = 1
    nest.resolution = resolution
    nest.rng_seed = 1 + seed % (2**31 - 2)
    return nest
