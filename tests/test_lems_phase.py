"""Fixed points and nullclines against roots of polynomials and closed forms."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from test_continuation import varied
from test_parity_rateml import MODELS as RATEML, loaded
from tvbjax import lems
from tvbjax_lems.contours import zero_contours
from tvbjax_lems.equilibria import kind_of

Kind = lems.FixedPointKind


def montbrio_fixed_points(tau, Delta, J, eta, I, **_) -> np.ndarray:  # noqa: E741
    """With V = -Delta / (2 pi tau r), the second equation is a quartic in rho = pi tau r."""
    rho = np.roots([-4.0, 4 * J / math.pi, 4 * (eta + I), 0.0, Delta**2])
    rho = np.sort(rho[(abs(rho.imag) < 1e-9) & (rho.real > 0)].real)
    return np.stack([rho / (math.pi * tau), -Delta / (2 * rho)], axis=1)


@pytest.mark.parametrize(
    "values, count",
    [
        ({}, 3),
        ({"eta": -9.0}, 1),
        ({"eta": 3.0}, 1),
        ({"tau": 12.0, "J": 17.0}, 3),
        ({"I": 2.0}, 1),
    ],
)
def test_montbrios_fixed_points_are_the_roots_of_its_quartic(values, count):
    model = lems.load("MontbrioPazoRoxin")
    params = varied(model, **values)
    expected = montbrio_fixed_points(**params)
    found = lems.fixed_points(model, params=params, bounds={"r": (0.0, 4.0), "V": (-6.0, 1.0)})
    assert len(found) == len(expected) == count
    np.testing.assert_allclose([p.state for p in found], expected, rtol=1e-9)
    for point in found:
        r, V = point.state
        tau, J = params["tau"], params["J"]
        matrix = np.array([[2 * V, 2 * r], [J * tau - 2 * (math.pi * tau) ** 2 * r, 2 * V]]) / tau
        trace, determinant = np.trace(matrix), np.linalg.det(matrix)
        np.testing.assert_allclose(sum(point.eigenvalues), trace, rtol=1e-9)
        np.testing.assert_allclose(np.prod(point.eigenvalues), determinant, rtol=1e-7)
        assert point.stable == (trace < 0 and determinant > 0)
        assert (point.kind is Kind.SADDLE) == (determinant < 0)
        assert (point.kind is Kind.STABLE_FOCUS) == (0 < trace**2 / 4 < determinant and trace < 0)
        assert point.values == {"r": r, "V": V}


def cubic_fixed_points(a, b, c, d, e, f, g, alpha, beta, gamma, I, tau, **_):  # noqa: E741
    """W = (a + b V + c V^2)/beta in the first equation."""
    V = np.roots([-f, e + alpha * c / beta, g + alpha * b / beta, gamma * I + alpha * a / beta])
    V = np.sort(V[abs(V.imag) < 1e-9].real)
    return np.stack([V, (a + b * V + c * V**2) / beta], axis=1)


@pytest.mark.parametrize(
    "values, kinds",
    [
        ({}, [Kind.STABLE_FOCUS]),
        ({"a": 1.05, "b": -1.0, "e": 0.0, "f": 1 / 3, "tau": 3.0, "g": 1.0}, None),
        ({"a": 0.0, "b": -0.2, "e": 0.0, "f": 1.0, "g": 1.0}, None),
        ({"a": 0.0, "b": -5.0, "c": 1.0, "e": 3.0}, None),
        ({"a": 0.2, "b": 0.5, "g": 1.0, "e": 0.0, "beta": -1.0}, None),
    ],
)
def test_the_oscillators_fixed_points_are_the_roots_of_its_cubic(values, kinds):
    model = lems.load("Generic2dOscillator")
    params = varied(model, **values)
    expected = cubic_fixed_points(**params)
    found = lems.fixed_points(model, bounds={"V": (-9.0, 9.0), "W": (-90.0, 90.0)}, params=params)
    np.testing.assert_allclose([p.state for p in found], expected, rtol=1e-8, atol=1e-8)
    if kinds is not None:
        assert [p.kind for p in found] == kinds
    for point in found:
        V = point.state[0]
        p = params
        slope = -3 * p["f"] * V**2 + 2 * p["e"] * V + p["g"]
        matrix = p["d"] * np.array(
            [
                [p["tau"] * slope, p["tau"] * p["alpha"]],
                [(p["b"] + 2 * p["c"] * V) / p["tau"], -p["beta"] / p["tau"]],
            ]
        )
        ordered = sorted(np.linalg.eigvals(matrix), key=lambda z: (-z.real, z.imag))
        np.testing.assert_allclose(point.eigenvalues, ordered, rtol=1e-7, atol=1e-12)


def test_jansen_rits_fixed_points_solve_its_scalar_equation():
    """y3 = y4 = y5 = 0 and all else follows from v = y1 - y2: one equation in one unknown."""
    model = lems.load("JansenRit")
    p = varied(model, mu=0.0)

    def rate(v):
        return 2 * p["nu_max"] / (1 + np.exp(p["r"] * (p["v0"] - v)))

    def chain(v):
        y0 = p["A"] / p["a"] * rate(v)
        y1 = p["A"] / p["a"] * (p["mu"] + p["a_2"] * p["J"] * rate(p["a_1"] * p["J"] * y0))
        y2 = p["B"] / p["b"] * p["a_4"] * p["J"] * rate(p["a_3"] * p["J"] * y0)
        return np.stack([y0, y1, y2])

    def gap(v):
        return chain(v)[1] - chain(v)[2] - v

    grid = np.linspace(-50.0, 50.0, 400001)
    at = np.nonzero(np.diff(np.sign(gap(grid))))[0]
    roots = [grid[i] - gap(grid[i]) * 2.5e-4 / (gap(grid[i + 1]) - gap(grid[i])) for i in at]
    found = lems.fixed_points(
        model,
        params=p,
        bounds={
            **{"y0": (-1.0, 1.0), "y1": (-5.0, 60.0), "y2": (-5.0, 60.0)},
            **{name: (-1.0, 1.0) for name in ("y3", "y4", "y5")},
        },
    )
    assert len(found) == len(roots) == 3
    for point, root in zip(
        sorted(found, key=lambda q: q.state[1] - q.state[2]), sorted(roots), strict=True
    ):
        np.testing.assert_allclose(point.state[:3], chain(root), rtol=1e-6)
        np.testing.assert_allclose(point.state[3:], 0.0, atol=1e-9)


def test_stable_points_hold_and_unstable_ones_do_not():
    model = lems.load("MontbrioPazoRoxin")

    def euler(_, state):
        return state + 0.002 * model.dfun(state, jnp.zeros(2))

    for point in lems.fixed_points(model):
        state = jnp.asarray(point.state + 1e-6)
        end = jax.lax.fori_loop(0, 20_000, euler, state)
        assert (float(jnp.abs(end - jnp.asarray(point.state)).max()) < 1e-6) == point.stable


@pytest.mark.parametrize("name", sorted({*RATEML} - {"kuramoto"}))
def test_fixed_points_of_rateml_models_are_those_of_scipy(name):
    """MINPACK's hybrid method from each of many starts finds no other point, nor fewer."""
    from scipy.optimize import root

    model = loaded(name)
    bounds = {s.name: (max(s.bounds[0], -20.0), min(s.bounds[1], 20.0)) for s in model.spec.states}
    found = lems.fixed_points(model, bounds=bounds)
    inputs = jnp.zeros(len(model.inputs))
    change = jax.jit(lambda state: model.dfun(state, inputs))
    low, high = np.array(list(bounds.values())).T
    random = np.random.default_rng(0)
    for _ in range(40):
        tried = root(lambda s: np.asarray(change(jnp.asarray(s))), random.uniform(low, high))
        inside = (tried.x >= low).all() and (tried.x <= high).all()
        if tried.success and inside and np.abs(tried.fun).max() < 1e-10:
            nearest = min(np.abs((p.state - tried.x) / (high - low)).max() for p in found)
            assert nearest < 1e-5
    for point in found:
        slope = np.abs(np.asarray(jax.jacfwd(change)(jnp.asarray(point.state))))
        size = slope @ (high - low) + 1e-300
        assert (np.abs(change(jnp.asarray(point.state))) / size).max() < 1e-9


