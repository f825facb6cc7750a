"""Neural fields on a surface: TVB's run, dense products, and the laws that averages obey."""

import importlib.util
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from jax.test_util import check_grads

import tvbjax
from meshes import sphere
from networks import linear_model, ring_connectome
from reference import cases
from tvbjax import coupling, datasets, equations, integrators, lems, monitors, noise, surface
from tvbjax.equations import DoubleGaussian, Gaussian
from tvbjax.surface import Cortex, Surface, local_connectivity, local_kernel

needs_tvb_data = pytest.mark.skipif(
    importlib.util.find_spec("tvb_data") is None, reason="tvb-data is not installed"
)


@needs_tvb_data
def test_a_surface_simulation_is_tvbs():
    """16,384 vertices, 10 ms: to rounding where TVB's history is float64; its own differs by less
    than float32 does."""
    stored, case = cases.stored("tvb_surface"), cases.SURFACE
    connectome = datasets.connectome("tvb76", speed=case.speed)
    spec = importlib.util.find_spec("tvb_data.local_connectivity")
    assert spec is not None and spec.origin is not None
    file = Path(spec.origin).parent / "local_connectivity_16384.mat"
    cortex = Cortex(
        datasets.surface(),
        datasets.region_mapping("tvb76"),
        connectome.regions,
        local_connectivity(scipy.io.loadmat(file)["LocalCoupling"]),
        coupling.Linear(a=cases.LOCAL),
    )
    simulator = tvbjax.Simulator(
        lems.load("Generic2dOscillator"),
        connectome,
        coupling.Linear(**cases.LINEAR),
        integrators.Heun(dt=case.dt),
        monitors=(
            monitors.SubSample(1.0, variables=("V", "W")),
            monitors.GlobalAverage(monitors.SubSample(1.0, variables=("V", "W"))),
        ),
        cortex=cortex,
    )
    result = tvbjax.simulate(simulator, 10.0, initial=cases.vertices(simulator.nodes))
    states = result.samples["subsample"].values[:, :, :: cases.KEPT_VERTICES]
    np.testing.assert_allclose(states, stored["states"], rtol=0, atol=1e-10)
    means = result["global_average"].values[..., 0]
    np.testing.assert_allclose(means, stored["means"], rtol=0, atol=1e-11)
    assert stored["stock_difference"] < 1e-5
    assert result["subsample"].dims == ("time", "variable", "vertex")


SPHERE = sphere()
MAPPING = (SPHERE.vertices[:, 0] > 0).astype(int) + 2 * (SPHERE.vertices[:, 2] > 0)


def connectome() -> tvbjax.Connectome:
    """Five regions with delays, the last without vertices."""
    made = ring_connectome()
    return tvbjax.Connectome(
        made.weights, made.tract_lengths, made.speed, cortical=[True] * 4 + [False]
    )


def field(tmp_path, *, matrix=None, rule=None, **changes):
    """x' = -x + c on the sphere and one region without vertices."""
    network = connectome()
    local = None if matrix is None else local_connectivity(matrix)
    arguments: dict[str, Any] = dict(
        model=linear_model(tmp_path),
        connectome=network,
        coupling=coupling.Linear(a=0.3, b=0.05),
        integrator=integrators.Heun(dt=0.1),
        monitors=monitors.Raw(),
        cortex=Cortex(SPHERE, MAPPING, network.regions, local, rule),
    )
    return tvbjax.Simulator(**(arguments | changes))


