"""Random numbers by counting: the right function, and the laws that its numbers should follow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32
from scipy import stats

from tvbjax import generators, noise

LANES, STEPS = 512, 2048


@pytest.fixture(params=[generators.Threefry(), generators.CounterHash()], ids=lambda g: str(g)[:8])
def generator(request):
    return request.param


def drawn(generator, seed=0, lanes=LANES, steps=STEPS, first=0, dtype=jnp.float32, members=1):
    """Normal numbers (step, lane, member), the two of a pair one after the other's lanes."""
    keys = jax.random.split(jax.random.key(seed), members)
    words = jax.vmap(generators.key_words, out_axes=-1)(keys)
    made = generator.lanes(words, lanes // 2)
    pairs = generators.normal_pairs(generator, made, jnp.asarray(first), steps, dtype)
    pairs = np.asarray(pairs).reshape(steps, lanes // 2, members)
    return np.concatenate([np.real(pairs), np.imag(pairs)], axis=1)


def test_threefry_is_that_of_jax():
    words = generators.key_words(jax.random.key(7))
    lanes = generators.Threefry().lanes(words[:, None], 5)
    high, low = generators.Threefry().bits(lanes, jnp.asarray([[3], [9]], jnp.uint32))
    for row, step in enumerate((3, 9)):
        for lane in range(5):
            expected = threefry_2x32(words, jnp.asarray([step, lane], jnp.uint32))
            assert (int(high[row, lane]), int(low[row, lane])) == tuple(int(x) for x in expected)


def test_a_number_depends_on_key_step_and_lane_alone(generator):
    """Whatever block of steps it is drawn in, however many lanes and members are beside it."""
    whole = drawn(generator, members=3, lanes=12, steps=40)
    later = drawn(generator, members=3, lanes=12, steps=7, first=20)
    np.testing.assert_array_equal(later, whole[20:27])
    fewer = drawn(generator, members=3, lanes=8, steps=40)
    np.testing.assert_array_equal(fewer[:, :4], whole[:, :4])
    words = generators.key_words(jax.random.split(jax.random.key(0), 3)[1])
    lanes = generator.lanes(words[:, None], 6)
    alone = generators.normal_pairs(generator, lanes, jnp.asarray(0), 40, jnp.float32)
    np.testing.assert_array_equal(alone.real, whole[:, :6, 1])


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_numbers_are_normal(generator, dtype):
    """Moments to the fourth within 5 standard errors, and the distribution by Kolmogorov-Smirnov.

    The variances of the sample moments of N(0, 1) are 1, 2, 15 and 96 over the number of values.
    """
    values = drawn(generator, seed=3, dtype=dtype).astype(float).ravel()
    assert np.isfinite(values).all()
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = np.sqrt(variance / values.size)
        assert abs((values**power).mean() - mean) < 5 * error, f"moment {power}"
    assert stats.kstest(values, "norm").pvalue > 1e-4


def test_the_tails_are_there(generator):
    """Beyond 4 standard deviations as many as there should be: Poisson, 5 standard errors."""
    values = drawn(generator, seed=5, lanes=4096, steps=4096).ravel()
    expected = 2 * stats.norm.sf(4.0) * values.size
    assert abs((np.abs(values) > 4.0).sum() - expected) < 5 * np.sqrt(expected)


@pytest.mark.parametrize("lag", [1, 2, 3, 8, 16, 32, 64, 256])
def test_steps_and_lanes_are_uncorrelated(generator, lag):
    """Numbers and their squares, over steps, lanes and both: 5 standard errors of 1/sqrt(n)."""
    values = drawn(generator, seed=11)[..., 0].astype(float)
    for made in (values, (values**2 - 1) / np.sqrt(2)):
        for a, b in (
            (made[lag:], made[:-lag]),
            (made[:, lag:], made[:, :-lag]),
            (made[lag:, lag:], made[:-lag, :-lag]),
        ):
            assert abs((a * b).mean()) < 5 / np.sqrt(a.size)


def test_the_two_numbers_of_a_pair_are_independent(generator):
    """Numbers, squares and products; and the angle is uniform whatever the length."""
    values = drawn(generator, seed=13).astype(float)
    half = values.shape[1] // 2
    x, y = values[:, :half].ravel(), values[:, half:].ravel()
    for a, b in ((x, y), (x**2 - 1, y**2 - 1), (x, y**2 - 1), (x**2 - 1, y)):
        product = a * b
        assert abs(product.mean()) < 5 * product.std() / np.sqrt(product.size)
    angle, length = np.arctan2(y, x), np.hypot(x, y)
    for part in (angle, angle[length < 0.5], angle[length > 2.5]):
        assert stats.kstest(part, "uniform", (-np.pi, 2 * np.pi)).pvalue > 1e-4


def test_members_and_seeds_are_uncorrelated(generator):
    """Members of one key, keys that differ by one bit, and shifted against each other."""
    members = drawn(generator, seed=1, lanes=64, members=8).astype(float)
    seeds = np.concatenate([drawn(generator, seed=s, lanes=64) for s in range(8)], -1).astype(float)
    for made in (members, seeds):
        for i in range(8):
            for j in range(i):
                for lag in (0, 1, 5):
                    a = made[lag:, :, i].ravel()
                    b = made[: STEPS - lag, :, j].ravel()
                    assert abs((a * b).mean()) < 5.5 / np.sqrt(a.size)


def test_every_bit_is_fair_and_independent_of_the_others(generator):
    """Each of the 32 bits, each pair of bits, and each bit against itself a step later."""
    words = generators.key_words(jax.random.key(4))
    lanes = generator.lanes(words[:, None], 256)
    steps = jnp.arange(4096, dtype=jnp.uint32)[:, None]
    for word in generator.bits(lanes, steps):
        bits = (np.asarray(word)[..., None] >> np.arange(32, dtype=np.uint32)) & 1
        signs = 2 * bits.astype(np.float32) - 1  # sums of as many are exact
        count = signs.shape[0] * signs.shape[1]
        assert np.abs(signs.mean(axis=(0, 1))).max() < 5 / np.sqrt(count)
        flat = signs.reshape(-1, 32)
        pairs = flat.T @ flat / count - np.eye(32)
        assert np.abs(pairs).max() < 5.5 / np.sqrt(count)
        next_step = signs[1:].reshape(-1, 32).T @ signs[:-1].reshape(-1, 32) / count
        assert np.abs(next_step).max() < 5.5 / np.sqrt(count)


def test_one_bit_of_the_counter_changes_half_the_bits(generator):
    """Avalanche: flipping a bit of step or key flips each output bit with probability 1/2."""
    words = generators.key_words(jax.random.key(4))[:, None]
    steps = jnp.arange(1 << 14, dtype=jnp.uint32)[:, None]
    lanes = generator.lanes(words, 4)
    base = np.asarray(generator.bits(lanes, steps)[0])
    changed = [generator.bits(lanes, steps ^ np.uint32(1 << bit))[0] for bit in range(32)]
    changed += [
        generator.bits(generator.lanes(words ^ np.uint32(1 << bit), 4), steps)[0]
        for bit in range(0, 32, 5)
    ]
    for other in changed:
        flipped = (np.asarray(other) ^ base)[..., None] >> np.arange(32, dtype=np.uint32) & 1
        assert np.abs(flipped.mean(axis=(0, 1)) - 0.5).max() < 0.5 * 5.5 / np.sqrt(base.size)


def test_keys_of_other_generators_do_as_well():
    words = generators.key_words(jax.random.key(0, impl="rbg"))
    assert words.shape == (2,) and words.dtype == jnp.uint32
    raw = jax.random.key_data(jax.random.key(3))
    np.testing.assert_array_equal(generators.key_words(raw), raw)


def test_what_is_no_generator_is_refused():
    with pytest.raises(TypeError, match="the generator is 'fast'; give tvbjax.generators"):
        noise.Additive(0.1, generator="fast")  # type: ignore
