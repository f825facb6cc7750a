"""Small patients whose truth is known, and posteriors about it made by hand."""

import numpy as np
import xarray as xr

from tvbjax import Connectome
from tvbjax.forward import Gain
from tvbjax_inference.bayes import Program, epilepsy
from tvbjax_inference.bayes.likelihoods import Seeg

# a drives b and c, which have no seizures alone; d and e are healthy.
LABELS = ("a", "b", "c", "d", "e")
TRUTH = np.array([-1.6, -2.3, -2.3, -3.0, -3.5])


def chain_weights() -> np.ndarray:
    weights = np.zeros((5, 5))
    weights[1, 0] = weights[2, 0] = 1.0
    weights[0, 1], weights[3, 1], weights[4, 3] = 0.1, 0.3, 0.2
    return weights


def small_patient(samples: int = 120) -> Program:
    """Five regions, four channels; the data are noise, of which nothing here is inferred."""
    connectome = Connectome(chain_weights(), labels=LABELS)
    gain = Gain(np.eye(5)[:4] + 0.1, ("A1", "A2", "B1", "B2"))
    data = np.random.default_rng(0).normal(size=(samples, 4))
    return epilepsy.patient_program(epilepsy.network(connectome), Seeg(gain, data))


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