def test_inputs_count_and_a_phase_oscillator_has_none_or_a_curve():
    model = lems.load("Kuramoto")
    assert lems.fixed_points(model) == ()
    with pytest.raises(ValueError, match="not isolated"):
        lems.fixed_points(model, inputs=[-float(model.params["omega"])])
    montbrio = lems.load("MontbrioPazoRoxin")
    moved = lems.fixed_points(montbrio, inputs=[4.0, 0.0])
    shifted = montbrio_fixed_points(**varied(montbrio, eta=-1.0))
    np.testing.assert_allclose([p.state for p in moved], shifted, rtol=1e-9)


def test_a_search_keeps_to_its_bounds():
    model = lems.load("MontbrioPazoRoxin")
    whole = lems.fixed_points(model)
    part = lems.fixed_points(model, bounds={"r": (0.0, 0.2)})
    assert [p.state[0] for p in part] == [p.state[0] for p in whole if p.state[0] <= 0.2] != []


@pytest.mark.parametrize(
    "options, message",
    [
        ({"bounds": {"q": (0.0, 1.0)}}, "'q'.*no state variables"),
        ({"bounds": {"r": (1.0, 0.0)}}, "low < high"),
        ({"inputs": [1.0]}, "one finite number for each of"),
        (
            {"params": {**lems.load("MontbrioPazoRoxin").params, "tau": np.ones(3)}},
            "value per node",
        ),
    ],
)
def test_wrong_searches_say_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        lems.fixed_points(lems.load("MontbrioPazoRoxin"), **options)


