"""Branches against normal forms, polynomials, SciPy and published bifurcation points."""

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tvbjax import lems

FOLD, HOPF = lems.BifurcationKind.FOLD, lems.BifurcationKind.HOPF
BRANCH_POINT = lems.BifurcationKind.BRANCH_POINT
HEAD = '<Lems xmlns:tvbjax="urn:tvbjax:lems:1"><Include file="units.xml"/><Target component="one"/>'


def written(path, rates: dict[str, str], values: dict[str, float], **extra: str) -> lems.Model:
    """A model of dimensionless equations per ms; `extra`: attributes of a state variable."""
    parameters = "".join(f'<Parameter name="{name}" dimension="none"/>' for name in values)
    usual = 'tvbjax:initial="-1, 1"'
    states = "".join(
        f'<StateVariable name="{name}" dimension="none" {extra.get(name, usual)}/>'
        for name in rates
    )
    changes = "".join(
        f'<TimeDerivative variable="{name}" value="({rate}) / ms"/>' for name, rate in rates.items()
    )
    given = " ".join(f'{name}="{value}"' for name, value in values.items())
    path = path / "one.xml"
    path.write_text(
        f'{HEAD}<ComponentType name="One"><Constant name="ms" dimension="time" value="1 ms"/>'
        f"{parameters}<Dynamics>{states}{changes}</Dynamics></ComponentType>"
        f'<Component id="one" type="One" {given}/></Lems>'
    )
    return lems.load(path)


def varied(model: lems.Model, **values: float) -> dict[str, float]:
    return {name: float(value) for name, value in model.params.items()} | values


def found(branch: lems.Branch, kind=None) -> list[float]:
    return [b.parameter_value for b in branch.bifurcations if kind in (None, b.kind)]


def test_a_fold_is_where_two_fixed_points_meet(tmp_path):
    model = written(tmp_path, {"x": "p - x^2"}, {"p": 0.5})
    (branch,) = lems.continuation(model, "p", (-1.0, 1.0))
    x, p = branch.states[:, 0], branch.parameter_values
    np.testing.assert_allclose(p, x**2, atol=1e-12)
    assert {p[0], p[-1]} == {1.0} and branch.ends == (lems.BranchEnd.BOUND,) * 2
    (fold,) = branch.bifurcations
    assert fold.kind is FOLD and fold.parameter_value == pytest.approx(0.0, abs=1e-12)
    assert p[fold.index] == fold.parameter_value and fold.values["x"] == x[fold.index]
    np.testing.assert_allclose(branch.eigenvalues[:, 0], -2 * x, atol=1e-12)
    inner = np.arange(len(x)) != fold.index
    np.testing.assert_array_equal(branch.stable[inner], x[inner] > 0)
    assert not branch.stable[fold.index]


@pytest.mark.parametrize("first", [-0.3, 0.4])
def test_branches_cross_at_a_transcritical_point(tmp_path, first):
    model = written(tmp_path, {"x": "0.3 * (p - 0.1) * x - x^2", "y": "x - 2 * y"}, {"p": first})
    (zero,) = lems.fixed_points(model, bounds={"x": (-1e-3, 1e-3)})
    branches = lems.continuation(model, "p", (-1.0, 1.0), start=zero)
    assert len(branches) == 2
    for branch, slope in zip(branches, (0.0, 0.3), strict=True):
        x = slope * (branch.parameter_values - 0.1)
        np.testing.assert_allclose(branch.states, np.stack([x, x / 2], 1), atol=1e-11)
        assert sorted(branch.parameter_values[[0, -1]]) == [-1.0, 1.0]
        (point,) = branch.bifurcations
        assert point.kind is BRANCH_POINT
        assert point.parameter_value == pytest.approx(0.1, abs=1e-11)
        stable = branch.parameter_values < 0.1 if slope == 0.0 else branch.parameter_values > 0.1
        np.testing.assert_array_equal(np.delete(branch.stable, point.index),
                                      np.delete(stable, point.index))  # fmt: skip
    whole = lems.continuation(model, "p", (-1.0, 1.0))
    assert len(whole) == 2
    assert len(lems.continuation(model, "p", (-1.0, 1.0), start=zero, switch=False)) == 1


