"""Virtual surgery in a brain whose seizures have one source, against single runs of a network from
which the regions are really gone."""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr
from scipy.stats import norm

from patients import LABELS, TRUTH, chain_weights, posterior_about, small_patient
from tvbjax import Connectome, monitors, simulate
from tvbjax.forward import Gain
from tvbjax_inference.bayes import StateNoise, epilepsy
from tvbjax_inference.bayes.epilepsy import Disconnection, Resection, forms
from tvbjax_inference.bayes.epilepsy.permittivity import at_rest
from tvbjax_inference.bayes.epilepsy.priors import (
    clinical_hypothesis,
    lesion_on_mri,
    uninformed,
)
from tvbjax_inference.bayes.likelihoods import Seeg

DURATION = 30.0


@pytest.fixture(scope="module")
def program():
    return small_patient()


@pytest.fixture(scope="module")
def tree():
    return posterior_about(TRUTH, LABELS)


@pytest.fixture(scope="module")
def operated(program, tree):
    candidates = [
        Resection(),
        Resection(("a",)),
        Resection(("b",)),
        Resection(("b", "c")),
        Disconnection((("a", "b"), ("a", "c"))),
        Disconnection((("b", "a"), ("c", "a"))),
    ]
    return epilepsy.virtual_surgery(program, tree, candidates, duration=DURATION, draws=20)


def test_only_the_source_has_to_go(operated):
    """Without surgery a, b and c discharge in every draw. Without a none does, without b or c
    the others do; a cut of a's outgoing tracts leaves its own seizure, the other way round all."""
    assert operated["prevented"].values.tolist() == [0, 1, 0, 0, 0, 0]
    sizes = operated["size"]
    assert (sizes.min("draw") == sizes.max("draw")).all()
    assert sizes[:, 0].values.tolist() == [3, 0, 2, 1, 1, 3]
    assert (operated["first"][0] == "a").all() and (operated["first"][1] == "").all()
    expected = ["no surgery", "a", "b", "b + c", "cut a → b, a → c", "cut b → a, c → a"]
    assert operated["candidate"].values.tolist() == expected


def test_sizes_are_those_of_networks_without_the_regions(program, tree):
    """Each draw against a run by itself of a network that has only the regions left."""
    few = posterior_about(TRUTH, LABELS, deviation=0.2, draws=3)
    removed = ("b", "d")
    found = epilepsy.virtual_surgery(program, few, [Resection(removed)], duration=DURATION)
    left = [i for i, label in enumerate(LABELS) if label not in removed]
    posterior = few["posterior"].to_dataset().stack(every=("chain", "draw"))
    weights = chain_weights()[np.ix_(left, left)]
    z = np.full(3, 3.6)
    x = np.sort(np.roots([-1.0, -2.0, 0.0, 4.1 - 3.6]).real)[0] * np.ones(3)
    for draw in range(6):
        excitability = posterior["excitability"].isel(every=draw).values[left]
        network = epilepsy.network(Connectome(weights, labels=["a", "c", "e"]))
        coupling = jnp.asarray(posterior["coupling"].values[draw])
        network = eqx.tree_at(lambda s: s.coupling.a, network, coupling)
        network = forms.SMOOTH.free_excitability.put(network, jnp.asarray(excitability))
        raw = simulate(network, DURATION, initial=np.stack([x, z]), progress=False)["raw"].values
        assert int((raw[:, 0] > 0).any(axis=0).sum()) == int(found["size"][0, draw])


def test_the_interval_is_wilsons(program):
    """Of draws that differ: the source is above and below the threshold."""
    wide = posterior_about(np.array([-2.2, -2.6, -2.6, -3.0, -3.5]), LABELS, deviation=0.25)
    found = epilepsy.virtual_surgery(
        program, wide, [Resection()], duration=DURATION, draws=40, level=0.8
    )
    p, n, z = float(found["prevented"][0]), 40, norm.ppf(0.9)
    assert 0.2 < p < 0.95
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert float(found["low"][0]) == pytest.approx(middle - half)
    assert float(found["high"][0]) == pytest.approx(middle + half)