@pytest.mark.parametrize(
    "eigenvalues, kind",
    [
        ([-1.0, -2.0], Kind.STABLE_NODE),
        ([-1 + 2j, -1 - 2j], Kind.STABLE_FOCUS),
        ([1.0, 2.0], Kind.UNSTABLE_NODE),
        ([1 + 2j, 1 - 2j, 3.0], Kind.UNSTABLE_FOCUS),
        ([1.0, -2.0], Kind.SADDLE),
        ([-1 + 2j, -1 - 2j, 3.0], Kind.SADDLE_FOCUS),
        ([2j, -2j], Kind.NON_HYPERBOLIC),
        ([0.0, -1.0], Kind.NON_HYPERBOLIC),
    ],
)
def test_kinds(eigenvalues, kind):
    assert kind_of(np.array(eigenvalues, dtype=complex)) is kind


def test_nullclines_are_their_closed_forms():
    model = lems.load("Generic2dOscillator")
    curves = lems.nullclines(model, x_range=(-3.0, 4.0), y_range=(-8.0, 8.0), inputs=[0.3])
    p = varied(model)
    (W,) = curves["W"]
    np.testing.assert_allclose(W[:, 1], p["a"] + p["b"] * W[:, 0], atol=1e-9)
    assert np.ptp(W[:, 1]) > 15.9  # from one side of the plane to the other
    V = np.concatenate(curves["V"])
    np.testing.assert_allclose(V[:, 1], V[:, 0] ** 3 - 3 * V[:, 0] ** 2 - 0.3, atol=1e-9)
    assert len(curves["V"]) == 1 and np.ptp(V[:, 1]) > 15.9


def test_nullclines_of_a_plane_in_a_larger_model():
    model = lems.load("JansenRit")
    held = {"y0": 0.1, "y3": 0.0, "y4": 0.0, "y5": 0.0}
    curves = lems.nullclines(model, "y1", "y2", at=held, x_range=(-5, 30), y_range=(-5, 30))
    assert curves == {"y1": (), "y2": ()}  # dy1 = y4 = 0 everywhere: no sign changes
    held = {"y0": 0.1, "y2": 0.0, "y3": 0.0, "y5": 0.0}
    curves = lems.nullclines(model, "y1", "y4", at=held, x_range=(-5, 30), y_range=(-2, 2))
    assert all(np.abs(c[:, 1]).max() < 1e-12 for c in curves["y1"])


