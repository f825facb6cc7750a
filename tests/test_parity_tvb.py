"""tvbjax against The Virtual Brain: the same simulations, step by step, from the same rough past.

The arrays are made by `reference/make_tvb.py`, live with `make parity`. Compared are TVB with a
float64 delay buffer, to rounding, and TVB as it is, to what its float32 buffer costs it.
Conventions: times count from t = 0 here, from the oldest row of the past in TVB (the script puts
its clock back); the Kuramoto coupling is divided by the number of regions here, by 1 in TVB.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from reference import cases
from reference.cases import Case
from tvbjax import coupling, equations, integrators, monitors, noise
from tvbjax.forward import Gain

# Times the largest value. The same operations in another order: about 1e-12 is what is seen.
DOUBLE = 1e-10


class Run(NamedTuple):
    """A case run by tvbjax; `states`: (kept step, variable, region)."""

    case: Case
    stored: dict[str, np.ndarray]
    times: np.ndarray
    states: np.ndarray


class Replayed(noise.AbstractNoise):
    """The increments of a path with the gain of another noise."""

    path: noise.Recorded
    multiplied: noise.Multiplicative

    @property
    def draws_from(self):
        return None

    def bind(self, variables, nodes):
        return Replayed(self.path.bind(variables, nodes), self.multiplied)

    def increment(self, normal, before, step, dt, memory):
        return self.path.increment(normal, before, step, dt, memory)

    def gain(self, x):
        return self.multiplied.gain(x)


def replayed(case: Case, regions: int) -> noise.AbstractNoise | None:
    """tvbjax's noise of a case, made of TVB's normal numbers."""
    if case.nsig is None:
        return None
    nsig, tau = jnp.asarray(cases.intensities(case, regions)), case.ntau or None
    white = noise.Additive(nsig, tau=tau)
    if case.gain is not None:
        a, b = case.gain
        white = noise.Multiplicative(nsig, g=lambda x: a * x + b, tau=tau)
    numbers = jnp.asarray(cases.normals(case, regions))
    before, numbers = (numbers[0], numbers[1:]) if tau else (None, numbers)
    bound, nothing = white.bind(case.variables, regions), jnp.zeros(numbers.shape[1:])

    def step(memory, scanned):
        number, normal = scanned
        kick, memory = bound.increment(normal, before, number, case.dt, memory)
        return memory, kick

    steps = jnp.arange(case.steps), numbers[: case.steps]
    _, path = jax.lax.scan(step, nothing, steps)
    record = noise.Recorded(path)
    return Replayed(record, white) if isinstance(white, noise.Multiplicative) else record


def simulator(case: Case, watch, **more) -> tuple[tvbjax.Simulator, np.ndarray]:
    """The simulator of a case, and its past."""
    whole = tvbjax.datasets.connectome("tvb76")
    weights, lengths = cases.network(
        case, np.asarray(whole.weights), np.asarray(whole.tract_lengths)
    )
    regions = len(weights)
    model = tvbjax.lems.load(case.model)
    assert model.state_variables == case.variables
    for name, value in case.parameters.items():
        model = eqx.tree_at(
            lambda m, name=name: m.params[name], model, jnp.asarray(cases.spread(value, regions))
        )
    gains = dict(case.gains)
    if case.coupling == "Kuramoto":
        gains["a"] *= regions
    built = tvbjax.Simulator(
        model=model,
        connectome=tvbjax.Connectome(weights, lengths, speed=case.speed),
        coupling=getattr(coupling, case.coupling)(**gains),
        integrator=getattr(integrators, case.integrator)(dt=case.dt),
        noise=replayed(case, regions),
        monitors=watch,
        **more,
    )
    return built, cases.past(case, lengths)


def simulated(case: Case, watch) -> tvbjax.Result:
    built, past = simulator(case, watch)
    return tvbjax.simulate(built, case.steps * case.dt, initial=past, progress=False)


@pytest.fixture(scope="module", params=cases.CASES, ids=lambda case: case.name)
def run(request) -> Run:
    case = request.param
    result = simulated(case, monitors.Raw(variables=case.variables))
    raw = result.samples["raw"]
    assert raw.time.shape == (case.steps,)
    return Run(
        case,
        cases.stored(f"tvb_{case.name}"),
        np.asarray(raw.time)[case.kept - 1],
        np.asarray(raw.values)[case.kept - 1],
    )


def test_states_are_those_of_tvb_with_a_float64_history(run: Run):
    expected = run.stored["states"]
    tolerance = DOUBLE * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(run.times, run.case.dt * run.case.kept, rtol=1e-12)
    np.testing.assert_allclose(run.states, expected, rtol=0, atol=tolerance)


def test_stock_tvb_differs_by_its_float32_history_alone(run: Run):
    stock = run.stored["states"] + run.stored["stock_minus_states"].astype(float)
    cost = float(run.stored["stock_difference"])
    np.testing.assert_allclose(run.states, stock, rtol=0, atol=2.0 * cost)
    # Of the two it is the float64 history that tvbjax agrees with, by far.
    ours = np.abs(run.states[-1] - run.stored["states"][-1]).max()
    assert ours < 0.05 * np.abs(run.states[-1] - stock[-1]).max()


def test_monitors_give_tvbs_samples_at_tvbs_times():
    case, stored = cases.MONITORS, cases.stored("tvb_monitors")
    watch = (
        monitors.Raw(),
        monitors.SubSample(cases.PERIOD),
        monitors.TemporalAverage(cases.PERIOD),
    )
    result = simulated(case, watch)
    for name, ours in (("raw", None), ("sample", "subsample"), ("average", "temporal_average")):
        samples = result.samples[ours or name]
        np.testing.assert_allclose(samples.time, stored[f"{name}_times"], rtol=0, atol=1e-9)
        if ours is not None:
            columns = [case.variables.index(variable) for variable in samples.variables]
            expected = stored[f"{name}s"][:, columns]
            np.testing.assert_allclose(samples.values, expected, rtol=0, atol=10 * DOUBLE)


def test_stimulated_states_are_tvbs():
    """Pulses to both variables: TVB's clock, which its stimulus begins at 0, is ours here."""
    case = cases.STIMULUS
    stimulus = tvbjax.Stimulus(
        equations.PulseTrain(**cases.PULSES), cases.stimulated(case), case.variables
    )
    built, past = simulator(case, monitors.Raw(variables=case.variables), stimulus=stimulus)
    result = tvbjax.simulate(built, case.steps * case.dt, initial=past, progress=False)
    expected = cases.stored("tvb_stimulus")["states"]
    tolerance = DOUBLE * np.abs(expected).max()
    np.testing.assert_allclose(result["raw"], expected, rtol=0, atol=tolerance)