def weights(count=66, seed=0):
    draw = np.random.default_rng(seed)
    dense = draw.normal(size=(count, count)) * (draw.random((count, count)) < 0.1)
    dense[3, : count // 2] = 0.01  # one row that is far longer than the others
    return dense


@pytest.mark.parametrize("block", [1, 8])
def test_nodes_hear_their_region_and_their_neighbours(tmp_path, block):
    """Against a plain loop over steps with dense matrices, Heun's stages and all delays."""
    local = 0.1 * weights()
    simulator = field(tmp_path, matrix=local, rule=coupling.Linear(a=0.5, b=0.2), block=block)
    start = np.random.default_rng(1).uniform(0, 1, (1, 67))
    found = tvbjax.simulate(simulator, 8.0, initial=start)["raw"].values[:, 0]
    network = simulator.connectome
    nodes = np.append(MAPPING, 4)
    delays = np.rint(np.asarray(network.tract_lengths) / float(network.speed) / 0.1).astype(int)
    averages = np.array([(nodes == r) / (nodes == r).sum() for r in range(5)])
    whole = np.zeros((67, 67))
    whole[:66, :66] = local
    x, sent = start[0], [averages @ start[0]]
    for step in range(80):
        arrived = np.array(
            [
                sum(network.weights[i, j] * sent[max(0, step - delays[i, j])][j] for j in range(5))
                for i in range(5)
            ]
        )
        far = (0.3 * arrived + 0.05)[nodes]

        def slope(x, far=far):
            return far + 0.5 * whole @ x + 0.2 - x

        k1 = slope(x)
        x = x + 0.05 * (k1 + slope(x + 0.1 * k1))
        sent.append(averages @ x)
        np.testing.assert_allclose(found[step], x, rtol=1e-10, atol=1e-12)


def test_vertices_alike_are_their_regions_network(tmp_path):
    """Where all vertices of a region begin alike and hear no neighbours, the field is the network;
    noise, and regional parameters too."""
    plain = tvbjax.Simulator(
        linear_model(tmp_path),
        connectome(),
        coupling.Linear(a=0.3, b=0.05),
        integrators.Heun(dt=0.1),
        monitors=monitors.Raw(),
    )
    start = np.random.default_rng(2).uniform(0, 1, (1, 5))
    expected = tvbjax.simulate(plain, 10.0, initial=start)["raw"]
    simulator = field(tmp_path)
    assert simulator.nodes == 67 and simulator.regions == 5
    assert "67 nodes of a surface, 5 regions" in str(tvbjax.explain(simulator, duration=10.0))
    found = tvbjax.simulate(simulator, 10.0, initial=start)["raw"]
    assert found.vertex.values[[0, 65, 66]].tolist() == ["0", "65", "region_4"]
    np.testing.assert_allclose(found.values, expected.values[..., np.append(MAPPING, 4)])
    assert simulator.cortex is not None
    regions = monitors.SpatialAverage(monitors.Raw(), np.asarray(simulator.cortex.region_of))
    averages = tvbjax.simulate(field(tmp_path, monitors=regions), 10.0, initial=start)
    np.testing.assert_allclose(averages["spatial_average"].values, expected.values)


@pytest.mark.slow
def test_members_and_continued_runs_are_single_runs(tmp_path):
    simulator = field(tmp_path, matrix=0.1 * weights(), noise=noise.Additive(0.01))
    strength = tvbjax.Free(lambda s: s.cortex.coupling.a)
    keys = jax.random.split(jax.random.key(0), 2)
    swept = tvbjax.sweep(
        simulator, {strength: [0.1, 0.4]}, 6.0, key=tvbjax.PerMember(keys), progress=False
    )
    for number, a in enumerate([0.1, 0.4]):
        alone = strength.replace(simulator, jnp.asarray(a))
        whole = tvbjax.simulate(alone, 6.0, key=keys[number])
        np.testing.assert_allclose(swept.raw[number], whole["raw"], rtol=1e-9, atol=1e-12)
        first = tvbjax.simulate(alone, 2.3, key=keys[number])
        second = tvbjax.simulate(alone, 3.7, initial=first, key=keys[number])
        np.testing.assert_allclose(
            tvbjax.join(first, second)["raw"], whole["raw"], rtol=1e-9, atol=1e-12
        )


@pytest.mark.slow
def test_a_field_is_differentiable_in_its_kernel(tmp_path):
    """Through the balanced weights of a kernel of distance, local and long-range coupling."""
    distances = surface.edge_distances(SPHERE, 1.0)
    simulator = field(tmp_path, matrix=np.zeros((66, 66)))
    start = jnp.asarray(np.random.default_rng(3).uniform(0, 1, (1, 67)))

    def power(sigma, gain):
        local = local_kernel(distances, Gaussian(sigma=sigma))
        changed = tvbjax.Simulator(
            simulator.model,
            simulator.connectome,
            simulator.coupling,
            simulator.integrator,
            monitors=monitors.Raw(),
            cortex=Cortex(
                SPHERE, MAPPING, simulator.connectome.regions, local, coupling.Linear(a=gain)
            ),
        )
        run = tvbjax.simulate(changed, 2.0, initial=start, progress=False)
        return jnp.mean(run.samples["raw"].values ** 2)

    check_grads(power, (jnp.asarray(0.4), jnp.asarray(0.02)), order=1, modes=("rev",), rtol=1e-4)


def test_local_connectivity_is_its_matrix():
    dense = weights()
    local = local_connectivity(dense)
    assert len(local.targets)  # the long row does not fit
    np.testing.assert_allclose(local.matrix().toarray(), dense)
    values = np.random.default_rng(4).normal(size=66)
    np.testing.assert_allclose(local(jnp.asarray(values)), dense @ values, atol=1e-12)
    wide = np.random.default_rng(5).normal(size=(66, 66))  # more slots than are written out
    np.testing.assert_allclose(local_connectivity(wide)(jnp.asarray(values)), wide @ values)


def test_kernels_are_balanced_as_tvb_does():
    distances = surface.edge_distances(SPHERE, 1.2)
    kernel = DoubleGaussian(2.0, 0.5, 0.0, 1.0, 0.9, 0.0)
    found = local_kernel(distances, kernel).matrix().toarray()
    plain = np.asarray(distances.todense(), dtype=float)
    there = plain > 0
    plain = np.where(there, 2 * np.exp(-(plain**2) / 0.5) - np.exp(-(plain**2) / 1.62), 0.0)
    for sign in (1, -1):
        part, ours = np.where(sign * plain > 0, plain, 0.0), np.where(sign * found > 0, found, 0.0)
        expected = part * (part.sum(axis=1).mean() / part.sum(axis=1))[:, None]
        np.testing.assert_allclose(ours, expected, rtol=1e-10)
    with pytest.raises(ValueError, match="too coarse for the kernel"):
        local_kernel(distances, DoubleGaussian(1.0, 0.1, 0.4, 1.0, 0.1, 1.9))


def test_neighbours_average_to_what_tvb_ships():
    """On TVB's cortex: the matrix that tvb-data has is the mean of adjacent vertices."""
    spec = importlib.util.find_spec("tvb_data.local_connectivity")
    if spec is None or spec.origin is None:
        pytest.skip("tvb-data is not installed")
    file = Path(spec.origin).parent / "local_connectivity_16384.mat"
    theirs = scipy.io.loadmat(file)["LocalCoupling"].tocsr()
    ours = surface.neighbour_average(datasets.surface()).matrix()
    assert abs(theirs - ours).max() < 1e-6


def great_circle(surface: Surface) -> np.ndarray:
    return np.arccos(np.clip(surface.vertices @ surface.vertices.T, -1, 1))


def test_distances_along_a_sphere():
    """Geodesics of a mesh are a little shorter than arcs, ways along edges longer than those."""
    pytest.importorskip("pygeodesic")
    ball = sphere(3)
    arcs = great_circle(ball)
    exact = surface.geodesic_distances(ball, 1.0)
    edges = surface.edge_distances(ball, 1.0)
    rows, columns = exact.nonzero()
    found = np.asarray(exact[rows, columns]).ravel()
    assert (exact != exact.T).nnz == 0 or abs(exact - exact.T).max() < 1e-9
    assert (found < 1.0).all() and (found > 0.97 * arcs[rows, columns]).all()
    assert (found < 1.001 * arcs[rows, columns]).all()
    both = edges.nonzero()
    longer = np.asarray(edges[both]).ravel() / np.asarray(exact[both]).ravel()
    assert (longer > 1 - 1e-9).all() and (longer < 1.42).all()
    within = (arcs < 0.95) & ~np.eye(len(arcs), dtype=bool)
    assert (np.asarray(exact.todense())[within] > 0).all()


def test_distances_are_the_whole_meshs_where_only_a_patch_is_looked_at():
    geodesic = pytest.importorskip("pygeodesic.geodesic")
    ball = sphere(3)
    stretched = Surface(ball.vertices * [1.0, 1.4, 0.7], ball.triangles)
    solver = geodesic.PyGeodesicAlgorithmExact(stretched.vertices, stretched.triangles)
    found = surface.geodesic_distances(stretched, 0.6).toarray()
    for vertex in range(0, len(stretched), 29):
        whole, _ = solver.geodesicDistances(np.array([vertex]), None)
        near = (whole < 0.6) & (whole > 0)
        np.testing.assert_allclose(found[vertex][near], whole[near], rtol=1e-9)
        assert (found[vertex][~near] == 0).all()


class Broken(equations.AbstractEquation):
    """NaN beyond 1 mm."""

    def __call__(self, x):
        return jnp.where(x > 1.0, jnp.nan, 1.0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Cortex(SPHERE, MAPPING[:-1], connectome().regions), "the surface 66 vertices"),
        (lambda: Cortex(SPHERE, MAPPING + 3, connectome().regions), "vertex .* is in region 5"),
        (lambda: Cortex(SPHERE, MAPPING * 0, connectome().regions), "no vertex is in the cortical"),
        (
            lambda: Cortex(SPHERE, MAPPING, connectome().regions, local_connectivity(np.eye(5))),
            "for 5 vertices, and the surface has 66",
        ),
        (
            lambda: Cortex(SPHERE, MAPPING, connectome().regions, None, coupling.Linear()),
            "no local connectivity",
        ),
        (lambda: local_connectivity(np.ones((2, 3))), "give a square one"),
        (lambda: local_connectivity([[1.0, np.nan], [0.0, 1.0]]), "a weight to vertex 0 is NaN"),
        (lambda: surface.edge_distances(SPHERE, -1.0), "give a positive length"),
        (
            lambda: local_kernel(surface.edge_distances(SPHERE, 1.0), Gaussian(sigma=0.01)),
            "next to nothing at all distances",
        ),
        (lambda: local_kernel(surface.edge_distances(SPHERE, 0.01), Gaussian()), "none, or NaN"),
        (
            lambda: Cortex(SPHERE, MAPPING, connectome().regions).to_nodes(np.ones(4)),
            "one for each of the 5 regions",
        ),
        (
            lambda: Cortex(SPHERE, MAPPING, connectome().regions).of_vertices(np.ones(5)),
            "one for each of the 66 vertices",
        ),
        (
            lambda: Cortex(
                SPHERE, MAPPING, connectome().regions, neighbours(), coupling.Linear(a=np.ones(5))
            ),
            r"'a' of the coupling Linear has the shape .5,.; .* cortex.to_nodes\(values\)",
        ),
        (
            lambda: Cortex(
                SPHERE, MAPPING, connectome().regions, neighbours(), coupling.Linear(a=np.nan)
            ),
            "'a' of the coupling Linear is nan; give finite",
        ),
        (
            lambda: local_kernel(-surface.edge_distances(SPHERE, 3.0), Gaussian()),
            "a distance is -.* mm",
        ),
        (
            lambda: local_kernel(
                surface.edge_distances(SPHERE, 3.0),
                Broken(),
            ),
            r"the kernel is nan at a distance of 1\..* mm",
        ),
    ],
)
def test_what_does_not_fit_is_told(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_what_is_no_kernel_is_told(without_type_checks):
    distances = surface.edge_distances(SPHERE, 3.0)
    with pytest.raises(TypeError, match="kernel is the class Gaussian; give an instance"):
        local_kernel(distances, Gaussian)  # type: ignore


@pytest.mark.parametrize(
    ("local", "rule", "says"),
    [
        (np.eye(66), None, r"local is of the type ndarray; .*local_connectivity\(matrix\)"),
        (None, "Linear", r"coupling is 'Linear'; give a rule such as"),
        (None, coupling.Linear, r"coupling is <class .*Linear.*; give a rule such as"),
        (None, {"c_0": 0.3}, r"coupling is {'c_0': 0.3}; give .* by input"),
    ],
)
def test_what_a_cortex_is_not_made_of_is_told(without_type_checks, local, rule, says):
    with pytest.raises(TypeError, match=says):
        Cortex(SPHERE, MAPPING, connectome().regions, local, rule)
    with pytest.raises(TypeError, match="give a tvbjax.surface.Surface"):
        Cortex("cortex", MAPPING, connectome().regions)  # type: ignore


def neighbours():
    return surface.neighbour_average(SPHERE)


def test_what_does_not_fit_a_simulator_is_told(tmp_path):
    other = tvbjax.Connectome(np.ones((4, 4)), labels=list("abcd"))
    with pytest.raises(ValueError, match="with other labels; give Cortex"):
        field(tmp_path, cortex=Cortex(SPHERE, MAPPING, other.regions))
    with pytest.raises(ValueError, match="names 'c_0', which is no input of Decay"):
        field(tmp_path, matrix=weights(), rule={"c_0": coupling.Linear()})
    with pytest.raises(ValueError, match="neighbours are summed"):
        field(tmp_path, matrix=weights(), rule=coupling.Instant(coupling.Linear()))
    with pytest.raises(ValueError, match="give .1, 67. .state variable, vertex."):
        tvbjax.simulate(field(tmp_path), 1.0, initial=np.ones((1, 12)))


def test_negligible_weights_are_left_out():
    distances = surface.edge_distances(SPHERE, 3.0)
    every = local_kernel(distances, Gaussian(sigma=0.15), negligible=0.0)
    few = local_kernel(distances, Gaussian(sigma=0.15))
    assert few.matrix().nnz < 0.5 * every.matrix().nnz
    values = jnp.asarray(np.random.default_rng(6).uniform(size=66))
    np.testing.assert_allclose(few(values), every(values), rtol=1e-6)


def test_a_stimulus_spreads_around_a_vertex(tmp_path):
    """The pattern falls with the distance, is not in the node beside, and drives the field."""
    pattern = surface.focal_pattern(SPHERE, [5, 12], Gaussian(sigma=0.4))
    distances = surface.edge_distances(SPHERE, 10.0).toarray()
    expected = np.exp(-(distances[[5, 12]] ** 2) / 0.32).sum(axis=0)
    np.testing.assert_allclose(pattern, expected, rtol=1e-10)
    cortex = field(tmp_path).cortex
    assert cortex is not None
    nodes = cortex.of_vertices(pattern)
    assert nodes.shape == (67,) and nodes[66] == 0
    stimulus = tvbjax.Stimulus(equations.Linear(0.0, 1.0), nodes, "x")
    still = coupling.Linear(a=0.0)
    simulator = field(tmp_path, coupling=still, stimulus=stimulus)
    run = tvbjax.simulate(simulator, 60.0, initial=np.zeros((1, 67)))
    np.testing.assert_allclose(run["raw"].values[-1, 0], nodes, atol=1e-10)
    with pytest.raises(ValueError, match="give numbers from 0 to 65"):
        surface.focal_pattern(SPHERE, [66], Gaussian())


@needs_tvb_data
def test_a_pattern_stays_in_its_hemisphere():
    cortex = datasets.surface()
    pattern = np.asarray(surface.focal_pattern(cortex, [100], Gaussian(sigma=20.0, offset=0.1)))
    side = cortex.components[100]
    assert (pattern[cortex.components == side] > 0).all()
    assert (pattern[cortex.components != side] == 0).all()


@needs_tvb_data
def test_eeg_of_a_surface_is_the_gain_times_the_vertices_mean():
    with pytest.warns(UserWarning, match="IO1, IO2"):
        gain = datasets.gain("eeg65")
    connectome = datasets.connectome("tvb76")
    watch = (
        monitors.TemporalAverage(1.0),
        monitors.Projection(monitors.TemporalAverage(1.0), gain.average_reference(), name="eeg"),
    )
    simulator = tvbjax.Simulator(
        lems.load("Generic2dOscillator"),
        connectome,
        coupling.Linear(a=0.01),
        integrators.Heun(dt=0.1),
        monitors=watch,
        cortex=Cortex(datasets.surface(), datasets.region_mapping("tvb76"), connectome.regions),
    )
    state = np.random.default_rng(0).normal(size=(2, 16384))
    result = tvbjax.simulate(simulator, 2.0, initial=state)
    means = result["temporal_average"].values[:, 0]
    matrix = np.asarray(gain.matrix)
    expected = means @ (matrix - matrix.mean(axis=0)).T
    assert result["eeg"].sizes["channel"] == 63
    np.testing.assert_allclose(result["eeg"].values[:, 0], expected, rtol=1e-8, atol=1e-9)
