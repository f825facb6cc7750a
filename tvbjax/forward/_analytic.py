"""Gains by formula: of current dipoles in a medium without end, and in a head that is a sphere.

Pure functions of positions and orientations, differentiable in all of them and in conductivities
and radii. Everything is computed in m; nothing here knows meshes.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from tvbjax.arrays import as_floats, is_traced, matmul
from tvbjax.forward._dipoles import refused, some
from tvbjax.forward._gain import Gain
from tvbjax.forward._sensors import Sensors, check_sensors

Vectors = Float[Array, "source 3"] | Float[np.ndarray, "source 3"]
Place = Float[Array, " 3"] | Float[np.ndarray, " 3"] | Sequence[float]
Number = Float[Array, ""] | Float[np.ndarray, ""] | float | int

_METRE = 1e-3  # of what is given in mm
_MU_0 = 4e-7 * np.pi  # T m / A


def homogeneous_gain(
    sensors: Sensors,
    positions: Vectors,
    orientations: Vectors,
    *,
    conductivity: Number = 0.33,
    contact: Number = 0.6,
) -> Gain:
    """Potentials in a homogeneous medium without end, e.g. at the contacts of SEEG: V/(A m).

    V = q·(r - r0) / (4 π σ |r - r0|³) for a dipole q at r0. `positions`: of the dipoles, mm.
    `orientations`: unit vectors; the gain is linear in them. `conductivity`: σ in S/m. `contact`:
    the radius in mm, > 0, of the ball over which a contact measures the mean; by default that of a
    cylinder of 0.8 mm across and 2 mm length. For dipoles outside it the mean is the formula
    itself; for one inside it is q·(r - r0) / (4 π σ contact³), finite wherever the dipole is.
    """
    positions, orientations = _dipoles("homogeneous_gain", sensors, positions, orientations)
    sigma = _positive("homogeneous_gain", "conductivity", as_floats(conductivity))
    ball = _positive("homogeneous_gain", "contact", as_floats(contact)) * _METRE

    def one(place, position, moment):
        apart = place - position
        squared = jnp.maximum(matmul(apart, apart), ball**2)
        return matmul(moment, apart) / (4.0 * np.pi * sigma * squared**1.5)

    places = as_floats(sensors.positions) * _METRE
    return Gain(_all(one, places, positions, orientations), sensors.labels, "V/(A m)")


def sphere_eeg_gain(
    sensors: Sensors,
    positions: Vectors,
    orientations: Vectors,
    *,
    radius: Number,
    centre: Place = (0.0, 0.0, 0.0),
    conductivity: Number = 0.33,
) -> Gain:
    """Potentials on a homogeneous conducting sphere, in closed form: V/(A m).

    V = q·∇φ with φ(r0) = [2/d + ln(2 R² / (R² - r·r0 + R d)) / R] / (4 π σ), d = |r - r0|, from the
    centre; zero on average over the sphere. Brody, Terry & Ideker (1973), IEEE Trans. Biomed. Eng.
    20:141. `positions`: of the dipoles, mm; `orientations`: unit vectors; the gain is linear in
    them. `radius`, `centre`: of the sphere, mm (`fitted_sphere` finds them). `conductivity`: S/m.
    Electrodes count as where the ray to them from the centre leaves the sphere.

    Raises ValueError for a dipole outside the sphere and for an electrode at its centre.
    """
    name = "sphere_eeg_gain"
    positions, orientations = _dipoles(name, sensors, positions, orientations)
    middle = _centre(name, centre)
    extent = _positive(name, "radius", as_floats(radius))
    sigma = _positive(name, "conductivity", as_floats(conductivity))
    positions = _inside(name, positions - middle[None] * _METRE, extent * _METRE)
    directions = _directions(name, sensors, middle)
    size = extent * _METRE

    def one(direction, position, moment):
        place = size * direction
        apart = place - position
        distance = jnp.sqrt(matmul(apart, apart))
        # r·(r - r0) is R² - r·r0 without its rounding, where a dipole is close to the electrode.
        denominator = matmul(place, apart) + size * distance
        slope = 2.0 * apart / distance**3 + (direction + apart / distance) / denominator
        return matmul(moment, slope) / (4.0 * np.pi * sigma)

    return Gain(_all(one, directions, positions, orientations), sensors.labels, "V/(A m)")


def shells_eeg_gain(
    sensors: Sensors,
    positions: Vectors,
    orientations: Vectors,
    *,
    radii: Sequence[float] | Float[Array, " shell"] | Float[np.ndarray, " shell"],
    conductivities: Sequence[float] | Float[Array, " shell"] | Float[np.ndarray, " shell"],
    centre: Place = (0.0, 0.0, 0.0),
    terms: int = 150,
) -> Gain:
    """Potentials on a head of concentric shells, e.g. brain, skull and skin: V/(A m).

    A series of Legendre polynomials whose coefficients match potential and current at every
    boundary, e.g. de Munck & Peters (1993), IEEE Trans. Biomed. Eng. 40:1166. `radii`: where the
    shells end, from inside, mm; `conductivities`: S/m. `terms`: of the series; what is left out
    falls as (|r0| / outermost radius)^terms, so that 150 suffice (1e-7) up to 0.9 of it. The rest
    is as for `sphere_eeg_gain`, which is the closed form for one shell.

    Raises ValueError for a dipole outside the innermost shell, radii that do not grow, and numbers
    of radii and conductivities that differ.
    """
    name = "shells_eeg_gain"
    positions, orientations = _dipoles(name, sensors, positions, orientations)
    ends, sigmas, middle = as_floats(radii), as_floats(conductivities), _centre(name, centre)
    if ends.shape != sigmas.shape or ends.ndim != 1 or not len(ends) or terms < 1:
        raise ValueError(
            f"{name}: there are radii of the shape {ends.shape}, conductivities of the shape "
            f"{sigmas.shape} and {terms} terms; give one of each for a shell, and terms >= 1."
        )
    sigmas = _positive(name, "a conductivity", sigmas)
    message = f"{name}: radii must grow from the inside, above 0 mm{_known(ends)}."
    ends = refused(ends, some(~((jnp.diff(ends, prepend=0.0) > 0) & jnp.isfinite(ends))), message)
    positions = _inside(name, positions - middle[None] * _METRE, ends[0] * _METRE)
    weights = _weights(ends / ends[-1], sigmas, terms)
    scale = 4.0 * np.pi * sigmas[0] * (ends[-1] * _METRE) ** 2

    def one(direction, position, moment):
        def potential(place):
            return _legendre_sum(weights, matmul(direction, place), matmul(place, place))

        relative = position / (ends[-1] * _METRE)
        return jax.jvp(potential, (relative,), (moment,))[1] / scale

    directions = _directions(name, sensors, middle)
    return Gain(_all(one, directions, positions, orientations), sensors.labels, "V/(A m)")


def sphere_meg_gain(
    sensors: Sensors,
    positions: Vectors,
    orientations: Vectors,
    *,
    centre: Place = (0.0, 0.0, 0.0),
) -> Gain:
    """The magnetic field along coils outside a conducting sphere, whatever its shells: T/(A m).

    Sarvas (1987), Phys. Med. Biol. 32:11, eq. 25, with the sign that the coil's direction gives it;
    radial dipoles give none. `positions`: of the dipoles, mm; `orientations`: unit vectors; the
    gain is linear in them. `centre`: of the sphere, mm. A coil counts as a point; a gradiometer is
    the difference of two (`Gain.bipolar`).

    Raises ValueError where sensors have no orientation, or dipoles lie farther out than a coil.
    """
    name = "sphere_meg_gain"
    positions, orientations = _dipoles(name, sensors, positions, orientations)
    coils = _coils(sensors)
    middle = _centre(name, centre) * _METRE
    positions = positions - middle[None]
    places = as_floats(sensors.positions) * _METRE - middle[None]
    reach = jnp.sqrt((places * places).sum(axis=1).min())
    outside = jnp.sqrt((positions * positions).sum(axis=1)) >= reach
    positions = refused(
        positions,
        outside,
        f"{name}: {{count}} dipoles, the first source {{first}}, are as far from the centre as the "
        "nearest coil; coils lie outside the head: check the units (mm) and the centre.",
    )

    def one(coil, position, moment):
        place, direction = coil
        apart = place - position
        a, r = jnp.sqrt(matmul(apart, apart)), jnp.sqrt(matmul(place, place))
        along = matmul(apart, place)
        f = a * (r * a + along)
        slope = (a**2 / r + along / a + 2.0 * a + 2.0 * r) * place
        slope = slope - (a + 2.0 * r + along / a) * position
        turned = jnp.cross(moment, position)
        field = (f * turned - matmul(turned, place) * slope) / f**2
        return _MU_0 / (4.0 * np.pi) * matmul(field, direction)

    return Gain(_all(one, (places, coils), positions, orientations), sensors.labels, "T/(A m)")


def _all(one: Callable, sensors, positions: Array, orientations: Array) -> Array:
    """`one` of all pairs, sensor by sensor: vectors between all of them would fill the memory."""
    sources = jax.vmap(one, in_axes=(None, 0, 0))
    return lax.map(lambda sensor: sources(sensor, positions, orientations), sensors)


def _dipoles(
    name: str, sensors: Sensors, positions: Vectors, orientations: Vectors
) -> tuple[Array, Array]:
    """Positions in m, and orientations."""
    check_sensors(name, sensors)
    if positions.shape != orientations.shape:
        raise ValueError(
            f"{name}: positions {positions.shape} and orientations {orientations.shape} differ; "
            "give one (x, y, z) of each for a source."
        )
    for label, values in {"positions": positions, "orientations": orientations}.items():
        wrong = ~jnp.isfinite(jnp.asarray(values)).all(axis=1)
        message = f"{name}: {label} of {{count}} sources, the first {{first}}, are not finite."
        values = refused(as_floats(values), wrong, message)
    if not is_traced(orientations) and not np.asarray(orientations).any():
        raise ValueError(
            f"{name}: all orientations of the dipoles are 0, so that nothing is measured; give "
            "unit vectors."
        )
    return as_floats(positions) * _METRE, as_floats(orientations)


def _inside(name: str, positions: Array, radius: Array) -> Array:
    outside = ~((positions * positions).sum(axis=1) < radius**2)
    message = (
        f"{name}: {{count}} of {len(positions)} dipoles lie outside the (innermost) sphere, the "
        "first is source {first}; enlarge or move it (radius, centre), or leave them out."
    )
    return refused(positions, outside, message)


def _positive(name: str, label: str, values: Array) -> Array:
    message = f"{name}: {label} is not positive and finite{_known(values)}."
    return refused(values, some(~((values > 0) & jnp.isfinite(values))), message)


def _centre(name: str, centre: Place) -> Array:
    middle = as_floats(centre)
    message = f"{name}: centre is not finite{_known(middle)}; give (x, y, z) in mm."
    return refused(middle, some(~jnp.isfinite(middle)), message)


def _known(values: Array) -> str:
    """What they are, for messages, where that is known."""
    return "" if is_traced(values) else f" (it is {values})"


def _directions(name: str, sensors: Sensors, centre: Array) -> Array:
    apart = as_floats(sensors.positions) - centre[None]
    lengths = jnp.sqrt((apart * apart).sum(axis=1, keepdims=True))
    message = f"{name}: an electrode (number {{first}}) is at the sphere's centre; it has no place."
    return refused(apart, lengths[:, 0] == 0, message) / lengths


def _coils(sensors: Sensors) -> Array:
    if sensors.orientations is None:
        raise ValueError(
            "sphere_meg_gain: the sensors have no orientations; give those of their coils: "
            "Sensors(labels, positions, orientations)."
        )
    none = np.flatnonzero(~sensors.orientations.any(axis=1))
    if len(none):
        raise ValueError(
            f"sphere_meg_gain: {len(none)} sensors, the first {sensors.labels[none[0]]!r}, have "
            "the orientation 0, as channels that are no coils have; leave them out (take)."
        )
    return as_floats(sensors.orientations)


def _weights(radii: Array, conductivities: Array, terms: int) -> Array:
    """Of (r0 / R)^n P_n in the potential at the surface, n = 1 ..., in units of 1 / (4 π σ1 R).

    Within a shell the potential is A r^n + B r^-(n+1). From u = 1 and no current at the surface
    inwards; a monopole in the innermost shell fixes the scale there.
    """
    n = jnp.arange(1, terms + 1, dtype=radii.dtype)
    potential, flow, singular = jnp.ones_like(n), jnp.zeros_like(n), n  # flow: r du/dr
    for shell in range(len(radii) - 1, -1, -1):
        regular = ((n + 1.0) * potential + flow) / (2.0 * n + 1.0)
        singular = (n * potential - flow) / (2.0 * n + 1.0)
        if shell:
            ratio = radii[shell - 1] / radii[shell]
            # Both in units of ratio^-(n+1), else the singular part overflows at high n; the units
            # of all shells together make (r0 / R)^n of (r0 / r1)^n.
            regular = regular * ratio ** (2.0 * n + 1.0)
            potential = regular + singular
            flow = n * regular - (n + 1.0) * singular
            flow = flow * conductivities[shell] / conductivities[shell - 1]
    return 1.0 / singular


def _legendre_sum(weights: Array, along: Array, squared: Array) -> Array:
    """Σ weights[n-1] |r|^n P_n(cos γ) for r·e = `along`; polynomials in r, smooth at 0 too."""

    def step(carried, numbered):
        n, weight = numbered
        last, before = carried
        now = ((2.0 * n - 1.0) * along * last - (n - 1.0) * squared * before) / n
        return (now, last), weight * now

    n = jnp.arange(1, len(weights) + 1, dtype=weights.dtype)
    one, zero = jnp.ones_like(along), jnp.zeros_like(along)
    return lax.scan(step, (one, zero), (n, weights))[1].sum()
