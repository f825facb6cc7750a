"""The texts of options turned into the parts of a simulator."""

import inspect
import math
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import typer

from tvbjax import Simulator, coupling, datasets, integrators, lems, monitors, noise
from tvbjax.connectome import Connectome
from tvbjax.free import Free
from tvbjax.io.tvb_zip import read_connectome_zip
from tvbjax.supports import Positive
from tvbjax_lems import Model

COUPLINGS = (
    coupling.Linear,
    coupling.Scaling,
    coupling.Difference,
    coupling.Kuramoto,
    coupling.HyperbolicTangent,
    coupling.Sigmoidal,
    coupling.SigmoidalJansenRit,
    coupling.PreSigmoidal,
    coupling.DynamicPreSigmoidal,
)
INTEGRATORS = (
    integrators.Euler,
    integrators.Heun,
    integrators.RecoupledHeun,
    integrators.StratonovichHeun,
    integrators.RK4,
    integrators.SemiImplicitEuler,
    integrators.ExponentialEuler,
)
MONITORS = (
    monitors.Raw,
    monitors.SubSample,
    monitors.TemporalAverage,
    monitors.GlobalAverage,
    monitors.AfferentCoupling,
    monitors.Bold,
    monitors.BalloonWindkessel,
)
# Monitors of another one's samples, and the one that TVB takes them of.
_OF = {
    monitors.GlobalAverage: monitors.SubSample,
    monitors.AfferentCoupling: monitors.TemporalAverage,
}

