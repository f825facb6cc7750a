"""Measures of graphs: connectomes, functional connectivities. NumPy, SciPy and networkx.

`weights[i, j]`: the connection from j to i, 0 for none; symmetric ones make an undirected graph.
All measures are of weighted graphs; of `binarise(weights)`, they are the binary graph's.
Connections of a node with itself do not count. Weights below 0, NaN or infinite raise `ValueError`.
Definitions: Rubinov and Sporns, NeuroImage 52:1059, 2010.
"""

from typing import Any

import jax
import numpy as np
import scipy.sparse.csgraph
from jaxtyping import Array, Float, Int

from tvbjax.analysis._extras import networkx
from tvbjax.analysis._signals import as_whole

Weights = Float[Array | np.ndarray, "node source"]
# How often random connections are looked for that leave no node apart.
_ROUNDS = 50
OfNodes = Float[np.ndarray, " node"]


def binarise(weights: Weights, density: float | None = None) -> Float[np.ndarray, "node source"]:
    """1 for every connection; with a `density` (0 to 1), for the strongest that make up this share
    of all pairs. Of equal ones at the border none is kept, so that symmetric weights stay so.

    Unlike all other functions here this one takes negative weights too: they are no connections.
    """
    values = _square("binarise", weights)
    found = np.maximum(values, 0.0)
    if density is None:
        return (found > 0).astype(float)
    if not 0 < density <= 1:
        raise ValueError(f"binarise: density={density}; give a share above 0, to 1.")
    pairs = len(found) * (len(found) - 1)
    ranked = np.sort(found[~np.eye(len(found), dtype=bool)])[::-1]
    kept = round(density * pairs)
    beyond = ranked[kept] if kept < pairs else 0.0
    return (found > beyond).astype(float)


def density(weights: Weights) -> float:
    """The share of all pairs that are connected."""
    values = _checked("density", weights)
    return float((values > 0).sum() / (len(values) * (len(values) - 1)))


def in_degree(weights: Weights) -> Int[np.ndarray, " node"]:
    """How many connections come to each node; of a symmetric graph, its degree."""
    return (_checked("in_degree", weights) > 0).sum(axis=1)


def out_degree(weights: Weights) -> Int[np.ndarray, " node"]:
    """How many connections go out from each node."""
    return (_checked("out_degree", weights) > 0).sum(axis=0)


def in_strength(weights: Weights) -> OfNodes:
    """The sum of weights that come to each node; of a symmetric graph, its strength."""
    return _checked("in_strength", weights).sum(axis=1)


def out_strength(weights: Weights) -> OfNodes:
    """The sum of weights that go out from each node."""
    return _checked("out_strength", weights).sum(axis=0)


def clustering(weights: Weights) -> OfNodes:
    """Each node's clustering coefficient: the strength of the triangles about it, as a share of all
    that there might be, weights divided by the largest (Onnela et al., Physical Review E 71:065103,
    2005; directed: Fagiolo, Physical Review E 76:026107, 2007). 0 for fewer than two neighbours."""
    found = networkx("clustering").clustering(_graph("clustering", weights), weight="weight")
    return _of_nodes(found)


def transitivity(weights: Weights) -> float:
    """Three times the triangles, by the connected triples, of the binary undirected graph."""
    graph = _graph("transitivity", binarise(_symmetric("transitivity", weights)))
    return float(networkx("transitivity").transitivity(graph))


def path_lengths(weights: Weights) -> Float[np.ndarray, "node source"]:
    """The lengths of the shortest paths from j to i, a connection being 1 / weight long; infinite
    where there is none. In 1 / unit of the weights; of a binary graph, steps."""
    values = _checked("path_lengths", weights)
    with np.errstate(divide="ignore"):
        lengths = np.where(values > 0, 1.0 / values, 0.0)
    # SciPy's rows are sources, and its zeros no connections: it walks all paths backwards.
    return scipy.sparse.csgraph.shortest_path(lengths, method="D")


