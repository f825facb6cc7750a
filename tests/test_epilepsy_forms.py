"""The Epileptors of two and six variables in programs: where they begin and seize, gradients by
differences, posteriors about a truth; delays."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree
from scipy.optimize import fsolve

from tvbjax import Connectome, bayes, integrators, lems, monitors, simulate
from tvbjax.delays import Linear
from tvbjax.forward import Gain
from tvbjax_inference.bayes import epilepsy
from tvbjax_inference.bayes.epilepsy import forms
from tvbjax_inference.bayes.epilepsy.permittivity import at_rest, whole_state
from tvbjax_inference.bayes.flat import flat_of
from tvbjax_inference.bayes.likelihoods import Seeg

LABELS = ("a", "b", "c")
WEIGHTS = np.array([[0.0, 0.1, 0.0], [1.0, 0.0, 0.0], [0.3, 0.2, 0.0]])
TRUTH = np.array([-1.6, -2.4, -3.0])
GAIN = Gain(
    np.array([[1.0, 0.2, 0.1], [0.3, 1.0, 0.2], [0.1, 0.3, 1.0], [0.6, 0.4, 0.3]]),
    ("A1", "A2", "B1", "B2"),
)
# The paces are such that a seizes within the time of the data.
FORMS = {"smooth": (forms.SMOOTH, 10.0), "planar": (forms.PLANAR, 0.1), "full": (forms.FULL, 0.2)}
EVERY = 0.5
PRIOR = epilepsy.priors.uninformed(LABELS, -2.5, 0.7)


def network(form, pace, lengths=None, **more):
    connectome = Connectome(WEIGHTS, lengths, labels=LABELS, speed=4.0)
    watch = monitors.SubSample(EVERY, form.source)
    return epilepsy.network(connectome, form=form, pace=pace, watch=watch, **more)


def patient(form, pace, *, simulator=None, prior=PRIOR, **more):
    """Of simulated data, of the same form, with offsets and noise of 0.1."""
    simulator = network(form, pace) if simulator is None else simulator
    duration = 8.0 if form is forms.FULL else 16.0
    samples, generator = round(duration / EVERY), np.random.default_rng(0)

    def of(data):
        amplitude, noise = dist.LogNormal(0.0, 0.3), dist.LogNormal(np.log(0.1), 0.3)
        # The offsets' own prior is said: sources are not 0 on average.
        offset = (0.0, 0.1)
        seeg = Seeg(GAIN, data, amplitude=amplitude, noise=noise, error=0.1, offset=offset)
        return epilepsy.patient_program(simulator, seeg, form=form, excitability=prior, **more)

    draft = of(generator.normal(size=(samples, 4)))
    values = {"excitability": TRUTH, "coupling": 1.0, "permittivity": np.full(3, 3.5)}
    values |= {"initial_away": np.zeros(3)}
    values |= {"state_noise_x": 0.05, "innovations_x": np.random.default_rng(1).normal(size=(8, 3))}
    begun, initial = draft.begun({name: jnp.asarray(value) for name, value in values.items()})
    run = simulate(begun, duration, initial=initial, progress=False)["subsample"].values[:, 0]
    seen = run @ np.asarray(GAIN.matrix).T + 0.1 * generator.normal(size=4)
    return of(seen + 0.1 * generator.normal(size=seen.shape))


def check_gradient(program, rel=1e-5):
    """Where the source seizes, along three random directions, by differences of fourth order."""
    flat = flat_of(program)
    both = jax.jit(jax.value_and_grad(flat.potential))  # one program, which takes long to compile
    values = dict(flat.unravel(flat.start))
    values["excitability_coordinate"] = epilepsy.Equilibrium().coordinate(jnp.asarray(TRUTH))
    start, _ = ravel_pytree(values)
    value, slope = (np.asarray(part) for part in both(start))
    assert np.isfinite(value) and np.isfinite(slope).all()
    for seed in range(3):
        way = np.random.default_rng(seed).normal(size=flat.size)
        ahead = [float(both(start + step * 1e-4 * way)[0]) for step in (-2, -1, 1, 2)]
        found = (ahead[0] - 8 * ahead[1] + 8 * ahead[2] - ahead[3]) / (12 * 1e-4)
        assert slope @ way == pytest.approx(found, rel=rel)


@pytest.mark.parametrize("name", ["planar", "full"])
def test_the_gradient_of_a_form_is_that_by_differences(name):
    check_gradient(patient(*FORMS[name]))


def test_the_gradient_through_delays_is_that_by_differences():
    """Delays of 12 steps and more, nearest and between two steps; the past is the beginning."""
    lengths = np.array([[0.0, 5.0, 9.0], [8.1, 0.0, 4.9], [6.3, 7.7, 0.0]])
    delayed = network(*FORMS["smooth"], lengths=lengths, delays=True)
    assert delayed.horizon > 20
    program = patient(*FORMS["smooth"], simulator=delayed)
    check_gradient(program)
    check_gradient(
        patient(*FORMS["smooth"], simulator=dataclasses.replace(delayed, delays=Linear()))
    )
    # Data of the delayed network are not those of one without delays.
    instant = patient(*FORMS["smooth"])
    apart = [one.likelihoods["seeg"].measured for one in (program, instant)]
    assert np.abs(apart[0] - apart[1]).max() > 0.05


def test_planar_is_smooth_where_it_does_not_discharge():
    """Left of 0 the two forms of two variables have one drift: x0 is eta, r is 1 / tau0, and -Ks
    is K."""
    smooth, planar = forms.SMOOTH.load(), forms.PLANAR.load()
    state = jnp.stack([jnp.linspace(-3.0, -0.01, 40), jnp.linspace(2.5, 5.0, 40)])
    heard, x0 = jnp.linspace(-1.0, 1.0, 40)[None], jnp.asarray(-2.2)
    one = smooth.dfun(state, heard, smooth.params | {"eta": x0, "tau0": jnp.asarray(20.0)})
    other = planar.dfun(state, heard, planar.params | {"x0": x0, "r": jnp.asarray(0.05)})
    np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-12, atol=1e-12)


def test_full_begins_where_it_rests():
    """Against SciPy's root of the five fast equations of Jirsa et al. (2014)."""
    for z in (3.5, 3.6, 4.5, 6.0):

        def fast(y, z=z):
            x1, y1, x2, y2, g = y
            return [
                y1 - x1**3 + 3 * x1**2 - z + 3.1,
                1 - 5 * x1**2 - y1,
                -y2 + x2 - x2**3 + 0.45 + 2 * g - 0.3 * (z - 3.5),
                0.0 - y2,
                g - 0.1 * x1,
            ]

        found = np.asarray(at_rest(forms.FULL.load().state_variables, jnp.array([z])))[:, 0]
        expected: Any = fsolve(fast, [-2.0, -19.0, -1.0, 0.0, -0.2], xtol=1e-12)
        assert found[2] == z
        np.testing.assert_allclose(found[[0, 1, 3, 4, 5]], expected, atol=0.02)
    # Aside of the branch the recovery has followed.
    x, z = jnp.array([-1.9, -1.4]), jnp.array([3.5, 2.0])
    whole = np.asarray(whole_state(forms.FULL.load().state_variables, x, z))
    np.testing.assert_allclose(whole[1], 1.0 - 5.0 * x**2)
    assert np.isfinite(whole).all() and (whole[3] < -0.25).all()


