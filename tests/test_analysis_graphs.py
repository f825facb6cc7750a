"""Graph measures against published values, closed forms, networkx and enumeration."""

import itertools

import numpy as np
import pytest

from tvbjax import analysis, datasets

networkx = pytest.importorskip("networkx")


@pytest.fixture(scope="module")
def karate():
    """Zachary's karate club, 1977, unweighted, and the two clubs that came of it."""
    graph = networkx.karate_club_graph()
    clubs = np.array([graph.nodes[node]["club"] == "Officer" for node in graph], int)
    return networkx.to_numpy_array(graph, weight=None), clubs


@pytest.fixture(scope="module")
def directed():
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.1, 2.0, size=(7, 7)) * (rng.uniform(size=(7, 7)) < 0.5)
    np.fill_diagonal(weights, 0.0)
    return weights


def of_networkx(weights):
    return networkx.from_numpy_array(weights.T, create_using=networkx.DiGraph)


def test_the_karate_club_has_its_published_values(karate):
    weights, clubs = karate
    assert analysis.in_degree(weights).sum() == 2 * 78
    assert analysis.density(weights) == pytest.approx(0.139, abs=5e-4)
    assert analysis.clustering(weights).mean() == pytest.approx(0.5706, abs=5e-5)
    assert analysis.transitivity(weights) == pytest.approx(0.2557, abs=5e-5)
    assert analysis.characteristic_path_length(weights) == pytest.approx(2.4082, abs=5e-5)
    between = analysis.betweenness(weights)
    assert between[[0, 33]] == pytest.approx([0.4376, 0.3041], abs=5e-5)
    assert analysis.modularity(weights, clubs) == pytest.approx(0.3582, abs=5e-5)
    # The best there is: 0.4198, four communities (Brandes et al. 2008).
    found = analysis.find_communities(weights, seed=1)
    assert 0.41 < analysis.modularity(weights, found) <= 0.4198
    assert found.max() == 3 and (np.diff(np.bincount(found)) <= 0).all()


def test_complete_graph():
    full = np.full((6, 6), 2.0)  # connections with itself do not count
    assert analysis.density(full) == 1.0
    np.testing.assert_array_equal(analysis.in_degree(full), 5)
    np.testing.assert_array_equal(analysis.out_strength(full), 10.0)
    np.testing.assert_allclose(analysis.clustering(full), 1.0)
    np.testing.assert_allclose(analysis.local_efficiency(full), 2.0)
    assert analysis.transitivity(full) == 1.0
    assert analysis.global_efficiency(full) == pytest.approx(2.0)
    assert analysis.characteristic_path_length(full) == pytest.approx(0.5)


@pytest.mark.parametrize("neighbours", [4, 6])
def test_ring_lattice_has_its_clustering(neighbours):
    """3 (k - 2) / (4 (k - 1)) (Barrat and Weigt 2000)."""
    ring = networkx.to_numpy_array(networkx.watts_strogatz_graph(40, neighbours, 0.0))
    expected = 3 * (neighbours - 2) / (4 * (neighbours - 1))
    np.testing.assert_allclose(analysis.clustering(ring), expected, rtol=1e-12)
    assert analysis.transitivity(ring) == pytest.approx(expected, rel=1e-12)


def test_star_and_path():
    star = np.zeros((6, 6))
    star[0, 1:] = star[1:, 0] = 1.0
    np.testing.assert_allclose(analysis.betweenness(star), [1, 0, 0, 0, 0, 0], atol=1e-15)
    assert analysis.global_efficiency(star) == pytest.approx((10 + 20 / 2) / 30)
    path = np.diag([1.0, 2.0, 4.0], 1)
    lengths = analysis.path_lengths(path + path.T)
    np.testing.assert_allclose(lengths[0], [0.0, 1.0, 1.5, 1.75])


def test_a_connection_goes_from_its_column_to_its_row(directed):
    one_way = np.zeros((3, 3))
    one_way[1, 0] = one_way[2, 1] = 0.5  # 0 to 1 to 2
    np.testing.assert_array_equal(analysis.in_degree(one_way), [0, 1, 1])
    np.testing.assert_array_equal(analysis.out_strength(one_way), [0.5, 0.5, 0.0])
    lengths = analysis.path_lengths(one_way)
    assert lengths[2, 0] == 4.0 and lengths[0, 2] == np.inf
    assert analysis.characteristic_path_length(one_way) == np.inf
    assert analysis.global_efficiency(one_way) == pytest.approx((1 / 2 + 1 / 2 + 1 / 4) / 6)
    np.testing.assert_allclose(analysis.betweenness(one_way), [0, 0.5, 0])


