"""Gains by formula, against series, integrals and boundary conditions that do not use them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
from jax.test_util import check_grads

from tvbjax import forward
from tvbjax.forward import Sensors

RADIUS = 90.0
MU_0 = 4e-7 * np.pi


def unit(vectors):
    vectors = np.asarray(vectors, dtype=float)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def named(positions, orientations=None):
    return Sensors([f"s{i}" for i in range(len(positions))], positions, orientations)


def head(seed=0, electrodes=7, sources=12, farthest=0.85):
    """Electrodes on the sphere, dipoles within it."""
    draw = np.random.default_rng(seed)
    places = RADIUS * unit(draw.normal(size=(electrodes, 3)))
    inside = unit(draw.normal(size=(sources, 3))) * draw.uniform(0, farthest, (sources, 1)) * RADIUS
    return named(places), inside, unit(draw.normal(size=(sources, 3)))


def legendre_potential(place, source, moment, radii, conductivities, terms=250):
    """Of one dipole, V: radial and tangential parts by Legendre polynomials; coefficients by
    one linear system for every degree."""
    r0 = np.linalg.norm(source)
    radial = source / r0
    cosine = np.clip(place @ radial / np.linalg.norm(place), -1, 1)
    tangential = moment - (moment @ radial) * radial
    towards = place - (place @ radial) * radial
    n = np.arange(1, terms + 1)
    weights = np.array([surface_weight(k, r0, radii, conductivities) for k in n])
    legendre = np.array([scipy.special.eval_legendre(k, cosine) for k in n])
    lower = np.array([scipy.special.eval_legendre(k - 1, cosine) for k in n])
    slopes = n * (lower - cosine * legendre) / (1 - cosine**2)  # P_n'
    across = tangential @ towards / np.linalg.norm(towards) * np.sqrt(1 - cosine**2)
    # d/dr0 of r0^n, and its derivative around: the weights are those of r0^n.
    return (weights * (moment @ radial * n * legendre + across * slopes)).sum() / (r0 * 1e-3)


def surface_weight(n, r0, radii, conductivities):
    """r0^n's weight in a monopole's potential at the surface (mm -> m): unknown A, B per shell."""
    radii, r0 = np.asarray(radii) * 1e-3, r0 * 1e-3
    R, shells = radii[-1], len(radii)
    x = radii / R
    rows, right = [], []
    # In units of (r0/R)^n / (4 pi sigma_1 R): u = A x^n + B x^-(n+1); B of the first shell is 1.
    for i in range(shells - 1):
        low, high = conductivities[i], conductivities[i + 1]
        value, slope = np.zeros(2 * shells), np.zeros(2 * shells)
        value[2 * i : 2 * i + 4] = [1, 1, -1, -1]
        value[2 * i : 2 * i + 4] *= [x[i] ** n, x[i] ** -(n + 1)] * 2
        slope[2 * i : 2 * i + 4] = [n * low, -(n + 1) * low, -n * high, (n + 1) * high]
        slope[2 * i : 2 * i + 4] *= [x[i] ** n, x[i] ** -(n + 1)] * 2
        rows += [value / x[i] ** -(n + 1), slope / x[i] ** -(n + 1)]
        right += [0, 0]
    last, first = np.zeros(2 * shells), np.zeros(2 * shells)
    last[-2:], first[1] = [n, -(n + 1)], 1
    solved = np.linalg.solve(np.array([*rows, last, first]), np.array([*right, 0, 1]))
    return solved[-2:].sum() * (r0 / R) ** n / (4 * np.pi * conductivities[0] * R)


def series(sensors, positions, orientations, radii, conductivities):
    return np.array(
        [
            [
                legendre_potential(place, source, moment, radii, conductivities)
                for source, moment in zip(positions, orientations, strict=True)
            ]
            for place in sensors.positions
        ]
    )


def test_one_sphere_is_its_legendre_series():
    sensors, positions, orientations = head()
    expected = series(sensors, positions, orientations, [RADIUS], [0.33])
    found = forward.sphere_eeg_gain(sensors, positions, orientations, radius=RADIUS)
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-9, atol=1e-9 * abs(expected).max())
    assert found.unit == "V/(A m)" and found.channels == sensors.labels


@pytest.mark.parametrize(
    "radii, conductivities",
    [
        ([90.0], [0.33]),
        ([80.0, 90.0], [0.3, 0.02]),
        ([78.0, 80.0, 85.0, 90.0], [0.33, 1.79, 0.006, 0.33]),
    ],
)
def test_shells_are_the_solution_of_their_boundary_conditions(radii, conductivities):
    sensors, positions, orientations = head(1, farthest=0.8)
    expected = series(sensors, positions, orientations, radii, conductivities)
    found = forward.shells_eeg_gain(
        sensors, positions, orientations, radii=radii, conductivities=conductivities
    ).matrix
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * abs(expected).max())


def test_shells_of_one_conductivity_are_one_sphere_also_at_the_centre_and_off_the_origin():
    sensors, positions, orientations = head(2)
    positions[0] = 0.0
    centre = np.array([3.0, -8.0, 40.0])
    moved = named(sensors.positions + centre)
    one = forward.sphere_eeg_gain(sensors, positions, orientations, radius=RADIUS).matrix
    shells = forward.shells_eeg_gain(
        moved,
        positions + centre,
        orientations,
        radii=[82.0, 86.0, RADIUS],
        conductivities=[0.33] * 3,
        centre=centre,
    ).matrix
    np.testing.assert_allclose(shells, one, rtol=1e-9, atol=1e-8)
    at_centre = 3 * unit(sensors.positions) @ orientations[0] / (4 * np.pi * 0.33 * 0.09**2)
    np.testing.assert_allclose(one[:, 0], at_centre, rtol=1e-12)


def test_a_sphere_without_end_is_a_half_space_with_twice_the_homogeneous_potential():
    draw = np.random.default_rng(3)
    radius = 1e7
    depth = np.array([[0.0, 0.0, radius]])
    positions = depth - [0, 0, 30.0] + draw.normal(size=(5, 3)) * 5
    orientations = unit(draw.normal(size=(5, 3)))
    electrode = named(depth)
    half = forward.sphere_eeg_gain(electrode, positions, orientations, radius=radius).matrix
    whole = forward.homogeneous_gain(electrode, positions, orientations).matrix
    np.testing.assert_allclose(half, 2 * np.asarray(whole), rtol=1e-4)


def test_a_skull_weakens_and_the_mean_over_the_surface_is_zero():
    nodes, weights = np.polynomial.legendre.leggauss(40)
    angles = 2 * np.pi * np.arange(80) / 80
    ring = np.sqrt(1 - nodes[:, None] ** 2)
    up = np.broadcast_to(nodes[:, None], (40, 80))
    grid = np.stack([ring * np.cos(angles), ring * np.sin(angles), up], -1).reshape(-1, 3)
    share = np.repeat(weights, 80) / weights.sum() / 80
    _, positions, orientations = head(4, farthest=0.6)
    sensors = named(grid * RADIUS)
    bare = forward.sphere_eeg_gain(sensors, positions, orientations, radius=RADIUS).matrix
    skull = forward.shells_eeg_gain(
        sensors,
        positions,
        orientations,
        radii=[80.0, 85.0, 90.0],
        conductivities=[0.33, 0.006, 0.33],
    ).matrix
    for gain in (bare, skull):
        np.testing.assert_allclose(share @ np.asarray(gain), 0, atol=1e-6 * float(abs(gain).max()))
    assert (abs(skull).max(axis=0) < 0.85 * abs(bare).max(axis=0)).all()


def test_a_nanoampere_metre_ten_centimetres_away_gives_a_fortieth_of_a_microvolt():
    sensors = named([[0.0, 0.0, 100.0]])
    gain = forward.homogeneous_gain(sensors, np.zeros((1, 3)), np.array([[0.0, 0.0, 1.0]]))
    assert float(gain.matrix[0, 0]) * 1e-9 == pytest.approx(0.0241144e-6, rel=1e-5)


def test_homogeneous_and_magnetic_gains_are_tvbs_up_to_its_lost_sign():
    """TVB's formulas, in NumPy: Q·a / (4πσ|a|³), and the length of Sarvas's field."""
    sensors, positions, orientations = head(5)
    positions = positions * 0.9
    coils = named(sensors.positions * 1.2, unit(sensors.positions + 20.0))
    found = forward.homogeneous_gain(sensors, positions, orientations, conductivity=1.0).matrix
    apart = (sensors.positions[:, None] - positions[None]) * 1e-3
    distance = np.linalg.norm(apart, axis=-1)
    expected = (apart * orientations).sum(-1) / (4 * np.pi * distance**3)
    np.testing.assert_allclose(found, expected, rtol=1e-12)

    field = np.stack(
        [
            forward.sphere_meg_gain(
                named(coils.positions, np.tile(axis, (len(coils), 1))), positions, orientations
            ).matrix
            for axis in np.eye(3)
        ],
        axis=-1,
    )
    r, r0 = coils.positions[:, None] * 1e-3, positions[None] * 1e-3
    a, lengths = r - r0, np.linalg.norm(r, axis=-1, keepdims=True)
    d = np.linalg.norm(a, axis=-1, keepdims=True)
    along = (a * r).sum(-1, keepdims=True)
    f = d * (d * lengths + lengths**2 - (r0 * r).sum(-1, keepdims=True))
    slope = (d**2 / lengths + along / d + 2 * d + 2 * lengths) * r
    slope = slope - (d + 2 * lengths + along / d) * r0
    turned = np.cross(orientations, r0[0])[None]
    b = MU_0 / (4 * np.pi * f**2) * (f * turned - (turned * r).sum(-1, keepdims=True) * slope)
    np.testing.assert_allclose(
        np.linalg.norm(field, axis=-1), np.linalg.norm(b, axis=-1), rtol=1e-10
    )
    signed = forward.sphere_meg_gain(coils, positions, orientations).matrix
    assert coils.orientations is not None
    np.testing.assert_allclose(signed, np.einsum("sqk,sk->sq", b, coils.orientations), rtol=1e-9)
    assert (np.asarray(signed) < 0).any()


def biot_savart(place, source, moment):
    apart = place - source
    return MU_0 / (4 * np.pi) * np.cross(moment, apart) / np.linalg.norm(apart) ** 3


def test_radial_coils_see_the_primary_current_alone_and_radial_dipoles_are_silent():
    sensors, positions, orientations = head(6)
    places = sensors.positions * 1.2
    found = forward.sphere_meg_gain(named(places, places), positions, orientations).matrix
    expected = [
        [
            biot_savart(p * 1e-3, s * 1e-3, q) @ unit(p)
            for s, q in zip(positions, orientations, strict=True)
        ]
        for p in places
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-16)
    askew = named(places, unit(np.random.default_rng(0).normal(size=places.shape)))
    silent = forward.sphere_meg_gain(askew, positions, unit(positions)).matrix
    assert abs(silent).max() < 1e-12 and abs(found).max() > 1e-7


def test_the_magnetic_field_is_that_of_dipole_and_volume_currents():
    """Geselowitz's integral over the sphere, of the potential that sphere_eeg_gain gives there: the
    electric and the magnetic formula check each other, in all directions."""
    _, positions, orientations = head(7, sources=3, farthest=0.6)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    angles = 2 * np.pi * (np.arange(120) + 0.5) / 120
    ring = np.sqrt(1 - nodes[:, None] ** 2)
    up = np.broadcast_to(nodes[:, None], (60, 120))
    normals = np.stack([ring * np.cos(angles), ring * np.sin(angles), up], -1).reshape(-1, 3)
    areas = np.repeat(weights, 120) * 2 * np.pi / 120 * 0.09**2
    sigma = 0.33
    potential = forward.sphere_eeg_gain(
        named(normals * RADIUS), positions, orientations, radius=RADIUS, conductivity=sigma
    ).matrix
    place = np.array([40.0, 70.0, 85.0])
    apart = place * 1e-3 - normals * 0.09
    kernel = np.cross(normals, apart) / np.linalg.norm(apart, axis=1, keepdims=True) ** 3
    volume = -MU_0 * sigma / (4 * np.pi) * (np.asarray(potential).T * areas) @ kernel
    primary = [
        biot_savart(place * 1e-3, s * 1e-3, q) for s, q in zip(positions, orientations, strict=True)
    ]
    coils = named(np.tile(place, (3, 1)), np.eye(3))
    found = forward.sphere_meg_gain(coils, positions, orientations).matrix
    np.testing.assert_allclose(found.T, primary + volume, rtol=1e-6, atol=1e-13)
    assert abs(volume).max() > 0.05 * abs(np.array(primary)).max()


def test_a_contact_measures_the_mean_over_its_ball():
    """Within the ball, on it and outside it, by quadrature over shells of the ball."""
    contact, moment = 0.6, unit([0.3, -0.2, 0.9])
    direction = unit([1.0, 2.0, -0.5])
    distances = np.array([0.0, 0.2, 0.45, 0.6, 0.9, 5.0])
    positions = -distances[:, None] * direction
    found = forward.homogeneous_gain(
        named(np.zeros((1, 3))), positions, np.tile(moment, (6, 1)), contact=contact
    ).matrix[0]

    def attraction(d):  # of a ball of 3/(4 pi a^3) per volume, by shells: those within d count
        within = scipy.integrate.quad(lambda s: 3 * s**2 / contact**3, 0, min(d, contact))[0]
        return within / max(d, 1e-12) ** 2

    expected = [attraction(d) * (moment @ direction) for d in distances]
    expected = np.array(expected) * 1e6 / (4 * np.pi * 0.33)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_gains_are_differentiable_in_all_they_are_made_of():
    sensors, positions, orientations = head(8, 3, 4, 0.7)
    coils = named(sensors.positions * 1.3, sensors.positions + 30.0)
    shells = (jnp.array([80.0, 85.0, 90.0]), jnp.array([0.33, 0.01, 0.33]))

    def scaled(make, scale):
        def gain(positions, orientations, *more):
            return make(positions * 90.0, orientations, *more).matrix / scale

        return gain

    cases = [
        (lambda p, q, s: forward.homogeneous_gain(sensors, p, q, conductivity=s), 100.0, (0.33,)),
        (
            lambda p, q, s, r: forward.sphere_eeg_gain(
                sensors, p, q, conductivity=s, radius=90 * r
            ),
            100.0,
            (0.33, 1.0),
        ),
        (
            lambda p, q, r, s: forward.shells_eeg_gain(
                sensors, p, q, radii=r * 90, conductivities=s, terms=60
            ),
            100.0,
            (shells[0] / 90, shells[1]),
        ),
        (
            lambda p, q, c: forward.sphere_meg_gain(coils, p, q, centre=c * 90),
            1e-6,
            (np.ones(3) / 90,),
        ),
    ]
    for make, scale, more in cases:
        arguments = (
            jnp.asarray(positions) / 90,
            jnp.asarray(orientations),
            *map(jnp.asarray, more),
        )
        gain = jax.jit(scaled(make, scale))
        check_grads(gain, arguments, order=1, modes=["fwd", "rev"], rtol=1e-5, eps=1e-5)


def test_the_gradient_is_finite_at_the_centre_of_the_head_and_within_a_contact():
    sensors, _, _ = head(9)
    at, along = jnp.zeros((1, 3)), jnp.array([[0.0, 0.0, 1.0]])
    for make in (
        lambda p: forward.homogeneous_gain(named(np.zeros((1, 3))), p, along),
        lambda p: forward.sphere_eeg_gain(sensors, p, along, radius=RADIUS),
        lambda p: forward.shells_eeg_gain(
            sensors, p, along, radii=[80.0, 90.0], conductivities=[0.3, 0.1]
        ),
        lambda p: forward.sphere_meg_gain(named(sensors.positions, sensors.positions), p, along),
    ):
        assert np.isfinite(jax.jacfwd(lambda p, make=make: make(p).matrix)(at)).all()


def test_float32_suffices():
    sensors, positions, orientations = head(10, farthest=0.98)
    coils = named(sensors.positions * 1.2, sensors.positions + 30.0)

    def all_of():
        return [
            forward.homogeneous_gain(sensors, positions, orientations).matrix,
            forward.sphere_eeg_gain(sensors, positions, orientations, radius=RADIUS).matrix,
            forward.shells_eeg_gain(
                sensors,
                positions * 0.8,
                orientations,
                radii=[80.0, 85.0, 90.0],
                conductivities=[0.33, 0.006, 0.33],
            ).matrix,
            forward.sphere_meg_gain(coils, positions, orientations).matrix,
        ]

    exact = all_of()
    with jax.enable_x64(False):
        single = all_of()
    for one, other in zip(single, exact, strict=True):
        assert one.dtype == jnp.float32
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5 * float(abs(other).max()))


def test_what_no_formula_covers_is_refused():
    sensors, positions, orientations = head(11)
    far = positions.copy()
    far[3] = [0, 0, 91.0]
    with pytest.raises(ValueError, match=r"1 of 12 dipoles lie outside .* source 3;"):
        forward.sphere_eeg_gain(sensors, far, orientations, radius=RADIUS)
    with pytest.raises(ValueError, match=r"innermost.* source"):
        forward.shells_eeg_gain(
            sensors, far, orientations, radii=[85.0, 90.0], conductivities=[1.0, 1.0]
        )
    with pytest.raises(ValueError, match="radii must grow"):
        forward.shells_eeg_gain(
            sensors, positions, orientations, radii=[90.0, 85.0], conductivities=[1.0, 1.0]
        )
    with pytest.raises(ValueError, match=r"radii of the shape \(2,\).*one of each"):
        forward.shells_eeg_gain(
            sensors, positions, orientations, radii=[80.0, 90.0], conductivities=[1.0]
        )
    with pytest.raises(ValueError, match="at the sphere's centre"):
        forward.sphere_eeg_gain(named(np.zeros((1, 3))), positions, orientations, radius=RADIUS)
    with pytest.raises(ValueError, match="no orientations"):
        forward.sphere_meg_gain(sensors, positions, orientations)
    blind = np.eye(7, 3) * [1, 1, 0]
    with pytest.raises(ValueError, match="5 sensors, the first 's2', have the orientation 0"):
        forward.sphere_meg_gain(named(sensors.positions, blind), positions, orientations)
    with pytest.raises(ValueError, match="as far from the centre as the nearest coil"):
        forward.sphere_meg_gain(named(sensors.positions, sensors.positions), far, orientations)
    with pytest.raises(ValueError, match="conductivity is not positive"):
        forward.homogeneous_gain(sensors, positions, orientations, conductivity=0.0)
    for radius in (-90.0, 0.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"radius is not positive and finite .it is {radius}"):
            forward.sphere_eeg_gain(sensors, positions, orientations, radius=radius)
    for radii in ([-80.0, 90.0], [80.0, np.nan], [80.0, np.inf]):
        with pytest.raises(ValueError, match=r"radii must grow from the inside.*it is \["):
            forward.shells_eeg_gain(
                sensors, positions, orientations, radii=radii, conductivities=[1.0, 1.0]
            )
    coils = named(sensors.positions, sensors.positions)
    with pytest.raises(ValueError, match="centre is not finite"):
        forward.sphere_meg_gain(coils, positions, orientations, centre=(0.0, np.nan, 0.0))
    positions[2, 1] = np.nan
    with pytest.raises(ValueError, match="positions of 1 sources, the first 2, are not finite"):
        forward.homogeneous_gain(sensors, positions, orientations)
    with pytest.raises(RuntimeError, match="dipoles lie outside"):
        jax.jit(lambda p: forward.sphere_eeg_gain(sensors, p, orientations, radius=RADIUS).matrix)(
            far
        ).block_until_ready()


def test_positions_without_orientations_are_refused(without_type_checks):
    sensors, positions, orientations = head(12)
    with pytest.raises(ValueError, match=r"positions \(12, 3\) and orientations \(4, 3\) differ"):
        forward.homogeneous_gain(sensors, positions, orientations[:4])