def test_places_and_inputs_are_tvbs():
    """TVB's afferent coupling is that of the step to come, and its EEG sums the vertices' gains."""
    case, stored = cases.MONITORS, cases.stored("tvb_monitors")
    gain, mapping = cases.gain(case)
    sensors = Gain(gain, tuple("abcd")).summed_over_regions(mapping, int(mapping.max()) + 1)
    voi = case.variables
    watch = (
        monitors.GlobalAverage(monitors.SubSample(cases.PERIOD, variables=voi)),
        monitors.SpatialAverage(
            monitors.SubSample(cases.PERIOD, variables=voi), cases.groups(case)
        ),
        monitors.AfferentCoupling(monitors.Raw()),
        monitors.Projection(monitors.TemporalAverage(cases.PERIOD, variables=voi), sensors),
    )
    result = simulated(case, watch)
    for ours, theirs in (
        ("global_average", "overall"),
        ("spatial_average", "group"),
        ("projection", "eeg"),
    ):
        np.testing.assert_allclose(result[ours].time, stored[f"{theirs}_times"], atol=1e-9)
        np.testing.assert_allclose(result[ours], stored[f"{theirs}s"], rtol=0, atol=10 * DOUBLE)
    inputs = result["afferent_coupling"]
    np.testing.assert_allclose(inputs.time, stored["afferent_times"], atol=1e-9)
    np.testing.assert_allclose(inputs[1:], stored["afferents"][:-1, :1], rtol=0, atol=10 * DOUBLE)


