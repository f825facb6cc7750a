"""A whole brain as an optimisee: the loss of plain runs, recovery, and TVB's same numbers."""

import os
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tvbjax
from networks import ring_connectome
from tvbjax import Free, Interval, Positive, Real, coupling, integrators, l2l, monitors, noise, ties
from tvbjax.inference import Problem, objectives
from tvbjax.l2l import examples

WholeBrain = examples.whole_brain.WholeBrain
whole_brain_tvb = examples.whole_brain_tvb
# Where `make parity` makes TVB's environment, or another.
TVB = os.environ.get("TVBJAX_TVB_PYTHON", ".venv-parity/bin/python")


def brain(sigma=None, key=None):
    """Five oscillators; free are the coupling's gain, each region's a and one positive number."""
    simulator = tvbjax.Simulator(
        tvbjax.lems.load("Generic2dOscillator"),
        ring_connectome(),
        coupling.Linear(a=0.05),
        integrators.Heun(dt=0.5),
        noise.Additive(sigma) if sigma else None,
        monitors.SubSample(1.0, variables=("V",)),
    )
    a = jnp.full(jnp.shape(simulator.model.params["a"]), 1.8)
    simulator = eqx.tree_at(lambda s: s.model.params["a"], simulator, a)
    free = {
        "gain": Free(lambda s: s.coupling.a, Interval(0.0, 0.2)),
        "a": Free(lambda s: s.model.params["a"], Real(0.1), tie=ties.Regional()),
        "tau": Free(lambda s: s.model.params["tau"], Positive()),
    }
    target = np.corrcoef(np.random.default_rng(1).normal(size=(5, 40)))
    objective = objectives.FunctionalConnectivity(target, skip=100.0)
    start = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 5))
    return WholeBrain(Problem(simulator, free, objective, 400.0, initial=start), key), target, start


def test_supports_become_dimensions():
    made, *_ = brain()
    found = dict(made.space.dimensions)
    assert found["gain"] == l2l.Real(0.0, 0.2)
    assert found["a"] == l2l.Unbounded(np.full(5, 1.8), 0.1)
    assert found["tau"] == l2l.Unbounded(1.0, log=True)
    assert made.space.width == 7


def test_losses_are_those_of_runs_one_by_one():
    """The simulator with each candidate's values put in by hand, and NumPy's correlations."""
    made, target, start = brain()
    draw = np.random.default_rng(2)
    values = {
        "gain": np.array([0.0, 0.03, 0.2]),  # both ends too
        "a": draw.uniform(1.6, 2.2, (3, 5)),
        "tau": np.array([0.8, 1.0, 1.4]),
    }
    keys = jax.random.split(jax.random.key(0), 3)
    given = {name: jnp.asarray(value) for name, value in values.items()}
    losses = np.asarray(jax.jit(made)(given, keys).loss)
    upper = np.triu_indices(5, k=1)
    problem: Problem = made.problem  # type: ignore[assignment]
    for i in range(3):
        simulator = problem.simulator
        for where, value in (
            (lambda s: s.coupling.a, values["gain"][i]),
            (lambda s: s.model.params["a"], values["a"][i]),
            (lambda s: s.model.params["tau"], values["tau"][i]),
        ):
            simulator = eqx.tree_at(where, simulator, jnp.asarray(value))
        run = tvbjax.simulate(simulator, 400.0, initial=start, progress=False)
        signals = np.asarray(run.samples["subsample"].values)[100:, 0]
        pairs: Any = np.stack([np.corrcoef(signals.T), target])[:, *upper]
        expected = 1.0 - np.corrcoef(pairs)[0, 1]
        assert losses[i] == pytest.approx(expected, abs=1e-8)


def test_noise_is_each_candidates_own_or_that_of_one_key():
    own, *_ = brain(sigma=1e-3)
    alike, *_ = brain(sigma=1e-3, key=jax.random.key(9))
    values = own.space.decode(jnp.zeros((3, own.space.width)) + 0.3)
    keys = jax.random.split(jax.random.key(0), 3)
    losses = np.asarray(jax.jit(own)(values, keys).loss)
    assert len(set(losses.tolist())) == 3
    # Whoever else is evaluated beside it.
    last = jax.jit(own)(jax.tree.map(lambda x: x[2:], values), keys[2:]).loss
    np.testing.assert_allclose(last, losses[2:], rtol=1e-9)
    same = np.asarray(jax.jit(alike)(values, keys).loss)
    np.testing.assert_allclose(same, same[0], rtol=1e-9)


def resting():
    """TVB's 76 regions."""
    network = tvbjax.datasets.connectome("tvb76")
    start = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 76))
    weights, lengths = np.asarray(network.weights), np.asarray(network.tract_lengths)
    return whole_brain_tvb.Resting(weights, lengths, start)


@pytest.mark.slow
def test_coupling_and_excitability_are_found_again():
    found = l2l.Study(
        resting().brain().optimisee(),
        l2l.Cma(10),
        jax.random.key(0),
        l2l.MaxGenerations(24),
        start={"coupling": 0.02, "a": 1.75},
    ).run(progress=False)
    assert found.loss < 1e-4
    assert found.values["coupling"] == pytest.approx(0.01, rel=0.01)
    assert found.values["a"] == pytest.approx(2.0, rel=0.01)


@pytest.mark.reference
def test_tvb_gives_the_same_connectivity_and_loss(tmp_path):
    """To what TVB's delay buffer in float32 costs it: 1e-6 of correlations after 1.5 s."""
    if not Path(TVB).exists():
        pytest.skip(f"no TVB at {TVB}; run make parity, or set TVBJAX_TVB_PYTHON")
    made = resting()
    study = l2l.Study(
        made.command(TVB, tmp_path / "network"),
        l2l.SeparableNes(4),
        jax.random.key(0),
        l2l.MaxGenerations(1),
        engine=l2l.Processes(1),
    )
    found = study.run(progress=False)
    assert not found.failures, found.errors
    values = {name: jnp.asarray([found.at(i)[name] for i in range(4)]) for name in made.space.names}
    own = made.brain()
    losses = jax.jit(own)(values, jax.random.split(jax.random.key(0), 4)).loss
    np.testing.assert_allclose(losses, found.losses[:, 0], rtol=1e-6, atol=1e-6)
    assert np.ptp(found.losses) > 0.1
    problem: Problem = own.problem  # type: ignore[assignment]
    first = {name: own.problem.supports()[name].unconstrain(v[0]) for name, v in values.items()}
    signals = np.asarray(problem.simulate(first).samples["subsample"].values)[500:, 0]
    connectivity = np.corrcoef(signals.T)[np.triu_indices(76, k=1)]
    np.testing.assert_allclose(connectivity, found.more[0]["connectivity"], atol=1e-6)
