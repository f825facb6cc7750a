"""The basal ganglia with the thalamus, with and without dopamine, and virtual deep brain
stimulation."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from tvbjax.equations import PulseTrain
from tvbjax.generators import key_words
from tvbjax.kinds import check_count, check_number
from tvbjax.spiking.connectivity import FixedInDegree
from tvbjax.spiking.correlated import SingleInteraction
from tvbjax.spiking.cosimulator import SpikingRegion
from tvbjax.spiking.drives import AbstractDrive, Current, Poisson
from tvbjax.spiking.interfaces import Output, WongWangExcitatory
from tvbjax.spiking.monitors import AbstractMonitor, Rates, Spikes
from tvbjax.spiking.network import Network
from tvbjax.spiking.populations import Population, Projection
from tvbjax.spiking.signals import Course, Heard
from tvbjax_lems import Heun, load_cell


class _Nucleus(NamedTuple):
    """Izhikevich's a (1/ms), b (1/ms), d (mV/ms), the mean constant current (pA) and the rate at
    which the cells begin (kHz)."""

    a: float
    b: float
    d: float
    current: float
    rate: float


_NUCLEI = {
    "STN": _Nucleus(0.005, 0.265, 2.0, -3.0, 0.02),
    "GPe": _Nucleus(0.005, 0.585, 4.0, 14.0, 0.055),
    "GPi": _Nucleus(0.005, 0.585, 4.0, -7.0, 0.06),
    "thalamus": _Nucleus(0.02, 0.25, 0.05, -12.0, 0.0),
}
_WEIGHTS = {  # pS
    ("STN", "GPe"): 10.0,
    ("STN", "GPi"): 300.0,
    ("GPe", "STN"): 70.0,
    ("GPe", "GPe"): 20.0,
    ("GPe", "GPi"): 10.0,
    ("GPi", "GPi"): 60.0,
    ("GPi", "thalamus"): 70.0,
}
_SENDERS = 10  # that a cell hears of each nucleus
_PS = 1e-6  # uS
_PA = 1e-3  # nA


def basal_ganglia(
    dopamine: float = 1.0,
    stimulation: Course | None = None,
    *,
    cells: int = 80,
    key: Array | None = None,
    dt: float = 0.1,
    heard: Heard | None = None,
    monitors: tuple[AbstractMonitor, ...] | None = None,
) -> Network:
    """Subthalamic nucleus, both parts of the globus pallidus, and thalamus: `cells` of each.

    They spike at about 20, 54, 69 and 14 Hz (STN, GPe, GPi, thalamus) in health, 27, 36, 78 and 11
    without dopamine, and 17, 36, 69 and 13 with `suppressing_pulses()` then.

    `dopamine`: 1 in health, 0 without; between, what it changes is in proportion. `stimulation`: a
    course of current into every cell of STN, nA, such as `suppressing_pulses()`. `heard`: what of a
    region's coupling drives STN besides, the hyperdirect pathway, as
    `Heard("c_0", gain=1.0, unit="1/ms")`: spikes of which 0.25 kHz come anyway.

    From the literature are Izhikevich's a, b, c and d of each nucleus, the synapses (10 ms, 0 and
    -90 mV) and which nuclei are connected, collaterals within the pallidum among them: those of
    tvb-multiscale's basal ganglia, after Maith et al. (2021), Eur. J. Neurosci. 53, 2278, and
    Baladron et al. (2019), Eur. J. Neurosci. 49, 754. Chosen here are weights, delays (1 to 5 ms),
    numbers of senders, currents (which vary by up to 4 pA from cell to cell) and all that comes
    from outside; there, the striatum is of cells, and here it is Poisson spikes. Without dopamine
    it inhibits GPe, the indirect pathway, 1.9 times as often and with a fifth of the spikes common
    to all cells, and GPi, the direct one, 0.6 times as often.

    They are chosen so that rates in health are near those of monkeys at rest, STN 15 to 30, GPe 45
    to 70, GPi 55 to 80, thalamus 10 to 25 Hz (Bergman et al. 1994, J. Neurophysiol. 72, 507; Filion
    & Tremblay 1991, Brain Res. 547, 142; Anderson & Turner 1991, J. Neurophysiol. 66, 879). Without
    dopamine GPe is slower, and STN and GPi are faster and more synchronous, as these and Raz,
    Vaadia & Bergman (2000), J. Neurosci. 20, 8559, found, and the thalamus is slower, as Albin,
    Young & Penney (1989), Trends Neurosci. 12, 366, supposed. Pulses at 130 Hz bring STN, GPi and
    thalamus most of the way back, STN further than that, and GPe not, as virtual stimulation moved
    a patient's network towards health in Meier et al. (2022), Exp. Neurol. 354, 114111.

    The cells adapt, and answer fast changes of what they hear far more than slow ones; strong
    spikes from outside keep STN and GPe from oscillating together. Intervals are the more irregular
    for it, with a CV of 1 to 1.5.
    """
    check_number("basal_ganglia: dopamine", dopamine, least=0.0)
    if dopamine > 1.0:
        raise ValueError(f"basal_ganglia: dopamine is {dopamine:g}; give 1, as in health, or less.")
    check_count("basal_ganglia: cells", cells, 2)
    key = jax.random.key(0) if key is None else key
    rng = np.random.default_rng(np.asarray(key_words(key)))
    lost = 1.0 - dopamine
    together = SingleInteraction(0.2 * lost)
    drives: dict[str, AbstractDrive] = {
        "cortex to STN": Poisson("STN", 0.25, 100.0 * _PS, "excitatory"),
        "cortex to thalamus": Poisson("thalamus", 0.6, 50.0 * _PS, "excitatory"),
        "background of GPe": Poisson("GPe", 0.4, 120.0 * _PS, "excitatory"),
        "background of GPi": Poisson("GPi", 0.6, 120.0 * _PS, "excitatory"),
        "indirect pathway": Poisson(
            "GPe", 1.5 * (1.0 + 0.9 * lost), 30.0 * _PS, "inhibitory", together
        ),
        "direct pathway": Poisson("GPi", 0.5 * (1.0 - 0.4 * lost), 30.0 * _PS, "inhibitory"),
    }
    if heard is not None:
        drives["brain"] = Poisson("STN", heard, 100.0 * _PS, "excitatory")
    if stimulation is not None:
        drives["stimulation"] = Current("STN", stimulation)
    return Network(
        {name: _population(one, cells, rng) for name, one in _NUCLEI.items()},
        _projections(cells),
        drives,
        dt=dt,
        key=key,
        monitors=(Rates(tuple(_NUCLEI)), *map(Spikes, _NUCLEI)) if monitors is None else monitors,
    )


def suppressing_pulses(frequency: float = 130.0, amplitude: float = 0.03) -> PulseTrain:
    """Deep brain stimulation as what it is supposed to do to a nucleus, suppress it: `frequency`
    times a second, at most 250, a current of `amplitude` nA hyperpolarises its cells for 4 ms.

    STN's cells are mostly inhibited at their somata (Moran et al. 2011, Front. Syst. Neurosci. 5,
    21). The electrode's pulse itself is much shorter (`tvbjax.equations.deep_brain_stimulation`);
    what lasts is the inhibition by afferents that it excites. That it also excites axons, STN's
    own among them, is left out. Rates of 60 Hz and less do little.
    """
    check_number("suppressing_pulses: frequency (Hz)", frequency, above=0.0)
    return PulseTrain(T=1000.0 / frequency, tau=4.0, amp=-amplitude, onset=0.05)


def ganglia_region(network: Network) -> SpikingRegion:
    """A region of the model ReducedWongWangExcInh that is the thalamus to the others: its rate
    opens the region's receptors, S_e."""
    return SpikingRegion(network, Output("S_e", "thalamus", WongWangExcitatory()))


