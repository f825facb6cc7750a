"""The demonstration: a real connectome comes alive from a model written as XML.

Montbrió-Pazó-Roxin masses near the border between a silent and an active state, on 76 regions: one
long simulation with BOLD and functional connectivity, and a sweep of coupling and excitability
that shows where structure shapes function.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from tvbjax import coupling, datasets, integrators, lems, monitors, noise, plot
from tvbjax.analysis import functional_connectivity
from tvbjax.connectome import Connectome, largest_in_strength
from tvbjax.free import Free
from tvbjax.io.atomic import atomic_path
from tvbjax.io.xarray_files import write_dataset
from tvbjax.result import Result
from tvbjax.simulation import simulate
from tvbjax.simulator import Simulator
from tvbjax.supports import Interval
from tvbjax.sweeps import sweep

# Membrane time constant of 10 ms; with it the model's own parameters as in Rabuffo et al. (2021),
# eNeuro 8:ENEURO.0283-21. At this working point regions switch from
# the silent to the active state one after another, near the border that the sweep shows.
_PARAMETERS = {"tau": 10.0, "Delta": 0.7, "J": 14.5, "eta": -4.52, "cr": 1.0, "cv": 0.0}
_GAIN = 48.0
_NSIG = {"r": 2e-5, "V": 4e-3}
_DT = 0.1
_INITIAL = {"r": 0.01, "V": -2.0}  # the silent state
_PERIOD = 10.0
_TRANSIENT = 500.0


@dataclasses.dataclass(frozen=True)
class Demo:
    """What the demonstration made: files, and the seconds that each part took."""

    files: tuple[Path, ...]
    seconds: dict[str, float]


def run(
    folder: Path,
    *,
    duration: float = 10_000.0,
    sweep_duration: float = 2_000.0,
    points: int = 16,
    say: Callable[[str], None] = print,
) -> Demo:
    """Simulate `duration` ms, sweep `points` x `points` members, write results and a figure.

    Raises `ModuleNotFoundError` where tvb-data or matplotlib is missing.
    """
    shortest = 2.0 * _TRANSIENT
    if duration < shortest or sweep_duration < shortest:
        raise ValueError(
            f"demo: {min(duration, sweep_duration):g} ms is too short; the first {_TRANSIENT:g} ms "
            f"are left out as transient: give at least {shortest:g} ms."
        )
    seconds: dict[str, float] = {}
    folder.mkdir(parents=True, exist_ok=True)
    with _timed(seconds, "compile the model from LEMS"):
        model = _model()
    with _timed(seconds, "load the connectome"):
        connectome = datasets.connectome("tvb76").normalise(largest_in_strength)
    say(f"{model.name} on {connectome}")

    rates = monitors.TemporalAverage(_PERIOD, variables="r")
    simulator = _simulator(model, connectome, rates, monitors.Bold(500.0, variables="r"))
    key = jax.random.key(1)
    with _timed(seconds, f"simulate {duration / 1000:g} s ({round(duration / _DT):,} steps)"):
        result = simulate(simulator, duration, initial=_initial(simulator), key=key)
    fc = functional_connectivity(_rates(result))
    with _timed(seconds, f"sweep {points * points} simulations of {sweep_duration / 1000:g} s"):
        swept = _sweep(_simulator(model, connectome, rates), sweep_duration, points, key)
    say(_summary(connectome, fc, swept))

    with _timed(seconds, "write results and figure"):
        files = _write(folder, connectome, result, fc, swept)
    return Demo(files, seconds)


def structure_function(
    weights: Float[Array, "region region"], fc: Float[Array, "region region"]
) -> Float[Array, ""]:
    """Correlation of symmetrised weights and FC over all pairs of regions."""
    pairs = jnp.triu_indices(weights.shape[0], 1)
    structure = (weights + weights.T)[pairs] / 2.0
    return jnp.corrcoef(structure, fc[pairs])[0, 1]


def _model() -> lems.Model:
    model = lems.load("MontbrioPazoRoxin")
    for name, value in _PARAMETERS.items():
        leaf = model.params[name]
        model = eqx.tree_at(lambda m, n=name: m.params[n], model, jnp.asarray(value, leaf.dtype))
    return model


def _simulator(model: lems.Model, connectome: Connectome, *observers) -> Simulator:
    return Simulator(
        model,
        connectome,
        coupling.Linear(a=_GAIN),
        integrators.Heun(dt=_DT),
        noise.Additive(_NSIG),
        observers,
    )


def _initial(simulator: Simulator) -> np.ndarray:
    values = [_INITIAL[name] for name in simulator.model.state_variables]
    return np.repeat(np.array(values)[:, None], simulator.nodes, axis=1)


def _rates(result: Result) -> Float[Array, "time region"]:
    """The firing rates after the transient."""
    skipped = int(_TRANSIENT / _PERIOD)
    return jnp.asarray(result.samples["temporal_average"].values[skipped:, 0])


def _sweep(simulator: Simulator, duration: float, points: int, key: Array) -> xr.Dataset:
    weights = simulator.connectome.weights

    def measure(result: Result) -> dict[str, Array]:
        rates = _rates(result)
        return {
            "structure_function": structure_function(weights, functional_connectivity(rates)),
            "rate": rates.mean(),
        }

    space = {
        Free(lambda s: s.coupling.a, Interval(0.0, 200.0), "coupling"): np.linspace(0, 100, points),
        Free(lambda s: s.model.params["eta"], Interval(-10.0, 0.0), "excitability"): np.linspace(
            -5.4, -4.2, points
        ),
    }
    return sweep(simulator, space, duration, initial=_initial(simulator), key=key, measure=measure)


def _write(folder, connectome, result, fc, swept) -> tuple[Path, ...]:
    bold = functional_connectivity(jnp.asarray(result.samples["bold"].values[:, 0]))
    labels = list(connectome.labels)
    correlations = xr.Dataset(
        {
            "rate": (("region", "other"), np.asarray(fc)),
            "bold": (("region", "other"), np.asarray(bold)),
        },
        coords={"region": labels, "other": labels},
        attrs={"long_name": "functional connectivity: Pearson correlation of regions"},
    )
    files = (
        result.save(folder / "simulation.nc"),
        write_dataset(correlations, folder / "functional_connectivity.nc"),
        write_dataset(swept, folder / "sweep.nc"),
        folder / "overview.png",
    )
    shown = swept["structure_function"].rename("correlation of weights and FC")
    shown["coupling"].attrs = {"long_name": "coupling a"}
    shown["excitability"].attrs = {"long_name": "excitability eta"}
    figure = plot.overview(connectome, result["temporal_average"], np.asarray(fc), shown)
    with atomic_path(files[-1]) as temporary:
        figure.savefig(temporary, format="png")
    return files


def _summary(connectome, fc, swept) -> str:
    own = float(structure_function(connectome.weights, fc))
    best = swept["structure_function"].where(~swept["diverged"]).max()
    return (
        f"functional connectivity correlates with the weights by {own:.2f}; "
        f"best of the sweep {float(best):.2f}; {int(swept['diverged'].sum())} members diverged"
    )


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - begun