ModelName = Annotated[
    str, typer.Argument(help="A built-in model (see `tvbjax models`) or the path of a LEMS file.")
]
ConnectomeName = Annotated[
    str, typer.Option("--connectome", "-c", help="A data set (tvb76, ...) or the path of a zip.")
]
Normalised = Annotated[
    bool, typer.Option("--normalise/--raw-weights", help="Divide the weights by their maximum.")
]
Speed = Annotated[float, typer.Option(help="Conduction speed in mm/ms.")]
CouplingText = Annotated[
    str, typer.Option("--coupling", help="A rule and its parameters, e.g. Linear:a=0.01,b=0.")
]
IntegratorName = Annotated[str, typer.Option("--integrator", help="Euler, Heun or RK4.")]
Step = Annotated[float, typer.Option(help="Integration step in ms.")]
Duration = Annotated[float, typer.Option(help="Simulated time in ms.")]
NoiseTexts = Annotated[
    list[str] | None,
    typer.Option("--noise", help="Intensity D: a number, or VARIABLE=D; may be repeated."),
]
MonitorTexts = Annotated[
    list[str] | None,
    typer.Option("--monitor", help="A monitor and its period in ms, e.g. Bold:2000; repeatable."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="A model parameter, e.g. eta=-4.6; repeatable."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the noise.")]
Double = Annotated[bool, typer.Option("--float64", help="Compute in double precision.")]


def simulator_of(
    model: str,
    connectome: str,
    normalise: bool,
    speed: float,
    rule: str,
    integrator: str,
    dt: float,
    nsig: list[str] | None,
    observed: list[str] | None,
    settings: list[str] | None,
) -> Simulator:
    """The simulator that the options describe."""
    kind = _chosen("integrator", integrator, INTEGRATORS)
    compiled = with_parameters(lems.load(model), settings or [])
    return Simulator(
        compiled,
        connectome_of(connectome, normalise, speed),
        coupling_of(rule),
        kind(dt=dt),
        noise_of(nsig or []),
        [monitor_of(text) for text in observed] if observed else None,
    )


def connectome_of(name: str, normalise: bool, speed: float) -> Connectome:
    """A data set by name, or a zip by its path."""
    if Path(name).suffix or os.sep in name:
        loaded = read_connectome_zip(name, speed=speed)
    else:
        loaded = datasets.connectome(name, speed=speed)
    return loaded.normalise() if normalise else loaded


def coupling_of(text: str) -> coupling.AbstractCoupling:
    """`Linear:a=0.01,b=0`."""
    name, _, parameters = text.partition(":")
    kind = _chosen("coupling", name, COUPLINGS)
    values = dict(_assignment("--coupling", part) for part in parameters.split(",") if part)
    known = list(inspect.signature(kind).parameters)
    for given in values:
        if given not in known:
            hint = _near(given, known)
            raise ValueError(f"--coupling: {name} has no parameter '{given}'; {hint}")
    return kind(**values)


def monitor_of(text: str) -> monitors.AbstractMonitor:
    """`TemporalAverage:1.0`; Raw has no period."""
    name, _, period = text.partition(":")
    kind = _chosen("monitor", name, MONITORS)
    if kind is monitors.Raw:
        if period:
            raise ValueError(f"--monitor: Raw records every step and has no period; not '{text}'.")
        return kind()
    if not period:
        raise ValueError(f"--monitor: {name} needs a period in ms, e.g. {name}:1.0.")
    number = _number("--monitor", period)
    return kind(_OF[kind](number)) if kind in _OF else kind(number)


def noise_of(texts: list[str]) -> noise.AbstractNoise | None:
    """None, one intensity for all variables, or intensities by variable."""
    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        return noise.Additive(_number("--noise", texts[0]))
    return noise.Additive(dict(_assignment("--noise", text) for text in texts))


def with_parameters(model: Model, settings: Iterable[str]) -> Model:
    """The model with parameters set."""
    for text in settings:
        name, value = _assignment("--set", text)
        leaf = parameter_of(model, name)
        model = eqx.tree_at(lambda m, n=name: m.params[n], model, jnp.asarray(value, leaf.dtype))
    return model


def parameter_of(model: Model, name: str) -> jax.Array:
    """A parameter's leaf; an error that lists the others."""
    if name not in model.params:
        known = list(model.params)
        raise ValueError(f"{model.name} has no parameter '{name}'; {_near(name, known)}")
    return model.params[name]


def slowest(over: list[str], speed: float) -> float:
    """The slowest speed of the axes, so that the history is long enough for every member."""
    swept = [axis_of(text, None)[1] for text in over if text.startswith("speed=")]
    return min([float(values.min()) for values in swept], default=speed)


def axis_of(text: str, model: Model | None) -> tuple[Free, np.ndarray]:
    """`eta=-6:-4:16` (from, to, how many) or `coupling.a=0,0.1,0.3`; also `speed`."""
    name, _, values = text.partition("=")
    if not values:
        raise ValueError(f"--over: '{text}' has no values; give e.g. eta=-6:-4:16.")
    if ":" in values:
        parts = values.split(":")
        if len(parts) != 3:
            raise ValueError(f"--over: '{values}' must be from:to:count, e.g. -6:-4:16.")
        low, high = (_number("--over", part) for part in parts[:2])
        count = _number("--over", parts[2])
        if count < 1 or count > 1e6 or count != int(count):
            raise ValueError(
                f"--over: the count {parts[2]} of '{name}' is no whole number from 1 to 1000000."
            )
        numbers = np.linspace(low, high, int(count))
    else:
        numbers = np.array([_number("--over", part) for part in values.split(",")])
    return _free(name, model), numbers


def _free(name: str, model: Model | None) -> Free:
    if name == "speed":
        return Free(lambda s: s.connectome.speed, Positive(), "speed")
    owner, _, field = name.partition(".")
    if owner == "coupling" and field:
        return Free(lambda s: getattr(s.coupling, field), name=name)
    if model is not None:
        parameter_of(model, name)
    return Free(lambda s: s.model.params[name], name=name)


def _assignment(option: str, text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{option}: '{text}' must be NAME=NUMBER.")
    return name.strip(), _number(option, value)


def _number(option: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{option}: '{text}' is no number.") from None
    if not math.isfinite(number):
        raise ValueError(f"{option}: '{text}' is no finite number.")
    return number


def _chosen(what: str, name: str, kinds: tuple[type, ...]) -> Any:
    known = {kind.__name__: kind for kind in kinds}
    if name not in known:
        raise ValueError(f"there is no {what} '{name}'; {_near(name, list(known))}")
    return known[name]


def _near(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}There are {', '.join(known)}."
