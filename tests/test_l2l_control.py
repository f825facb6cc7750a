"""Control tasks: Gymnasium's cart in JAX step by step, spiking neurons, and tasks solved."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from apart import apart
from tvbjax import l2l
from tvbjax.l2l import examples

control, controllers, cart_pole = examples.control, examples.controllers, examples.cart_pole


@pytest.fixture(scope="module")
def call():
    pytest.importorskip("gymnasium")
    with apart() as made:
        yield made


def search(task, generations, size=10, target=None, key=0):
    stop = [l2l.MaxGenerations(generations)] + ([] if target is None else [l2l.Target(target)])
    study = l2l.Study(
        l2l.Python(task, task.space, timeout=60.0),
        l2l.SeparableNes(size),
        jax.random.key(key),
        stop,
        engine=l2l.Processes(1),
    )
    return study.run(progress=False)


def _gymnasium_run(actions, seed):
    """States and whether the episode is over, of Gymnasium's environment."""
    import gymnasium  # pyright: ignore[reportMissingImports]

    environment: Any = gymnasium.make("CartPole-v1").unwrapped
    environment.reset(seed=seed)
    found = [np.asarray(environment.state, float).tolist()]
    over = []
    for action in actions:
        over.append(bool(environment.step(int(action))[2]))
        found.append(np.asarray(environment.state, float).tolist())
        if over[-1]:
            break
    return [found, over]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_cart_is_gymnasiums_step_by_step(call, seed):
    # Pushes towards where the pole falls, and some at random: long enough to end by falling.
    actions = np.random.default_rng(seed).integers(0, 2, 200)
    states, over = call(_gymnasium_run, actions, seed)
    step = jax.jit(cart_pole.step)
    state = jnp.asarray(states[0])
    for action, expected, ended in zip(actions, states[1:], over, strict=False):
        state = step(state, jnp.asarray(action == 1))
        np.testing.assert_allclose(state, expected, rtol=1e-12, atol=1e-14)
        assert bool(cart_pole.fallen(state)) == ended
    assert over[-1] and len(over) > 5


def test_an_episode_lasts_as_long_as_gymnasiums(call):
    """The same weights in both, from Gymnasium's starts."""
    task = control.Control(controller=controllers.Rates())
    draw = np.random.default_rng(3)
    stood = jax.jit(cart_pole.CartPole().stood)
    lengths = []
    for seed in range(4):
        weights = draw.normal(0.5, 0.7, 4)
        # Right where the second action's sum is the greater.
        values = {"outward": np.stack([0 * weights, weights]), "bias": np.zeros(2)}
        start, length = call(_length, task, values, seed)
        own = {"weights": jnp.asarray(weights), "bias": jnp.zeros(())}
        lengths.append(length)
        assert int(stood(own, jnp.asarray(start))) == length
    assert len(set(lengths)) > 2


def _length(task, values, seed):
    import gymnasium  # pyright: ignore[reportMissingImports]

    environment = gymnasium.make("CartPole-v1")
    environment.reset(seed=seed)
    bare: Any = environment.unwrapped
    start = np.asarray(bare.state, float).tolist()
    return [start, task.episode(environment, values, seed)[1]]


def test_hundreds_of_carts_are_balanced_side_by_side():
    task = cart_pole.CartPole()
    run = jax.jit(
        lambda key: l2l.minimise(task, task.space, l2l.SeparableNes(16), key, generations=10)[0]
    )
    found = run(jax.random.key(0))
    assert float(found.least) == -500.0
    values = task.space.decode(found.best)
    again = jax.vmap(lambda key: task(values, key).loss)(jax.random.split(jax.random.key(1), 100))
    assert float(again.mean()) < -400.0  # of starts that it has not seen


@pytest.mark.parametrize("current", [1.01, 1.5, 4.0])
def test_spiking_neurons_fire_as_integrate_and_fire_does(current):
    """A neuron from rest reaches 1 after tau ln(I / (I - 1)) ms; here at the next whole ms."""
    network = controllers.Spiking(hidden=1, tau=10.0, trace=20.0)
    voltage, traces, spikes = np.zeros(1), np.zeros(1), []
    for ms in range(1, 201):
        voltage, traces, spiked = network.step(voltage, traces, np.array([current]))
        if spiked[0]:
            spikes.append(ms)
    period = int(np.ceil(10.0 * np.log(current / (current - 1.0))))
    assert spikes == list(range(period, 201, period))
    assert traces[0] == pytest.approx(sum(np.exp((ms - 200) / 20.0) for ms in spikes))


@pytest.mark.parametrize("network", [controllers.Rates(), controllers.Spiking(10)])
def test_the_pole_is_balanced(call, network):
    found = search(control.Control(control.CART_POLE, network), 12, target=-500.0)
    assert found.loss == -500.0 and not found.failures
    assert np.median(found.losses[:10]) > -120.0  # of the first generation, at random


def test_the_car_reaches_its_goal(call):
    """-200 is for an episode without the goal."""
    found = search(control.Control(control.MOUNTAIN_CAR, controllers.Rates()), 15, target=130.0)
    assert found.loss <= 130.0 and not found.failures


@pytest.mark.slow
def test_a_spiking_car_reaches_its_goal(call):
    found = search(control.Control(control.MOUNTAIN_CAR, controllers.Spiking(10)), 12, target=110.0)
    assert found.loss <= 110.0 and not found.failures


@pytest.mark.slow
def test_the_lander_lands(call):
    pytest.importorskip("Box2D")
    found = search(control.Control(control.LUNAR_LANDER, controllers.Rates()), 60, 20, -100.0)
    assert found.loss <= -100.0 and not found.failures
    assert np.median(found.losses[:20]) > 100.0


def test_the_same_seed_gives_the_same_episodes(call):
    task = control.Control(control.CART_POLE, controllers.Spiking(10), episodes=2)
    values = task.space.plain(task.space.decode(task.space.draw(jax.random.key(0), 1)[0]))
    first, again, other = (call(_rewards, task, values, seed) for seed in (5, 5, 6))
    assert first == again and first != other


def _rewards(task, values, seed):
    return task(values, seed)["more"]["rewards"].tolist()


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gymnasium", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tvbjax\[gym\]'"):
        control.Control()({}, 0)


@pytest.mark.parametrize("wrong", [dict(episodes=0), dict(task="CartPole-v1"), dict(controller=1)])
def test_wrong_arguments_are_told(wrong):
    with pytest.raises((TypeError, ValueError), match="Control"):
        control.Control(**wrong)
