# pyright: reportMissingImports=false
"""Store the derivatives that RateML's own Python models give: `python make_rateml.py FOLDER`.

Needs tvb-contrib and tvb-library (requirements.txt), not tvbjax. RateML renders each of its XML
models to Python; we import that file and evaluate it at random states and coupling inputs.
"""

import importlib.metadata
import importlib.util
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
from tvb.contrib.rateML.XML2model import RateML
from tvb.simulator.models.base import Model

# Where states are drawn: wide enough to meet every branch of the piecewise models.
RANGES = {
    "epileptor": {
        "x1": (-2.0, 2.0),
        "y1": (-20.0, 2.0),
        "z": (-3.0, 5.0),
        "x2": (-2.0, 1.0),
        "y2": (0.0, 2.0),
        "g": (-1.0, 1.0),
    },
    "kuramoto": {"V": (-2.0, 1.0)},
    "montbrio": {"r": (0.0, 2.0), "V": (-2.0, 1.5)},
    "oscillator": {"V": (-2.0, 4.0), "W": (-6.0, 6.0)},
    "rwongwang": {"V": (0.0, 1.0), "W": (0.0, 1.0)},
    "rwongwang_deco": {
        "S_e": (0.0, 1.0),
        "S_i": (0.0, 1.0),
        "H_e": (0.0, 150.0),
        "I_e": (0.0, 30.0),
    },
}
POINTS = 64


class Renderer(RateML):
    """RateML's generator without its side effects.

    Its own constructor reads the command line, writes into the installed tvb package and edits
    that package's list of models; this one only says what to render.
    """

    def __init__(self, name: str):
        self.model_filename = name
        self.language = "python"
        self.XMLfolder = None
        self.xml_location = self.set_XML_model_folder()


def generated(name: str, folder: Path) -> Model:
    """RateML's Python model of that name, configured."""
    text, _ = Renderer(name).render()
    path = folder / f"rateml_{name}.py"
    path.write_text(str(text))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, f"{name.capitalize()}T")()


def numbers(model: Model) -> dict[str, float]:
    """The numeric parameters of a generated model."""
    values = {name: getattr(model, name) for name in type(model).declarative_attrs}
    return {n: v.item() for n, v in values.items() if isinstance(v, np.ndarray) and v.size == 1}


def varied(name: str, default: float, random: np.random.RandomState) -> np.ndarray:
    """A parameter's value at every point, none at its default: every term is then met."""
    if name == "modification":  # a switch between two branches
        return np.arange(POINTS) % 2.0
    around = random.uniform(-1.0, 1.0, POINTS)
    return default * (1.0 + 0.2 * around) if default else 0.5 * around


def make(name: str, seed: int, folder: Path, scratch: Path) -> None:
    model = generated(name, scratch)
    assert tuple(model.state_variables) == tuple(RANGES[name])
    defaults = numbers(model)
    random = np.random.RandomState(seed)
    values = {n: varied(n, default, random) for n, default in defaults.items()}
    for parameter, value in values.items():
        setattr(model, parameter, value)
    low, high = np.array(list(RANGES[name].values())).T[:, :, None]
    states = random.uniform(low, high, (len(low), POINTS))
    inputs = random.uniform(-1.0, 1.0, states.shape)
    derivatives = model.dfun(states[..., None], inputs[..., None])[..., 0]
    if not np.isfinite(derivatives).all():
        sys.exit(f"{name}: RateML's model gives values that are not finite; narrow its RANGES.")

    limits = getattr(model, "state_variable_boundaries", None) or {}
    packages = ("tvb-contrib", "tvb-library", "PyLEMS", "numpy")
    np.savez_compressed(
        folder / f"rateml_{name}.npz",
        versions=np.array([f"{p} {importlib.metadata.version(p)}" for p in packages]),
        state_variables=np.array(model.state_variables),
        variables_of_interest=np.array(model.variables_of_interest),
        bounds=np.array([limits.get(v, (-np.inf, np.inf)) for v in model.state_variables]),
        parameters=np.array(list(values)),
        defaults=np.array(list(defaults.values())),
        values=np.array(list(values.values())),
        states=states,
        inputs=inputs,
        derivatives=derivatives,
    )
    print(f"{name:16s} {len(values)} parameters, derivatives up to {np.abs(derivatives).max():.3g}")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as scratch:
        for seed, name in enumerate(RANGES):
            make(name, seed, folder, Path(scratch))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python make_rateml.py FOLDER")
    main(Path(sys.argv[1]))
