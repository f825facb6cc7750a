"""A patient with two seizures, three contacts and five regions."""

import numpy as np

from tvbjax import Connectome
from tvbjax.forward import Sensors
from tvbjax_inference.bayes.epilepsy import Patient, Seizure, inverse_square_gain

LABELS = ("lHip", "lAmy", "rHip", "rAmy", "rIns")
CENTRES = np.array([[-30.0, 0, 0], [-20, 20, 5], [30, 0, 0], [20, 20, 5], [10, -20, 30]])
CHANNELS = ("A'1", "A'2", "B1")
PLACES = np.array([[-29.0, 1, 0], [-26, 1, 0], [25, 10, 3]])
RATE = 64


def brain(weights=None, **more) -> Connectome:
    if weights is None:
        weights = np.random.default_rng(1).uniform(0.1, 0.9, (5, 5))
        np.fill_diagonal(weights, 0.0)
        weights[0, 1] = 1.0
    return Connectome(weights, 2.0 * weights, 4.0, LABELS, centres=CENTRES, **more)


def samples(count=10 * RATE, channels=3, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, channels))


def seizure(name="night1", channels=CHANNELS, values=None, **more) -> Seizure:
    values = samples(channels=len(channels)) if values is None else values
    marks: dict = {"onset": 2.0, "end": 8.5} | more
    return Seizure(name, channels, values, 1 / RATE, **marks)


def patient(**changed) -> Patient:
    sensors = Sensors(CHANNELS, PLACES)
    given = {
        "connectome": brain(),
        "gain": inverse_square_gain(brain(), sensors),
        "seizures": (seizure(), seizure("night.2", onset=None, end=None)),
        "sensors": sensors,
        "hypothesis": ("lHip",),
        "lesions": ("rIns", "lAmy"),
    }
    return Patient("anna", **(given | changed))
