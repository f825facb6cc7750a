"""The mouse of 98 regions that The Virtual Brain has, loaded and simulated as in its demonstration.

ReducedWongWang at w = 1 and I_o = 0.3 with linear coupling of 0.096 (Melozzi et al. 2017, eNeuro 4,
0111-17).
"""

import dataclasses
import json
import os
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

import tvbjax
from tvbjax import analysis, coupling, integrators, lems, monitors, noise
from tvbjax.io import read_connectome_h5, read_connectome_zip

TVB = os.environ.get("TVBJAX_TVB_PYTHON", ".venv-parity/bin/python")
GAIN, NSIG = 0.096, 1e-4


@pytest.fixture(scope="module")
def file(shared) -> Path:
    found = shared / "connectomes" / "mouse_allen_98.h5"
    if not found.is_file():
        pytest.skip(f"no TVB file at {found}")
    return found


@pytest.fixture(scope="module")
def mouse(file):
    return read_connectome_h5(file, unit=0.1)


def simulator(mouse, dt=1.0, nsig=None, watch=None):
    model = lems.load("ReducedWongWang")
    values = {"w": jnp.asarray(1.0), "I_o": jnp.asarray(0.3)}
    return tvbjax.Simulator(
        dataclasses.replace(model, params={**model.params, **values}),
        mouse,
        coupling.Linear(a=GAIN),
        integrators.Euler(dt=dt),
        noise=None if nsig is None else noise.Additive(nsig),
        monitors=watch or [monitors.Raw()],
    )


def change(gating, arriving):
    """dS/dt in 1/ms, written from the paper: Wong & Wang (2006), Deco et al. (2013)."""
    current = 1.0 * 0.2609 * gating + 0.3 + 0.2609 * arriving
    drive = 0.27 * current - 0.108
    rate = drive / (1.0 - np.exp(-154.0 * drive))
    return -gating / 100.0 + (1.0 - gating) * 0.641 * rate


def test_lengths_are_in_millimetres_and_the_hemispheres_alike(mouse, file):
    lengths, weights = np.asarray(mouse.tract_lengths), np.asarray(mouse.weights)
    assert mouse.centres is not None
    between = np.linalg.norm(mouse.centres[:, None] - mouse.centres[None], axis=-1)
    np.testing.assert_allclose(lengths, between, atol=1e-4)
    assert lengths.max() == pytest.approx(11.55, abs=0.01)  # a mouse's brain is 11 mm wide
    of_zip = read_connectome_zip(file.with_suffix(".zip"), unit=0.1)
    np.testing.assert_allclose(of_zip.tract_lengths, lengths, rtol=1e-6)
    np.testing.assert_array_equal(weights[:49, :49], weights[49:, 49:])
    np.testing.assert_array_equal(weights[:49, 49:], weights[49:, :49])
    assert np.abs(weights - weights.T).max() > 0.3  # directed
    delays = np.asarray(mouse.delays())
    apart = lengths > 0
    assert delays[apart].min() == pytest.approx(between[apart].min() / 3.0, rel=1e-5)
    assert delays.max() == pytest.approx(11.55 / 3.0, abs=0.01)


def test_the_brain_rests_at_several_levels_where_a_region_alone_has_one(mouse):
    grid = np.linspace(0.0, 1.0, 2001)
    assert [int(np.abs(np.diff(np.sign(change(grid, i)))).sum()) // 2 for i in (0.0, 0.085)] == [
        1,
        3,
    ]
    weights, ends = np.asarray(mouse.weights), []
    for level in (0.1, 0.3):
        start = jnp.full((1, 98), level)
        run = tvbjax.simulate(
            simulator(mouse, watch=[monitors.TemporalAverage(100.0)]),
            8_000.0,
            initial=start,
            progress=False,
        )
        end = np.asarray(run["temporal_average"].values[-1, 0])
        # A rest point of the equations, as SciPy finds it.
        found = optimize.root(lambda s: change(s, GAIN * weights @ s), end, tol=1e-12)
        assert found.success
        np.testing.assert_allclose(end, found.x, atol=1e-7)
        ends.append(end)
    low, mixed = ends
    assert 0.03 < low.min() and low.max() < 0.05
    up = mixed > 0.5
    assert 10 < up.sum() < 50 and (mixed[~up] < 0.3).all()
    # Those that stay up are those that are reached most.
    reached = weights.sum(axis=1)
    assert np.median(reached[up]) > np.quantile(reached[~up], 0.75)


