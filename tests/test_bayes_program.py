"""Programs: densities against a slow calculation by hand, coordinates, pooling, onsets."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree
from scipy import stats

import tvbjax
from tvbjax import Free, Interval, Positive, Real, bayes, coupling, integrators, monitors, ties
from tvbjax.identity import told
from tvbjax_inference.bayes.epilepsy.permittivity import beside_the_branch, left_branch
from tvbjax_inference.bayes.flat import flat_of
from tvbjax_inference.bayes.likelihoods import OnsetTimes, Seeg
from tvbjax_inference.bayes.method import Drawn
from tvbjax_inference.bayes.modes import Mode
from tvbjax_inference.bayes.posterior import as_tree
from tvbjax_inference.bayes.priors import prior_text

REGIONS, SAMPLES = 3, 6
WEIGHTS = np.array([[0.0, 0.5, 1.0], [0.2, 0.0, 0.3], [0.7, 0.4, 0.0]])
LABELS = ("rA", "rB", "rC")
ETA = Free(lambda s: s.model.params["eta"], Real(), "excitability", ties.Regional())
STRENGTH = Free(lambda s: s.coupling.a, Positive(), "coupling")
PRIORS = {"excitability": dist.Normal(-2.5, 0.8), "coupling": dist.LogNormal(0.1, 0.4)}


def simulator():
    return tvbjax.Simulator(
        model=tvbjax.lems.load("Epileptor2DSmooth"),
        connectome=tvbjax.Connectome(WEIGHTS, np.zeros_like(WEIGHTS), labels=LABELS),
        coupling=coupling.Difference(a=1.0),
        integrator=integrators.Euler(dt=0.1),
        monitors=(monitors.Raw(variables="x"),),
    )


def recording(seed=0):
    rng = np.random.default_rng(seed)
    gain = tvbjax.forward.Gain(rng.uniform(0.1, 1.0, (2, REGIONS)), ("A1", "A2"))
    data, noise = rng.normal(size=(SAMPLES, 2)), dist.LogNormal(0.0, 0.5)
    return Seeg(gain, data, amplitude=1.5, noise=noise, error=0.0, offset=(0.0, 0.0))


def program(seed=0, **changed):
    given = {"priors": PRIORS, "initial": np.array([[-2.0, -1.8, -1.6], [3.6, 3.5, 3.4]])}
    return bayes.program(simulator(), [ETA, STRENGTH], recording(seed), **given | changed)


def by_hand(eta, strength, noise, seed=0):
    """The log density of everything, in numpy and SciPy, step by step."""
    x, z = np.array([-2.0, -1.8, -1.6]), np.array([3.6, 3.5, 3.4])
    rows = []
    for _ in range(SAMPLES):
        heard = np.array([WEIGHTS[i] @ (x - x[i]) for i in range(REGIONS)]) * strength
        dx = 1 - x**3 - 2 * x**2 - z + 3.1
        dz = (4 * (x - eta) - z - heard) / 10.0
        x, z = x + 0.1 * dx, z + 0.1 * dz
        rows.append(x)
    rng = np.random.default_rng(seed)
    gain, data = rng.uniform(0.1, 1.0, (2, REGIONS)), rng.normal(size=(SAMPLES, 2))
    found = stats.norm.logpdf(data, 1.5 * np.array(rows) @ gain.T, noise).sum()
    found += stats.norm.logpdf(eta, -2.5, 0.8).sum()
    found += stats.lognorm.logpdf(strength, 0.4, scale=np.exp(0.1))
    return found + stats.lognorm.logpdf(noise, 0.5)


ETAS, STRENGTHS, NOISE = np.array([-1.7, -2.4, -3.1]), 1.2, 0.9


def test_the_density_is_that_by_hand():
    flat = flat_of(program())
    # In unbounded numbers: logarithms of what is positive, and their Jacobians.
    numbers = flat.start.at[:].set(
        jnp.array([np.log(STRENGTHS), *ETAS, np.log(NOISE)])
    )  # coupling, excitability, noise: in the order of their names
    assert [name.split("[")[0] for name in flat.names] == [
        "coupling",
        *3 * ["excitability"],
        "noise",
    ]
    expected = by_hand(ETAS, STRENGTHS, NOISE) + np.log(STRENGTHS) + np.log(NOISE)
    assert -float(flat.potential(numbers)) == pytest.approx(expected, rel=1e-10)


def test_a_coordinate_changes_the_density_by_its_slope():
    coordinate = bayes.epilepsy.Equilibrium()
    plain, moved = (
        flat_of(program(coordinates=given)) for given in ({}, {"excitability": coordinate})
    )
    where = coordinate.coordinate(jnp.asarray(ETAS))
    numbers = jnp.array([np.log(STRENGTHS), *ETAS, np.log(NOISE)])
    others = jnp.array([np.log(STRENGTHS), *where, np.log(NOISE)])
    jacobian = float(jnp.log(coordinate.slope(where)).sum())
    expected = float(plain.potential(numbers)) - jacobian
    assert float(moved.potential(others)) == pytest.approx(expected, rel=1e-10)
    assert moved.sites(others)["excitability"] == pytest.approx(ETAS, rel=1e-12)


def test_excitability_is_that_of_the_equilibrium():
    coordinate = bayes.epilepsy.Equilibrium()
    where = jnp.linspace(-4.0, 4.0, 81)
    value = coordinate.value(where)
    np.testing.assert_allclose(coordinate.coordinate(value), where, atol=1e-9)
    slope = jax.vmap(jax.grad(coordinate.value))(where)
    np.testing.assert_allclose(coordinate.slope(where), slope, rtol=1e-10)
    # Where a region alone rests at x, it rests: to the left of the fold, where rest is stable.
    model = tvbjax.lems.load("Epileptor2DSmooth")
    for eta in (-3.5, -2.5, -2.1):
        alone = tvbjax.Simulator(
            model=jax.tree.map(lambda x: x, model),
            connectome=tvbjax.Connectome(np.zeros((1, 1)), np.zeros((1, 1)), labels=["r"]),
            coupling=coupling.Difference(a=0.0),
            integrator=integrators.Heun(dt=0.05),
            monitors=(monitors.Raw(variables="x"),),
        )
        alone = ETA.replace(alone, eta)
        run = tvbjax.simulate(alone, 400.0, initial=[[-2.0], [4.0]], progress=False)
        x = float(run.samples["raw"].values[-1, 0, 0])
        assert eta == pytest.approx(x - (4.1 - x**3 - 2 * x**2) / 4, abs=1e-6)


def test_runs_begin_between_the_branches():
    z = jnp.linspace(3.1, 6.0, 30)
    left = np.asarray(left_branch(z))
    np.testing.assert_allclose(4.1 - left**3 - 2 * left**2, z, atol=0.03)  # smooth at the fold
    roots = [np.sort(np.roots([1.0, 2.0, 0.0, one - 4.1]).real)[:2] for one in np.asarray(z[5:])]
    for away in (-3.0, 3.0):
        found = np.asarray(beside_the_branch(z, jnp.full(30, away)))[5:]
        for (lowest, middle), x in zip(roots, found, strict=True):
            assert lowest - 0.6 < x < middle
    near = np.asarray(beside_the_branch(z, jnp.full(30, 0.01)))
    np.testing.assert_allclose(near - left, 0.01, atol=1e-3)


def test_what_is_pooled_is_the_sum_of_its_members():
    both = bayes.pooled({"first": program(0), "second": program(1)}, shared=["excitability"])
    flat = flat_of(both)
    values = {
        "excitability": jnp.asarray(ETAS),
        "first/coupling": jnp.log(1.2),
        "second/coupling": jnp.log(0.8),
        "first/noise": jnp.log(0.9),
        "second/noise": jnp.log(1.1),
    }
    numbers, _ = ravel_pytree({name: values[name] for name in sorted(values)})
    expected = by_hand(ETAS, 1.2, 0.9, 0) + by_hand(ETAS, 0.8, 1.1, 1)
    expected += np.log([1.2, 0.8, 0.9, 1.1]).sum()
    expected -= stats.norm.logpdf(ETAS, -2.5, 0.8).sum()  # the prior of what is shared counts once
    assert -float(flat.potential(numbers)) == pytest.approx(expected, rel=1e-10)


def test_what_is_alike_is_about_what_they_have_in_common():
    spread = {"excitability": dist.HalfNormal(0.3)}
    both = bayes.pooled({"a": program(0), "b": program(1)}, shared=["coupling"], alike=spread)
    drawn = jax.vmap(flat_of(both).prior)(jax.random.split(jax.random.key(0), 4000))
    apart = np.asarray(drawn["a/excitability"] - drawn["excitability"])
    scaled = apart / np.asarray(drawn["excitability_deviation"])[:, None]
    assert scaled.std() == pytest.approx(1.0, rel=0.05)
    assert set(both.coords) >= {"region", "a/channel", "b/sample"}
    # The same coupling in both.
    assert "a/coupling" not in drawn and "coupling" in drawn


def test_onsets_that_were_not_seen_are_later_than_the_end():
    likelihood = OnsetTimes({"rA": 0.3, "rC": np.inf}, 0.6, deviation=0.1, width=1e-3)
    flat = flat_of(
        bayes.program(simulator(), [STRENGTH], likelihood, initial=np.array([[0.5] * 3, [2.0] * 3]))
    )
    # All are above the threshold at the start: an onset of 0 in the model.
    found = -float(flat.potential(flat.start))
    expected = stats.norm.logpdf(0.3, 0.0, 0.1) + stats.norm.logsf(0.6, 0.0, 0.1)
    expected += stats.norm.logpdf(float(flat.start[0]), 0.0, 1.0)  # the default prior of coupling
    assert found == pytest.approx(expected, rel=1e-6)


def test_default_priors_are_those_of_the_supports():
    free = {
        "excitability": Free(lambda s: s.model.params["eta"], Interval(-5.0, 0.0)),
        "coupling": Free(lambda s: s.coupling.a, Positive()),
        "current": Free(lambda s: s.model.params["I1"], Real(scale=0.2)),
    }
    made = bayes.program(simulator(), free, recording())
    drawn = jax.vmap(flat_of(made).prior)(jax.random.split(jax.random.key(1), 3000))
    assert stats.kstest(np.asarray(drawn["excitability"]), stats.uniform(-5, 5).cdf).pvalue > 1e-3
    assert stats.kstest(np.log(drawn["coupling"]), stats.norm(0, 1).cdf).pvalue > 1e-3
    assert stats.kstest(np.asarray(drawn["current"]), stats.norm(3.1, 0.2).cdf).pvalue > 1e-3


def test_a_program_is_the_same_in_another_process():
    code = (
        "import jax; jax.config.update('jax_enable_x64', True)\n"
        "import test_bayes_program as t; from tvbjax.identity import told\n"
        "print(told(t.program().description()))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    ]
    assert said[0] == said[1]


def test_priors_of_the_beginning_are_told_apart():
    said = [
        told(
            program(
                initial=bayes.initial.Unknown({"x": x, "z": dist.Normal(3.6, 0.5)})
            ).description()
        )
        for x in (dist.Normal(-2.0, 0.1), dist.Normal(-2.0, 0.3), dist.Normal(-2.0, 0.1))
    ]
    assert said[0] != said[1] and said[0] == said[2]


@pytest.mark.parametrize(
    "prior, text",
    [
        (dist.Normal(jnp.array([-2.5, -3.0, -2.5]), 0.8).to_event(), "loc -3 to -2.5, scale 0.8"),
        (dist.Normal(0.25, 2.0).expand((3,)).to_event(), "Normal(loc 0.25, scale 2)"),
        (dist.TruncatedNormal(1.0, 2.0, low=0.0), "Distribution(Normal(loc 1, scale 2), low 0)"),
        (dist.Uniform(-5.0, 0.0), "Uniform(low -5, high 0)"),
    ],
)
def test_priors_are_told_with_all_their_numbers(prior, text):
    assert text in prior_text(prior)


def test_a_posterior_says_which_priors_it_had():
    """As the report of a patient says it."""
    regional = dist.Normal(jnp.array([-2.5, -3.0, -2.5]), 0.8)
    said = program(priors=PRIORS | {"excitability": regional}).attributes
    assert said["prior of excitability"] == "Normal(loc -3 to -2.5, scale 0.8)"
    assert said["prior of coupling"] == "LogNormal(loc 0.1, scale 0.4)"


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"priors": {"eta": dist.Normal()}}, "priors names 'eta', which is not free"),
        ({"priors": {"coupling": dist.Normal()}}, "'coupling' allows values from -inf"),
        ({"priors": {"excitability": dist.Normal(jnp.zeros(5), 1.0)}}, r"shape \(5,\)"),
        ({"priors": {"coupling": 3.0}}, "the prior of 'coupling' is 3.0"),
        (
            {"priors": {"excitability": bayes.epilepsy.priors.uninformed(LABELS)}},
            "the prior of 'excitability' is Excitability.*; give its .distribution",
        ),
        ({"priors": [1]}, r"priors is \[1\]"),
        ({"priors": {"Coupling": dist.LogNormal()}}, "did you mean 'coupling'"),
        ({"coordinates": {"excitability": 3}}, "the coordinate of 'excitability' is 3"),
        ({"initial": "somewhere"}, "initial is 'somewhere'"),
        ({"duration": 0.9}, "the data have 6 samples and 'raw' has 9"),
        (
            {
                "priors": {"excitability": dist.Uniform(-5.0, 0.0)},
                "coordinates": {"excitability": bayes.epilepsy.Equilibrium()},
            },
            "give a prior without bounds",
        ),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_bad_input_is_named(changed, message):
    with pytest.raises((ValueError, TypeError), match=message):
        program(**changed)


@pytest.mark.parametrize(
    "names, message",
    [
        (("excitability",), "Seeg is called 'excitability', and there is a site 'excitability'"),
        (("noise",), "Seeg is called 'noise', and there is a site 'noise' already"),
        (("a", "a_log_likelihood"), "is called 'a_log_likelihood', and there is a site"),
        (("a", "b"), "'noise' is unknown in Seeg, 'b'"),
    ],
)
def test_sites_of_one_name_are_named(names, message):
    rest = {"error": 0.0, "offset": (0.0, 0.0)}
    parts = recording().recorded
    several = [Seeg(parts.gain, parts.data, amplitude=1.5, name=name, **rest) for name in names]
    if len(names) > 1 and names[1] != "b":
        several[0] = Seeg(parts.gain, parts.data, amplitude=1.5, noise=0.5, name=names[0], **rest)
    with pytest.raises(ValueError, match=message):
        bayes.program(simulator(), [ETA, STRENGTH], several)


def test_a_program_needs_a_monitor():
    bare = dataclasses.replace(simulator(), monitors=())
    with pytest.raises(ValueError, match="the simulator has no monitors"):
        bayes.program(bare, ETA, recording())


@pytest.mark.usefixtures("without_type_checks")
def test_bad_pooling_is_named():
    one = program()
    for given, message in [
        ({"members": {"a": one}}, "two programs or more"),
        ({"members": {"a": one, "b": 3}}, "member 'b' is 3"),
        ({"members": {"a": one, "b/c": one}}, "has a '/'"),
        ({"members": {"a": one, "b": one}, "shared": ["x"]}, "'x' is not free in 'a'"),
        ({"members": {"a": one, "b": one}, "alike": {"coupling": 0.3}}, "alike has 0.3"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            bayes.pooled(**given)


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize(
    "onsets, message",
    [
        ({"rX": 0.1}, "there is no region 'rX'"),
        ({"rA": -1.0}, "the onset of 'rA' is -1.0"),
        ({"rA": 0.9}, "from 0 to 0.6"),
        ({}, r"'rA1': float\('inf'\)}\.$"),
        ({"rA": True}, "the onset of 'rA' is True"),
        ({"rA": "soon"}, "the onset of 'rA' is 'soon'"),
        ({"rA": np.zeros(2)}, "the onset of 'rA' is array"),
    ],
)
def test_bad_onsets_are_named(onsets, message):
    with pytest.raises((ValueError, TypeError), match=message):
        OnsetTimes(onsets, 0.6).check(simulator(), 0.6)


@pytest.mark.usefixtures("without_type_checks")
@pytest.mark.parametrize("number", [np.int64(3), np.float32(3.0), jnp.asarray(3.0), 3])
def test_onsets_may_be_any_real_number(number):
    assert OnsetTimes({"rA": number, "rB": np.inf}, 10.0).times.tolist() == [3.0, np.inf]


def posterior_about_the_start(made):
    """As `sample` gives it, without the search and the chains, which take long to compile."""
    flat = flat_of(made)
    start = np.asarray(flat.start)
    numbers = start + 0.1 * np.random.default_rng(0).normal(size=(1, 5, flat.size))
    mode = Mode(start, 0.0, np.eye(flat.size), 0.0, True, 1.0)
    method, drawn = bayes.Nuts(1, 5, 5), Drawn(numbers, {}, {})
    return as_tree(flat, made, [mode], method, drawn, jax.random.key(0), replicates=1)


def test_half_the_step_is_compared_with_the_whole():
    made = program()
    tree = posterior_about_the_start(made)
    for given, message in [
        (tree.filter(lambda node: node.name != "unconstrained_posterior"), "no group 'unconst"),
        (None, "no group 'unconstrained_posterior'; give what"),
    ]:
        with pytest.raises(ValueError, match=message):
            bayes.step_halving(made, given)  # type: ignore[arg-type]
    other = bayes.program(simulator(), ETA, recording())
    with pytest.raises(ValueError, match="of another program: it has 5 unknown numbers, and the"):
        bayes.step_halving(other, tree)
    found = bayes.step_halving(made, tree, draws=3)
    # By hand: Euler's steps of 0.05, every other of which is seen.
    flat = flat_of(made)
    numbers = np.asarray(tree["unconstrained_posterior"]["position"])[0, 0]
    eta, strength = numbers[1:4], np.exp(numbers[0])
    x, z, rows = np.array([-2.0, -1.8, -1.6]), np.array([3.6, 3.5, 3.4]), []
    for step in range(2 * SAMPLES):
        heard = (WEIGHTS @ x - WEIGHTS.sum(axis=1) * x) * strength
        dx, dz = 4.1 - x**3 - 2 * x**2 - z, (4 * (x - eta) - z - heard) / 10.0
        x, z = x + 0.05 * dx, z + 0.05 * dz
        if step % 2:
            rows.append(x)
    rng, noise = np.random.default_rng(0), np.exp(numbers[4])
    gain, data = rng.uniform(0.1, 1.0, (2, REGIONS)), rng.normal(size=(SAMPLES, 2))
    finer = stats.norm.logpdf(data, 1.5 * np.array(rows) @ gain.T, noise).sum()
    priors = by_hand(eta, strength, noise) - _likelihood_by_hand(eta, strength, noise)
    jacobian = numbers[0] + numbers[4]
    expected = finer + priors + jacobian + float(flat.potential(jnp.asarray(numbers)))
    assert found.changes[0] == pytest.approx(expected, abs=1e-9)
    assert found.negligible and "small enough" in str(found)
    large = bayes.StepHalving(np.array([0.02, -0.5]))
    assert not large.negligible and "by 0.5 nats at most" in str(large)


def _likelihood_by_hand(eta, strength, noise):
    prior = stats.norm.logpdf(eta, -2.5, 0.8).sum()
    prior += stats.lognorm.logpdf(strength, 0.4, scale=np.exp(0.1))
    return by_hand(eta, strength, noise) - prior - stats.lognorm.logpdf(noise, 0.5)
