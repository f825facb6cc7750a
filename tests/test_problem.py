"""Problems: gradients, fits and checkpoints of real networks, and what cannot be a problem."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tvbjax
from tvbjax import Free, Interval, Positive, Real, coupling, integrators, monitors, noise, ties
from tvbjax.inference import Problem, fit, gradients, objectives


def make(a=0.3, current: Any = 0.33, sigma=1e-5, **options):
    """Three regions of a stable model, with delays and noise."""
    weights = np.array([[0.0, 1.0, 0.2], [0.5, 0.0, 1.0], [0.3, 0.8, 0.0]])
    lengths = np.array([[0.0, 20.0, 9.0], [12.0, 0.0, 30.0], [15.0, 25.0, 0.0]])
    simulator = tvbjax.Simulator(
        tvbjax.lems.load("ReducedWongWang"),
        tvbjax.Connectome(weights, lengths, 3.0, ["one", "two", "three"]),
        coupling.Linear(a=a),
        integrators.Heun(dt=1.0),
        noise.Additive(sigma) if sigma else None,
        monitors.TemporalAverage(10.0),
        **options,
    )
    values = simulator.model.params | {"I_o": jnp.asarray(current)}
    return eqx.tree_at(lambda s: s.model.params, simulator, values)


GAIN = Free(lambda s: s.coupling.a, Interval(0.0, 2.0), "gain")
CURRENTS = Free(lambda s: s.model.params["I_o"], Interval(0.2, 0.4), "current", tie=ties.Regional())


@pytest.fixture(scope="module")
def truth():
    made = make(0.7, np.array([0.30, 0.32, 0.34]))
    run = tvbjax.simulate(made, 600.0, key=jax.random.key(5), progress=False)
    return np.asarray(run.samples["temporal_average"].values[:, 0])


@pytest.fixture(scope="module")
def problem(truth):
    return Problem(make(), (GAIN, CURRENTS), objectives.TimeSeries(truth), 600.0)


def test_a_coupling_is_found_again_from_the_same_noise(truth):
    begun = make(0.3, np.array([0.30, 0.32, 0.34]))
    problem = Problem(begun, GAIN, objectives.TimeSeries(truth), 600.0)
    rule = optax.adam(optax.cosine_decay_schedule(0.3, 200))
    found = fit(problem, key=jax.random.key(5), optimiser=rule, steps=200)
    assert float(found.values["gain"]) == pytest.approx(0.7, rel=0.01)
    coupled: Any = found.simulator.coupling
    assert float(coupled.a) == float(found.values["gain"])
    again = problem.objective(found.simulate(jax.random.key(5)))
    assert float(again) == pytest.approx(found.loss, rel=1e-6, abs=1e-12)


@pytest.mark.slow
def test_ways_of_exact_gradients_of_starts_side_by_side_agree(problem):
    positions = problem.draw(jax.random.key(1), 2)
    key = jax.random.key(5)
    found = [
        eqx.filter_jit(way)(problem, positions, key, key, ())[0]
        for way in (gradients.Reverse(), gradients.Forward())
    ]
    for name in positions:
        np.testing.assert_allclose(*(s.gradients[name] for s in found), rtol=1e-8, atol=1e-12)

    def loss(gain):
        return problem.loss({name: x[0] for name, x in positions.items()} | {"gain": gain}, key)

    at, step = positions["gain"][0], 1e-5
    evaluate = jax.jit(loss)
    slope = (evaluate(at + step) - evaluate(at - step)) / (2 * step)
    np.testing.assert_allclose(found[0].gradients["gain"][0], slope, rtol=1e-6)


@pytest.mark.slow
def test_a_start_beside_others_is_one_alone(problem):
    positions, key = problem.draw(jax.random.key(1), 2), jax.random.key(5)
    way = eqx.filter_jit(gradients.Reverse())
    together = way(problem, positions, key, key, ())[0]
    alone = way(problem, {name: x[:1] for name, x in positions.items()}, key, key, ())[0]
    np.testing.assert_allclose(alone.losses[0], together.losses[0], rtol=1e-10)
    np.testing.assert_allclose(alone.gradients["gain"][0], together.gradients["gain"][0])


@pytest.mark.slow
def test_a_horizon_cuts_the_network_and_leaves_the_monitors(problem):
    """A cut gradient is that of windows run one after another from states held constant."""
    simulator, window = make(sigma=0.0), 160.0  # whole spans, of 32 steps as of 40
    start = np.full((1, 3), 0.2)

    def loss(a, derivatives):
        own = eqx.tree_at(lambda s: s.coupling.a, simulator, a)
        run = tvbjax.simulate(own, 3 * window, initial=start, derivatives=derivatives)
        return run.samples["temporal_average"].values[-1].sum()

    def by_hand(a):
        own = eqx.tree_at(lambda s: s.coupling.a, simulator, a)
        run = tvbjax.simulate(own, window, initial=start)
        for _ in range(2):
            final = run.final
            kept = jax.lax.stop_gradient((final.state, final.past, final.noise))
            final = eqx.tree_at(lambda f: (f.state, f.past, f.noise), final, kept)
            run = tvbjax.simulate(own, window, initial=eqx.tree_at(lambda r: r.final, run, final))
        return run.samples["temporal_average"].values[-1].sum()

    a = jnp.asarray(0.5)
    cut = jax.jit(jax.grad(lambda a: loss(a, tvbjax.Reverse(window))))(a)
    np.testing.assert_allclose(cut, jax.jit(jax.grad(by_hand))(a), rtol=1e-9)
    whole = jax.jit(jax.grad(lambda a: loss(a, tvbjax.Reverse())))(a)
    assert abs(cut - whole) > 0.01 * abs(whole)


def test_persistent_evolution_goes_on_from_where_it_was(truth):
    """Of one long piece, cut in three: the states of the third are those of one run."""
    problem = Problem(
        make(sigma=0.0), GAIN, lambda r: r.samples["temporal_average"].values.mean(), 100.0
    )
    way = gradients.PersistentEvolutionStrategy(pairs=2, spread=1e-3, restart=3)
    positions = {"gain": problem.start["gain"][None]}
    state = way.init(problem, positions)
    call = eqx.filter_jit(way)
    for number in range(3):
        slope, state = call(problem, positions, None, jax.random.key(number), state)
    run = tvbjax.simulate(make(sigma=0.0), 300.0, progress=False)
    expected = run.samples["temporal_average"].values[20:].mean()
    assert float(slope.losses[0]) == pytest.approx(float(expected), rel=1e-3)


def test_it_says_which_region_diverges_at_the_start():
    unstable = make(sigma=0.0)
    values = unstable.model.params | {"tau_s": jnp.asarray([100.0, np.nan, 100.0])}
    unstable = eqx.tree_at(lambda s: s.model.params, unstable, values)
    problem = Problem(unstable, GAIN, lambda r: r.samples["temporal_average"].values.mean(), 100.0)
    with pytest.raises(
        tvbjax.DivergenceError, match="S of region two was no finite number at 1 ms"
    ):
        fit(problem, steps=2)


def test_it_says_what_is_no_number_at_the_start():
    target = np.corrcoef(np.random.default_rng(0).normal(size=(3, 50)))
    still = Problem(
        make(sigma=0.0),
        GAIN,
        objectives.FunctionalConnectivity(target),
        300.0,
        initial=np.zeros((1, 3)),
    )
    quiet = eqx.tree_at(
        lambda p: p.simulator.model.params,
        still,
        still.simulator.model.params
        | {"tau_s": jnp.asarray([100.0, 1e300, 100.0]), "gamma": jnp.asarray([0.641, 0.0, 0.641])},
    )
    with pytest.raises(ValueError, match="is nan at the start.*region (one|two)"):
        fit(quiet, steps=2)


@pytest.mark.parametrize(
    ("free", "match"),
    [
        ((GAIN, Free(lambda s: s.coupling.a)), "given as free twice"),
        (Free(lambda s: s.edges.targets), "only floating-point numbers may vary"),
        (Free(lambda s: s.nothing), "where finds nothing"),
        (Free(lambda s: s.coupling.a, Interval(1.0, 2.0)), "outside of Interval"),
    ],
)
def test_what_cannot_be_free_is_told_when_the_problem_is_built(truth, free, match):
    with pytest.raises(ValueError, match=match):
        Problem(make(), free, objectives.TimeSeries(truth), 600.0)


def test_data_that_do_not_fit_are_told_when_the_problem_is_built(truth):
    for target, match in ((truth[:-1], "59"), (truth[:, :2], "2")):
        with pytest.raises(ValueError, match=match):
            Problem(make(), GAIN, objectives.TimeSeries(target), 600.0)


def test_a_penalty_adds_to_the_loss_and_to_its_gradient():
    def penalty(values):
        return 100.0 * jnp.mean((values["current"] - 0.3) ** 2)

    plain, penalised = (
        Problem(make(sigma=0.0), (GAIN, CURRENTS), of_mean, 40.0, penalty=one)
        for one in (None, penalty)
    )
    positions, key = plain.draw(jax.random.key(2), 2), jax.random.key(5)
    way = eqx.filter_jit(gradients.Forward())
    without = way(plain, positions, key, key, ())[0]
    found = way(penalised, positions, key, key, ())[0]

    low, high = 0.2, 0.4  # of CURRENTS, by hand
    share = 1.0 / (1.0 + np.exp(-np.asarray(positions["current"])))
    away = low + (high - low) * share - 0.3
    np.testing.assert_allclose(found.terms["penalty"], 100.0 * (away**2).mean(axis=1))
    np.testing.assert_allclose(found.losses, without.losses + found.terms["penalty"])
    slope = 100.0 * 2.0 * away / 3.0 * (high - low) * share * (1.0 - share)
    added = found.gradients["current"] - without.gradients["current"]
    np.testing.assert_allclose(added, slope, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.gradients["gain"], without.gradients["gain"], rtol=1e-6)


@pytest.mark.parametrize(
    ("penalty", "error", "match"),
    [
        (1.0, TypeError, "penalty is 1.0; give a function"),
        (lambda values: values["current"], ValueError, "one number of JAX"),
    ],
)
def test_penalties_that_are_none(truth, penalty, error, match, without_type_checks):
    with pytest.raises(error, match=match):
        Problem(make(), CURRENTS, objectives.TimeSeries(truth), 600.0, penalty=penalty)


def test_a_term_called_penalty_would_be_hidden(truth):
    terms = objectives.Sum({"penalty": objectives.TimeSeries(truth)})
    with pytest.raises(ValueError, match="rename it"):
        Problem(make(), CURRENTS, terms, 600.0, penalty=lambda values: values["current"].mean())


def test_a_penalty_that_is_no_number_at_the_start_is_told(truth):
    def penalty(values):
        return jnp.log(jnp.mean(values["current"]) - 1.0)

    bad = Problem(make(), CURRENTS, objectives.TimeSeries(truth), 600.0, penalty=penalty)
    with pytest.raises(ValueError, match="the penalty is nan at the start"):
        fit(bad, key=jax.random.key(5), steps=1)


def of_mean(result):
    return result.samples["temporal_average"].values.mean()


def of_square(result):
    return (result.samples["temporal_average"].values ** 2).mean()


def scaled(factor):
    return lambda result: factor * of_mean(result)


def test_a_checkpoint_knows_functions_supports_and_leaves(tmp_path):
    """Each of these had been taken for the first."""
    wide = Free(GAIN.where, Interval(-1.0, 3.0), "gain")
    other = Free(lambda s: s.model.params["I_o"], Interval(0.0, 2.0), "gain")
    slow = optax.piecewise_constant_schedule(0.1, {3: 0.1})
    first = (GAIN, scaled(1.0), None, optax.adam(slow))
    others: list[Any] = [
        (GAIN, scaled(2.0), None, optax.adam(slow)),
        (GAIN, of_square, None, optax.adam(slow)),
        (wide, scaled(1.0), None, optax.adam(slow)),
        (other, scaled(1.0), None, optax.adam(slow)),
        (GAIN, scaled(1.0), lambda values: values["gain"] ** 2, optax.adam(slow)),
        (GAIN, scaled(1.0), None, optax.adam(optax.piecewise_constant_schedule(0.1, {50: 0.1}))),
    ]

    def run(case, steps):
        free, objective, penalty, rule = case
        problem = Problem(make(sigma=0.0), free, objective, 40.0, penalty=penalty)
        return fit(problem, steps=steps, optimiser=rule, checkpoint=tmp_path / "fit.npz")

    run(first, 2)
    for changed in others:
        with pytest.raises(ValueError, match="is the checkpoint of another fit"):
            run(changed, 2)
    assert run(first, 3).steps == 3


def test_speed_and_lengths_may_vary_together():
    """The longest delay is that of the greatest length at the least speed."""
    speed = Free(lambda s: s.connectome.speed, Interval(1.0, 10.0), "speed")
    lengths = Free(lambda s: s.connectome.tract_lengths, Interval(0.0, 40.0), "lengths")
    simulator = make(sigma=0.0, horizon=45, delays=tvbjax.delays.Linear())
    problem = Problem(simulator, (speed, lengths), of_mean, 60.0)
    slope = jax.grad(problem.loss)(problem.start)
    assert float(np.abs(slope["speed"])) > 0 and np.abs(slope["lengths"]).max() > 0
    with pytest.raises(ValueError, match="history of 30; build it with horizon=4"):
        Problem(make(horizon=30), (speed, lengths), of_mean, 60.0)


@pytest.mark.parametrize(
    ("leaf", "support"),
    [
        ("speed", Positive()),
        ("speed", Interval(0.0, 10.0)),
        ("tract_lengths", Real()),
        ("tract_lengths", Interval(-1.0, 40.0)),
    ],
)
def test_delays_that_have_no_bound_are_refused(leaf, support):
    free = Free(lambda s: getattr(s.connectome, leaf), support)
    with pytest.raises(ValueError, match=rf"values of '{leaf}' must be known, .*Interval"):
        Problem(make(), free, of_mean, 60.0)


@pytest.mark.parametrize("name", ["loss", "start", 3])
def test_names_that_a_history_has_are_refused(name, without_type_checks):
    with pytest.raises(ValueError, match=f"{name!r} cannot be a free leaf's name"):
        Problem(make(), {name: GAIN}, of_mean, 60.0)


@pytest.mark.parametrize(
    ("function", "error", "match"),
    [
        (lambda r: None, TypeError, "gives None; let it give one real number"),
        (lambda r: "low", TypeError, "gives 'low'"),
        (lambda r: r.samples["bold"].values.mean(), KeyError, "'bold'.* are temporal_average"),
        (lambda r: float(of_mean(r)), TypeError, "makes a number of Python's or NumPy's"),
        (
            lambda r: np.asarray(r.samples["temporal_average"].values).mean(),
            TypeError,
            "use jax.numpy",
        ),
        (
            lambda r: of_mean(r) * np.nan,
            ValueError,
            r"is nan at the start, .*function's formula .*goes from 0\..*region.* ms\) to 0\.",
        ),
    ],
)
def test_functions_that_give_no_number(truth, function, error, match):
    problem = Problem(make(sigma=0.0), GAIN, function, 40.0)
    with pytest.raises(error, match=match):
        fit(problem, steps=1, progress=False)


def test_regions_that_are_all_alike_are_told():
    simulator = make(sigma=0.0)
    alone = eqx.tree_at(lambda s: s.connectome.weights, simulator, jnp.zeros((3, 3)))
    target = np.array([[1.0, 0.2, 0.5], [0.2, 1.0, 0.1], [0.5, 0.1, 1.0]])
    problem = Problem(alone, CURRENTS, objectives.FunctionalConnectivity(target), 60.0)
    with pytest.raises(ValueError, match="all values of the simulated functional_.* no pattern"):
        fit(problem, steps=1, progress=False)


def test_positions_must_be_those_of_the_problem():
    problem = Problem(make(sigma=0.0), GAIN, of_mean, 40.0)
    for method in (problem.loss, problem.values, problem.simulator_at, problem.simulate):
        with pytest.raises(TypeError, match="numbers by name for each of gain"):
            method({"other": jnp.zeros(())})
        with pytest.raises(ValueError, match=r"'gain' has the shape \(2,\)"):
            method({"gain": jnp.zeros(2)})
        with pytest.raises(ValueError, match="'gain' is no finite number"):
            method({"gain": jnp.asarray(jnp.nan)})


def test_problems_need_simulators_and_frees(truth, without_type_checks):
    with pytest.raises(TypeError, match="is no tvbjax.Simulator"):
        Problem("brain", GAIN, lambda r: 0.0, 100.0)  # type: ignore
    with pytest.raises(TypeError, match="nothing is given as free"):
        Problem(make(), (), lambda r: 0.0, 100.0)
    with pytest.raises(TypeError, match="is no problem"):
        fit(make())  # type: ignore
    with pytest.raises(ValueError, match="the simulator has noise; give a key"):
        fit(Problem(make(), GAIN, objectives.TimeSeries(truth), 600.0), steps=1)
