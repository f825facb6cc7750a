"""The simulations that are run by TVB and by tvbjax, and what must be equal on both sides.

NumPy only, 1.26 or 2: `make_tvb.py` imports this in TVB's environment, the tests in tvbjax's.
Random numbers come from `numpy.random.RandomState`, whose streams are frozen by NumPy's policy.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

# A number holds everywhere; a pair (first, last) is spread evenly over the regions.
Value = float | tuple[float, float]

# State variables, in TVB's order, with the range of the random past: every step differs from the
# one before by the whole range, so that a delay wrong by one step shows at once.
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "MontbrioPazoRoxin": {"r": (0.0, 1.0), "V": (-2.0, 1.5)},
    "JansenRit": {
        "y0": (-0.05, 0.15),
        "y1": (0.0, 25.0),
        "y2": (0.0, 15.0),
        "y3": (-1.0, 1.0),
        "y4": (-5.0, 5.0),
        "y5": (-5.0, 5.0),
    },
    "Generic2dOscillator": {"V": (-2.0, 4.0), "W": (-6.0, 6.0)},
    "Kuramoto": {"theta": (0.0, 2.0 * np.pi)},
}


@dataclass(frozen=True)
class Case:
    """One simulation on the 76 regions of tvb-data.

    `dt`: ms. `speed`: mm/ms. `nsig`: diffusion D per state variable. `ntau`: correlation time of
    coloured noise, ms; 0 is white. `gain`: (a, b) of noise that is multiplied by a x + b.
    `regions`: only the first so many. `length_unit`: mm, tract lengths are rounded to multiples of
    it. `seed`: of the past.
    """

    name: str
    model: str
    coupling: str
    gains: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, Value] = field(default_factory=dict)
    integrator: str = "Heun"
    nsig: dict[str, Value] | None = None
    ntau: float = 0.0
    gain: tuple[float, float] | None = None
    dt: float = 0.1
    steps: int = 1000
    speed: float = 3.0
    regions: int | None = None
    length_unit: float | None = None
    seed: int = 1

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(RANGES[self.model])

    @property
    def kept(self) -> np.ndarray:
        """The steps whose states are stored: the first 20, and 20 more up to the last."""
        return np.r_[1:21, self.steps * np.arange(1, 21) // 20]


LINEAR = {"a": 0.0042}

CASES = (
    Case("mpr_linear", "MontbrioPazoRoxin", "Linear", LINEAR, dt=0.02, steps=5000),
    Case(
        "mpr_regional",
        "MontbrioPazoRoxin",
        "Linear",
        {"a": 0.0042, "b": 0.1},
        parameters={"eta": (-6.0, -4.0), "cv": 0.3},
        dt=0.02,
        steps=2000,
        seed=2,
    ),
    Case("jansen_rit_linear", "JansenRit", "Linear", {"a": 0.00042}, seed=3),
    Case("oscillator_linear", "Generic2dOscillator", "Linear", LINEAR, seed=4),
    Case("kuramoto", "Kuramoto", "Kuramoto", {"a": 0.01}, seed=5),
    Case("oscillator_scaling", "Generic2dOscillator", "Scaling", LINEAR, seed=6),
    Case("oscillator_difference", "Generic2dOscillator", "Difference", {"a": 0.01}, seed=7),
    Case(
        "oscillator_sigmoidal",
        "Generic2dOscillator",
        "Sigmoidal",
        {"cmin": -0.5, "cmax": 1.5, "midpoint": 10.0, "a": 2.0, "sigma": 50.0},
        seed=8,
    ),
    Case(
        "oscillator_hyperbolic_tangent",
        "Generic2dOscillator",
        "HyperbolicTangent",
        {"a": 0.01, "b": 0.5, "midpoint": 0.3, "sigma": 2.0},
        seed=9,
    ),
    Case("jansen_rit_sigmoidal", "JansenRit", "SigmoidalJansenRit", seed=10),
    Case("oscillator_euler", "Generic2dOscillator", "Linear", LINEAR, integrator="Euler", seed=11),
    Case("oscillator_rk4", "Generic2dOscillator", "Linear", LINEAR, integrator="RK4", seed=12),
    # Delays of at most 5 steps, many of 0 and 1.
    Case("oscillator_fast", "Generic2dOscillator", "Linear", LINEAR, speed=300.0, seed=13),
    # Every delay is a whole number of half steps, exactly: ties must go to the even step.
    Case(
        "oscillator_ties",
        "Generic2dOscillator",
        "Linear",
        LINEAR,
        dt=0.125,
        steps=800,
        speed=4.0,
        length_unit=0.25,
        seed=14,
    ),
    # Strong noise: r would often be negative, and is held at 0 in both stages of Heun.
    Case(
        "mpr_heun_noise",
        "MontbrioPazoRoxin",
        "Linear",
        LINEAR,
        nsig={"r": 0.005, "V": 0.02},
        dt=0.02,
        steps=1000,
        seed=15,
    ),
    Case(
        "oscillator_euler_noise",
        "Generic2dOscillator",
        "Linear",
        LINEAR,
        integrator="Euler",
        nsig={"V": 1e-3, "W": 1e-2},
        steps=500,
        seed=16,
    ),
    Case(
        "oscillator_regional_noise",
        "Generic2dOscillator",
        "Linear",
        LINEAR,
        nsig={"V": (0.0, 1e-2), "W": (1e-3, 0.0)},
        steps=500,
        seed=17,
    ),
    Case(
        "oscillator_coloured_noise",
        "Generic2dOscillator",
        "Linear",
        LINEAR,
        nsig={"V": 1e-2, "W": (0.0, 1e-2)},
        ntau=3.0,
        steps=500,
        seed=20,
    ),
    Case(
        "oscillator_multiplicative_noise",
        "Generic2dOscillator",
        "Linear",
        LINEAR,
        nsig={"V": 1e-3, "W": (1e-3, 0.0)},
        gain=(0.7, 0.2),
        steps=500,
        seed=21,
    ),
    Case(
        "oscillator_multiplicative_euler",
        "Generic2dOscillator",
        "Linear",
        LINEAR,
        integrator="Euler",
        nsig={"V": 1e-3, "W": 2e-3},
        gain=(1.0, 0.0),
        steps=500,
        seed=22,
    ),
    Case(
        "mpr_coloured_multiplicative",
        "MontbrioPazoRoxin",
        "Linear",
        LINEAR,
        nsig={"r": 0.2, "V": 0.02},
        ntau=0.5,
        gain=(1.0, 0.3),
        dt=0.02,
        steps=1000,
        seed=23,
    ),
)

# What monitors give, with a period of 1 ms; and Bold, over more than its kernel's 20 s.
MONITORS = Case("monitors", "Generic2dOscillator", "Linear", LINEAR, regions=10, seed=18)
PERIOD = 1.0
BOLD = Case(
    "bold",
    "Generic2dOscillator",
    "Linear",
    LINEAR,
    parameters={"I": (0.0, 1.0)},
    nsig={"V": 0.02, "W": 0.02},
    dt=0.5,
    steps=48_000,
    regions=3,
    seed=19,
)
BOLD_PERIOD = 2000.0
BOLD_WINDOW = 4.0
STIMULUS = Case("stimulus", "Generic2dOscillator", "Linear", LINEAR, regions=10, seed=23)
PULSES = {"T": 20.0, "tau": 3.0, "amp": 0.4, "onset": 4.0}
SURFACE = Case("surface", "Generic2dOscillator", "Linear", LINEAR, steps=100, speed=3.0)
LOCAL = 2.0**-4  # strength of the local connectivity
KEPT_VERTICES = 61  # one in so many
KERNELS = ("FirstOrderVolterra", "Gamma", "DoubleExponential", "MixtureOfGammas")
KERNEL_AGES = 0.004 * np.arange(1, 5001)  # s


def groups(case: Case) -> np.ndarray:
    """Which of three groups every region is in."""
    return np.arange(case.regions or 0) % 3


def gain(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """A gain of four sensors for vertices, three to a region, and the region of each vertex."""
    mapping = np.repeat(np.arange(case.regions or 0), 3)
    return np.random.default_rng(case.seed).normal(size=(4, len(mapping))), mapping


def stimulated(case: Case) -> np.ndarray:
    """How strongly every region is stimulated."""
    return np.random.default_rng(case.seed).uniform(-1.0, 1.0, case.regions)


def vertices(count: int) -> np.ndarray:
    """A state of the oscillator for every vertex, held before t = 0."""
    return np.random.default_rng(31).uniform([[-1.0], [-2.0]], [[1.5], [3.0]], (2, count))


def drive() -> np.ndarray:
    """Neural activity that drives blood, means over BOLD_WINDOW ms, (time, region); 0 at first."""
    time = 1e-3 * BOLD_WINDOW * np.arange(15000)[:, None]
    started = time > 2.0
    return started * (0.3 + 0.25 * np.sin(np.array([0.3, 0.9, 2.1]) * time))


def network(
    case: Case, weights: np.ndarray, tract_lengths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and tract lengths (mm) of a case, from those of the whole connectome."""
    weights, tract_lengths = weights[: case.regions, : case.regions], tract_lengths
    tract_lengths = tract_lengths[: case.regions, : case.regions]
    if case.length_unit is not None:
        tract_lengths = np.rint(tract_lengths / case.length_unit) * case.length_unit
    return weights, tract_lengths