@pytest.mark.parametrize("first", [-0.5, 0.5, 0.0])
def test_a_pitchfork_has_two_arms(tmp_path, first):
    """Found from the straight branch, from all three points, and from the branch point itself."""
    model = written(tmp_path, {"x": "p * x - x^3"}, {"p": first})
    start = [0.0] if first == 0.0 else None
    straight, arms = sorted(
        lems.continuation(model, "p", (-1.0, 1.0), start=start), key=lambda b: np.ptp(b.states)
    )
    assert np.ptp(straight.states) == 0.0 and found(straight, BRANCH_POINT) == [
        pytest.approx(0.0, abs=1e-11)
    ]
    np.testing.assert_allclose(arms.parameter_values, arms.states[:, 0] ** 2, atol=1e-11)
    np.testing.assert_allclose(sorted(arms.states[[0, -1], 0]), [-1.0, 1.0], atol=1e-12)
    assert found(arms) == [pytest.approx(0.0, abs=1e-11)]
    assert arms.bifurcations[0].kind is BRANCH_POINT
    assert np.delete(arms.stable, arms.bifurcations[0].index).all()


def test_an_imperfect_pitchfork_has_a_fold_and_no_branch_point(tmp_path):
    model = written(tmp_path, {"x": "h + p * x - x^3"}, {"p": 0.9, "h": 0.02})
    branches = lems.continuation(model, "p", (-1.0, 1.0))
    assert len(branches) == 2
    folds = [value for branch in branches for value in found(branch)]
    # the cubic's discriminant 4 p^3 - 27 h^2
    assert folds == [pytest.approx((27 * 0.02**2 / 4) ** (1 / 3), abs=1e-11)]


def test_an_isola_closes(tmp_path):
    model = written(tmp_path, {"x": "p^2 + x^2 - 1"}, {"p": 0.3})
    (branch,) = lems.continuation(model, "p", (-2.0, 2.0))
    assert branch.ends == (lems.BranchEnd.CLOSED,) * 2
    np.testing.assert_allclose(branch.parameter_values**2 + branch.states[:, 0] ** 2, 1, atol=1e-11)
    np.testing.assert_array_equal(branch.states[0], branch.states[-1])
    assert sorted(found(branch, FOLD)) == [pytest.approx(-1.0), pytest.approx(1.0)]
    turns = np.unwrap(np.arctan2(branch.states[:, 0], branch.parameter_values))
    assert abs(turns[-1] - turns[0]) == pytest.approx(2 * math.pi)


def test_branches_meet_at_several_points(tmp_path):
    """x = 0, x = p and a circle: three curves, met in one, two and two points."""
    rates = {"x": "x * (x - p) * (x^2 + p^2 - 0.5)"}
    branches = lems.continuation(written(tmp_path, rates, {"p": 0.9}), "p", (-1.0, 1.0))
    assert len(branches) == 3
    where = sorted(sorted(round(v, 9) for v in found(branch, BRANCH_POINT)) for branch in branches)
    edge = round(math.sqrt(0.5), 9)
    assert where == [[-edge, -0.5, 0.5, edge], [-edge, 0.0, edge], [-0.5, 0.0, 0.5]]
    assert sum(branch.ends[0] is lems.BranchEnd.CLOSED for branch in branches) == 1


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_normal_form_of_hopf(tmp_path, sign):
    """z' = (p + 2i) z + c z |z|^2 with a unit eigenvector has the coefficient 2 c / omega."""
    rates = {
        "x": "p * x - 2 * y + c * x * (x^2 + y^2)",
        "y": "2 * x + p * y + c * y * (x^2 + y^2)",
        "z": "-z + x^2",
    }
    model = written(tmp_path, rates, {"p": -0.4, "c": sign})
    (branch,) = lems.continuation(model, "p", (-1.0, 1.0), start=[0.0, 0.0, 0.0])
    (hopf,) = branch.bifurcations
    assert hopf.kind is HOPF and hopf.parameter_value == pytest.approx(0.0, abs=1e-12)
    assert hopf.frequency == pytest.approx(2 / (2 * math.pi), rel=1e-12)
    assert hopf.lyapunov == pytest.approx(2 * sign / 2.0, rel=1e-10)
    assert hopf.supercritical == (sign < 0)