def _population(nucleus: _Nucleus, cells: int, rng: np.random.Generator) -> Population:
    synapses = {"excitatory": "excitatory_conductance", "inhibitory": "inhibitory_conductance"}
    cell = load_cell("Izhikevich", synapses=synapses)
    cell = cell.with_params("excitatory", tau=10.0, erev=0.0)
    cell = cell.with_params("inhibitory", tau=10.0, erev=-90.0)
    current = (nucleus.current + rng.uniform(-4.0, 4.0, cells)) * _PA
    cell = cell.with_params(a=nucleus.a, b=nucleus.b, c=-65.0, d=nucleus.d, I_e=current)
    # Near what recovery is at that rate, so that the slow transient from silence is short.
    recovery = nucleus.b * -62.0 + nucleus.d * nucleus.rate / nucleus.a
    initial = {"v": rng.uniform(-75.0, -60.0, cells), "u": recovery}
    return Population(cell, cells, initial=initial, method=Heun())


def _projections(cells: int) -> dict[str, Projection]:
    senders = min(_SENDERS, cells - 1)
    return {
        f"{source} to {target}": Projection(
            source,
            target,
            FixedInDegree(senders),
            weight=weight * _PS * _SENDERS / senders,
            delay=lambda rng, count: rng.uniform(1.0, 5.0, count),
            receptor="excitatory" if source == "STN" else "inhibitory",
        )
        for (source, target), weight in _WEIGHTS.items()
    }