def past(case: Case, tract_lengths: np.ndarray) -> np.ndarray:
    """The history (step, state variable, region), oldest first, the last row being t = 0.

    As many rows as TVB asks for: one more than the longest delay of all pairs of regions.
    """
    rows = int(np.rint(tract_lengths / case.speed / case.dt).max()) + 1
    low, high = np.array(list(RANGES[case.model].values())).T[:, :, None]
    shape = rows, len(case.variables), len(tract_lengths)
    return np.random.RandomState(case.seed).uniform(low, high, shape)


def spread(value: Value, regions: int) -> float | np.ndarray:
    """A number as it is; a pair (first, last) as an array `(region,)`."""
    return np.linspace(*value, regions) if isinstance(value, tuple) else value


def intensities(case: Case, regions: int) -> np.ndarray:
    """The diffusion D of every state variable and region."""
    given = case.nsig or {}
    rows = [np.broadcast_to(spread(given.get(v, 0.0), regions), regions) for v in case.variables]
    return np.array(rows)


def normals(case: Case, regions: int) -> np.ndarray:
    """The normal numbers of TVB's noise with its default seed, 42, in the order it draws them.

    (step, state variable, region); coloured noise draws one more, for its state before step 0.
    """
    steps = case.steps + (case.ntau > 0)
    return np.random.RandomState(42).normal(size=(steps, len(case.variables), regions))


def increments(case: Case, regions: int) -> np.ndarray | None:
    """What the noise adds in every step, before any gain: (step, state variable, region)."""
    if case.nsig is None:
        return None
    unit, spread = normals(case, regions), np.sqrt(2.0 * intensities(case, regions))
    if not case.ntau:
        return np.sqrt(case.dt) * unit * spread
    kept = np.exp(-case.dt / case.ntau)
    eta, path = unit[0], []
    for drawn in unit[1:]:
        eta = eta * kept + np.sqrt(1.0 - kept**2) * drawn
        path.append(case.dt / np.sqrt(case.ntau) * eta)
    return np.array(path) * spread


def stored(name: str) -> dict[str, np.ndarray]:
    """The arrays of a reference file, from the folder TVBJAX_REFERENCE or from beside this file."""
    folder = Path(os.environ.get("TVBJAX_REFERENCE", Path(__file__).parent))
    with np.load(folder / f"{name}.npz") as arrays:
        return dict(arrays)