@pytest.mark.parametrize("name", ["smooth", "planar", "full"])
def test_regions_seize_above_the_threshold_and_spread_by_coupling(name):
    """Alone above -2.05 only, so that the sign and the size of excitability are those of the
    priors; and with coupling above 0 a region below it does, too."""
    form, _ = FORMS[name]
    pace = 50.0 if form is forms.SMOOTH else 0.02
    alone = epilepsy.network(
        Connectome(np.eye(2)[::-1], labels=["a", "b"]),
        form=form,
        pace=pace,
        watch=monitors.SubSample(0.5, form.load().state_variables[0]),
    )
    begin = at_rest(alone.model.state_variables, jnp.full(2, 3.3))

    def seizes(excitability, strength):
        made = form.free_excitability.replace(alone, np.array(excitability))
        made = form.free_coupling.replace(made, strength)
        x = simulate(made, 120.0, initial=begin, progress=False)["subsample"].values[:, 0]
        return (x > 0).any(axis=0).tolist()

    assert seizes([-1.9, -2.3], 0.0) == [True, False]
    assert seizes([-1.6, -2.2], 2.0) == [True, True]


def test_six_variables_are_integrated_with_smaller_steps():
    """At rest Heun's method is stable with the form's step, and is not with that of the others."""
    assert network(*FORMS["full"]).integrator.dt == 0.05
    assert network(*FORMS["planar"]).integrator.dt == 0.1
    run = {}
    for dt in (0.05, 0.1, 0.0125):
        made = network(*FORMS["full"], integrator=integrators.Heun(dt=dt))
        made = forms.FULL.free_excitability.replace(made, np.array([-2.3, -3.0, -4.0]))
        begin = at_rest(made.model.state_variables, jnp.array([3.6, 4.0, 6.0]))
        begin = begin + jnp.asarray([0.05, 0.0, 0.0, 0.0, 0.0, 0.0])[:, None]
        run[dt] = simulate(made, 20.0, initial=begin, progress=False)["subsample"].values
    assert np.abs(run[0.05] - run[0.0125])[2:].max() < 0.01
    assert not np.abs(run[0.1] - run[0.0125])[2:].max() < 0.1


