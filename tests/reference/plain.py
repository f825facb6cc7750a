"""A simulation as a plain loop over steps, written from the definitions: the check of the check.

TVB's arrays are stored only where this agrees with them. NumPy only, no TVB, no tvbjax.
"""

from collections.abc import Callable, Mapping

import numpy as np
from cases import Case

Parameters = Mapping[str, np.ndarray]


def montbrio(x, c, p):
    r, v = x
    drive = p["eta"] + p["J"] * p["tau"] * r + p["I"] + p["cr"] * c[0] + p["cv"] * c[1]
    dr = (p["Delta"] / (np.pi * p["tau"]) + 2.0 * v * r) / p["tau"]
    return np.stack([dr, (v**2 - (np.pi * p["tau"] * r) ** 2 + drive) / p["tau"]])


def jansen_rit(x, c, p):
    y0, y1, y2, y3, y4, y5 = x

    def rate(potential):
        return 2.0 * p["nu_max"] / (1.0 + np.exp(p["r"] * (p["v0"] - potential)))

    def response(gain, decay, drive, y, dy):
        return gain * decay * drive - 2.0 * decay * dy - decay**2 * y

    to_excitatory = p["mu"] + p["a_2"] * p["J"] * rate(p["a_1"] * p["J"] * y0) + c[0]
    to_inhibitory = p["a_4"] * p["J"] * rate(p["a_3"] * p["J"] * y0)
    pyramidal = response(p["A"], p["a"], rate(y1 - y2), y0, y3)
    excitatory = response(p["A"], p["a"], to_excitatory, y1, y4)
    inhibitory = response(p["B"], p["b"], to_inhibitory, y2, y5)
    return np.stack([y3, y4, y5, pyramidal, excitatory, inhibitory])


def oscillator(x, c, p):
    v, w = x
    cubic = -p["f"] * v**3 + p["e"] * v**2 + p["g"] * v
    dv = p["tau"] * (p["alpha"] * w + cubic + p["gamma"] * (p["I"] + c[0]))
    dw = (p["a"] + p["b"] * v + p["c"] * v**2 - p["beta"] * w) / p["tau"]
    return p["d"] * np.stack([dv, dw])


def kuramoto(x, c, p):
    return p["omega"] + c[:1]


# Equations, the state variables that a coupling transmits, and the lower bounds.
MODELS: dict[str, tuple[Callable, tuple[int, ...], tuple[float, ...]]] = {
    "MontbrioPazoRoxin": (montbrio, (0, 1), (0.0, -np.inf)),
    "JansenRit": (jansen_rit, (1, 2), (-np.inf,) * 6),
    "Generic2dOscillator": (oscillator, (0,), (-np.inf,) * 2),
    "Kuramoto": (kuramoto, (0,), (-np.inf,)),
}


def coupled(rule: str, g: Parameters, w: np.ndarray, xj: np.ndarray, xi: np.ndarray) -> np.ndarray:
    """Inputs (input, target) from `xj` (variable, target, source) and `xi` (variable, target)."""
    if rule == "Linear":
        return g["a"] * (w * xj).sum(axis=-1) + g["b"]
    if rule == "Scaling":
        return g["a"] * (w * xj).sum(axis=-1)
    if rule == "Difference":
        return g["a"] * (w * (xj - xi[..., None])).sum(axis=-1)
    if rule == "Kuramoto":
        return g["a"] * (w * np.sin(xj - xi[..., None])).sum(axis=-1)
    if rule == "HyperbolicTangent":
        return (w * g["a"] * (1 + np.tanh((g["b"] * xj - g["midpoint"]) / g["sigma"]))).sum(axis=-1)
    span = g["cmax"] - g["cmin"]
    if rule == "Sigmoidal":
        drive = ((w * xj).sum(axis=-1) - g["midpoint"]) / g["sigma"]
        return g["cmin"] + span / (1.0 + np.exp(-g["a"] * drive))
    if rule == "SigmoidalJansenRit":
        rate = g["cmin"] + span / (1.0 + np.exp(g["r"] * (g["midpoint"] - (xj[0] - xj[1]))))
        return g["a"] * (w * rate).sum(axis=-1)[None]
    raise ValueError(f"plain: there is no coupling {rule!r}.")


def step(method: str, f: Callable, bound: Callable, x: np.ndarray, dt: float, z) -> np.ndarray:
    """One step of x' = f(x) with the increment z; the bounds apply to every stage."""
    k1 = f(x)
    if method == "Euler":
        return bound(x + dt * k1 + z)
    if method == "Heun":
        return bound(x + dt / 2.0 * (k1 + f(bound(x + dt * k1 + z))) + z)
    if method == "RK4":
        k2 = f(bound(x + dt / 2.0 * k1))
        k3 = f(bound(x + dt / 2.0 * k2))
        k4 = f(bound(x + dt * k3))
        return bound(x + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4) + z)
    raise ValueError(f"plain: there is no integrator {method!r}.")


def simulate(
    case: Case,
    weights: np.ndarray,
    tract_lengths: np.ndarray,
    past: np.ndarray,
    increments: np.ndarray | None,
    parameters: Parameters,
    gains: Parameters,
) -> np.ndarray:
    """All states after t = 0, `(step, state variable, region)`.

    `parameters`, `gains`: every parameter of the model and of the coupling, numbers or `(region,)`.
    """
    equations, sent, lower = MODELS[case.model]
    floor = np.array(lower)[:, None]
    rows, nodes = len(past), len(weights)
    delays = np.rint(tract_lengths / case.speed / case.dt).astype(int)
    states = np.concatenate([past, np.empty((case.steps, *past.shape[1:]))])
    sources, variables = np.arange(nodes)[None, None], np.array(sent)[:, None, None]

    for now in range(rows - 1, rows - 1 + case.steps):
        delayed = states[now - delays[None], variables, sources]
        present = states[now][list(sent)]
        c = coupled(case.coupling, gains, weights, delayed, present)
        z = 0.0 if increments is None else increments[now - rows + 1]
        if case.gain is not None:
            z = z * (case.gain[0] * states[now] + case.gain[1])
        states[now + 1] = step(
            case.integrator,
            lambda x, c=c: equations(x, c, parameters),
            lambda x: np.maximum(x, floor),
            states[now],
            case.dt,
            z,
        )
    return states[rows:]
