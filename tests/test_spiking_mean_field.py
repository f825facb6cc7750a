"""Large populations of quadratic integrate-and-fire cells follow the equations that are exact for
infinitely many: Montbrió, Pazó & Roxin (2015), Phys. Rev. X 5, 021028, equation 12."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tvbjax import lems, spiking

TAU, J, ETA, WIDTH = 10.0, 6.0, -3.0, 1.0
STIMULUS, ON, OFF = 4.0, 40.0, 80.0  # between the two times, ms


def mean_field(times):
    """The rates, kHz, of infinitely many cells that begin at rest."""

    def slopes(t, y, stimulus):
        r, v = y  # r in spikes per tau
        return [
            (WIDTH / np.pi + 2.0 * v * r) / TAU,
            (v**2 + ETA + stimulus - (np.pi * r) ** 2 + J * r) / TAU,
        ]

    state, found = (WIDTH / (2 * np.pi * 2.0), -2.0), np.zeros(len(times))
    for begin, end, stimulus in ((0.0, ON, 0.0), (ON, OFF, STIMULUS)):
        here = (times > begin) & (times <= end)
        ends = (begin, end)
        solved = solve_ivp(
            slopes, ends, state, "RK45", dense_output=True, args=(stimulus,), rtol=1e-8, atol=1e-10
        )
        found[here] = solved.sol(times[here])[0] / TAU
        state = solved.y[:, -1]
    return found


def population(size, rng):
    """Excitabilities at the quantiles of a Lorentzian; potentials drawn from one around -2."""
    places = (2.0 * np.arange(1, size + 1) - size - 1) / (size + 1)
    cell = lems.load_cell("QuadraticIf").with_params(
        eta=ETA + WIDTH * np.tan(np.pi / 2 * places), J=J, tau=TAU, v_peak=200.0
    )
    # The half-width of potentials is pi r, by which the rate begins where mean_field does.
    half = np.pi * WIDTH / (2 * np.pi * 2.0)
    v = np.clip(-2.0 + half * np.tan(np.pi * (rng.uniform(size=size) - 0.5)), -199.0, 199.0)
    cells = spiking.Population(cell, size, initial={"v": v}, method=lems.Heun())
    everybody = spiking.Projection(
        "Q", "Q", spiking.AllToAll(autapses=True), weight=1.0 / size, delay=0.01
    )
    return spiking.Network(
        {"Q": cells}, {"QQ": everybody}, dt=0.01, monitors=[spiking.Rates(("Q",), 1.0)]
    )


def rates_of(size):
    network = population(size, np.random.default_rng(1))
    first = spiking.simulate(network, ON)
    pushed = eqx.tree_at(
        lambda n: n.populations["Q"].cell.params["QuadraticIf"]["I"],
        network,
        jnp.asarray(STIMULUS),
    )
    second = spiking.simulate(pushed, OFF - ON, initial=first)
    both = [np.asarray(one["rates"].values[:, 0]) for one in (first, second)]
    times = np.concatenate([one["rates"]["time"].values for one in (first, second)])
    return times, np.concatenate(both)


@pytest.mark.parametrize(
    "size, tolerance", [(1000, 0.1), pytest.param(10_000, 0.03, marks=pytest.mark.slow)]
)
def test_a_large_population_follows_its_mean_field(size, tolerance):
    times, rates = rates_of(size)
    expected = mean_field(times)
    # It comes to rest, and is pushed to another state by way of damped oscillations.
    assert expected[:30].max() < 0.05 < expected[45:].max()
    error = np.sqrt(np.mean(np.square(rates - expected)) / np.mean(np.square(expected)))
    assert error < tolerance


def test_all_alike_is_what_connections_one_by_one_are():
    rng = np.random.default_rng(2)
    cell = lems.load_cell("LifDelta")
    found = []
    for autapses in (True, False):
        rule = spiking.AllToAll(autapses=autapses)
        one_by_one = spiking.Explicit(*(x.ravel() for x in np.indices((20, 20))))
        if not autapses:
            others = one_by_one.sources != one_by_one.targets
            one_by_one = spiking.Explicit(one_by_one.sources[others], one_by_one.targets[others])
        v = rng.uniform(0.0, 20.0, 20)
        trains = []
        for connectivity in (rule, one_by_one):
            cells = spiking.Population(
                cell.with_params(I_e=0.0013), 20, initial={"v": v}, method=lems.Exact()
            )
            network = spiking.Network(
                {"L": cells},
                {"LL": spiking.Projection("L", "L", connectivity, weight=0.25, delay=1.0)},
                dt=0.125,
                monitors=[spiking.Spikes("L")],
            )
            assert network.connections == (400 if autapses else 380)
            trains.append(spiking.simulate(network, 100.0).spikes["L"])
        np.testing.assert_array_equal(trains[0].times, trains[1].times)
        np.testing.assert_array_equal(trains[0].cells, trains[1].cells)
        assert len(trains[0]) > 20
        found.append(len(trains[0]))
    assert found[0] != found[1]
