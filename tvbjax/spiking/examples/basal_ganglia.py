"""The basal ganglia with the thalamus, with and without dopamine, and virtual deep brain
stimulation."""

import jax
import numpy as np
from jaxtyping import Array

from tvbjax.equations import AbstractEquation, PulseTrain
from tvbjax.generators import key_words
from tvbjax.spiking.connectivity import FixedInDegree
from tvbjax.spiking.cosimulator import SpikingRegion
from tvbjax.spiking.drives import AbstractDrive, Current, Poisson
from tvbjax.spiking.interfaces import Output, WongWangExcitatory
from tvbjax.spiking.monitors import AbstractMonitor, Rates, Spikes
from tvbjax.spiking.network import Network
from tvbjax.spiking.populations import Population, Projection
from tvbjax.spiking.signals import Heard
from tvbjax_lems import Cell, Heun, load_cell

NUCLEI = ("STN", "GPe", "GPi", "thalamus")
_PS = 1e-6  # uS in a pS; Izhikevich's cell has 1 pF
_SENDERS = 15  # of each kind that a cell hears


def basal_ganglia(
    dopamine: float = 1.0,
    stimulation: AbstractEquation | None = None,
    *,
    cells: int = 50,
    key: Array | None = None,
    dt: float = 0.1,
    heard: Heard | None = None,
    monitors: tuple[AbstractMonitor, ...] | None = None,
) -> Network:
    """Subthalamic nucleus, both parts of the globus pallidus, and thalamus: `cells` of each.

    `dopamine`: 1 in health, 0 without: then the striatum inhibits GPe (the indirect pathway) four
    times as much, and GPi (the direct one) a fifth as much. `stimulation`: a course of current into
    every cell of GPi, nA, such as `suppressing_pulses()`. `heard`: what of a region's coupling
    drives STN besides, as `Heard("c_0", gain=5.0, unit="1/ms")`.

    Cells are Izhikevich's, with the parameters for these nuclei of tvb-multiscale's model (Maith et
    al. 2021, Eur. J. Neurosci. 53, 2278), conductances of 10 ms with reversals of 0 and -90 mV;
    constant currents vary by two thirds from cell to cell. Weights, the striatum's rates and the
    background are chosen here, so that without dopamine GPe slows down, STN and GPi become faster,
    and the thalamus slower, the classical order of rates (Albin, Young & Penney 1989, Trends
    Neurosci. 12, 366); stimulation brings GPi and thalamus about half of the way back, as rates of
    a patient's network move in Meier et al. (2022), Exp. Neurol. 354, 114111.
    """
    key = jax.random.key(0) if key is None else key
    rng = np.random.default_rng(np.asarray(key_words(key)))
    drives: dict[str, AbstractDrive] = {
        "cortex to STN": Poisson("STN", 2.0, 3.0 * _PS, "excitatory"),
        "background of GPe": Poisson("GPe", 1.0, 3.0 * _PS, "excitatory"),
        "background of GPi": Poisson("GPi", 2.0, 3.0 * _PS, "excitatory"),
        "cortex to thalamus": Poisson("thalamus", 1.0, 2.0 * _PS, "excitatory"),
        "indirect pathway": Poisson("GPe", 2.0 * (4 - 3 * dopamine), 3.0 * _PS, "inhibitory"),
        "direct pathway": Poisson("GPi", 4.0 * (0.2 + 0.8 * dopamine), 3.0 * _PS, "inhibitory"),
    }
    if heard is not None:
        drives["brain"] = Poisson("STN", heard, 3.0 * _PS, "excitatory")
    if stimulation is not None:
        drives["stimulation"] = Current("GPi", stimulation)
    return Network(
        {name: _population(name, cells, rng) for name in NUCLEI},
        _projections(cells),
        drives,
        dt=dt,
        key=key,
        monitors=(Rates(NUCLEI), *map(Spikes, NUCLEI)) if monitors is None else monitors,
    )


def suppressing_pulses(frequency: float = 130.0, amplitude: float = 0.02) -> AbstractEquation:
    """Deep brain stimulation as what it does to a nucleus' output: `frequency` times a second 1.5
    ms of a hyperpolarising current of `amplitude` nA, by which cells spike less."""
    return PulseTrain(T=1000.0 / frequency, tau=1.5, amp=-amplitude, onset=0.05)


def ganglia_region(network: Network) -> SpikingRegion:
    """A region of the model ReducedWongWangExcInh whose excitatory gating is the thalamus's."""
    return SpikingRegion(network, Output("S_e", "thalamus", WongWangExcitatory()))


def _population(name: str, cells: int, rng: np.random.Generator) -> Population:
    cell = load_cell(
        "Izhikevich",
        synapses={"excitatory": "excitatory_conductance", "inhibitory": "inhibitory_conductance"},
    )
    cell = cell.with_params("excitatory", tau=10.0, erev=0.0)
    cell = cell.with_params("inhibitory", tau=10.0, erev=-90.0)
    cell = _of_nucleus(cell, name)
    current = np.asarray(cell.params[cell.name]["I_e"]) * rng.uniform(0.3, 1.7, cells)
    v = rng.uniform(-75.0, -60.0, cells)
    return Population(cell.with_params(I_e=current), cells, initial={"v": v}, method=Heun())


def _of_nucleus(cell: Cell, name: str) -> Cell:
    cell = cell.with_params(c=-65.0, v0=-70.0)
    if name == "STN":
        return cell.with_params(a=0.005, b=0.265, d=2.0, I_e=0.003)
    if name == "GPe":
        return cell.with_params(a=0.005, b=0.585, d=4.0, I_e=0.012)
    if name == "GPi":
        return cell.with_params(a=0.005, b=0.585, d=4.0, I_e=0.006)
    return cell.with_params(a=0.02, b=0.25, d=0.05, I_e=0.0035)


def _projections(cells: int) -> dict[str, Projection]:
    given = (
        ("STN", "GPe", 6.0, "excitatory"),
        ("STN", "GPi", 24.0, "excitatory"),
        ("GPe", "STN", 10.0, "inhibitory"),
        ("GPe", "GPi", 10.0, "inhibitory"),
        ("GPi", "thalamus", 20.0, "inhibitory"),
    )
    senders = min(_SENDERS, cells)
    return {
        f"{source} to {target}": Projection(
            source,
            target,
            FixedInDegree(senders),
            weight=weight * _PS * _SENDERS / senders,
            delay=lambda rng, count: rng.uniform(1.0, 5.0, count),
            receptor=receptor,
        )
        for source, target, weight, receptor in given
    }