def test_it_goes_as_in_tvb(mouse, file):
    if not Path(TVB).exists():
        pytest.skip(f"no TVB at {TVB}; run make parity, or set TVBJAX_TVB_PYTHON")
    program = """
import json, sys
import numpy as np
from tvb.datatypes.connectivity import Connectivity
from tvb.simulator import coupling, integrators, models, monitors, simulator
brain = Connectivity.from_file(sys.argv[1])
brain.tract_lengths = 0.1 * brain.tract_lengths
brain.speed = np.array([3.0])
start = np.linspace(0.05, 0.8, 98)[None, None, :, None]
run = simulator.Simulator(
    model=models.ReducedWongWang(w=np.array([1.0]), I_o=np.array([0.3])),
    connectivity=brain,
    coupling=coupling.Linear(a=np.array([0.096])),
    integrator=integrators.EulerDeterministic(dt=0.1),
    monitors=[monitors.Raw()],
    initial_conditions=np.repeat(start, 60, axis=0),
).configure()
states = run.run(simulation_length=100.0)[0][1][:, 0, :, 0]
print(json.dumps(states[49::50].tolist()))
"""
    done = subprocess.run(
        [TVB, "-c", program, str(file)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    theirs = np.array(json.loads(done.stdout.splitlines()[-1]))
    start = jnp.linspace(0.05, 0.8, 98)[None]
    run = tvbjax.simulate(simulator(mouse, dt=0.1), 100.0, initial=start, progress=False)
    ours = np.asarray(run["raw"].values[49::50, 0])
    assert np.ptp(theirs[-1]) > 0.4  # not all at one level
    np.testing.assert_allclose(ours, theirs, atol=2e-6)  # TVB's history is in float32


def follows(functional, weights):
    """Rank correlation of functional connectivity with weights, both ways, and those of 200 brains
    whose regions are exchanged."""
    pairs = np.triu_indices(len(weights), 1)
    both = stats.rankdata((weights + weights.T)[pairs])
    rng = np.random.default_rng(0)

    def correlation(order):
        ranks = stats.rankdata(functional[np.ix_(order, order)][pairs])
        return np.corrcoef(both, ranks)[0, 1]

    orders = [rng.permutation(len(weights)) for _ in range(200)]
    return correlation(np.arange(len(weights))), np.array([correlation(o) for o in orders])


def test_its_noisy_rest_follows_the_connections(mouse):
    watch = [monitors.TemporalAverage(100.0)]
    run = tvbjax.simulate(
        simulator(mouse, nsig=NSIG, watch=watch), 40_000.0, key=jax.random.key(3), progress=False
    )
    gating = run["temporal_average"].isel(variable=0).values[50:]
    assert np.isfinite(gating).all() and gating.min() >= 0.0 and gating.max() <= 1.0
    assert 0.02 < (gating > 0.5).mean() < 0.98  # both levels are there
    functional = np.asarray(analysis.functional_connectivity(gating))
    found, shuffled = follows(functional, np.asarray(mouse.weights))
    assert found > 0.05 and found > shuffled.max()


@pytest.mark.slow
def test_bold_of_twenty_minutes(mouse):
    """As TVB's demonstration: BOLD every 2 s, windows of 180 s every 4 s."""
    run = tvbjax.simulate(
        simulator(mouse, nsig=NSIG, watch=[monitors.Bold(2000.0)]),
        1_200_000.0,
        key=jax.random.key(1),
        progress=False,
    )
    bold = run["bold"].isel(variable=0).values
    assert bold.shape == (600, 98) and np.isfinite(bold).all()
    rest = bold[15:]
    assert rest.std(axis=0).min() > 0.0
    functional = np.asarray(analysis.functional_connectivity(rest))
    found, shuffled = follows(functional, np.asarray(mouse.weights))
    assert found > 0.1 and found > shuffled.max()
    dynamics = np.asarray(analysis.functional_connectivity_dynamics(rest, 90, 2))
    assert dynamics.shape == ((585 - 90) // 2 + 1,) * 2
    np.testing.assert_allclose(np.diag(dynamics), 1.0)
    near, far = np.diag(dynamics, 1), dynamics[np.triu_indices(len(dynamics), 45)]
    assert near.mean() > 0.8 and far.mean() < near.mean()
