# pyright: reportMissingImports=false
"""Derivatives of The Virtual Brain's models at random points, for tests/test_lems_models.py.

Run where tvb-library is installed: python make_dfun.py. Writes lems_dfun.npz beside this file.
"""

from pathlib import Path

import numpy as np
from tvb.simulator.models.infinite_theta import MontbrioPazoRoxin
from tvb.simulator.models.jansen_rit import JansenRit
from tvb.simulator.models.oscillator import Generic2dOscillator, Kuramoto

POINTS = 64
# Per model: the class, and the coupling rows that its equations read.
MODELS = {
    "MontbrioPazoRoxin": (MontbrioPazoRoxin, 2),
    "JansenRit": (JansenRit, 1),
    "Generic2dOscillator": (Generic2dOscillator, 1),
    "Kuramoto": (Kuramoto, 1),
}


def main() -> None:
    random = np.random.default_rng(20261123)
    stored = {}
    for name, (kind, rows) in MODELS.items():
        model = kind()
        declared = [p for p in kind.declarative_attrs if isinstance(getattr(model, p), np.ndarray)]
        parameters = {p: getattr(model, p).item() for p in declared if getattr(model, p).size == 1}
        # Vary each parameter a little, so that none can be mistaken for another.
        values = {p: v + random.uniform(-0.1, 0.1) * (abs(v) or 1.0) for p, v in parameters.items()}
        for parameter, value in values.items():
            setattr(model, parameter, np.array([value]))
        model.configure()
        ranges = [model.state_variable_range[v] for v in model.state_variables]
        low, high = np.array(ranges).T[..., None]
        state = random.uniform(low, high, (len(ranges), POINTS))
        coupling = random.uniform(-1.0, 1.0, (max(rows, len(model.cvar)), POINTS))
        derivative = model.dfun(state[..., None], coupling[..., None])[..., 0]
        stored |= {
            f"{name}/parameters": np.array(list(parameters)),
            f"{name}/defaults": np.array(list(parameters.values())),
            f"{name}/values": np.array(list(values.values())),
            f"{name}/ranges": np.array(ranges),
            f"{name}/state": state,
            f"{name}/inputs": coupling[:rows],
            f"{name}/derivative": derivative.copy(),
        }
    np.savez_compressed(Path(__file__).parent / "lems_dfun.npz", **stored)


if __name__ == "__main__":
    main()
