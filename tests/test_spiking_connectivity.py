"""Who is connected with whom: degrees, laws, orders, and that draws depend on nothing else."""

import jax
import numpy as np
import pytest
from scipy.stats import chisquare

from tvbjax import lems, spiking as sp

CELL = lems.load_cell("LifDelta")
RULES = [
    sp.FixedInDegree(7),
    sp.FixedInDegree(7, multapses=False),
    sp.FixedInDegree(7, autapses=False),
    sp.FixedInDegree(7, multapses=False, autapses=False),
    sp.FixedInDegree(0),
    sp.Bernoulli(0.3),
    sp.Bernoulli(0.3, autapses=True),
    sp.Bernoulli(0.0),
    sp.Bernoulli(1.0),
    sp.AllToAll(),
    sp.AllToAll(autapses=True),
    sp.OneToOne(),
]


def drawn(rule, sources, targets, same=False, seed=0):
    return rule.pairs(np.random.default_rng(seed), sources, targets, same)


def network(projections, key=0, sizes=(30, 20)):
    populations = {name: sp.Population(CELL, size) for name, size in zip("EI", sizes, strict=True)}
    return sp.Network(populations, projections, dt=0.1, key=jax.random.key(key))


def connections(net, name):
    one = net.projections[name]
    return [np.asarray(x) for x in (one.sources, one.targets, one.weight, one.delays)]


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("same", [False, True])
def test_connections_are_of_known_cells_and_sorted_by_the_sender(rule, same):
    pairs = drawn(rule, 25, 25, same)
    for ends in pairs:
        assert ends.dtype == np.int32
        assert len(ends) == len(pairs)
        assert not len(ends) or (ends.min() >= 0 and ends.max() < 25)
    order = np.lexsort((pairs.targets, pairs.sources))
    np.testing.assert_array_equal(order, np.arange(len(pairs)))


@pytest.mark.parametrize("multapses", [False, True])
@pytest.mark.parametrize("autapses", [False, True])
@pytest.mark.parametrize("same", [False, True])
def test_fixed_in_degrees(multapses, autapses, same):
    pairs = drawn(sp.FixedInDegree(12, multapses, autapses), 20, 20, same)
    assert (np.bincount(pairs.targets, minlength=20) == 12).all()
    twice = len(pairs) - len(set(zip(*pairs, strict=True)))
    assert (twice > 0) == multapses
    itself = (pairs.sources == pairs.targets).any()
    assert itself == (autapses or not same)


@pytest.mark.parametrize("multapses", [False, True])
def test_every_other_sender_is_as_likely(multapses):
    rule = sp.FixedInDegree(3, multapses, autapses=False)
    counts = np.zeros((8, 8))
    for seed in range(700):
        pairs = drawn(rule, 8, 8, True, seed)
        np.add.at(counts, (pairs.targets, pairs.sources), 1)
    assert not np.diag(counts).any()
    for target, row in enumerate(counts):
        assert chisquare(np.delete(row, target)).pvalue > 1e-4


def test_bernoulli_obeys_its_law():
    counts, totals = np.zeros((9, 6)), []
    for seed in range(500):
        pairs = drawn(sp.Bernoulli(0.3), 9, 6, seed=seed)
        assert len(set(zip(*pairs, strict=True))) == len(pairs)
        counts[pairs.sources, pairs.targets] += 1
        totals.append(len(pairs))
    deviations = (counts / 500 - 0.3) / np.sqrt(0.3 * 0.7 / 500)
    assert np.abs(deviations).max() < 4.5
    assert np.mean(totals) == pytest.approx(54 * 0.3, abs=5 * np.sqrt(54 * 0.21 / 500))
    assert np.var(totals) == pytest.approx(54 * 0.21, rel=5 * np.sqrt(2 / 500))


def test_bernoulli_within_a_population():
    without = drawn(sp.Bernoulli(1.0), 5, 5, True)
    assert set(zip(*without, strict=True)) == {(i, j) for i in range(5) for j in range(5) if i != j}
    assert len(drawn(sp.Bernoulli(1.0, autapses=True), 5, 5, True)) == 25


def test_all_to_all_and_one_to_one():
    every = {(i, j) for i in range(4) for j in range(4)}
    others = {(i, j) for i, j in every if i != j}
    assert set(zip(*drawn(sp.AllToAll(), 4, 4, True), strict=True)) == others
    assert set(zip(*drawn(sp.AllToAll(), 4, 4, False), strict=True)) == every
    assert set(zip(*drawn(sp.AllToAll(autapses=True), 4, 4, True), strict=True)) == every
    assert set(zip(*drawn(sp.OneToOne(), 4, 4), strict=True)) == {(i, i) for i in range(4)}


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_the_expected_number_is_about_the_number(rule):
    expected = rule.expected(40, 40)
    assert abs(len(drawn(rule, 40, 40, True)) - expected) <= max(40, 5 * np.sqrt(expected))


def test_explicit_connections_keep_their_order():
    ends, weights, delays = ([4, 0, 2, 0], [1, 1, 0, 3]), [1.0, 2.0, 3.0, 4.0], [0.4, 0.1, 0.2, 1]
    net = network({"a": sp.Projection("E", "I", sp.Explicit(*ends), weight=weights, delay=delays)})
    sources, targets, weight, steps = connections(net, "a")
    assert (sources.tolist(), targets.tolist()) == ends
    assert weight.tolist() == weights
    assert steps.tolist() == [4, 1, 2, 10]


def test_weights_and_delays_are_drawn_for_each_connection():
    net = network(
        {
            "a": sp.Projection(
                "E",
                "I",
                sp.FixedInDegree(50),
                weight=lambda rng, count: rng.normal(3.0, 0.5, count),
                delay=lambda rng, count: rng.uniform(1.0, 2.0, count),
            )
        }
    )
    _, _, weight, steps = connections(net, "a")
    assert weight.shape == steps.shape == (1000,)
    assert weight.mean() == pytest.approx(3.0, abs=5 * 0.5 / np.sqrt(1000))
    assert (steps.min(), steps.max()) == (10, 20)


def scattered(source, target, degree=5):
    return sp.Projection(
        source,
        target,
        sp.FixedInDegree(degree),
        weight=lambda rng, count: rng.normal(0.0, 1.0, count),
        delay=lambda rng, count: rng.uniform(1.0, 5.0, count),
    )


def test_a_key_draws_the_same_connections_again_and_another_one_others():
    one, again, other = (network({"a": scattered("E", "I")}, key) for key in (3, 3, 4))
    for first, second, third in zip(
        *(connections(net, "a") for net in (one, again, other)), strict=True
    ):
        np.testing.assert_array_equal(first, second)
        assert (first != third).any()


def test_a_projection_is_drawn_whatever_else_there_is():
    alone = network({"a": scattered("E", "I")})
    among = network(
        {"b": scattered("I", "E", 9), "a": scattered("E", "I"), "c": scattered("E", "I")}
    )
    for first, second in zip(connections(alone, "a"), connections(among, "a"), strict=True):
        np.testing.assert_array_equal(first, second)
    assert (connections(among, "a")[0] != connections(among, "c")[0]).any()


def test_what_is_not_drawn_needs_no_key():
    made = sp.Projection("E", "E", sp.AllToAll(), weight=1.0, delay=1.0)
    net = sp.Network({"E": sp.Population(CELL, 3)}, {"a": made}, dt=0.1)
    assert not net.random
