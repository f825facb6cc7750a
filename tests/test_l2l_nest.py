"""Optimisees in NEST: against plain loops and closed forms, and searched."""

import jax
import numpy as np
import pytest

from apart import apart
from tvbjax import l2l
from tvbjax.l2l import examples

pytest.importorskip("nest", reason="needs pip install 'tvbjax[nest]'")
reservoir = examples.spiking_reservoir
plasticity = examples.structural_plasticity


@pytest.fixture(scope="module")
def call():
    with apart() as made:
        yield made


def _counts(*arguments):
    made, *rest = arguments
    return made.run("test", *rest).tolist()


def plain_reservoir(made, images, numbers, outward):
    """The same network neuron by neuron, from the equations of leaky neurons with currents that
    decay exponentially, in exact steps of 0.5 ms; spikes of reservoir and output neurons."""
    p, dt, delay = reservoir.NEURON, 0.5, 3
    neurons, kinds = made.neurons, len(outward)
    tau, tau_s, capacity = p["tau_m"], p["tau_syn_ex"], p["C_m"]
    kept, kept_s = np.exp(-dt / tau), np.exp(-dt / tau_s)
    of_current = tau * tau_s / (capacity * (tau - tau_s)) * (kept - kept_s)
    of_input = tau / capacity * (1.0 - kept)
    weights = np.zeros((neurons + kinds, neurons))
    for target, sources in enumerate(made.sources()):
        for source in sources:  # one may be there twice
            sign = 1.0 if source < made.excitatory else -numbers["balance"]
            weights[target, source] += numbers["weight"] * sign
    weights[neurons:, : made.excitatory] = outward
    shown = np.zeros((len(images), neurons + kinds))
    shown[:, : made.excitatory] = numbers["gain"] * images @ made.eyes().T
    steps = 160 * len(images)
    voltage, current = np.zeros(neurons + kinds), np.zeros(neurons + kinds)
    waits = np.zeros(neurons + kinds, int)
    fired = np.zeros((steps + 1, neurons + kinds), bool)
    counts = np.zeros((len(images), neurons + kinds), int)
    for n in range(steps):
        image, within = divmod(n, 160)
        given = shown[image] if within < 100 else 0.0 * shown[image]
        moved = kept * voltage + of_current * current + of_input * given
        voltage = np.where(waits > 0, 0.0, moved)
        waits = np.maximum(waits - 1, 0)
        current = kept_s * current
        if n >= delay:
            current = current + weights @ fired[n - delay][:neurons]
        fired[n] = voltage >= p["V_th"]
        voltage, waits = np.where(fired[n], 0.0, voltage), np.where(fired[n], 4, waits)
        counts[image] += fired[n]
    return counts[:, :neurons], counts[:, neurons:]


def test_the_reservoir_is_a_plain_loop_of_its_equations(call):
    made = reservoir.Reservoir(excitatory=20, indegree=5, seed=2)
    images = reservoir.Digits(3, 2, 1).load()[0]
    numbers = {"gain": 2500.0, "weight": 120.0, "balance": 4.0}
    outward = np.random.default_rng(0).normal(100.0, 200.0, (3, 20))
    inner, outer = plain_reservoir(made, images, numbers, outward)
    assert inner.sum() > 200 and outer.sum() > 20
    np.testing.assert_array_equal(call(_counts, made, images, numbers, 0), inner)
    np.testing.assert_array_equal(call(_counts, made, images, numbers, 0, outward), outer)