def characteristic_path_length(weights: Weights) -> float:
    """The mean of the shortest paths' lengths over all pairs; infinite if one is not connected."""
    lengths = path_lengths(weights)
    return float(lengths[~np.eye(len(lengths), dtype=bool)].mean())


def global_efficiency(weights: Weights) -> float:
    """The mean of 1 / shortest path's length over all pairs (Latora and Marchiori, Physical Review
    Letters 87:198701, 2001), in the unit of the weights."""
    lengths = path_lengths(weights)
    return float((1.0 / lengths[~np.eye(len(lengths), dtype=bool)]).mean())


def local_efficiency(weights: Weights) -> OfNodes:
    """For each node the `global_efficiency` of the graph of its neighbours, without itself (Latora
    and Marchiori 2001); 0 for fewer than two. Neighbours are connected in either direction."""
    values = _checked("local_efficiency", weights)
    found = np.zeros(len(values))
    for node in range(len(values)):
        neighbours = np.flatnonzero((values[node] > 0) | (values[:, node] > 0))
        if len(neighbours) > 1:
            found[node] = global_efficiency(values[np.ix_(neighbours, neighbours)])
    return found


def betweenness(weights: Weights) -> OfNodes:
    """Each node's share of the shortest paths between all pairs of others (Freeman, Sociometry
    40:35, 1977), a connection being 1 / weight long; equally short ones share."""
    graph = _graph("betweenness", weights)
    for _, _, edge in graph.edges(data=True):
        edge["length"] = 1.0 / edge["weight"]
    return _of_nodes(networkx("betweenness").betweenness_centrality(graph, weight="length"))


def find_communities(
    weights: Weights, seed: int, resolution: float = 1.0
) -> Int[np.ndarray, " node"]:
    """Which community each node is in, 0 for the largest: of high modularity, by Louvain's method
    (Blondel et al., Journal of Statistical Mechanics P10008, 2008).

    `seed`: of the order of nodes; others may find others. `resolution`: above 1 for smaller ones.
    """
    graph = _graph("find_communities", weights)
    seed = as_whole("find_communities", "seed", seed)
    found = networkx("find_communities").community.louvain_communities(
        graph, weight="weight", resolution=resolution, seed=seed
    )
    labels = np.zeros(len(graph), int)
    for label, members in enumerate(sorted(found, key=lambda c: (-len(c), min(c)))):
        labels[sorted(members)] = label
    return labels


def modularity(
    weights: Weights, communities: Int[np.ndarray, " node"], resolution: float = 1.0
) -> float:
    """How much more weight lies within communities than by chance with the same strengths (Newman,
    Physical Review E 70:056131, 2004; directed: Leicht and Newman, Physical Review Letters
    100:118703, 2008). `communities`: a number for each node. NaN for a graph without connections.
    """
    graph = _graph("modularity", weights)
    labels = _labels("modularity", communities, len(graph))
    if not graph.number_of_edges():
        return float("nan")
    groups = [set(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)]
    return float(
        networkx("modularity").community.modularity(
            graph, groups, weight="weight", resolution=resolution
        )
    )


def participation(weights: Weights, communities: Int[np.ndarray, " node"]) -> OfNodes:
    """1 - sum over communities of (strength from it / strength)^2: 0 for a node with connections
    from one community alone (Guimera and Amaral, Nature 433:895, 2005), or with none.

    Of a directed graph, of what comes to a node; give `weights.T` for what goes out.
    """
    values = _checked("participation", weights)
    labels = _labels("participation", communities, len(values))
    member = labels[:, None] == np.unique(labels)
    total = values.sum(axis=1)
    shares = (values @ member.astype(float)) / np.where(total > 0, total, 1.0)[:, None]
    return np.where(total > 0, 1.0 - (shares**2).sum(axis=1), 0.0)


