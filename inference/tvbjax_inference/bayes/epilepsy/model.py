"""A patient's program: the Epileptor network of their brain beside what was recorded in it."""

from typing import Any

import equinox as eqx
import numpyro.distributions as dist

from tvbjax import Connectome, Free, Simulator, coupling, integrators, monitors
from tvbjax.integrators import AbstractIntegrator
from tvbjax.kinds import check_kind
from tvbjax_inference.bayes.epilepsy.excitability import Equilibrium
from tvbjax_inference.bayes.epilepsy.forms import SMOOTH, Form
from tvbjax_inference.bayes.epilepsy.permittivity import NearSlowManifold
from tvbjax_inference.bayes.epilepsy.priors import Excitability, uninformed
from tvbjax_inference.bayes.initial import AbstractInitial
from tvbjax_inference.bayes.likelihoods import AbstractLikelihood
from tvbjax_inference.bayes.program import Program, program
from tvbjax_inference.bayes.state_noise import StateNoise


def network(
    connectome: Connectome,
    *,
    form: Form = SMOOTH,
    pace: float | None = None,
    delays: bool = False,
    integrator: AbstractIntegrator | None = None,
    watch: Any = None,
    greatest: float | None = 1.0,
) -> Simulator:
    """The Epileptor network of a connectome, whose weights are normalised: the greatest is 1.

    `pace`: of the slow variable, by default the model's: tau0 of `SMOOTH`, 1 / tau0 of the others.
    `delays`: whether signals take their time; seizures spread over seconds, beside which conduction
    takes none. `integrator`: by default Heun's with the form's step. `watch`: the monitor, by
    default every step of what sensors see. `greatest`: what the greatest weight must be; None for
    weights of another scale, which are yours to answer for.

    Raises `ValueError` for a connectome that is not normalised.
    """
    check_kind("network: connectome", connectome, Connectome, "tvbjax.datasets.connectome('tvb76')")
    found = float(connectome.weights.max())
    if greatest is not None and abs(found - greatest) > 0.01 * greatest:
        raise ValueError(
            f"network: the greatest weight of the connectome is {found:g}, and excitabilities and "
            f"the coupling mean nothing if it is not {greatest:g}; give connectome.normalise()."
        )
    if not delays:
        connectome = eqx.tree_at(lambda c: c.tract_lengths, connectome, 0.0 * connectome.weights)
    model = form.load()
    if pace is not None:
        model = eqx.tree_at(lambda m: m.params[form.pace], model, pace)
    return Simulator(
        model=model,
        connectome=connectome.without_self_connections(),
        coupling=coupling.Difference(a=1.0),
        integrator=integrators.Heun(dt=form.step) if integrator is None else integrator,
        monitors=(monitors.Raw(variables=form.source),) if watch is None else (watch,),
    )


def patient_program(
    simulator: Simulator,
    likelihood: AbstractLikelihood,
    *,
    form: Form = SMOOTH,
    excitability: Excitability | None = None,
    coupling_prior: dist.Distribution | None = None,
    pace_prior: dist.Distribution | None = None,
    initial: AbstractInitial | None = None,
    state_noise: StateNoise | None = None,
    more: dict[str, Free] | None = None,
    more_priors: dict[str, dist.Distribution] | None = None,
) -> Program:
    """The program of a patient's `network`: every region's excitability, the coupling, the state at
    the beginning, and with a prior also the slow variable's pace, are unknown.

    `excitability`: one of `epilepsy.priors`, by default without an opinion. `coupling_prior`: by
    default lognormal about 1 with a deviation of the logarithm of 0.5. `form`: that of the
    `network`. `initial`: by default near the slow manifold, between seizures.
    `state_noise`: by default the equations hold exactly, but for the likelihood's error. `more`,
    `more_priors`: whatever else is unknown in the simulator, by name.
    """
    check_kind("patient_program: form", form, Form, "epilepsy.forms.SMOOTH")
    _check_form(simulator, form)
    prior = uninformed(simulator.connectome.labels) if excitability is None else excitability
    check_kind("patient_program: excitability", prior, Excitability, "priors.uninformed(labels)")
    if prior.labels != simulator.connectome.labels:
        raise ValueError(
            "patient_program: the prior of excitability is for other regions than the connectome's "
            f"(it begins with {', '.join(prior.labels[:3])}); make it of connectome.labels."
        )
    free = {"excitability": form.free_excitability, "coupling": form.free_coupling}
    coupled = dist.LogNormal(0.0, 0.5) if coupling_prior is None else coupling_prior
    priors = {"excitability": prior.distribution, "coupling": coupled}
    if pace_prior is not None:
        free[form.pace], priors[form.pace] = form.free_pace, pace_prior
    return program(
        simulator,
        free | (more or {}),
        likelihood,
        priors=priors | (more_priors or {}),
        coordinates={"excitability": Equilibrium()},
        initial=NearSlowManifold() if initial is None else initial,
        state_noise=state_noise,
    )


def _check_form(simulator: Simulator, form: Form) -> None:
    """Raises `ValueError` where the model does not have what the form speaks of."""
    lacking = {form.excitability, form.gain, form.pace} - set(simulator.model.params)
    if lacking:
        raise ValueError(
            f"patient_program: {simulator.model.name} has no parameter '{min(lacking)}', and form "
            f"is that of {form.model}; give the form that the network was made with, such as "
            "form=epilepsy.forms.FULL."
        )