@pytest.mark.parametrize("current", [380.0, 500.0, 900.0])
def test_an_unconnected_neuron_fires_as_theory_says(call, current):
    """From rest after tau ln(RI / (RI - V_th)), here at the next half ms, and again as long after
    2 ms of rest: of an image that is evenly white."""
    made = reservoir.Reservoir(excitatory=8, indegree=1)
    numbers = {"gain": current, "weight": 0.0, "balance": 0.0}
    counts = np.array(call(_counts, made, np.ones((1, 64)), numbers, 0))[0, :8]
    driven = 10.0 / 250.0 * current
    first = np.ceil(10.0 * np.log(driven / (driven - 15.0)) / 0.5) * 0.5
    assert counts.tolist() == [1 + (50.0 - first) // (first + 2.0)] * 8


@pytest.mark.slow
def test_a_reservoirs_numbers_are_found():
    """The readout errs less than half as much as at the ends, where nothing fires."""
    task = reservoir.ReservoirNumbers(reservoir.Digits(3, 8, 8), reservoir.Reservoir(40))
    stop = l2l.MaxEvaluations(30)
    study = l2l.Study(
        l2l.Python(task, task.space, timeout=60.0),
        l2l.SeparableNes(10),
        jax.random.key(0),
        stop,
        start={"gain": 200.0, "weight": 10.0, "balance": 1.0},
        engine=l2l.Processes(1),
    )
    found = study.run(progress=False)
    assert not found.failures
    silent = 2.0 / 9.0  # the error of shares alone, of three digits
    assert found.losses[0, 0] == pytest.approx(silent, rel=0.2)
    assert found.loss < 0.3 * silent
    best = int(np.argmin(found.losses))
    assert found.more[best]["accuracy"] >= 0.9


@pytest.mark.slow
def test_output_neurons_learn_by_ensemble_kalman_inversion(call):
    """Iglesias, Law & Stuart (2013), Inverse Problems 29:045001, by hand: what the use case takes,
    outputs in place of losses, tells it all it needs."""
    task = reservoir.ReservoirReadout(reservoir.Digits(3, 8, 1))
    draw, wanted = np.random.default_rng(0), task.wanted
    ensemble = draw.normal(0.0, 200.0, (60, task.space.size))
    accuracies = []
    for _ in range(4):
        found = [call(_read_out, task, one.reshape(3, 80)) for one in ensemble]
        outputs = np.array([one[0] for one in found])
        accuracies.append(np.mean([one[1] for one in found]))
        moved, seen = ensemble - ensemble.mean(axis=0), outputs - outputs.mean(axis=0)
        spread = seen.T @ seen / 59 + 0.04 * np.eye(len(wanted))
        apart_by = wanted + draw.normal(0.0, 0.2, outputs.shape) - outputs
        ensemble = ensemble + apart_by @ np.linalg.solve(spread, seen.T @ moved / 59)
    assert accuracies[0] < 0.5 and accuracies[-1] > 0.9


def _read_out(task, weights):
    found = task({"weights": weights}, 0)
    return [found["outputs"], found["more"]["accuracy"]]


def test_a_readouts_loss_is_that_of_its_outputs(call):
    task = reservoir.ReservoirReadout(reservoir.Digits(3, 2, 1), reservoir.Reservoir(20))
    weights = np.random.default_rng(1).normal(50.0, 200.0, (3, 20))
    loss, outputs = call(_loss_and_outputs, task, weights)
    labels = np.repeat([0, 1, 2], 2)
    wanted = (labels[:, None] == np.arange(3)).astype(float)
    assert loss == pytest.approx(np.mean((np.reshape(outputs, (6, 3)) - wanted) ** 2))
    assert np.sum(outputs) > 0.0


def _loss_and_outputs(task, weights):
    found = task({"weights": weights}, 0)
    return [found["loss"], found["outputs"]]


def _one_growing(task, rates, duration):
    """Spike times of one excitatory neuron, its calcium and dendritic elements, unrewired."""
    from tvbjax_inference.l2l.examples._nest import fresh_nest

    nest = fresh_nest("test", 0, 0.5)
    cells, recorders = task._grown(nest, rates)
    nest.structural_plasticity_update_interval = 1e6
    nest.Simulate(duration)
    events, one = recorders[0].events, cells[0][0]
    times = events["times"][events["senders"] == one.tolist()[0]]
    elements = one.synaptic_elements
    return [times.tolist(), float(one.Ca), float(elements["dendrite_ex"]["z"])]


def test_synaptic_elements_grow_by_the_gaussian_curve(call):
    """dz/dt = rate (2 exp(-((Ca - xi) / zeta)^2) - 1), zero at no calcium and at the set point
    (Butz & van Ooyen 2013, equations 3 and 4), in a plain loop over the recorded spikes."""
    task = plasticity.StructuralPlasticity(excitatory=8, strength=30.0)
    rate, duration, dt = 0.01, 1500.0, 0.1
    values = {"excitatory": rate, "inhibitory": 0.001}
    spikes, calcium, elements = call(_one_growing, task, values, duration)
    assert len(spikes) > 5
    goal = plasticity.calcium_of(10.0)
    assert goal == pytest.approx(0.1)
    middle, width = goal / 2.0, goal / (2.0 * np.sqrt(np.log(2.0)))
    ca, z = 0.0, 0.0
    due = np.rint(np.array(spikes) / dt).astype(int)
    for n in range(int(duration / dt)):
        ca = ca * np.exp(-dt / 1000.0) + 0.01 * np.count_nonzero(due == n)
        z = max(0.0, z + dt * rate * (2.0 * np.exp(-(((ca - middle) / width) ** 2)) - 1.0))
    assert calcium == pytest.approx(ca, rel=1e-2)
    assert elements == pytest.approx(z, rel=2e-2)


@pytest.mark.slow
def test_growth_reaches_its_targets_and_a_search_finds_how_fast():
    task = plasticity.StructuralPlasticity(excitatory=40)
    study = l2l.Study(
        l2l.Python(task, task.space, timeout=120.0),
        l2l.SeparableNes(8),
        jax.random.key(0),
        l2l.MaxGenerations(5),
        start={"excitatory": 5e-4, "inhibitory": 5e-4},
        engine=l2l.Processes(1),
    )
    found = study.run(progress=False)
    assert not found.failures
    assert found.losses[:8].mean() > 0.4 and found.loss < 0.12
    rates = np.array(found.more[int(np.argmin(found.losses))]["rates"])[10:].mean(axis=0)
    np.testing.assert_allclose(rates, [10.0, 20.0], rtol=0.35)


def test_slow_growth_leaves_rates_as_they_are(call):
    """What counts is the distance to the targets: the loss is that of its own rates."""
    task = plasticity.StructuralPlasticity(excitatory=20, duration=4000.0)
    loss, rates = call(_loss_and_rates, task, {"excitatory": 1e-4, "inhibitory": 1e-4})
    late = np.array(rates)[4:]
    assert loss == pytest.approx(np.mean((late / [10.0, 20.0] - 1.0) ** 2))
    assert late.mean() < 5.0


def _loss_and_rates(task, values):
    found = task(values, 0)
    return [found["loss"], found["more"]["rates"].tolist()]
