"""Brunel's network in its four regimes, beside NEST: the same connections, other random spikes.

`make bench-spiking`. Model A of Brunel (2000), J. Comput. Neurosci. 8:183, at the parameters of its
figure 8, with a fifth of the cells. Several graphs and potentials to begin with are drawn, which
NEST is given connection by connection; each simulator draws its own spikes from outside. So these
alone differ, and the standard error of the mean difference over graphs says how well it is known.
Then again with the spikes from outside given to both, in double and in single precision: until when
is every spike the same?

`python -m benchmarks.spiking_brunel [--part fifth|all|given]` (with tests in PYTHONPATH) writes
spiking_brunel.json and spiking_brunel.md in benchmarks/results, and leaves other parts as they are.
An hour, and another one for all cells; goes on where it was ended (remove the JSON to begin anew).
"""

import argparse
import importlib.metadata
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
import scipy.optimize
import scipy.special

from benchmarks.compare import RESULTS, keep, machine
from nest_networks import in_nest, poisson_spikes, raster
from tvbjax import lems, spiking
from tvbjax.spiking import statistics

DT, DELAY, THRESHOLD, RESET, TAU, REFRACTORY = 0.1, 1.5, 20.0, 10.0, 20.0, 2.0
BEGINNING, GIVEN_FOR = 200.0, 300.0


@dataclass(frozen=True)
class Size:
    """`cells`: excitatory ones, four for each inhibitory one; of the connections to a cell `degree`
    are from these. `jump`: J, mV. `durations`: ms, after the beginning, of each regime's runs."""

    cells: int
    degree: int
    jump: float
    graphs: int
    durations: tuple[float, ...]

    def of(self, population: str) -> int:
        return self.cells if population == "E" else self.cells // 4


SIZES = {
    "fifth": Size(2_000, 200, 0.5, 8, (1_000.0, 8_000.0, 14_000.0, 20_000.0)),
    "all": Size(10_000, 1_000, 0.1, 3, (200.0, 400.0, 400.0, 2_000.0)),
}


@dataclass(frozen=True)
class Regime:
    """`balance`: g, of inhibition to excitation. `drive`: by that which alone brings a cell to its
    threshold."""

    name: str
    balance: float
    drive: float


REGIMES = (
    Regime("SR", 3.0, 2.0),
    Regime("SI fast", 6.0, 4.0),
    Regime("AI", 5.0, 2.0),
    Regime("SI slow", 4.5, 0.9),
)
SIMULATORS = ("tvbjax", "NEST")
MEASURES = {
    "rate E": "rate of E, Hz",
    "rate I": "rate of I, Hz",
    "CV": "CV of intervals",
    "LV": "LV of intervals",
    "correlation": "correlation of pairs, 5 ms",
    "synchrony": "Fano factor of the population, 3 ms",
    "peak": "peak of the spectrum, Hz",
}