def test_directed_weighted_measures_are_those_of_networkx(directed):
    graph = of_networkx(directed)
    strength = dict(graph.in_degree(weight="weight"))
    np.testing.assert_allclose(analysis.in_strength(directed), [strength[i] for i in range(7)])
    degree = dict(graph.out_degree())
    np.testing.assert_array_equal(analysis.out_degree(directed), [degree[i] for i in range(7)])
    for _, _, edge in graph.edges(data=True):
        edge["far"] = 1 / edge["weight"]
    lengths = dict(networkx.all_pairs_dijkstra_path_length(graph, weight="far"))
    found = analysis.path_lengths(directed)
    for i, j in itertools.product(range(7), range(7)):
        assert found[i, j] == pytest.approx(lengths[j].get(i, np.inf), rel=1e-12)


def test_betweenness_by_all_paths(directed):
    shares = np.zeros(7)
    graph = of_networkx(directed)
    for source, target in itertools.permutations(range(7), 2):
        paths = list(networkx.all_simple_paths(graph, source, target))
        if paths:
            cost = [sum(1 / directed[b, a] for a, b in itertools.pairwise(p)) for p in paths]
            for between in paths[int(np.argmin(cost))][1:-1]:
                shares[between] += 1 / 30
    np.testing.assert_allclose(analysis.betweenness(directed), shares, atol=1e-12)


def test_directed_clustering_by_fagiolos_formula(directed):
    root = np.cbrt(directed / directed.max())
    binary = (directed > 0).astype(float)
    triangles = np.diag(np.linalg.matrix_power(root + root.T, 3)) / 2
    total = binary.sum(axis=0) + binary.sum(axis=1)
    possible = total * (total - 1) - 2 * np.diag(binary @ binary)
    np.testing.assert_allclose(analysis.clustering(directed), triangles / possible, rtol=1e-10)


def test_binary_efficiencies_are_those_of_networkx(karate):
    weights, _ = karate
    graph = networkx.from_numpy_array(weights)
    assert analysis.global_efficiency(weights) == pytest.approx(networkx.global_efficiency(graph))
    found = analysis.local_efficiency(weights).mean()
    assert found == pytest.approx(networkx.local_efficiency(graph))


def test_local_efficiency_of_a_directed_graph_node_by_node(directed):
    graph = of_networkx(directed)
    for _, _, edge in graph.edges(data=True):
        edge["far"] = 1 / edge["weight"]
    found = analysis.local_efficiency(directed)
    for node in graph:
        around = graph.subgraph({*graph.predecessors(node), *graph.successors(node)} - {node})
        lengths = dict(networkx.all_pairs_dijkstra_path_length(around, weight="far"))
        total = sum(1 / far for i in lengths for j, far in lengths[i].items() if i != j)
        assert found[node] == pytest.approx(total / (len(around) * (len(around) - 1)), rel=1e-12)


def test_modularity_by_its_definition(directed):
    labels = np.array([4, 4, 4, 9, 9, 2, 2])
    both = directed + directed.T
    for weights in (both, directed):
        total = weights.sum()
        expected = sum(
            weights[i, j] / total - weights[i].sum() * weights[:, j].sum() / total**2
            for i, j in itertools.product(range(7), range(7))
            if labels[i] == labels[j]
        )
        assert analysis.modularity(weights, labels) == pytest.approx(expected, rel=1e-10)
    assert np.isnan(analysis.modularity(np.zeros((3, 3)), np.zeros(3, int)))


def test_communities_that_are_there_are_found():
    planted = np.repeat([0, 1, 2], [12, 9, 6])
    rng = np.random.default_rng(1)
    weights = 0.1 * rng.uniform(size=(27, 27)) + (planted[:, None] == planted)
    weights = weights + weights.T
    np.testing.assert_array_equal(analysis.find_communities(weights, seed=0), planted)
    np.random.seed(1)
    again = analysis.find_communities(weights, seed=0)
    np.testing.assert_array_equal(again, analysis.find_communities(weights, seed=0))