def test_a_seizure_can_be_more_than_one_region(program, tree):
    found = epilepsy.virtual_surgery(
        program, tree, [Resection(("b", "c")), Resection()], duration=DURATION, draws=5, more_than=1
    )
    assert found["seizure"].values.tolist() == [[False] * 5, [True] * 5]


def test_the_smallest_resection_is_the_source(program, tree):
    found = epilepsy.smallest_resection(program, tree, duration=DURATION, draws=10)
    assert found.resection == Resection(("a",)) and found.probability == 1.0
    assert found.tried["candidate"].values.tolist() == ["no surgery", "a"]
    every = epilepsy.smallest_resection(
        program, tree, duration=DURATION, draws=4, among=LABELS, up_to=1
    )
    assert every.resection == Resection(("a",))
    assert every.tried["prevented"].values.tolist() == [0, 1, 0, 0, 0, 0]


def test_two_sources_need_two_resections(program):
    both = posterior_about(np.array([-1.6, -3.0, -3.0, -3.2, -1.6]), LABELS)
    found = epilepsy.smallest_resection(program, both, duration=DURATION, draws=5)
    assert found.resection == Resection(("a", "e"))
    assert found.tried["candidate"].values.tolist() == ["no surgery", "a", "e", "a + e"]


def test_where_nothing_helps_or_is_needed(program, tree):
    none = epilepsy.smallest_resection(
        program, tree, duration=DURATION, draws=4, among=("b", "c"), up_to=3
    )
    assert none.resection is None and none.probability == 0.0
    assert none.tried.sizes["candidate"] == 4  # no surgery, b, c, both
    healthy = posterior_about(np.full(5, -3.2), LABELS)
    well = epilepsy.smallest_resection(program, healthy, duration=DURATION, draws=4)
    assert well.resection == Resection() and str(well.resection) == "no surgery"


@pytest.mark.parametrize("form, pace", [(forms.PLANAR, 0.1), (forms.FULL, 0.1)])
def test_other_forms_are_operated_alike(form, pace, tree):
    """The source, by its own excitability, and no other; against a run by itself."""
    connectome = Connectome(chain_weights(), labels=LABELS)
    network = epilepsy.network(connectome, form=form, pace=pace)
    gain = Gain(np.eye(5)[:4] + 0.1, ("A1", "A2", "B1", "B2"))
    data = np.random.default_rng(0).normal(size=(10, 4))
    program = epilepsy.patient_program(network, Seeg(gain, data), form=form)
    few = tree.isel(chain=[0], draw=slice(3))
    best = epilepsy.smallest_resection(program, few, duration=25.0, among=("b", "a"), up_to=1)
    assert best.resection == Resection(("a",)) and best.probability == 1.0
    assert best.tried["prevented"].values.tolist() == [0, 0, 1]
    assert (best.tried["first"][:2] == "a").all()

    posterior = few["posterior"].to_dataset().isel(chain=0, draw=0)
    one = form.free_excitability.replace(network, posterior["excitability"].values)
    one = form.free_coupling.replace(one, posterior["coupling"].values)
    variables = network.model.state_variables
    one = dataclasses.replace(one, monitors=(monitors.Raw(variables=variables[0]),))
    begin = at_rest(variables, jnp.full(5, 3.6))
    x = simulate(one, 25.0, initial=begin, progress=False)["raw"].values[:, 0]
    assert int(best.tried["size"][0, 0]) == int((x > 0).any(axis=0).sum())


def test_noise_of_the_state_is_drawn_anew(program, tree):
    """None is as without; much of it brings on seizures that an operation does not prevent."""
    candidates = [Resection(), Resection(("a",))]

    def operated(deviation, tree=tree):
        noisy = small_patient(state_noise=StateNoise({"x": deviation}))
        return epilepsy.virtual_surgery(noisy, tree, candidates, duration=DURATION, draws=10)

    without = epilepsy.virtual_surgery(program, tree, candidates, duration=DURATION, draws=10)
    assert operated(0.0).equals(without)
    assert float(operated(3.0)["prevented"][1]) < 0.5
    posterior = tree["posterior"].to_dataset()
    unknown = posterior.assign(state_noise_x=(("chain", "draw"), np.full((2, 30), 3.0)))
    drawn = xr.DataTree.from_dict({"posterior": unknown})
    assert operated(dist.HalfNormal(1.0), drawn).equals(operated(3.0))
    with pytest.raises(ValueError, match="has no 'state_noise_x'"):
        operated(dist.HalfNormal(1.0))