def test_contours_close_cross_and_leave_out_jumps():
    x = np.linspace(-2.0, 2.0, 81)
    (circle,) = zero_contours(lambda x, y: x**2 + y**2 - 1.7, x, x)
    np.testing.assert_allclose((circle**2).sum(axis=1), 1.7, rtol=1e-13)
    np.testing.assert_array_equal(circle[0], circle[-1])
    assert len(circle) > 100
    branches = zero_contours(lambda x, y: x * y - 1e-3, x, x)
    assert len(branches) == 2
    for branch in branches:
        np.testing.assert_allclose(branch.prod(axis=1), 1e-3, rtol=1e-9)
    assert zero_contours(lambda x, y: np.where(x > 0.123, 1.0, -1.0) + 0 * y, x, x) == ()
    with np.errstate(divide="ignore"):
        assert zero_contours(lambda x, y: 1 / (x - 0.1234) + 0 * y, x, x) == ()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"x": "q"}, "'q'"),
        ({"x": "y0", "y": "y0"}, "both"),
        ({"at": {"y2": 1.0}}, r"one value for each of \['y2', 'y3', 'y4', 'y5'\]"),
    ],
)
def test_wrong_planes_say_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        lems.nullclines(lems.load("JansenRit"), **options)
    with pytest.raises(ValueError, match="one state variable"):
        lems.nullclines(lems.load("Kuramoto"))


@pytest.mark.parametrize(
    "call",
    [
        lems.fixed_points,
        lambda m, **k: lems.continuation(m, "eta", (-9.0, 1.0), **k),
        lambda m, **k: lems.nullclines(m, "r", "V", **k),
        lambda m, **k: lems.lyapunov_spectrum(m, 10.0, **k),
    ],
    ids=["fixed_points", "continuation", "nullclines", "lyapunov_spectrum"],
)
def test_parameters_and_inputs_must_be_those_of_the_model(call):
    model = lems.load("MontbrioPazoRoxin")
    with pytest.raises(ValueError, match=r"params has \['etta'\], which Montbrio"):
        call(model, params={**model.params, "etta": 3.0})
    with pytest.raises(ValueError, match=r"params lacks \['Delta'"):
        call(model, params={"eta": -5.0})
    with pytest.raises(ValueError, match="the parameter J of MontbrioPazoRoxin is nan"):
        call(model, params={**model.params, "J": math.nan})
    for inputs in ([math.nan, 0.0], [0.0]):
        with pytest.raises(ValueError, match="one finite number for each of"):
            call(model, inputs=inputs)


def test_ranges_and_starts_must_make_sense():
    model = lems.load("Generic2dOscillator")
    with pytest.raises(ValueError, match=r"the range of V is \(nan, 1.0\); pass low < high"):
        lems.fixed_points(model, bounds={"V": (math.nan, 1.0)})
    with pytest.raises(ValueError, match="starts is 0"):
        lems.fixed_points(model, starts=0)
    for cells in (0, -1):
        with pytest.raises(ValueError, match=f"cells is {cells}"):
            lems.nullclines(model, cells=cells)
    column = lems.load("Epileptor")
    at = dict.fromkeys(column.state_variables[2:], 0.0) | {"z": math.nan}
    with pytest.raises(ValueError, match="at gives z = nan"):
        lems.nullclines(column, at=at)
    with pytest.raises(ValueError, match="or one number for each of"):
        lems.continuation(model, "a", (-3.0, 1.0), start=[])
    with pytest.raises(ValueError, match=r"bounds of a are \(1.0, -3.0\); pass low < high"):
        lems.continuation(model, "a", (1.0, -3.0))
    for duration, blocks in ((math.inf, 20), (10.0, 1)):
        with pytest.raises(ValueError, match="lyapunov_spectrum: duration"):
            lems.lyapunov_spectrum(model, duration, blocks=blocks)
