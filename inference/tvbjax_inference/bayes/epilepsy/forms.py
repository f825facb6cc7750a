"""The Epileptors that a patient's program can be of, and what their parameters are called."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp

from tvbjax import Free, Positive, Real, lems, ties
from tvbjax_lems import Model


@dataclasses.dataclass(frozen=True)
class Form:
    """`model`: its name in the library. `excitability`, `gain`: its parameters; `spreads`: the
    value of `gain` with which a coupling above 0 spreads seizures. `pace`: the parameter of the
    slow variable's pace. `source`: what sensors see. `step`: of Heun's method, ms."""

    model: str
    excitability: str
    gain: str
    spreads: float
    pace: str
    source: str
    step: float

    def load(self) -> Model:
        """The model, its gain of network input 1 in size: the strength is the coupling's."""
        model = lems.load(self.model)
        gain = jnp.full_like(jnp.asarray(model.params[self.gain]), self.spreads)
        return eqx.tree_at(lambda m: m.params[self.gain], model, gain)

    @property
    def free_excitability(self) -> Free:
        """A value for each region."""
        return Free(
            lambda s: s.model.params[self.excitability], Real(), "excitability", ties.Regional()
        )

    @property
    def free_coupling(self) -> Free:
        """One for the network."""
        return Free(lambda s: s.coupling.a, Positive(), "coupling")

    @property
    def free_pace(self) -> Free:
        """One for the network."""
        return Free(lambda s: s.model.params[self.pace], Positive(), self.pace)


# Smooth everywhere, for inference: Hashemi et al. (2020), NeuroImage 217:116839.
SMOOTH = Form("Epileptor2DSmooth", "eta", "K", 1.0, "tau0", "x", 0.1)
# TVB's two-dimensional form: Proix et al. (2014), J. Neurosci. 34:15009.
PLANAR = Form("Epileptor2D", "x0", "Ks", -1.0, "r", "x1", 0.1)
# All six variables: Jirsa et al. (2014), Brain 137:2210. At rest x1 comes back at 24 to 40 per ms,
# and a step of Heun's method must be below 2 over that.
FULL = Form("Epileptor", "x0", "Ks", -1.0, "r", "x2_minus_x1", 0.05)