def test_a_cycles_criticality_can_come_from_the_quadratic_terms(tmp_path):
    """Kuznetsov's formula in the plane, written out with partial derivatives.

    With x' = -w y + f, y' = w x + g: Guckenheimer and Holmes 1983, eq. 3.4.11 (16 a).
    """
    a, b, c, d = 0.7, -0.4, 0.9, 0.3
    rates = {
        "x": "p * x - 1.5 * y + a * x^2 + b * x * y + x^3",
        "y": "1.5 * x + p * y + c * x * y + d * y^2 - x^2 * y",
    }
    model = written(tmp_path, rates, {"p": -0.2, "a": a, "b": b, "c": c, "d": d})
    (branch,) = lems.continuation(model, "p", (-0.3, 0.3), start=[0.0, 0.0])
    (hopf,) = branch.bifurcations
    fxx, fxy, fyy, gxx, gxy, gyy = 2 * a, b, 0.0, 0.0, c, 2 * d
    cubic = 6.0 - 2.0  # f_xxx + f_xyy + g_xxy + g_yyy
    quadratic = (fxy * (fxx + fyy) - gxy * (gxx + gyy) - fxx * gxx + fyy * gyy) / 1.5
    # 16 a is their a; our unit eigenvector makes the amplitude sqrt(2) r: l1 = 2 a / omega
    assert hopf.lyapunov == pytest.approx(2 * (cubic + quadratic) / 16 / 1.5, rel=1e-10)


def test_a_neutral_saddle_is_no_hopf_point(tmp_path):
    rates = {"x": "(p + 1) * x", "y": "(p - 1) * y"}  # eigenvalues p + 1 and p - 1
    model = written(tmp_path, rates, {"p": 0.5})
    (branch,) = lems.continuation(model, "p", (-0.5, 0.9), start=[0.0, 0.0])
    assert branch.bifurcations == () and not branch.stable.any()


def quartic_folds(J: float, Delta: float) -> list[float]:
    """Of eta + V^2 + J r - (pi r)^2 with V = -Delta / (2 pi r): where eta(r) is stationary."""

    def eta(r):
        return (math.pi * r) ** 2 - J * r - (Delta / (2 * math.pi * r)) ** 2

    # eta' r^3 = 2 pi^2 r^4 - J r^3 + Delta^2 / (2 pi^2)
    roots = np.roots([2 * math.pi**2, -J, 0.0, 0.0, Delta**2 / (2 * math.pi**2)])
    return sorted(eta(r.real) for r in roots if abs(r.imag) < 1e-9 and r.real > 0)


@pytest.mark.parametrize("J, Delta, tau", [(15.0, 1.0, 1.0), (20.0, 1.5, 10.0), (7.0, 1.0, 1.0)])
def test_montbrios_bistable_range(J, Delta, tau):
    """Montbrió, Pazó & Roxin 2015, fig. 1: between two folds that meet in a cusp at a smaller J."""
    model = lems.load("MontbrioPazoRoxin")
    params = varied(model, J=J, Delta=Delta, tau=tau, eta=-4.0)
    within = {"r": (0.0, 4.0 / tau), "V": (-6.0, 1.0)}
    (branch,) = lems.continuation(model, "eta", (-12.0, 2.0), params=params, within=within)
    expected = quartic_folds(J, Delta)
    assert sorted(found(branch)) == pytest.approx(expected, abs=1e-10)
    # eta'(r) has a double root where r^4 = 3 Delta^2 / (4 pi^4)
    rho = 0.75**0.25 * math.sqrt(Delta)  # pi r
    cusp = math.pi * (2 * rho + Delta**2 / (2 * rho**3))
    assert len(expected) == (2 if J > cusp else 0)
    r, V = branch.states.T
    np.testing.assert_allclose(V, -Delta / (2 * math.pi * tau * r), rtol=1e-9)
    gap = V**2 + branch.parameter_values + J * tau * r - (math.pi * tau * r) ** 2
    assert np.abs(gap).max() < 1e-9
    # an input adds to eta
    (other,) = lems.continuation(
        model, "c_r", (-8.0, 6.0), inputs=[0.0, 0.0], params=params, within=within
    )
    assert sorted(v - 4.0 for v in found(other)) == pytest.approx(expected, abs=1e-10)
    assert other.parameter == "c_r"