def test_a_state_that_is_given_is_begun_from(program, tree):
    """In the middle of c's seizure there is one whatever is taken out but c."""
    x, z = np.full(5, -1.9), np.full(5, 3.6)
    x[2] = 0.5
    found = epilepsy.virtual_surgery(
        program,
        tree,
        [Resection(("a",)), Resection(("a", "c"))],
        duration=DURATION,
        draws=3,
        initial=np.stack([x, z]),
    )
    assert found["prevented"].values.tolist() == [0, 1]
    assert (found["first"][0] == "c").all()


@pytest.mark.parametrize(
    "make, given, named, message",
    [
        (Resection, ("l0",), {}, "Resection: regions is 'l0'; give a list of names"),
        (Resection, ((0,),), {}, r"Resection: regions is \(0,\)"),
        (Resection, (("a", "a"),), {}, "Resection: regions names 'a' twice"),
        (Disconnection, ("ab",), {}, "Disconnection: tracts is 'ab'"),
        (Disconnection, (("ab", "cd"),), {}, "Disconnection: a tract is 'ab'"),
        (Disconnection, ((("a", "b", "c"),),), {}, r"a tract is \('a', 'b', 'c'\)"),
        (uninformed, (LABELS,), {"mean": np.nan}, "mean is nan"),
        (uninformed, (LABELS,), {"deviation": -1}, "deviation is -1"),
        (uninformed, (LABELS,), {"deviation": "a"}, "deviation is 'a'"),
        (uninformed, ([],), {}, "there are no labels"),
        (uninformed, ("abc",), {}, "labels is 'abc'; give a list of names"),
        (uninformed, (("a", "b", "a"),), {}, "labels names 'a' twice"),
        (clinical_hypothesis, (LABELS, "abc"), {}, "regions is 'abc'"),
        (lesion_on_mri, (LABELS, ("a",)), {"deviation": 0.0}, "deviation is 0.0"),
    ],
)
@pytest.mark.usefixtures("without_type_checks")
def test_operations_and_priors_of_no_regions_are_told(make, given, named, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make(*given, **named)


@pytest.mark.usefixtures("without_type_checks")
def test_names_may_be_any_sequence():
    names: Any = ["a", "b"]
    assert Resection(names) == Resection(("a", "b"))
    several: Any = [names]
    assert hash(Disconnection(several)) == hash(Disconnection((("a", "b"),)))
    labels: Any = np.array(LABELS)
    assert uninformed(labels).labels == LABELS


@pytest.mark.usefixtures("without_type_checks")
def test_what_does_not_fit_is_told(program, tree):
    def operate(candidates, **more):
        return epilepsy.virtual_surgery(program, tree, candidates, duration=DURATION, **more)

    with pytest.raises(ValueError, match="there is no region 'A'; did you mean 'a'"):
        operate([Resection(("A",))])
    with pytest.raises(ValueError, match="there are no candidates"):
        operate([])
    with pytest.raises(TypeError, match=r"candidates is Resection\(.*give e.g. \[Resection"):
        operate(Resection(("a",)))
    with pytest.raises(TypeError, match="a candidate is 'a'"):
        operate(["a"])
    with pytest.raises(TypeError, match="duration is 'a'; give a number above 0"):
        epilepsy.virtual_surgery(program, tree, [Resection()], duration="a")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="among is 'a'; give a list of names"):
        epilepsy.smallest_resection(program, tree, duration=DURATION, among="a")
    with pytest.raises(ValueError, match="healthy is -1, at which a region has seizures"):
        operate([Resection()], healthy=-1.0)
    with pytest.raises(ValueError, match="more_than is -1"):
        operate([Resection()], more_than=-1)