POSTERIORS = {
    "planar": lambda: patient(*FORMS["planar"]),
    # That no region seizes, in more noise, is a mode of the six variables, in which chains stay.
    "full": lambda: patient(*FORMS["full"], prior=PRIOR.about(["a"], -1.8, 0.5, "a hypothesis")),
    "delayed": lambda: patient(
        *FORMS["smooth"],
        simulator=network(*FORMS["smooth"], lengths=6.0 - 6.0 * np.eye(3), delays=True),
    ),
    "noisy": lambda: patient(
        *FORMS["smooth"], state_noise=bayes.StateNoise({"x": dist.HalfNormal(0.05)}, every=2.0)
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", POSTERIORS)
def test_posteriors_are_about_the_truth(name):
    tree = bayes.sample(
        POSTERIORS[name](),
        key=jax.random.key(1),
        method=bayes.Nuts(chains=2, warmup=100, draws=250),
        starts=3,
        replicates=10,
        progress=False,
    )
    found = tree["posterior"]["excitability"].stack(every=("chain", "draw"))
    low, high = found.quantile([0.005, 0.995], "every").values
    assert (low < TRUTH).all() and (high > TRUTH).all()
    # Known better than by the prior, N(-2.5, 0.7): best the source.
    assert float(found.std("every")[0]) < 0.2
    table = bayes.diagnose(tree).table["excitability"]
    assert float(table.sel(measure="rhat").max()) < 1.05
    assert np.asarray(tree["sample_stats"]["diverging"]).mean() < 0.02


# Where they do not fit


def test_a_form_of_another_model_is_named():
    with pytest.raises(ValueError, match="Epileptor2DSmooth has no parameter 'Ks'.*form=epil"):
        data = np.random.default_rng(0).normal(size=(8, 4))
        made = network(*FORMS["smooth"])
        epilepsy.patient_program(made, Seeg(GAIN, data), form=forms.FULL)


def test_a_beginning_of_another_model_is_named():
    begin = epilepsy.NearSlowManifold()
    made = network(*FORMS["full"])
    begin.check(made)
    other = dataclasses.replace(
        made,
        model=lems.load("Generic2dOscillator"),
        monitors=(monitors.Raw(),),
    )
    with pytest.raises(ValueError, match="Generic2dOscillator has the state variables V, W"):
        begin.check(other)
    params = made.model.params | {"Iext2": jnp.asarray(2.0)}
    changed = dataclasses.replace(made, model=dataclasses.replace(made.model, params=params))
    with pytest.raises(ValueError, match="'x2' moves by .* where the Epileptor rests"):
        begin.check(changed)