@pytest.fixture(scope="module")
def jansen() -> tuple[lems.Model, dict[str, float], lems.Branch]:
    model = lems.load("JansenRit")
    params = varied(model, v0=6.0, mu=0.0)
    (branch,) = lems.continuation(model, "mu", (-0.1, 0.5), params=params)
    return model, params, branch


def test_jansen_rits_published_points(jansen):
    """Grimbert & Faugeras 2006, Neural Comput. 18:3052; folds as AUTO-07p gives them.

    Input in 1/s: folds 113.586 and -41.3014, Hopf points -12.1475 (AUTO), 89.83 and 315.70.
    """
    _, _, branch = jansen
    assert found(branch, FOLD) == pytest.approx([0.113586, -0.0413014], abs=6e-7)
    first, second, third = (b for b in branch.bifurcations if b.kind is HOPF)
    assert first.parameter_value == pytest.approx(-0.0121475, abs=6e-8)
    assert second.parameter_value == pytest.approx(0.08983, abs=6e-6)
    assert third.parameter_value == pytest.approx(0.31570, abs=6e-6)
    assert [b.supercritical for b in (first, second, third)] == [False, True, True]
    assert len(branch.bifurcations) == 5


def jansen_rates(p, mu):
    def rate(v):
        return 2 * p["nu_max"] / (1 + np.exp(p["r"] * (p["v0"] - v)))

    def change(y):
        A, B, a, b, J = (p[n] for n in "A B a b J".split())
        exciting = mu + p["a_2"] * J * rate(p["a_1"] * J * y[0])
        inhibiting = p["a_4"] * J * rate(p["a_3"] * J * y[0])
        return np.array(
            [
                *y[3:],
                A * a * rate(y[1] - y[2]) - 2 * a * y[3] - a**2 * y[0],
                A * a * exciting - 2 * a * y[4] - a**2 * y[1],
                B * b * inhibiting - 2 * b * y[5] - b**2 * y[2],
            ]
        )

    return change


def test_jansen_rits_branch_by_its_scalar_equation(jansen):
    """mu as a function of v = y1 - y2 and y0; folds are where it is stationary."""
    from scipy.optimize import brentq

    _, p, branch = jansen

    def rate(v):
        return 2 * p["nu_max"] / (1 + np.exp(p["r"] * (p["v0"] - v)))

    def mu(v):
        y0 = p["A"] / p["a"] * rate(v)
        y2 = p["B"] / p["b"] * p["a_4"] * p["J"] * rate(p["a_3"] * p["J"] * y0)
        return (v + y2) * p["a"] / p["A"] - p["a_2"] * p["J"] * rate(p["a_1"] * p["J"] * y0)

    v = branch.states[:, 1] - branch.states[:, 2]
    np.testing.assert_allclose(branch.parameter_values, mu(v), atol=1e-12)

    def slope(v, d=1e-5):
        return (mu(v + d) - mu(v - d)) / (2 * d)

    folds = [mu(brentq(slope, *ends)) for ends in ((1.0, 4.0), (4.0, 7.0))]
    assert found(branch, FOLD) == pytest.approx(folds, abs=1e-10)


def _jansen_matrix(p, hopf) -> np.ndarray:
    change, d = jansen_rates(p, hopf.parameter_value), 1e-5
    return np.stack(
        [(change(hopf.state + d * e) - change(hopf.state - d * e)) / (2 * d) for e in np.eye(6)],
        axis=1,
    )


def test_jansen_rits_hopf_points_by_finite_differences(jansen):
    _, p, branch = jansen
    for hopf in (b for b in branch.bifurcations if b.kind is HOPF):
        eigenvalues = np.linalg.eigvals(_jansen_matrix(p, hopf))
        pair = eigenvalues[np.argsort(np.abs(eigenvalues.real))[:2]]
        assert np.abs(pair.real).max() < 1e-9
        assert np.abs(pair.imag) / (2 * math.pi) == pytest.approx(hopf.frequency, rel=1e-7)


