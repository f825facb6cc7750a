"""A patient by simulation: own connectome, electrodes and SEEG, and the truth behind them.

Made of no person's data. Regions are two-dimensional Epileptors (Proix et al. 2014, J. Neurosci.
34:15009; Hashemi et al. 2020, NeuroImage 217:116839), of which some are epileptogenic.
"""

import dataclasses
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64, PRNGKeyArray

import tvbjax
from tvbjax import coupling as rules, integrators, lems, monitors
from tvbjax.connectome import Connectome
from tvbjax.datasets import synthetic_connectome
from tvbjax.kinds import check_count, check_kind, check_number
from tvbjax_inference.bayes.epilepsy.electrodes import inverse_square_gain, shafts as place_shafts
from tvbjax_inference.bayes.epilepsy.patient import Patient
from tvbjax_inference.bayes.epilepsy.seizure import Seizure

_START = (-2.5, 3.5)  # x and z of all regions
_REACH = 20.0  # mm

Range = tuple[float, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
    """What a synthetic patient was made by. Regions are in the connectome's order.

    `excitability`: eta of each region. `coupling`: K. `times`: s of the recording, at which
    `activity`, the regions' x, and `features`, ln(G exp(x)) of every contact without noise, are.
    `onsets`: when x is above 0 for the first time, s, NaN where it never is. `epileptogenic`,
    `propagation`: labels of the regions that were made to be so.
    """

    excitability: Float64[np.ndarray, " region"]
    coupling: float
    times: Float64[np.ndarray, " time"]
    activity: Float64[np.ndarray, "time region"]
    features: Float64[np.ndarray, "time channel"]
    onsets: Float64[np.ndarray, " region"]
    epileptogenic: tuple[str, ...]
    propagation: tuple[str, ...]


def synthetic_patient(
    key: PRNGKeyArray,
    *,
    regions: int = 84,
    connectome: Connectome | None = None,
    epileptogenic: int | Sequence[str] = 2,
    propagation: int | Sequence[str] = 3,
    tract: float = 1.0,
    eta_epileptogenic: float = -1.6,
    eta_propagation: Range = (-2.4, -2.1),
    eta_rest: Range = (-3.2, 0.3),
    coupling: float = 1.0,
    tau0: float = 10.0,
    shafts: int = 12,
    contacts: int = 10,
    spacing: float = 3.5,
    duration: float = 60.0,
    rate: float = 256.0,
    pace: float = 4.0,
    noise: float = 0.05,
    dt: float = 0.1,
    name: str = "synthetic",
) -> tuple[Patient, Truth]:
    """A patient with one seizure, and the truth. Equal keys and arguments give equal patients.

    Regions: those of `connectome`, or `regions` of `datasets.synthetic_connectome`; its weights are
    divided by the largest, without self connections. `epileptogenic`: labels, or how many, drawn;
    `propagation`: labels, or how many: of the rest those with the strongest ties to them. Every
    tie between the two is raised to `tract` (0 to 1; 0 leaves it), so that a seizure has a way to
    spread. Excitability: `eta_epileptogenic`, uniform in `eta_propagation`, elsewhere normal of
    `eta_rest` = (mean, standard deviation); alone a region seizes above -2.05.

    Activity: Epileptor2DSmooth of these, K = `coupling`, `tau0`, without delays (tract lengths are
    only told) from x = -2.5, z = 3.5, by Heun's method with steps of `dt` ms. The model's time is
    fast: 1 ms of it is `pace` s of the recording, which lasts `duration` s.

    Recording: `shafts` of `contacts` every `spacing` mm (see `shafts`), first to epileptogenic and
    propagation regions, the others drawn; gain by inverse squares; at `rate` Hz white noise whose
    variance follows G exp(x), and of each contact's own with `noise` times its root mean square.
    Its log power is ln(G exp(x)) plus a constant, up to estimation's noise. Onset and end are
    marked where the first region rises above x = 0 and the last falls below, if any does.

    Raises TypeError and ValueError for arguments that do not fit.
    """
    numbers = {"tau0": tau0, "duration, in s,": duration, "rate, in Hz,": rate, "pace": pace}
    for label, value in numbers.items():
        check_number(f"synthetic_patient: {label}", value, above=0.0)
    for label, value in {"noise": noise, "tract": tract, "coupling": coupling}.items():
        check_number(f"synthetic_patient: {label}", value, least=0.0)
    if tract > 1:
        raise ValueError(f"synthetic_patient: tract is {tract:g}; 1 is the largest weight.")
    brain_key, shaft_key, bits_key = jax.random.split(key, 3)
    rng = np.random.default_rng(np.asarray(jax.random.bits(bits_key, (4,), "uint32")))
    if connectome is None:
        connectome = synthetic_connectome(regions, key=brain_key)
    check_kind("synthetic_patient: connectome", connectome, Connectome, "a tvbjax.Connectome")
    brain = connectome.without_self_connections().normalise()
    ez, pz = _places(brain, rng, epileptogenic, propagation)
    brain = _with_tracts(brain, ez, pz, tract)

    eta = rng.normal(*eta_rest, size=len(brain.labels))
    eta[pz] = rng.uniform(*eta_propagation, size=len(pz))
    eta[ez] = eta_epileptogenic
    model_times, activity = _activity(brain, eta, coupling, tau0, duration / pace, dt)
    times = model_times * pace

    targets = _targets(brain, rng, [*ez, *pz], shafts)
    sensors = place_shafts(brain, shaft_key, shafts, contacts, spacing, targets)
    gain = inverse_square_gain(brain, sensors)
    matrix = np.asarray(gain.matrix, dtype=np.float64)
    samples = _recorded(matrix, times, activity, rng, round(duration * rate), rate, noise)

    active = activity > 0
    onsets = np.where(active.any(axis=0), times[np.argmax(active, axis=0)], np.nan)
    seizing = times[active.any(axis=1)]
    onset, end = (seizing[0], seizing[-1]) if len(seizing) else (None, None)
    seizure = Seizure("seizure1", gain.channels, samples, 1.0 / rate, onset, end)
    truth = Truth(
        excitability=eta,
        coupling=float(coupling),
        times=times,
        activity=activity,
        features=np.log(np.exp(activity) @ matrix.T),
        onsets=onsets,
        epileptogenic=tuple(brain.labels[i] for i in ez),
        propagation=tuple(brain.labels[i] for i in pz),
    )
    apart = np.linalg.norm(sensors.positions[:, None] - brain.centres, axis=-1).min(axis=1)
    reach = max(_REACH, float(np.ceil(apart.max())))
    return Patient(name, brain, gain, (seizure,), sensors, reach=reach), truth


def _places(
    brain: Connectome,
    rng: np.random.Generator,
    epileptogenic: int | Sequence[str],
    propagation: int | Sequence[str],
) -> tuple[list[int], list[int]]:
    """Indices of the epileptogenic regions and of those to which a seizure spreads."""
    size = len(brain.labels)
    if isinstance(epileptogenic, int):
        check_count("synthetic_patient: epileptogenic", epileptogenic, least=0)
    count = epileptogenic if isinstance(epileptogenic, int) else len(epileptogenic)
    count += propagation if isinstance(propagation, int) else len(propagation)
    if count > size:
        raise ValueError(
            f"synthetic_patient: {count} epileptogenic and propagation regions are more than the "
            f"{size} that there are; lower their numbers."
        )
    drawn = rng.permutation(size)
    named = [] if isinstance(propagation, int) else _indices(brain, "propagation", propagation)
    if isinstance(epileptogenic, int):
        ez = [int(i) for i in drawn if i not in named][:epileptogenic]
    else:
        ez = _indices(brain, "epileptogenic", epileptogenic)
    if not isinstance(propagation, int):
        both = [brain.labels[i] for i in named if i in ez]
        if both:
            raise ValueError(
                f"synthetic_patient: {both[0]!r} is both epileptogenic and of propagation; name it "
                "once."
            )
        return ez, named
    check_count("synthetic_patient: propagation", propagation, least=0)
    ties = np.asarray(brain.weights)[:, ez].sum(axis=1)
    ties[ez] = -1.0
    return ez, np.argsort(-ties, kind="stable")[:propagation].tolist()


def _indices(brain: Connectome, name: str, labels: Sequence[str]) -> list[int]:
    if isinstance(labels, str):
        raise TypeError(
            f"synthetic_patient: {name} is {labels!r}; give a list of labels, or how many."
        )
    found = [brain.regions.index(label) for label in labels]
    for place, label in enumerate(labels):
        if found[place] in found[:place]:
            raise ValueError(f"synthetic_patient: {name} names {label!r} twice; name it once.")
    return found


def _with_tracts(brain: Connectome, ez: list[int], pz: list[int], tract: float) -> Connectome:
    weights = np.array(brain.weights)
    for grid in (np.ix_(ez, pz), np.ix_(pz, ez)):
        weights[grid] = np.maximum(weights[grid], tract)
    return Connectome(
        weights, brain.tract_lengths, brain.speed, name=brain.name, regions=brain.regions
    )


def _activity(
    brain: Connectome, eta: np.ndarray, coupling: float, tau0: float, duration: float, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """Times in ms of the model, (time,), and x, (time, region)."""
    model = lems.load("Epileptor2DSmooth")
    changed = {"eta": eta, "K": coupling, "tau0": tau0}
    params = model.params | {name: jnp.asarray(value, float) for name, value in changed.items()}
    simulator = tvbjax.Simulator(
        eqx.tree_at(lambda m: m.params, model, params),
        Connectome(brain.weights, regions=brain.regions),
        coupling=rules.Difference(a=1.0),
        integrator=integrators.Heun(dt=dt),
        monitors=monitors.Raw(variables=("x",)),
    )
    initial = np.repeat(np.array(_START)[:, None], len(eta), axis=1)
    result = tvbjax.simulate(simulator, duration, initial=initial, progress=False)
    found = result.samples["raw"]
    return np.asarray(found.time, np.float64), np.asarray(found.values[:, 0], np.float64)


def _targets(
    brain: Connectome, rng: np.random.Generator, first: list[int], count: int
) -> list[str]:
    """Labels of as many regions as there are shafts: these first, then others, drawn."""
    check_count("synthetic_patient: shafts", count)
    if count > len(brain.labels):
        raise ValueError(
            f"synthetic_patient: {count} shafts are more than the {len(brain.labels)} regions; "
            "lower shafts."
        )
    others = [int(i) for i in rng.permutation(len(brain.labels)) if i not in first]
    return [brain.labels[i] for i in [*first, *others][:count]]


def _recorded(
    gain: Float[np.ndarray, "channel region"],
    times: np.ndarray,
    activity: np.ndarray,
    rng: np.random.Generator,
    samples: int,
    rate: float,
    noise: float,
) -> Float64[np.ndarray, "time channel"]:
    """White noise whose variance is G exp(x), and each contact's own."""
    own = np.arange(samples) / rate
    sources = np.stack([np.interp(own, times, column) for column in activity.T], axis=1)
    variance = np.exp(sources) @ gain.T
    signal = np.sqrt(variance) * rng.normal(size=variance.shape)
    level = np.sqrt(variance.mean(axis=0))
    return signal + noise * level * rng.normal(size=variance.shape)
