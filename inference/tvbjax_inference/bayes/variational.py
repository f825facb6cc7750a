"""A normal approximation that is fitted to the posterior, and not only to its mode."""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from numpyro import handlers
from numpyro.infer import SVI, Trace_ELBO, init_to_value
from numpyro.infer.autoguide import AutoMultivariateNormal

from tvbjax.kinds import check_count, check_number
from tvbjax_inference.bayes.flat import as_numpyro_computes
from tvbjax_inference.bayes.method import AbstractMethod, Drawn


@dataclasses.dataclass(frozen=True)
class Variational(AbstractMethod):
    """Draws of the normal distribution that is nearest to the posterior (Kucukelbir et al. 2017,
    JMLR 18:1), by numpyro's stochastic variational inference; it begins as the normal
    approximation at the best mode.

    It is quick, and too narrow by its nature: `diagnose` weighs its draws by the posterior (Yao et
    al. 2018, ICML 80:5581) and says whether they can stand for it. A checkpoint keeps only the
    modes.
    """

    draws: int = 1000
    steps: int = 2000
    learning_rate: float = 0.005
    particles: int = 4

    def __post_init__(self):
        for name in ("draws", "steps", "particles"):
            check_count(f"Variational: {name}", getattr(self, name))
        check_number("Variational: learning_rate", self.learning_rate, above=0.0)

    def drawn(self, flat, modes, key, checkpoint, progress):
        mode = modes[0]
        centre, scale = jnp.asarray(mode.position), jnp.asarray(mode.scale)

        def whitened():
            """The posterior in numbers in which the normal approximation is standard."""
            free = dist.ImproperUniform(dist.constraints.real_vector, (), (flat.size,))
            u = numpyro.sample("u", free)
            with handlers.block():
                potential = flat.potential(centre + scale @ u)
            numpyro.factor("posterior", -potential)

        at_fit, at_draws = jr.split(key)
        with as_numpyro_computes():
            begin = init_to_value(values={"u": jnp.zeros(flat.size)})
            guide = AutoMultivariateNormal(whitened, init_loc_fn=begin, init_scale=0.7)
            loss = Trace_ELBO(num_particles=self.particles)
            rule = optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.steps))
            svi = SVI(whitened, guide, rule, loss)
            fitted = svi.run(at_fit, self.steps, progress_bar=False)
            near = guide.get_posterior(fitted.params)
            u = near.sample(at_draws, (self.draws,))
            density = near.log_prob(u)
        numbers = centre[None] + u @ scale.T
        posterior = -jax.lax.map(flat.potential, numbers, batch_size=50)
        if not np.isfinite(np.asarray(fitted.losses[-1])):
            raise ValueError(
                f"Variational: the bound is {float(fitted.losses[-1])} at the end; take a lower "
                f"learning_rate than {self.learning_rate:g}, or Nuts()."
            )
        stats = {"lp": posterior, "log_weight": posterior - density}
        return Drawn(
            np.asarray(numbers)[None], {name: np.asarray(x)[None] for name, x in stats.items()}, {}
        )