@pytest.mark.parametrize("which, side", [(1, 1.0), (2, -1.0)])
def test_jansen_rits_supercritical_points_bear_cycles_of_the_size_foretold(jansen, which, side):
    """z' = lambda' d z + l1 omega z |z|^2, y = 2 Re z q: a run by SciPy at a small distance d."""
    _, p, branch = jansen
    hopf = [b for b in branch.bifurcations if b.kind is HOPF][which]
    omega, distance, at = 2 * math.pi * hopf.frequency, side * 2e-3, hopf.index
    near = [i for i in (at - 1, at + 1) if abs(branch.parameter_values[i] - hopf.parameter_value)]
    (low, high), pair = near, lambda i: branch.eigenvalues[i][np.argmin(
        abs(branch.eigenvalues[i] - 1j * omega))].real  # fmt: skip
    slope = (pair(high) - pair(low)) / (
        branch.parameter_values[high] - branch.parameter_values[low]
    )
    radius = math.sqrt(-slope * distance / (hopf.lyapunov * omega))

    matrix = np.array([[float(v) for v in row] for row in _jansen_matrix(p, hopf)])
    values, vectors = np.linalg.eig(matrix)
    q = vectors[:, np.argmin(abs(values - 1j * omega))]  # of length 1
    change = jansen_rates(p, hopf.parameter_value + distance)
    run = solve_ivp(
        lambda _, y: change(y), (0, 90_000), hopf.state + 2.2 * radius * np.real(q),
        rtol=1e-7, atol=1e-10, t_eval=np.linspace(89_000, 90_000, 10_001),
    )  # fmt: skip
    v = run.y[1] - run.y[2]
    assert np.ptp(v) == pytest.approx(4 * radius * abs(q[1] - q[2]), rel=0.08)
    crossings = np.flatnonzero((v[:-1] < v.mean()) & (v[1:] >= v.mean()))
    period = np.diff(run.t[crossings]).mean()
    assert 1 / period == pytest.approx(hopf.frequency, rel=2e-2)


def test_the_hopf_point_of_supercritical_hopf():
    model = lems.load("SupHopf")
    params = varied(model, omega=0.7)
    (branch,) = lems.continuation(model, "a", (-1.0, 1.0), params=params)
    (hopf,) = branch.bifurcations
    assert hopf.parameter_value == pytest.approx(0.0, abs=1e-12)
    assert hopf.frequency == pytest.approx(0.7 / (2 * math.pi))
    assert hopf.lyapunov == pytest.approx(-2 / 0.7)


def test_a_branch_stays_within_the_models_bounds_and_the_ranges_given(tmp_path):
    model = written(
        tmp_path, {"x": "p - x"}, {"p": 0.5}, x='tvbjax:bounds="0, 10" tvbjax:initial="0, 1"'
    )
    (branch,) = lems.continuation(model, "p", (-1.0, 1.0))
    assert branch.ends == (lems.BranchEnd.STATE_BOUND, lems.BranchEnd.BOUND)
    assert branch.states[0, 0] == 0.0 and branch.parameter_values[0] == pytest.approx(0.0)
    (branch,) = lems.continuation(model, "p", (-1.0, 1.0), within={"x": (0.25, 0.75)})
    assert branch.ends == (lems.BranchEnd.STATE_BOUND,) * 2
    assert branch.parameter_values[[0, -1]] == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize("first", [-1.0, 1.0])
def test_a_start_at_a_bound_goes_one_way(tmp_path, first):
    model = written(tmp_path, {"x": "p - x"}, {"p": first})
    (branch,) = lems.continuation(model, "p", (-1.0, 1.0))
    assert branch.parameter_values[[0, -1]] == pytest.approx([-1.0, 1.0])
    assert (
        branch.ends == (lems.BranchEnd.BOUND,) * 2 and (np.diff(branch.parameter_values) > 0).all()
    )


def test_jax_may_be_in_single_precision(tmp_path):
    model = written(tmp_path, {"x": "p - x^2"}, {"p": 0.5})
    with jax.enable_x64(False):
        (branch,) = lems.continuation(model, "p", (-1.0, 1.0))
    np.testing.assert_allclose(branch.parameter_values, branch.states[:, 0] ** 2, atol=1e-12)
    assert branch.eigenvalues.dtype == np.complex128