def volterra(age: np.ndarray) -> np.ndarray:
    """The first-order Volterra kernel of Friston et al. (2000), 1/s, at ages in s."""
    tau_s, tau_f = 0.8, 0.4
    omega = np.sqrt(1.0 / tau_f - 1.0 / (4.0 * tau_s**2))
    return np.exp(-age / (2.0 * tau_s)) * np.sin(omega * age) / (3.0 * omega)


LENGTH = 20.0  # s, of the kernel
SCALE = 5.6 * 0.02  # k1 V0


def test_bold_is_the_convolution_in_seconds_of_the_past_too():
    case, stored = cases.BOLD, cases.stored("tvb_bold")
    result = simulated(case, (monitors.Bold(cases.BOLD_PERIOD, variables="V"),))
    samples = result.samples["bold"]
    np.testing.assert_allclose(samples.time, stored["bold_times"], rtol=0, atol=1e-9)

    window = 1e-3 * cases.BOLD_WINDOW
    slots = round(LENGTH / window)
    kernel = volterra(window * (np.arange(slots) + 0.5)) * window
    _, past = simulator(case, ())
    # Of the past whole windows that end at t = 0; before it what its oldest row has.
    steps = round(cases.BOLD_WINDOW / case.dt)
    padded = np.concatenate([np.tile(past[0, 0], (-len(past) % steps, 1)), past[:, 0]])
    before = padded.reshape(-1, steps, padded.shape[1]).mean(axis=1)[-slots:]
    oldest = np.tile(past[0, 0], (slots - len(before), 1))
    means = np.concatenate([oldest, before, stored["means"]])
    for time, value in zip(np.asarray(samples.time), np.asarray(samples.values), strict=True):
        end = slots + round(time / cases.BOLD_WINDOW)
        convolved = kernel @ means[end - slots : end][::-1]
        np.testing.assert_allclose(value[0], SCALE * (convolved - 1.0), rtol=0, atol=DOUBLE)


def test_tvbs_bold_slips_one_slot_lacks_the_time_step_and_starts_empty():
    """Not our convention: what TVB's numbers are, and how to read them beside ours."""
    stored = cases.stored("tvb_bold")
    window = 1e-3 * cases.BOLD_WINDOW
    slots = round(LENGTH / window)
    kernel = volterra(window * np.arange(slots))
    means = np.concatenate([np.zeros((slots, 3)), stored["means"]])
    for time, value in zip(stored["bold_times"], stored["bold"], strict=True):
        newest = slots + round(time / cases.BOLD_WINDOW) - 1
        older = means[newest - slots + 1 : newest][::-1]  # from one window ago backwards
        total = kernel[:-1] @ older + kernel[-1] * means[newest]
        np.testing.assert_allclose(value, SCALE * (total - 1.0), rtol=0, atol=1e-12)

    # Once its stock is full, TVB's sum times the time step is ours but for the slip and the
    # midpoint rule: a few ms of a kernel of seconds.
    case = cases.BOLD
    result = simulated(case, (monitors.Bold(cases.BOLD_PERIOD, variables="V"),))
    full = stored["bold_times"] > 1e3 * LENGTH
    ours = np.asarray(result.samples["bold"].values)[full, 0] / SCALE + 1.0
    theirs = stored["bold"][full] / SCALE + 1.0
    np.testing.assert_allclose(theirs * window, ours, rtol=0, atol=2e-3)
    assert np.abs(theirs - ours).max() > 0.5
