"""Tree-structured Parzen estimators, by Optuna: for spaces of numbers and options mixed.

Bergstra, Bardenet, Bengio & Kegl (2011), Adv. Neural Inf. Process. Syst. 24; Watanabe (2023),
arXiv:2304.11127.
"""

import equinox as eqx

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.optimiser import AbstractOptimiser
from tvbjax_inference.l2l.optimisers.optuna_history import asked, empty, grown, optuna_of, seed


class Tpe(AbstractOptimiser):
    """Optuna's TPE sampler. Needs the package optuna, and cannot be compiled.

    `size`: candidates at once; those that are not yet told count as bad, so that they differ.
    `startup`: so many are drawn evenly at first. `compared`: draws that the estimator ranks for a
    candidate.
    """

    size: int = eqx.field(static=True, default=1)
    startup: int = eqx.field(static=True, default=10)
    compared: int = eqx.field(static=True, default=24)

    compiled = False

    def __check_init__(self):
        check_count("Tpe: size", self.size)
        check_count("Tpe: startup", self.startup, 0)
        check_count("Tpe: compared", self.compared)

    def population(self, space):
        return self.size

    def begin(self, space, start, key):
        optuna_of("Tpe")
        return empty(space, self.size, 1, start.dtype)

    def propose(self, space, inner, key):
        sampler = optuna_of("Tpe").samplers.TPESampler(
            n_startup_trials=self.startup,
            n_ei_candidates=self.compared,
            constant_liar=self.size > 1,
            seed=seed(key),
        )
        return asked("Tpe", space, inner, sampler, self.size)

    def learn(self, space, inner, candidates, evaluations, key):
        return grown(space, inner, candidates, evaluations.losses[:, None])