HEAD = """\
# Brunel's network, beside NEST

Model A of Brunel (2000), J. Comput. Neurosci. 8:183, in the four regimes of its figure 8:
synchronous regular (SR), synchronous irregular with a fast and with a slow oscillation (SI),
asynchronous irregular (AI). `LifDelta` by `Exact()` in tvbjax, in single precision, beside
`iaf_psc_delta` in NEST; dt 0.1 ms, delays 1.5 ms. Both have the same connections and potentials to
begin with, and each draws its own spikes from outside. The first 200 ms are left out. Errors are
standard errors over graphs; those of a difference are of differences between runs of one graph.
{versions}; {processor}."""
OF_SIZE = """\
{excitatory:,} excitatory and {inhibitory:,} inhibitory cells, of which each hears {degree:,} and
{quarter:,}; J = {jump:g} mV. {graphs} graphs, each run for {durations} s in the regimes
by turns."""
FIFTH = """\
J is five times the paper's for a fifth of its connections, so that J C, with it the mean input, and
the axes of the diagram of regimes are the paper's. Single spikes count for more, so that input
varies more: cells are less regular and more correlated than in the paper."""
GIVEN = """\
A fifth of the cells for {duration:g} ms, where spikes from outside, too, are given to both. The
networks are chaotic: a spike that is a step late changes most of those that follow. In double
precision none is; in single precision all are the same until rounding moves the first one."""
DIFFERENCES = """\
## What differs

- Nothing by the order of arrival: both add up what arrives in a step, and then look at the
  threshold once. Both hear nothing while refractory, and round the refractory time up to steps.
- Potentials are rounded in other places, and differ by 1e-13 mV in double precision. A spike is at
  another step only where a potential meets the threshold to the last digits.
- Spikes from outside, given or random, arrive from the end of the first step on; in NEST they leave
  a generator there, and arrive at the end of the second one at the earliest."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Brunel's network beside NEST.")
    parser.add_argument("--part", choices=[*SIZES, "given"], help="by default fifth and given")
    options = parser.parse_args()
    path = RESULTS / "spiking_brunel.json"
    whole = json.loads(path.read_text()) if path.is_file() else {}
    whole |= {"machine": machine(), "versions": versions()}
    for part in [options.part] if options.part else ["given", "fifth"]:
        if part == "given":
            whole[part] = [all_given(regime) for regime in REGIMES]
        else:
            compare(SIZES[part], whole.setdefault(part, {}), lambda: path.write_text(_text(whole)))
    lines = told(whole)
    print("\n".join(lines))
    keep("spiking_brunel", whole, lines)


def _text(whole: dict[str, Any]) -> str:
    return json.dumps(whole, indent=1) + "\n"


def versions() -> dict[str, str]:
    names = {"NEST": "nest-simulator", "JAX": "jax", "tvbjax": "tvbjax"}
    return {name: importlib.metadata.version(package) for name, package in names.items()}


def network(size: Size, seed: int, drives: dict[str, Any]) -> spiking.Network:
    """A graph and potentials, of which weights and drives are those of no regime yet."""
    rng = np.random.default_rng(seed)
    populations = {
        name: spiking.Population(
            lems.load_cell("LifDelta"),
            size.of(name),
            initial={"v": rng.uniform(0.0, THRESHOLD, size.of(name))},
            method=lems.Exact(),
        )
        for name in "EI"
    }
    degrees = {"E": size.degree, "I": size.degree // 4}
    projections = {
        source + target: spiking.Projection(
            source, target, spiking.FixedInDegree(degrees[source]), weight=1.0, delay=DELAY
        )
        for source in "EI"
        for target in "EI"
    }
    watch = [spiking.Spikes(name) for name in "EI"]
    key = jax.random.key(seed)
    return spiking.Network(populations, projections, drives, dt=DT, key=key, monitors=watch)


def set_to(made: spiking.Network, size: Size, regime: Regime) -> spiking.Network:
    weights = {"E": size.jump, "I": -regime.balance * size.jump}
    return eqx.tree_at(
        lambda n: [one.weight for one in n.projections.values()],
        made,
        [jnp.asarray(weights[one.source]) for one in made.projections.values()],
    )


def rate_of(size: Size, regime: Regime) -> float:
    """Spikes from outside to a cell, kHz."""
    return regime.drive * THRESHOLD / (size.jump * TAU)


def theory(size: Size, regime: Regime) -> float:
    """The stationary rate of all cells by Brunel's equation 21, Hz: of white noise in place of
    spikes, and cells that are independent."""
    outside = rate_of(size, regime)

    def excess(rate):
        heard = size.degree * rate
        mean = TAU * size.jump * (heard * (1.0 - regime.balance / 4.0) + outside)
        variance = TAU * size.jump**2 * (heard * (1.0 + regime.balance**2 / 4.0) + outside)
        ends = (np.array([RESET, THRESHOLD]) - mean) / np.sqrt(variance)
        # exp(u^2) (1 + erf u), which is finite where its factors are not.
        integral = scipy.integrate.quad(lambda u: scipy.special.erfcx(-u), *ends)[0]
        return 1.0 / (REFRACTORY + TAU * np.sqrt(np.pi) * integral) - rate

    found: Any = scipy.optimize.brentq(excess, 1e-4, 1.0 / REFRACTORY)
    return 1000.0 * float(found)


def compare(size: Size, rows: dict[str, Any], save: Callable[[], Any]) -> None:
    """Adds to the rows, by regime, what is measured in each run of both, and saves after each."""
    for graph in range(size.graphs):
        drawn = None
        for regime, duration in zip(REGIMES, size.durations, strict=True):
            row = rows.setdefault(regime.name, {name: [] for name in SIMULATORS})
            if len(row["NEST"]) > graph:
                continue
            rate, end = rate_of(size, regime), BEGINNING + duration
            drives = {n: spiking.Poisson(n, rate=1.0, weight=size.jump) for n in "EI"}
            drawn = network(size, graph, drives) if drawn is None else drawn
            made = eqx.tree_at(
                lambda n: [one.rate for one in n.drives.values()],
                set_to(drawn, size, regime),
                [jnp.asarray(rate)] * 2,
            )
            key = jax.random.key(1000 + graph)
            ours = spiking.simulate(made, end, key=key, progress=False).spikes
            for name, spikes in zip(SIMULATORS, (ours, in_nest(made, end, key)), strict=True):
                row[name].append(measured(spikes, end))
            rates = [f"{row[name][-1]['rate E']:.2f}" for name in SIMULATORS]
            print(graph, regime.name, *rates, file=sys.stderr, flush=True)
            save()


def measured(spikes: Mapping[str, spiking.SpikeTrains], end: float) -> dict[str, float]:
    excited, inhibited = (spikes[name].between(BEGINNING, end) for name in "EI")
    spectrum = statistics.power_spectrum(excited, segment=200.0, width=0.5)
    later = spectrum.frequencies > 0.0
    peak = spectrum.frequencies[later][np.argmax(spectrum.density[later])]
    few = 5 if excited.rate < 0.02 else 10
    return {
        "rate E": 1000.0 * excited.rate,
        "rate I": 1000.0 * inhibited.rate,
        "CV": statistics.cv(excited, few),
        "LV": statistics.local_variation(excited, few),
        "correlation": statistics.correlation(excited),
        "synchrony": statistics.population_fano_factor(excited),
        "peak": float(peak),
    }


def all_given(regime: Regime) -> dict[str, Any]:
    """How many spikes there are, and the time of the first that differs, ms, if one does."""
    size, theirs = SIZES["fifth"], {}
    found: dict[str, Any] = {"regime": regime.name}
    for precision, double in (("double", True), ("single", False)):
        with jax.enable_x64(double):
            rng, drives = np.random.default_rng(0), {}
            most = max(rate_of(size, one) for one in REGIMES) * 1.02 * GIVEN_FOR
            for name in "EI":
                count, cells = int(most * size.of(name)), size.of(name)
                trains = poisson_spikes(rng, rate_of(size, regime), GIVEN_FOR, cells, DT, count)
                drives[name] = spiking.SpikeTimes(name, *trains, size.jump)
            made = set_to(network(size, 0, drives), size, regime)
            ours = spiking.simulate(made, GIVEN_FOR, progress=False).spikes
            if double:
                theirs = in_nest(made, GIVEN_FOR)
                found["spikes"] = sum(len(one) for one in theirs.values())
        different = [first_different(ours[name], theirs[name]) for name in "EI"]
        found[precision] = min((time for time in different if time is not None), default=None)
    return found


def first_different(one: spiking.SpikeTrains, other: spiking.SpikeTrains) -> float | None:
    """The time, ms, of the first spike that only one of them has."""
    left, right = (set(map(tuple, raster(trains, DT).tolist())) for trains in (one, other))
    return min((step * DT for step, _ in left ^ right), default=None)


def told(whole: dict[str, Any]) -> list[str]:
    used = ", ".join(f"{name} {version}" for name, version in whole["versions"].items())
    lines = HEAD.format(versions=used, processor=whole["machine"]["processor"]).splitlines()
    for part, title, text in (
        ("fifth", "A fifth of the cells", FIFTH),
        ("all", "All cells, as published", ""),
    ):
        if part in whole:
            size = SIZES[part]
            durations = ", ".join(f"{one / 1000.0:g}" for one in size.durations)
            own = OF_SIZE.format(
                excitatory=size.cells,
                inhibitory=size.cells // 4,
                degree=size.degree,
                quarter=size.degree // 4,
                jump=size.jump,
                graphs=size.graphs,
                durations=durations,
            )
            lines += ["", f"## {title}", "", *own.splitlines(), *text.splitlines(), ""]
            lines += table(size, whole[part])
    if "given" in whole:
        text = GIVEN.format(duration=GIVEN_FOR)
        lines += ["", "## The same spikes from outside", "", *text.splitlines(), ""]
        lines += given_table(whole["given"])
    return [*lines, "", *DIFFERENCES.splitlines()]


def table(size: Size, rows: dict[str, Any]) -> list[str]:
    """Means over graphs, and the mean difference with its standard error."""
    lines = [
        "| regime | | tvbjax | NEST | difference | of NEST's | in errors |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    rates = []
    for regime in REGIMES:
        for measure, called in MEASURES.items():
            ours, theirs = (
                np.array([run[measure] for run in rows[regime.name][name]]) for name in SIMULATORS
            )
            apart_by, error = (ours - theirs).mean(), standard_error(ours - theirs)
            part = 100.0 / theirs.mean()
            first = measure == "rate E"
            errors = f"{apart_by / error:+.1f}" if error else ""
            lines.append(
                f"| {regime.name if first else ''} | {called} | {shown(ours)} | {shown(theirs)} | "
                f"{apart_by:+.2g} ± {error:.1g} | {apart_by * part:+.2f} ± {error * part:.2f} % | "
                f"{errors} |"
            )
            if first:
                rates.append((abs(apart_by * part), regime.name))
    stationary = ", ".join(f"{theory(size, one):.1f} Hz ({one.name})" for one in REGIMES)
    return [
        *lines,
        "",
        f"Rates of E differ by {max(rates)[0]:.2f} % at most ({max(rates)[1]}). Stationary states "
        f"would have, by Brunel's equation 21, {stationary}.",
    ]


def shown(values: np.ndarray) -> str:
    return f"{values.mean():.4g} ± {standard_error(values):.2g}"


def standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def given_table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| regime | spikes | in double precision | in single precision |",
        "| --- | ---: | --- | --- |",
    ]
    for row in rows:
        until = [
            "all the same" if row[name] is None else f"the same before {row[name]:.1f} ms"
            for name in ("double", "single")
        ]
        lines.append(f"| {row['regime']} | {row['spikes']:,} | {until[0]} | {until[1]} |")
    return lines


if __name__ == "__main__":
    main()