def small_worldness(weights: Weights, seed: int, references: int = 10, swaps: int = 5) -> float:
    """(C / C_random) / (L / L_random) of the binary undirected graph, C its `transitivity`, L its
    `characteristic_path_length` (Humphries and Gurney, PLOS ONE 3:e0002051, 2008, S^triangle):
    above 1 for a small world.

    Random graphs have the same degrees and are connected (Maslov and Sneppen, Science 296:910,
    2002): the mean of `references` of them, after `swaps` tried swaps for each connection. Infinite
    where they have no triangles. Raises `ValueError` for a graph that is directed, not connected,
    has fewer than four nodes, or degrees with which others hardly ever are connected.
    """
    name = "small_worldness"
    binary = binarise(_symmetric(name, weights))
    length = characteristic_path_length(binary)
    if len(binary) < 4 or not np.isfinite(length):
        raise ValueError(
            f"{name}: a graph of {len(binary)} nodes, mean path length {length}; give four nodes "
            "or more, all of them connected."
        )
    rng = np.random.default_rng(seed)
    closed, far = [], []
    for _ in range(references):
        other = _random_reference(binary, swaps, rng)
        closed.append(transitivity(other))
        far.append(characteristic_path_length(other))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(transitivity(binary) / np.mean(closed) / (length / np.mean(far)))


def _random_reference(binary: np.ndarray, swaps: int, rng: np.random.Generator) -> np.ndarray:
    """A connected graph of the same degrees: two connections at a time exchange their ends."""
    connected = binary > 0
    edges = np.argwhere(np.triu(connected))
    for _ in range(_ROUNDS):
        for one, other in rng.integers(len(edges), size=(swaps * len(edges), 2)):
            (a, b), (c, d) = edges[one], edges[other]
            if rng.random() < 0.5:
                c, d = d, c
            # a-b, c-d become a-d, c-b, unless a node would be its own neighbour or one twice.
            if a == d or b == c or connected[a, d] or connected[c, b]:
                continue
            connected[[a, b, c, d], [b, a, d, c]] = False
            connected[[a, d, c, b], [d, a, b, c]] = True
            edges[one], edges[other] = (a, d), (c, b)
        if np.isfinite(characteristic_path_length(connected.astype(float))):
            return connected.astype(float)
    raise ValueError(
        f"small_worldness: of {_ROUNDS} random graphs with the same degrees none was connected; "
        "give a graph with more connections."
    )


def _square(name: str, weights: Any) -> np.ndarray:
    values = np.array(jax.device_get(weights), float)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 2:
        raise ValueError(
            f"{name}: weights have the shape {values.shape}; give (node, node), two or more."
        )
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        i, j = bad[0]
        raise ValueError(f"{name}: weights[{i}, {j}] is {values[i, j]}; give 0 for no connection.")
    np.fill_diagonal(values, 0.0)
    return values


def _checked(name: str, weights: Any) -> np.ndarray:
    values = _square(name, weights)
    if (values < 0).any():
        i, j = np.argwhere(values < 0)[0]
        raise ValueError(
            f"{name}: weights[{i}, {j}] is {values[i, j]:g}; give none below 0: keep the positive "
            "ones, numpy.maximum(weights, 0), or take magnitudes, abs(weights)."
        )
    return values


def _symmetric(name: str, weights: Any) -> np.ndarray:
    values = _checked(name, weights)
    if not (values == values.T).all():
        i, j = np.argwhere(values != values.T)[0]
        raise ValueError(
            f"{name}: weights[{i}, {j}] is {values[i, j]:g} and weights[{j}, {i}] "
            f"{values[j, i]:g}; give an undirected graph, such as weights + weights.T."
        )
    return values


def _graph(name: str, weights: Any) -> Any:
    values = _checked(name, weights)
    package = networkx(name)
    kind = package.Graph if (values == values.T).all() else package.DiGraph
    return package.from_numpy_array(values.T, create_using=kind)  # its rows are sources


def _of_nodes(found: dict[int, float]) -> np.ndarray:
    return np.array([found[node] for node in range(len(found))], float)


def _labels(name: str, communities: Any, nodes: int) -> np.ndarray:
    labels = np.asarray(communities)
    if labels.shape != (nodes,):
        raise ValueError(
            f"{name}: communities have the shape {labels.shape}; give one number for each of "
            f"{nodes} nodes."
        )
    return labels
