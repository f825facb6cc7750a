# pyright: reportMissingImports=false
"""Run the cases with The Virtual Brain and store what it gives: `python make_tvb.py FOLDER`.

Needs tvb-library and tvb-data (requirements.txt), not tvbjax. Every case is run twice: as TVB is,
with its delay buffer in float32, and with that buffer in float64. The second is compared with the
plain loop of `plain.py`, and nothing is stored unless they agree to rounding.
"""

import contextlib
import importlib.metadata
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import cases
import numpy as np
import plain
from cases import Case
from tvb.analyzers.fmri_balloon import BalloonModel
from tvb.basic.neotraits.api import HasTraits
from tvb.datatypes import equations
from tvb.datatypes.connectivity import Connectivity
from tvb.datatypes.cortex import Cortex
from tvb.datatypes.equations import Linear as Line, PulseTrain
from tvb.datatypes.patterns import StimuliRegion
from tvb.datatypes.projections import ProjectionSurfaceEEG
from tvb.datatypes.region_mapping import RegionMapping
from tvb.datatypes.sensors import SensorsEEG
from tvb.datatypes.time_series import TimeSeriesRegion
from tvb.simulator import coupling, integrators, models, monitors, noise, simulator
from tvb.simulator.descriptors import NDArray
from tvb.simulator.history import BaseHistory, DenseHistory, SparseHistory

INTEGRATORS = {
    ("Euler", False): integrators.EulerDeterministic,
    ("Euler", True): integrators.EulerStochastic,
    ("Heun", False): integrators.HeunDeterministic,
    ("Heun", True): integrators.HeunStochastic,
    ("RK4", False): integrators.RungeKutta4thOrderDeterministic,
}
# Rounding alone: the same operations in another order.
AGREEMENT = 1e-12


@contextlib.contextmanager
def float64_history() -> Iterator[None]:
    """Inside, TVB's delay buffers, and the weights they are summed with, are made in float64."""
    owners = (BaseHistory, DenseHistory, SparseHistory)
    arrays = [a for owner in owners for a in vars(owner).values() if isinstance(a, NDArray)]
    single = [array for array in arrays if array.dtype == "f"]
    for array in single:
        array.dtype = "d"
    try:
        yield
    finally:
        for array in single:
            array.dtype = "f"


def connectivity(case: Case) -> Connectivity:
    """The case's network as TVB's own datatype."""
    whole = Connectivity.from_file("connectivity_76.zip")
    weights, lengths = cases.network(case, whole.weights, whole.tract_lengths)
    return Connectivity(
        weights=weights,
        tract_lengths=lengths,
        region_labels=whole.region_labels[: case.regions],
        centres=whole.centres[: case.regions],
        orientations=whole.orientations[: case.regions],
        cortical=np.ones(len(weights), dtype=bool),
        speed=np.array([case.speed]),
    )


def configured(case: Case, watch: list) -> simulator.Simulator:
    """TVB's simulator of a case, at t = 0: its clock is put back from the end of the past."""
    network = connectivity(case)
    regions = len(network.weights)
    parameters = {n: np.atleast_1d(cases.spread(v, regions)) for n, v in case.parameters.items()}
    method = INTEGRATORS[case.integrator, case.nsig is not None](dt=case.dt)
    if case.nsig is not None:
        method.noise = source(case, regions)
    model = getattr(models, case.model)(**parameters)
    model.variables_of_interest = case.variables
    sim = simulator.Simulator(
        model=model,
        connectivity=network,
        coupling=getattr(coupling, case.coupling)(
            **{name: np.array([value]) for name, value in case.gains.items()}
        ),
        integrator=method,
        monitors=watch,
        initial_conditions=cases.past(case, network.tract_lengths)[..., None],
    ).configure()
    # TVB counts time from the oldest row of the past. From t = 0 its windows begin where ours do.
    assert sim.current_step == len(sim.initial_conditions) - 1 == sim.history.n_time - 1
    sim.history.buffer = np.roll(sim.history.buffer, 1, axis=0)
    sim.current_step = 0
    return sim


def source(case: Case, regions: int) -> noise.Noise:
    """TVB's noise of a case. Its nsig has a last axis for modes, where there are regions."""
    nsig = cases.intensities(case, regions)[..., None]
    if case.gain is None:
        return noise.Additive(nsig=nsig, ntau=case.ntau)
    line = Line(parameters=dict(zip("ab", case.gain, strict=True)))
    return noise.Multiplicative(nsig=nsig, ntau=case.ntau, b=line)


