"""Synapses that grow until neurons fire as they should, in NEST: how fast should they grow?

Butz & van Ooyen (2013), PLoS Comput. Biol. 9:e1003259: a neuron's calcium follows its spikes, and
its synaptic elements grow or shrink by a Gaussian curve of calcium that is zero at the set point.
Diaz-Pier, Naveau, Butz-Ostendorf & Morrison (2016), Front. Neuroanat. 10:57, in NEST.
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from tvbjax.kinds import check_count, check_number
from tvbjax_inference.l2l.dimensions import Real
from tvbjax_inference.l2l.examples._nest import fresh_nest
from tvbjax_inference.l2l.space import Space

TAU_CALCIUM, CALCIUM = 1000.0, 0.01  # ms, and what a spike adds
_DT, _REWIRED = 0.5, 50.0  # ms a step, ms between changes of synapses
_NEURON = {
    "C_m": 250.0,  # pF
    "tau_m": 10.0,  # ms
    "tau_syn_ex": 2.0,
    "tau_syn_in": 2.0,
    "t_ref": 2.0,
    "E_L": -65.0,  # mV
    "V_m": -65.0,
    "V_reset": -65.0,
    "V_th": -50.0,
    "tau_Ca": TAU_CALCIUM,
    "beta_Ca": CALCIUM,
}


def calcium_of(rate: float) -> float:
    """The mean calcium of a neuron that fires at `rate`, Hz: what a spike adds, times tau."""
    return CALCIUM * TAU_CALCIUM * rate / 1000.0


@dataclasses.dataclass(frozen=True)
class StructuralPlasticity:
    """An optimisee: how far firing rates are from their targets, while and after synapses grow from
    none. Searched are the growth rates of excitatory and inhibitory synaptic elements: too slow and
    the targets are not reached, too fast and rates overshoot.

    `excitatory` neurons, and a quarter as many inhibitory ones, with background spikes; `targets`:
    Hz; `duration`: ms, of which the second half counts. The loss is the mean square of the relative
    difference of both mean rates from their targets over windows of half a second. Kept with it:
    rates (window, 2) in Hz, synapses in the end. Needs `pip install 'tvbjax[nest]'`.
    """

    excitatory: int = 80
    targets: tuple[float, float] = (10.0, 20.0)
    duration: float = 10_000.0
    background: float = 9000.0  # Hz
    strength: float = 18.0  # pA of a background spike
    synapse: float = 60.0  # pA of a synapse that grows; inhibitory ones minus that

    def __post_init__(self):
        check_count("StructuralPlasticity: excitatory", self.excitatory, 4)
        for name in ("duration", "background", "strength", "synapse"):
            check_number(f"StructuralPlasticity: {name}", getattr(self, name), above=0.0)
        for target in self.targets:
            check_number("StructuralPlasticity: targets", target, above=0.0)

    @property
    def space(self) -> Space:
        """Growth rates, synaptic elements per ms."""
        return Space(
            excitatory=Real(1e-4, 5e-2, log=True),
            inhibitory=Real(1e-4, 5e-2, log=True),
        )

    def __call__(self, values: dict[str, Any], seed: int) -> dict[str, Any]:
        nest = fresh_nest("StructuralPlasticity", seed, _DT)
        cells, recorders = self._grown(nest, values)
        nest.Simulate(self.duration)
        rates = np.stack([self._rates(*pair) for pair in zip(cells, recorders, strict=True)], 1)
        counted = rates[len(rates) // 2 :]
        synapses = [
            len(nest.GetConnections(synapse_model=name)) for name in ("growing_ex", "growing_in")
        ]
        return {
            "loss": float(np.mean((counted / np.asarray(self.targets) - 1.0) ** 2)),
            "more": {"rates": rates, "synapses": np.array(synapses)},
        }

    def _grown(self, nest: Any, values: dict[str, float]) -> tuple[list, list]:
        """The neurons of both kinds and their recorders, with all that grows."""
        nest.structural_plasticity_update_interval = _REWIRED
        for name, weight in (("growing_ex", self.synapse), ("growing_in", -self.synapse)):
            nest.CopyModel("static_synapse", name, {"weight": weight, "delay": 1.0})
        nest.structural_plasticity_synapses = {
            name: {
                "synapse_model": name,
                "post_synaptic_element": f"dendrite_{name[-2:]}",
                "pre_synaptic_element": f"axon_{name[-2:]}",
            }
            for name in ("growing_ex", "growing_in")
        }
        counts = self.excitatory, self.excitatory // 4
        cells, recorders = [], []
        for own, count, target in zip(("ex", "in"), counts, self.targets, strict=True):
            elements = {
                name: {
                    "growth_curve": "gaussian",
                    "growth_rate": values["excitatory" if name[-2:] == "ex" else "inhibitory"],
                    "continuous": False,
                    "eta": 0.0,
                    "eps": calcium_of(target),
                }
                for name in ("dendrite_ex", "dendrite_in", f"axon_{own}")
            }
            made = nest.Create("iaf_psc_exp", count, _NEURON | {"synaptic_elements": elements})
            noise = nest.Create("poisson_generator", params={"rate": self.background})
            nest.Connect(noise, made, "all_to_all", {"weight": self.strength, "delay": 1.0})
            recorder = nest.Create("spike_recorder")
            nest.Connect(made, recorder)
            cells.append(made)
            recorders.append(recorder)
        nest.EnableStructuralPlasticity()
        return cells, recorders

    def _rates(self, cells: Any, recorder: Any) -> Float[np.ndarray, " window"]:
        """Mean rates in windows of half a second, Hz."""
        windows = int(self.duration // 500.0)
        edges = 500.0 * np.arange(windows + 1)
        counts, _ = np.histogram(np.asarray(recorder.events["times"], float), edges)
        return counts / len(cells) / 0.5