def test_a_branch_that_breaks_off_is_returned_with_a_warning(tmp_path):
    model = written(tmp_path, {"x": "sqrt(p) - x"}, {"p": 0.5})  # no rates below p = 0
    with pytest.warns(RuntimeWarning, match=r"does not converge; it ends at p = \S*, x = "):
        (branch,) = lems.continuation(model, "p", (-1.0, 1.0))
    assert branch.ends == (lems.BranchEnd.NO_CONVERGENCE, lems.BranchEnd.BOUND)
    assert 0.0 <= branch.parameter_values[0] < 1e-3
    np.testing.assert_allclose(branch.states[:, 0] ** 2, branch.parameter_values, atol=1e-12)
    with pytest.warns(RuntimeWarning, match="does not converge"):  # infinite slope at the bound
        (branch,) = lems.continuation(model, "p", (0.0, 1.0))
    assert branch.ends == (lems.BranchEnd.NO_CONVERGENCE, lems.BranchEnd.BOUND)


def test_too_many_points_and_jumps_of_stability_are_said(tmp_path):
    model = written(tmp_path, {"x": "p - x"}, {"p": 0.0})
    with pytest.warns(RuntimeWarning, match="more than points = 5"):
        (branch,) = lems.continuation(model, "p", (-1.0, 1.0), points=5)
    assert branch.ends == (lems.BranchEnd.TOO_LONG,) * 2
    model = written(tmp_path, {"x": "p * (3 * H(p) - 1) + x * (2 * H(p + 0.3) - 1)"}, {"p": 0.5})
    with pytest.warns(RuntimeWarning) as said:
        branches = lems.continuation(model, "p", (-1.0, 1.0))
    assert any("stability changes at p = -0.3" in str(w.message) or "does not converge" in
               str(w.message) for w in said)  # fmt: skip
    assert all(np.isfinite(branch.states).all() for branch in branches)


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        (("etta", (-1, 1)), {}, "'etta' is no parameter or input of .*did you mean 'eta'"),
        (("eta", (-1.0, 1.0)), {}, "do not hold the value to start from, -5"),
        (("eta", (1.0, -9.0)), {}, "pass low < high"),
        (("eta", (-9, 1)), {"step": 0.0}, "step"),
        (("eta", (-9, 1)), {"start": [1.0]}, r"start has the shape \(1,\)"),
        (("eta", (-9, 1)), {"start": [0.5, 0.0]}, "rates are r = 0.31831, V = .*leads from there"),
        (("eta", (-9, 1)), {"within": {"q": (0, 1)}}, "'q'"),
        (("eta", (-9, 1)), {"within": {"V": (5, 9)}}, "found no fixed point"),
    ],
)
def test_what_does_not_fit_is_said(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        lems.continuation(lems.load("MontbrioPazoRoxin"), *arguments, **options)


def test_a_parameter_per_node_and_a_start_without_fixed_point_are_said(tmp_path):
    model = lems.load("MontbrioPazoRoxin")
    params = {**model.params, "eta": np.array([-5.0, -4.0])}
    with pytest.raises(ValueError, match=r"\['eta'\].* value per node"):
        lems.continuation(model, "eta", (-9, 1), params=params)
    model = written(tmp_path, {"x": "p - x^2"}, {"p": -0.5})
    with pytest.raises(ValueError, match="x = 0.2 is no fixed point at p = -0.5.*finds none"):
        lems.continuation(model, "p", (-1.0, 1.0), start=[0.2])
    model = written(tmp_path, {"x": "sin(t / ms) - x"}, {"p": 0.0})
    with pytest.raises(ValueError, match="depends on the time"):
        lems.continuation(model, "p", (-1.0, 1.0))


def test_all_points_of_built_in_models_are_fixed_points():
    for name, parameter in (("MontbrioPazoRoxin", "J"), ("Generic2dOscillator", "a")):
        model = lems.load(name)
        value = float(model.params[parameter])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            branches = lems.continuation(model, parameter, (value - 5, value + 5))
        for branch in branches:
            along = branch.parameter_values
            params = {**model.params, parameter: jnp.asarray(along)}
            inputs = jnp.zeros((len(model.inputs), len(along)))
            rates = model.dfun(jnp.asarray(branch.states.T), inputs, params)
            np.testing.assert_allclose(rates, 0.0, atol=1e-8)