def outputs(sim: simulator.Simulator, steps: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Times and values (time, variable, region) of every monitor."""
    found = [([], []) for _ in sim.monitors]
    for samples in sim(n_steps=steps):
        for (times, values), sample in zip(found, samples, strict=True):
            if sample is not None:
                times.append(sample[0])
                values.append(sample[1][..., 0].copy())
    return [(np.array(times), np.array(values)) for times, values in found]


def trajectory(case: Case) -> np.ndarray:
    """All states after t = 0, (step, state variable, region)."""
    ((times, states),) = outputs(configured(case, [monitors.Raw()]), case.steps)
    assert np.allclose(times, case.dt * np.arange(1, case.steps + 1), atol=1e-9)
    return states


def plainly(case: Case) -> np.ndarray:
    """The same from the plain loop, with the parameters that TVB's objects hold."""
    sim = configured(case, [monitors.Raw()])
    network, regions = sim.connectivity, len(sim.connectivity.weights)
    past, kicks = cases.past(case, network.tract_lengths), cases.increments(case, regions)
    weights, lengths = network.weights, network.tract_lengths
    return plain.simulate(
        case, weights, lengths, past, kicks, numbers(sim.model), numbers(sim.coupling)
    )


def numbers(part: HasTraits) -> dict[str, np.ndarray]:
    """The numeric attributes of one of TVB's objects, each as a vector."""
    values = {name: getattr(part, name) for name in type(part).declarative_attrs}
    return {name: np.ravel(v) for name, v in values.items() if isinstance(v, np.ndarray)}


def agreed(case: Case) -> np.ndarray:
    """TVB's trajectory with a float64 history, if the plain loop agrees."""
    with float64_history():
        double = trajectory(case)
    difference = np.abs(double - plainly(case)).max()
    scale = np.abs(double).max()
    if not difference <= AGREEMENT * max(1.0, scale):
        sys.exit(f"{case.name}: TVB and the plain loop differ by {difference:.1e} at {scale:.1e}.")
    print(f"{case.name:30s} plain {difference:.1e}", end="")
    return double


def make(case: Case, folder: Path) -> None:
    double, single = agreed(case), trajectory(case)
    difference = np.abs(single - double).max()
    if case.nsig is not None and case.model == "MontbrioPazoRoxin":
        assert (double[:, 0] == 0.0).any(), "the noise never meets the bound"
    if not difference > 0:
        sys.exit(f"{case.name}: float32 and float64 history give the same; one was not used.")
    print(f"  float32 history {difference:.1e}  largest value {np.abs(double).max():.3g}")
    at = case.kept - 1
    store(
        folder / f"tvb_{case.name}.npz",
        states=double[at],
        # Small numbers: float32 loses nothing of what they say.
        stock_minus_states=(single - double)[at].astype(np.float32),
        stock_difference=difference,
    )


def make_monitors(folder: Path) -> None:
    case = cases.MONITORS
    agreed(case)
    watch = [
        monitors.Raw(),
        monitors.SubSample(period=cases.PERIOD),
        monitors.TemporalAverage(period=cases.PERIOD),
        monitors.GlobalAverage(period=cases.PERIOD),
        monitors.SpatialAverage(period=cases.PERIOD, spatial_mask=cases.groups(case)),
        monitors.AfferentCoupling(),
        eeg(case),
    ]
    with float64_history():
        raw, sampled, averaged, overall, groups, afferent, sensed = outputs(
            configured(case, watch), case.steps
        )
    print(f"  {len(sampled[0])} samples")
    store(
        folder / "tvb_monitors.npz",
        raw_times=raw[0],
        sample_times=sampled[0],
        samples=sampled[1],
        average_times=averaged[0],
        averages=averaged[1],
        overall_times=overall[0],
        overalls=overall[1],
        group_times=groups[0],
        groups=groups[1],
        afferent_times=afferent[0],
        afferents=afferent[1],
        eeg_times=sensed[0],
        eegs=sensed[1],
    )


def make_stimulus(folder: Path) -> None:
    """Pulses to V and W of some regions; TVB reads the model's stvar for the variables."""
    case = cases.STIMULUS
    agreed(case)
    with float64_history():
        sim = configured(case, [monitors.Raw()])
        sim.stimulus = StimuliRegion(
            temporal=PulseTrain(parameters=dict(cases.PULSES)),
            connectivity=sim.connectivity,
            weight=cases.stimulated(case),
        )
        sim.stimulus.configure_space()
        sim.model.stvar = np.array([0, 1])
        sim.simulation_length = case.steps * case.dt
        ((_, states),) = outputs(sim, case.steps)
    print(f"  stimulated to {np.abs(states).max():.3g}")
    store(folder / "tvb_stimulus.npz", states=states)


def make_surface(folder: Path) -> None:
    """TVB's own surface: 16,384 vertices, 76 regions, 10 ms; of its states a share is kept."""
    network = Connectivity.from_file("connectivity_76.zip")
    network.speed = np.array([cases.SURFACE.speed])
    sheet = Cortex.from_file(local_connectivity_file="local_connectivity_16384.mat")
    sheet.region_mapping_data.connectivity = network
    sheet.coupling_strength = np.array([cases.LOCAL])
    state = cases.vertices(len(sheet.region_mapping))
    network.configure()
    horizon = int(np.rint(network.delays / cases.SURFACE.dt).max()) + 1
    past = np.broadcast_to(state[None, :, :, None], (horizon, *state.shape, 1)).copy()

    def run() -> np.ndarray:
        sim = simulator.Simulator(
            model=models.Generic2dOscillator(variables_of_interest=("V", "W")),
            connectivity=network,
            coupling=coupling.Linear(a=np.array([cases.LINEAR["a"]]), b=np.array([0.0])),
            integrator=integrators.HeunDeterministic(dt=cases.SURFACE.dt),
            surface=sheet,
            monitors=[monitors.SubSample(period=1.0)],
            initial_conditions=past,
        ).configure()
        sim.history.buffer = np.roll(sim.history.buffer, 1, axis=0)
        sim.current_step = 0
        return outputs(sim, cases.SURFACE.steps)[0][1]

    with float64_history():
        double = run()
    single = run()
    print(f"surface                        float32 history {np.abs(single - double).max():.1e}")
    store(
        folder / "tvb_surface.npz",
        states=double[:, :, :: cases.KEPT_VERTICES],
        stock_difference=np.abs(single - double).max(),
        means=double.mean(axis=2),
    )


def eeg(case: Case) -> monitors.EEG:
    """Sensors with a gain for vertices, three to a region, and without TVB's own noise."""
    gain, mapping = cases.gain(case)
    labels = np.array([f"E{i}" for i in range(len(gain))])
    return monitors.EEG(
        period=cases.PERIOD,
        obsnoise=None,
        projection=ProjectionSurfaceEEG(projection_data=gain),
        sensors=SensorsEEG(labels=labels, locations=np.eye(len(gain), 3)),
        region_mapping=RegionMapping(array_data=mapping),
    )


def make_haemodynamics(folder: Path) -> None:
    """TVB's kernels, and its Balloon model driven by a signal that is 0 at first."""
    ages = cases.KERNEL_AGES
    kernels = {name: getattr(equations, name)().evaluate(ages.copy()) for name in cases.KERNELS}
    drive = cases.drive()
    series = TimeSeriesRegion(
        data=drive[:, None, :, None],
        time=cases.BOLD_WINDOW * np.arange(len(drive)),
        sample_period=cases.BOLD_WINDOW,
        sample_period_unit="ms",
    )
    balloon = BalloonModel(time_series=series, RBM=True, normalize_neural_input=False)
    bold = balloon.evaluate().data[:, 0, :, 0]
    assert np.isfinite(bold).all()
    print(f"haemodynamics                  balloon to {np.abs(bold).max():.3g}")
    store(folder / "tvb_haemodynamics.npz", balloon=bold, **kernels)


def make_bold(folder: Path) -> None:
    case = cases.BOLD
    agreed(case)
    watch = [
        monitors.TemporalAverage(period=cases.BOLD_WINDOW, variables_of_interest=np.array([0])),
        monitors.Bold(period=cases.BOLD_PERIOD, variables_of_interest=np.array([0])),
    ]
    with float64_history():
        means, bold = outputs(configured(case, watch), case.steps)
    print(f"  {len(bold[0])} samples")
    store(folder / "tvb_bold.npz", means=means[1][:, 0], bold_times=bold[0], bold=bold[1][:, 0])


def store(path: Path, **arrays) -> None:
    versions = [
        f"{p} {importlib.metadata.version(p)}" for p in ("tvb-library", "tvb-data", "numpy")
    ]
    np.savez_compressed(path, versions=np.array(versions), **arrays)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.ERROR)
    for case in cases.CASES:
        make(case, folder)
    make_monitors(folder)
    make_bold(folder)
    make_haemodynamics(folder)
    make_stimulus(folder)
    make_surface(folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python make_tvb.py FOLDER")
    main(Path(sys.argv[1]))