def test_participation():
    weights = np.zeros((7, 7))
    weights[0, [1, 2]], weights[0, [3, 4]] = 1.0, 2.0  # to 0: 2 of one community, 4 of the other
    weights[1, 0] = 5.0
    labels = np.array([0, 0, 0, 1, 1, 1, 1])
    found = analysis.participation(weights, labels)
    np.testing.assert_allclose(found, [1 - (2 / 6) ** 2 - (4 / 6) ** 2, 0, 0, 0, 0, 0, 0])
    # Equally from k communities: 1 - 1/k, the most there can be.
    np.testing.assert_allclose(analysis.participation(np.ones((4, 4)), np.arange(4)), 1 - 1 / 3)


def test_binarise_keeps_the_strongest():
    values = np.array([[9.0, 0.5, -3.0], [0.2, 9.0, 0.9], [0.4, 0.0, 9.0]])
    np.testing.assert_array_equal(analysis.binarise(values), [[0, 1, 0], [1, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(analysis.binarise(values, 2 / 6), [[0, 1, 0], [0, 0, 1], [0] * 3])
    np.testing.assert_array_equal(analysis.binarise(values, 1.0), analysis.binarise(values))
    equal = 1.0 - np.eye(4)
    np.testing.assert_array_equal(analysis.binarise(equal, 0.5), 0.0)


def test_small_worlds():
    """A ring rewired a little is a small world (Watts and Strogatz 1998), a random graph none."""
    small = networkx.connected_watts_strogatz_graph(60, 6, 0.1, seed=0)
    random = networkx.gnm_random_graph(40, 300, seed=0)
    found = [
        analysis.small_worldness(networkx.to_numpy_array(graph), seed=0)
        for graph in (small, random)
    ]
    assert found[0] > 2.5 and found[1] == pytest.approx(1.0, abs=0.1)


def test_small_worldness_depends_on_the_seed_alone_and_keeps_degrees():
    graph = networkx.to_numpy_array(networkx.connected_watts_strogatz_graph(30, 4, 0.2, seed=1))
    np.random.seed(1)
    first = analysis.small_worldness(graph, seed=3, references=2)
    np.random.seed(2)
    assert analysis.small_worldness(graph, seed=3, references=2) == first
    # The only graph of these degrees is the graph itself.
    assert analysis.small_worldness(np.ones((6, 6)), seed=0) == pytest.approx(1.0, rel=1e-12)


def test_small_worldness_of_known_random_graphs():
    """Every connected graph of six nodes with three neighbours is K33 or the prism: C 0 or 2/6."""
    prism = networkx.to_numpy_array(networkx.circular_ladder_graph(3))
    found = analysis.small_worldness(prism, seed=0, references=200)
    # Of the 70 labelled ones 60 are prisms and 10 K33, all 1.4 steps across on the average.
    assert found == pytest.approx(70 / 60, rel=0.07)
    star = np.zeros((5, 5))
    star[0, 1:] = star[1:, 0] = 1.0
    assert np.isnan(analysis.small_worldness(star, seed=0))


def test_a_connectome_is_taken_as_it_is():
    pytest.importorskip("tvb_data")
    connectome = datasets.connectome("tvb76")
    weights = np.asarray(connectome.weights)
    found = analysis.in_strength(connectome.weights)  # a JAX array, and regions with themselves
    np.testing.assert_allclose(found, weights.sum(axis=1) - np.diag(weights))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda w: analysis.density(w[:2]), r"shape \(2, 3\); give \(node, node\)"),
        (lambda w: analysis.in_degree(w - 1), r"weights\[0, 2\] is -1; give none below 0"),
        (lambda w: analysis.betweenness(w / w), r"weights\[0, 0\] is nan; give 0 for no"),
        (
            lambda w: analysis.transitivity(w),
            r"weights\[0, 2\] is 0 and weights\[2, 0\] 2; give an",
        ),
        (lambda w: analysis.modularity(w, np.zeros(2, int)), r"shape \(2,\); .* each of 3 nodes"),
        (lambda w: analysis.binarise(w, 0.0), "density=0.0; give a share above 0"),
        (lambda w: analysis.small_worldness(w + w.T, 0), "a graph of 3 nodes"),
        (lambda w: analysis.small_worldness(np.kron(np.eye(3), np.ones((3, 3))), 0), "length inf"),
    ],
)
def test_what_is_no_graph_is_an_error(call, says, without_type_checks):
    weights = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 1.0, 0.0]])
    weights[0, 1] = 1.0
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=says):
        call(weights)
