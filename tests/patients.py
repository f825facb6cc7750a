"""Small patients whose truth is known, and posteriors about it made by hand."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray as xr

from tvbjax import Connectome, simulate
from tvbjax.forward import Gain, Sensors
from tvbjax_inference.bayes import Program, epilepsy
from tvbjax_inference.bayes.likelihoods import Seeg

# a drives b and c, which have no seizures alone; d and e are healthy.
LABELS = ("a", "b", "c", "d", "e")
_KINDS = ("hippocampus", "insula", "occipital", "frontal", "amygdala", "cingulate")
TRUTH = np.array([-1.6, -2.3, -2.3, -3.0, -3.5])


def chain_weights() -> np.ndarray:
    weights = np.zeros((5, 5))
    weights[1, 0] = weights[2, 0] = 1.0
    weights[0, 1], weights[3, 1], weights[4, 3] = 0.1, 0.3, 0.2
    return weights


def small_patient(samples: int = 120, **more) -> Program:
    """Five regions, four channels; the data are noise, of which nothing here is inferred. `more`:
    as for `patient_program`."""
    connectome = Connectome(chain_weights(), labels=LABELS)
    gain = Gain(np.eye(5)[:4] + 0.1, ("A1", "A2", "B1", "B2"))
    data = np.random.default_rng(0).normal(size=(samples, 4))
    return epilepsy.patient_program(epilepsy.network(connectome), Seeg(gain, data), **more)


def posterior_about(
    truth: np.ndarray, labels, *, deviation: float = 0.02, draws: int = 30, chains: int = 2
) -> xr.DataTree:
    """Normal draws about a truth, and the prior N(-3.2, 0.4) of excitabilities."""
    generator = np.random.default_rng(1)
    size = (chains, draws, len(labels))

    def group(excitability: np.ndarray) -> xr.Dataset:
        lead, regional = ("chain", "draw"), ("chain", "draw", "region")
        shape = excitability.shape
        values = {
            "excitability": (regional, excitability),
            "coupling": (lead, np.exp(0.02 * generator.normal(size=shape[:2]))),
            "amplitude": (lead, np.exp(0.1 * generator.normal(size=shape[:2]))),
            "noise": (lead, np.exp(0.1 * generator.normal(size=shape[:2]))),
            "permittivity": (regional, 3.6 + 0.05 * generator.normal(size=shape)),
            "initial_away": (regional, 0.1 * generator.normal(size=shape)),
        }
        coords = {"region": list(labels), "chain": range(shape[0]), "draw": range(shape[1])}
        return xr.Dataset(values, coords=coords)

    after = group(truth + deviation * generator.normal(size=size))
    before = group(-3.2 + 0.4 * generator.normal(size=(1, 500, len(labels))))
    return xr.DataTree.from_dict({"posterior": after, "prior": before})


class Large(NamedTuple):
    """What `large_patient` makes."""

    program: Program
    tree: xr.DataTree
    sensors: Sensors
    truth: np.ndarray


def large_patient(regions: int = 36, shafts: int = 6, contacts: int = 11) -> Large:
    """A made-up brain with electrodes on the right, a seizure recorded by them, and a posterior by
    hand: near the truth where a contact is near, the prior elsewhere."""
    generator = np.random.default_rng(5)
    half = regions // 2
    left = generator.normal(size=(half, 3))
    left *= np.array([28.0, 70.0, 45.0]) / np.linalg.norm(left, axis=1, keepdims=True)
    left[:, 0] = -8.0 - np.abs(left[:, 0]) * 1.6
    centres = np.concatenate([left, left * [-1, 1, 1]])
    away = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    weights = np.exp(-away / 18.0) * generator.lognormal(0.0, 0.5, away.shape)
    np.fill_diagonal(weights, 0.0)
    sources, driven = [half + 3, half + 7], [half + 1, half + 9, half + 12]
    weights = 0.2 * weights / weights.max()
    weights[np.ix_(driven, sources)] = [[1.0, 0.7]] * 3
    names = [f"{side}-{_KINDS[i % 6]}{i}" for side in "LR" for i in range(half)]
    connectome = Connectome(
        weights, labels=names, centres=centres, hemispheres=np.arange(regions) >= half
    )
    truth = np.full(regions, -3.3)
    truth[sources], truth[driven] = [-1.6, -1.75], -2.35
    places = generator.choice(np.arange(half, regions), shafts - 2, replace=False)
    targets = centres[[*sources, *places]]
    steps = (np.arange(contacts)[:, None] - 7) * 3.5
    positions = np.concatenate([at + [3, 0, 0] + steps * [1, 0.1, 0.15] for at in targets])
    labels = [f"{shaft}{i + 1}" for shaft in "ABCDEF"[:shafts] for i in range(contacts)]
    sensors = Sensors(labels, positions, name="seeg")
    gap = np.linalg.norm(positions[:, None] - centres[None], axis=2)
    gain = Gain(100.0 / (gap**2 + 40.0), tuple(labels))
    network = epilepsy.network(connectome)
    known = gain.matrix.max(axis=0) > 0.35
    tree = posterior_about(truth, names, deviation=0.05, draws=200, chains=4)
    posterior, prior = tree["posterior"].to_dataset(), tree["prior"].to_dataset()
    unknown = -3.2 + 0.4 * generator.normal(size=posterior["excitability"].shape)
    posterior["excitability"].values[..., ~known] = unknown[..., ~known]
    posterior["excitability"].values[..., known] += 0.05 * generator.normal(size=known.sum())
    posterior["excitability"].values[..., driven[1]] += 0.35 * generator.normal(size=(4, 200))
    at = {"excitability": truth, "coupling": np.array(1.0)}
    started = {"permittivity": np.full(regions, 3.6), "initial_away": np.zeros(regions)}
    values = {name: jnp.asarray(value) for name, value in (at | started).items()}
    draft = epilepsy.patient_program(network, Seeg(gain, generator.normal(size=(250, len(gap)))))
    simulator, initial = draft.begun(values)
    run = simulate(simulator, 25.0, initial=initial, progress=False)["raw"].values[:, 0]
    seen = 2.0 * run @ np.asarray(gain.matrix).T + generator.normal(size=len(gap))
    data = seen + 0.5 * generator.normal(size=seen.shape)
    program = epilepsy.patient_program(network, Seeg(gain, data))
    coords = {"sample": np.arange(250), "channel": labels}
    spread = 0.5 * generator.normal(size=(4, 30, *seen.shape)) + seen
    groups = {
        "posterior": posterior,
        "prior": prior,
        "posterior_predictive": xr.Dataset(
            {"seeg": (("chain", "draw", "sample", "channel"), spread)}, coords=coords
        ),
        "observed_data": xr.Dataset({"seeg": (("sample", "channel"), data)}, coords=coords),
    }
    return Large(program, xr.DataTree.from_dict(groups), sensors, truth)
