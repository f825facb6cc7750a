"""Figures of fits: what stands in them, and what they refuse."""

import builtins
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tvbjax
from networks import network
from quadratic import MIDDLE, Quadratic
from tvbjax import monitors
from tvbjax.axes import Axis
from tvbjax.inference import Fit, Growth, Problem, Profile, fit, identifiability, plots
from tvbjax_inference.objectives import Comparison, Kind
from tvbjax_inference.problem import Compared

pytest.importorskip("matplotlib")

RNG = np.random.default_rng(0)
REGIONS = Axis("region", tuple(f"r{i}" for i in range(5)))


@cache
def found() -> Fit:
    return fit(Quadratic(), optimiser=optax.adam(0.2), steps=8, starts=3)


def lines(axes) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata(), float) for line in axes.get_lines()]


def titles(figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def drawn(figure) -> Any:
    """A figure that can be drawn whole."""
    figure.draw_without_rendering()
    return figure


def test_losses_of_all_starts_and_terms_of_the_best():
    one = found()
    figure = drawn(plots.plot_loss(one))
    assert titles(figure) == [f"Least loss of 3 starts: {one.loss:.4g}", "Terms of the best start"]
    losses = np.stack(one.history.losses)
    curves = lines(figure.axes[0])
    best = int(np.argmin(one.losses))
    np.testing.assert_allclose(curves[2], losses[:, best])
    assert len(curves) == 4 and curves[3] == pytest.approx([one.loss])
    terms = np.stack([step["a"] for step in one.history.terms])
    np.testing.assert_allclose(lines(figure.axes[1])[0], terms[:, best])


def test_values_by_step_in_their_units():
    one = found()
    figure = drawn(plots.plot_parameters(one))
    assert titles(figure) == ["b", "a"]
    best = int(np.argmin(one.losses))
    numbers = np.stack([position["b"] for position in one.history.positions])
    for number, curve in enumerate(lines(figure.axes[0])):
        np.testing.assert_allclose(curve, numbers[:, best, number])
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["left", "middle", "right"]
    logs = np.stack([position["a"] for position in one.history.positions])
    np.testing.assert_allclose(lines(figure.axes[1])[-1], np.exp(logs[:, best]), rtol=1e-6)


class Wide(Quadratic):
    """With numbers of twelve regions that do not matter."""

    @property
    def start(self):
        return super().start | {"c": jnp.zeros(12)}

    def supports(self):
        return super().supports() | {"c": super().supports()["b"]}

    def coordinates(self):
        return super().coordinates() | {"c": tuple(f"r{i}" for i in range(12))}


def test_many_numbers_are_a_strip_with_names():
    with pytest.warns(UserWarning, match="does not depend on 'c'"):
        one = fit(Wide(), steps=2)
    figure = drawn(plots.plot_parameters(one))
    strip = figure.axes[2]
    assert strip.get_images()[0].get_array().shape == (12, 2)
    assert [label.get_text() for label in strip.get_yticklabels()][:2] == ["r0", "r1"]


def of_kinds() -> dict[str, Comparison]:
    matrix = np.corrcoef(RNG.normal(size=(5, 30)))
    other = np.corrcoef(RNG.normal(size=(5, 30)))
    frequencies = Axis("frequency", tuple(np.arange(1.0, 11.0)), "Hz")
    time = Axis("time", tuple(np.arange(20.0)), "ms")
    values = RNG.normal(size=(2, 5))
    return {
        name: Comparison(name, jnp.asarray(one), jnp.asarray(two), axes, kind, unit)
        for name, one, two, axes, kind, unit in (
            ("fc", matrix, other, (REGIONS, REGIONS), Kind.MATRIX, ""),
            ("fcd", RNG.normal(size=90), RNG.normal(size=40), (), Kind.DISTRIBUTION, ""),
            ("power", *RNG.normal(size=(2, 10)), (frequencies,), Kind.SPECTRUM, "dB"),
            ("powers", *RNG.normal(size=(2, 10, 5)), (frequencies, REGIONS), Kind.SPECTRUM, "dB"),
            ("series", *RNG.normal(size=(2, 20, 5)), (time, REGIONS), Kind.SERIES, ""),
            ("mean", *values, (REGIONS,), Kind.VALUES, "mV"),
            ("many", *RNG.normal(size=(2, 40)), (), Kind.VALUES, ""),
        )
    }


def test_each_kind_of_comparison():
    kinds = of_kinds()
    figure = drawn(plots.draw_comparisons(kinds))
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    simulated, empirical = (np.asarray(x) for x in (kinds["fc"].simulated, kinds["fc"].empirical))
    image = panels["fc, empirical"].get_images()[0].get_array()
    np.testing.assert_allclose(image.compressed(), empirical[~np.eye(5, dtype=bool)])
    assert image.mask.diagonal().all()
    upper = np.triu_indices(5, 1)
    r = np.corrcoef(simulated[upper], empirical[upper])[0, 1]
    scatter = panels[f"r = {r:.2f}"]
    np.testing.assert_allclose(lines(scatter)[0], simulated[upper])
    np.testing.assert_allclose(lines(panels["power"])[1], kinds["power"].simulated)
    assert len(lines(panels["powers"])) == 12
    assert len(lines(panels["series"])) == 10
    assert [t.get_text() for t in panels["mean"].get_xticklabels()] == list(REGIONS.coordinate)
    np.testing.assert_allclose(lines(panels["mean"])[1], kinds["mean"].simulated)
    assert any(title.startswith("many, r = ") for title in panels)


def test_identifiability_with_a_flat_direction():
    position = {"a": jnp.asarray(MIDDLE[0]), "b": jnp.asarray(MIDDLE[1:])}
    report = identifiability(Quadratic(), position, noise=0.05)
    figure = drawn(plots.plot_identifiability(report))
    assert "How well numbers are determined" in titles(figure)
    bars = [patch.get_width() + patch.get_x() for patch in figure.axes[0].patches]
    np.testing.assert_allclose(sorted(bars), sorted(report.shares), rtol=1e-6)

    class Sum(Quadratic):
        """Of b only the sum counts."""

        def compared(self, positions, key, derivatives=None):
            sums = positions["b"].sum(axis=1, keepdims=True)
            return Compared({"all": jnp.concatenate([sums, positions["a"][:, None]], axis=1)})

    report = identifiability(Sum(), position, noise=0.05)
    assert report.flat.sum() == 2 and report.verdicts == ("not",) * 3 + ("well",)
    figure = drawn(plots.plot_identifiability(report))
    hatched = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    assert len(hatched) == 3
    assert [text.get_text() for text in figure.axes[2].texts] == ["0", "0"]


def test_a_profile_with_its_interval():
    values = np.linspace(-1.0, 1.0, 5)
    profile = Profile("b[left]", values, 1.0 + values**2, {}, 0.0, 1.0)
    figure = drawn(plots.plot_profile(profile, 2.0))
    low, high = profile.interval(2.0)
    assert titles(figure) == [f"Profile of b[left]: {low:.4g} to {high:.4g}"]
    assert lines(figure.axes[0])[0] == pytest.approx([profile.threshold(2.0)] * 2)
    assert high == pytest.approx(1.959964 / 2, abs=1e-6)
    open_ended = Profile("b", values[2:], 1.0 + values[2:] ** 2, {}, 0.0, 1.0)
    assert "no bound to" in titles(drawn(plots.plot_profile(open_ended, 2.0)))[0]
    assert titles(drawn(plots.plot_profile(profile))) == ["Profile of b[left]"]


def test_growth_with_the_horizon_that_is_advised():
    times = np.arange(51) * 20.0
    growth = Growth(times, 0.02 * times, 0.02, 1e-4, {})
    figure = drawn(plots.plot_growth(growth))
    assert titles(figure) == ["Gradients explode"]
    assert figure.axes[0].texts[0].get_text() == f"horizon {np.log(20) / 0.02:.2g} ms"
    still = drawn(plots.plot_growth(Growth(times, -0.02 * times, -0.02, 1e-4, {})))
    assert titles(still) == ["Gradients do not explode"]


@pytest.mark.parametrize(
    "draw", [plots.plot_loss, plots.plot_parameters, plots.plot_comparison, plots.plot_profile]
)
def test_what_cannot_be_drawn_is_told(draw, without_type_checks):
    with pytest.raises(TypeError, match=f"{draw.__name__}: 3 is of the type int; give what"):
        draw(3)


def test_a_function_has_nothing_to_compare(tmp_path):
    gain = tvbjax.Free(lambda s: s.coupling.a)
    simulator = network(tmp_path, regions=2, monitors=monitors.TemporalAverage(1.0))

    def spread(result):
        return result.samples["temporal_average"].values.std()

    problem = Problem(simulator, {"gain": gain}, spread, 5.0)
    with pytest.raises(ValueError, match="objective 'spread' compares nothing with data"):
        plots.plot_comparison(fit(problem, steps=1))


def test_comparisons_of_a_cohort_are_those_of_a_subject():
    with pytest.raises(TypeError, match=r"give one's, fit\.subject\(name\)"):
        plots.plot_comparison(found())


def test_without_matplotlib_it_is_told(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tvbjax\[plot\]'"):
        plots.plot_loss(found())
