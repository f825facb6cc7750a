"""A single cell in Arbor whose conductances are fitted to a voltage trace.

Soma with the channels of Hodgkin & Huxley (1952), J. Physiol. 117:500, and a passive dendrite.
Akar, Cumming, Karakasis et al. (2019), Arbor, PDP 2019:274.
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from tvbjax.kinds import check_number
from tvbjax_inference.l2l.dimensions import Real
from tvbjax_inference.l2l.examples._engines import engine
from tvbjax_inference.l2l.space import Space

_DT, _SAMPLED = 0.01, 0.1  # ms
_DOWN, _UP, _DURATION = (5.0, 25.0), (30.0, 70.0), 80.0  # ms
_MIDDLE = "(location 0 0.0283)"  # of the soma, as a share of its length and the dendrite's
_THRESHOLD = -10.0  # mV, of a spike
# Hodgkin's and Huxley's conductances, S/cm2, and the dendrite's leak.
TRUE = {"sodium": 0.12, "potassium": 0.036, "leak": 0.0003, "dendrite": 0.0005}


@dataclasses.dataclass(frozen=True)
class Cell:
    """A soma of 12 um by 12 um and a dendrite of 200 um by 2 um. From 5 to 25 ms it is held down by
    `down` nA, from 30 to 70 ms it is driven by `up` nA, and the run ends at 80 ms."""

    down: float = -0.1
    up: float = 0.2

    def __post_init__(self):
        check_number("Cell: down", self.down)
        check_number("Cell: up", self.up)

    def voltage(self, values: dict[str, float], who: str = "Cell") -> Float[np.ndarray, " time"]:
        """At the soma's middle every 0.1 ms from 0 ms, mV. `values`: conductances, S/cm2."""
        arbor = engine(who, "arbor", "arbor")
        units = arbor.units
        tree = arbor.segment_tree()
        soma = tree.append(
            arbor.mnpos, arbor.mpoint(-6.0, 0, 0, 6.0), arbor.mpoint(6.0, 0, 0, 6.0), tag=1
        )
        tree.append(soma, arbor.mpoint(6.0, 0, 0, 1.0), arbor.mpoint(206.0, 0, 0, 1.0), tag=3)
        labels = arbor.label_dict({"soma": "(tag 1)", "dendrite": "(tag 3)"})
        channels = {"gnabar": "sodium", "gkbar": "potassium", "gl": "leak"}
        hh = arbor.mechanism("hh", {name: values[own] for name, own in channels.items()})
        passive = arbor.mechanism("pas/e=-65", {"g": values["dendrite"]})
        steps = [
            arbor.i_clamp(start * units.ms, (stop - start) * units.ms, current * units.nA)
            for (start, stop), current in ((_DOWN, self.down), (_UP, self.up))
        ]
        decor = (
            arbor.decor()
            .set_property(
                Vm=-65.0 * units.mV,
                cm=0.01 * units.F / units.m2,
                rL=100.0 * units.Ohm * units.cm,
            )
            .paint('"soma"', arbor.density(hh))
            .paint('"dendrite"', arbor.density(passive))
            .place(_MIDDLE, steps[0])
            .place(_MIDDLE, steps[1])
        )
        parts = arbor.cv_policy_single('"soma"') | arbor.cv_policy_max_extent(
            20.0 * units.um, '"dendrite"'
        )
        cell = arbor.cable_cell(tree, decor, labels, parts)
        model = arbor.single_cell_model(cell)
        model.probe("voltage", _MIDDLE, "v", 10.0 * units.kHz)
        model.run(tfinal=_DURATION * units.ms, dt=_DT * units.ms)
        return np.asarray(model.traces[0].value)

    def features(self, voltage: Float[np.ndarray, " time"]) -> dict[str, float]:
        """While it is driven: spikes; latency of the first and mean interval, ms; mean peak and the
        lowest voltage after the first spike, mV. Mean voltages before it is held down, at the end
        of that, and at the end of the run, mV.

        Where there are no spikes, times are as long as the drive, and the rest is of all of it.
        """
        times = _SAMPLED * np.arange(len(voltage))
        driven = (times >= _UP[0]) & (times < _UP[1])
        crossed = np.flatnonzero((voltage[1:] >= _THRESHOLD) & (voltage[:-1] < _THRESHOLD)) + 1
        crossed = crossed[driven[crossed]]
        parts = np.split(voltage[driven], crossed - np.argmax(driven))
        parts = parts[1:] or parts
        long = _UP[1] - _UP[0]
        return {
            "spikes": float(len(crossed)),
            "latency": float(times[crossed[0]]) - _UP[0] if len(crossed) else long,
            "interval": float(np.diff(times[crossed]).mean()) if len(crossed) > 1 else long,
            "peak": float(np.mean([part.max() for part in parts])),
            "lowest": float(min(part.min() for part in parts)),
            "rest": float(voltage[times < _DOWN[0]].mean()),
            "held": float(voltage[(times >= _DOWN[1] - 2.0) & (times < _DOWN[1])].mean()),
            "end": float(voltage[times >= _DURATION - 2.0].mean()),
        }


# How different two features may be to be alike: spikes, ms and mV.
_ALIKE = {
    "spikes": 0.5,
    "latency": 0.2,
    "interval": 0.5,
    "peak": 2.0,
    "lowest": 1.0,
    "rest": 0.2,
    "held": 0.5,
    "end": 0.5,
}


@dataclasses.dataclass(frozen=True)
class SingleCell:
    """An optimisee: how far features of a cell's voltage are from those of a cell with known
    conductances, `TRUE`. Searched are the conductances, S/cm2.

    The loss is the root mean square of the differences, each in units of what is alike. Its outputs
    are the features in these units, in the order of `Cell.features`. Kept with it: the features,
    and `distance`, mV, the root mean square of the difference of the voltages. Needs
    `pip install 'tvbjax[arbor]'`.
    """

    cell: Cell = Cell()

    @property
    def space(self) -> Space:
        """From a quarter to four times the known conductances."""
        return Space({name: Real(g / 4.0, g * 4.0, log=True) for name, g in TRUE.items()})

    def __call__(self, values: dict[str, Any], seed: int) -> dict[str, Any]:
        # A process of its own for every evaluation would make the known trace each time anyway:
        # it takes 10 ms.
        known = self.cell.voltage(TRUE, "SingleCell")
        found = self.cell.voltage(values, "SingleCell")
        wanted, features = self.cell.features(known), self.cell.features(found)
        outputs = [features[name] / _ALIKE[name] for name in features]
        apart = [(features[name] - wanted[name]) / _ALIKE[name] for name in features]
        distance = float(np.sqrt(np.mean((found - known) ** 2)))
        return {
            "loss": float(np.sqrt(np.mean(np.square(apart)))),
            "outputs": outputs,
            "more": features | {"distance": distance},
        }
