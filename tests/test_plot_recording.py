"""Figures of what a LEMS file displays: scales, units, colours, panels, spikes that stay."""

import numpy as np
import pytest

from lems_text import run
from tvbjax import lems
from tvbjax.plot.colours import legible
from tvbjax.plot.units import scaled_unit

pytest.importorskip("matplotlib")
from tvbjax import plot  # noqa: E402
from tvbjax.plot.recording import _thinned  # noqa: E402

MODEL = """<Lems>
  <Include file="units.xml"/>
  <Target component="sim"/>
  <ComponentType name="Cell">
    <Parameter name="tau" dimension="time"/>
    <Parameter name="start" dimension="voltage"/>
    <Parameter name="period" dimension="time"/>
    <Exposure name="v" dimension="voltage"/>
    <Exposure name="x" dimension="none"/>
    <EventPort name="spike" direction="out"/>
    <Dynamics>
      <StateVariable name="v" dimension="voltage" exposure="v"/>
      <StateVariable name="next" dimension="time"/>
      <DerivedVariable name="x" dimension="none" exposure="x" value="v / start"/>
      <TimeDerivative variable="v" value="-v / tau"/>
      <OnStart>
        <StateAssignment variable="v" value="start"/>
        <StateAssignment variable="next" value="period"/>
      </OnStart>
      <OnCondition test="t .gt. next">
        <StateAssignment variable="next" value="next + period"/>
        <EventOut port="spike"/>
      </OnCondition>
    </Dynamics>
  </ComponentType>
  <ComponentType name="Population">
    <ComponentReference name="cell" type="Cell"/>
    <Parameter name="size" dimension="none"/>
    <Structure><MultiInstantiate number="size" component="cell"/></Structure>
  </ComponentType>
  <ComponentType name="Net"><Children name="populations" type="Population"/></ComponentType>
  <ComponentType name="Sim">
    <ComponentReference name="net" type="Net"/>
    <Parameter name="step" dimension="time"/>
    <Parameter name="length" dimension="time"/>
    <Children name="displays" type="Display"/>
    <Children name="writers" type="Spikes"/>
    <Dynamics><StateVariable name="t" dimension="time"/></Dynamics>
    <Simulation><Run component="net" variable="t" increment="step" total="length"/></Simulation>
  </ComponentType>
  <ComponentType name="Display">
    <Text name="title"/><Children name="lines" type="Line"/>
    <Parameter name="left" dimension="none"/><Parameter name="right" dimension="none"/>
    <Parameter name="low" dimension="none"/><Parameter name="high" dimension="none"/>
    <Simulation><DataDisplay title="title" dataRegion="left, right, low, high"/></Simulation>
  </ComponentType>
  <ComponentType name="Line">
    <Path name="quantity"/><Parameter name="scale" dimension="*"/>
    <Parameter name="timeScale" dimension="time"/><Text name="color"/>
    <Simulation>
      <Record quantity="quantity" scale="scale" timeScale="timeScale" color="color"/>
    </Simulation>
  </ComponentType>
  <ComponentType name="Spikes">
    <Text name="path"/><Text name="file"/><Text name="format"/>
    <Children name="sources" type="Source"/>
    <Simulation><EventWriter path="path" fileName="file" format="format"/></Simulation>
  </ComponentType>
  <ComponentType name="Source">
    <Path name="cell"/><Text name="port"/>
    <Simulation><EventRecord quantity="cell" eventPort="port"/></Simulation>
  </ComponentType>
  <Cell id="cell" tau="10 ms" start="20 mV" period="7.05 ms"/>
  <Net id="net"><Population id="pop" cell="cell" size="3"/></Net>
  <Sim id="sim" net="net" step="0.1 ms" length="30 ms">
    <Display id="d" title="Costs $5 and $6" left="-1000" right="20000" low="-1" high="2">
      <Line id="_v" quantity="pop[0]/v" scale="1 uV" timeScale="1 us" color="#ffffff"/>
      <Line id="again" quantity="pop[1]/v" scale="1 uV" timeScale="1 us" color="#000000"/>
      <Line id="ratio" quantity="pop[0]/x" scale="1" timeScale="1 us" color="#ffff00"/>
    </Display>
    <Spikes id="s" file="out.spikes" format="TIME_ID">
      <Source id="a" cell="pop[0]" port="spike"/>
      <Source id="b" cell="pop[2]" port="spike"/>
    </Spikes>
  </Sim>
</Lems>"""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.xml"
    path.write_text(MODEL)
    return lems.load_network(path)


@pytest.fixture(scope="module")
def recording(network):
    return run(network, method=lems.RungeKutta4())


def test_a_display_has_the_scales_of_the_file_and_a_panel_for_each_unit(network, recording):
    figure = plot.display(recording, network.outputs[0])
    upper, lower = figure.axes
    time, values = (np.asarray(part, float) for part in upper.lines[0].get_data())
    np.testing.assert_allclose(time, np.arange(301) * 100.0, rtol=1e-12)  # us
    np.testing.assert_allclose(values, 20_000 * np.exp(-time / 10_000), rtol=1e-6)  # uV
    assert upper.get_ylabel() == "v (µV)" and lower.get_ylabel() == "x"
    assert lower.get_xlabel() == "time (µs)"
    assert len(upper.lines) == 2 and len(lower.lines) == 1
    legend = upper.get_legend()
    assert legend is not None
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [" _v", "again"]
    figure.canvas.draw()  # dollar signs of the file are not mathematics


def test_given_ranges_are_the_axes(network, recording):
    figure = plot.display(recording, network.outputs[0], x_range=(0, 5_000))
    assert figure.axes[0].get_xlim() == (0, 5_000)


def test_the_ranges_of_the_file_hold_where_they_fit(network, recording):
    from dataclasses import replace

    shown = network.outputs[0]
    assert shown.region == (-1000.0, 20_000.0, -1.0, 2.0)
    figure = plot.display(recording, replace(shown, columns=shown.columns[2:]))
    # From -1000 us, but the run begins at 0; the ratio goes from 1 to exp(-3).
    assert figure.axes[0].get_xlim() == (0.0, 20_000.0) and figure.axes[0].get_ylim() == (-1, 2)
    figure = plot.display(recording, replace(shown, columns=shown.columns[:1]))
    assert figure.axes[0].get_ylim()[1] > 20_000, "20 mV in uV are out of the range"
    beyond = replace(shown, columns=shown.columns[2:], region=(1e6, 2e6, -1e6, 1e6))
    axes = plot.display(recording, beyond).axes[0]
    assert axes.get_xlim() == pytest.approx((0.0, 30_000.0)) and axes.get_ylim()[1] < 1.2


def test_all_instances_of_a_population_are_drawn(network):
    from dataclasses import replace

    output = network.outputs[0]
    every = replace(output, columns=(replace(output.columns[0], path="pop[*]/v"),))
    recording = run(network, record=("pop[*]/v",))
    figure = plot.display(recording, every, y_range=(0, 2))
    assert len(figure.axes[0].lines) == 3 and figure.axes[0].get_ylim() == (0, 2)


def lines_at(collection) -> np.ndarray:
    """Where the vertical lines of a row stand."""
    return np.array([segment[0, 0] for segment in collection.get_segments()])


def test_a_raster_has_a_row_for_each_source_at_the_times_of_its_events(network, recording):
    figure = plot.raster(recording, network.outputs[1])
    axes = figure.axes[0]
    rows = [np.sort(lines_at(collection)) for collection in axes.collections]
    assert len(rows) == 2
    # The step that begins after 7.05 ms ends at 7.2 ms; the condition is tested at its end.
    np.testing.assert_allclose(rows[0], [7.1, 14.2, 21.2, 28.3], atol=0.11)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["pop[0]", "pop[2]"]
    assert axes.get_xlabel() == "time (ms)" and axes.get_title(loc="right") == "8 events"


def test_a_raster_of_many_sources_is_dots(network):
    from dataclasses import replace

    output = network.outputs[1]
    every = replace(output, columns=(replace(output.columns[0], path="pop[*]"),) * 40)
    # 120 rows.
    recording = run(network, record=("pop[*]/spike",))
    figure = plot.raster(recording, every)
    assert len(figure.axes[0].collections) == 1
    assert np.asarray(figure.axes[0].collections[0].get_offsets()).shape == (40 * 12, 2)


def test_an_output_of_another_kind_is_refused(network, recording):
    shown, written = network.outputs
    with pytest.raises(ValueError, match="is a EventWriter; pass a DataDisplay"):
        plot.display(recording, written)
    with pytest.raises(ValueError, match="pass a EventWriter"):
        plot.raster(recording, shown)


def test_a_scale_of_zero_is_refused(network, recording):
    from dataclasses import replace

    shown = network.outputs[0]
    for wrong in ({"scale": 0.0}, {"time_scale": 0.0}):
        column = replace(shown.columns[0], **wrong)
        with pytest.raises(ValueError, match="give another scale than 0"):
            plot.display(recording, replace(shown, columns=(column,)))


def test_no_spike_is_lost_by_thinning():
    values = np.zeros(1_000_003)
    spikes = np.array([0, 5, 499_999, 1_000_002])
    values[spikes] = [1.0, 2.0, 3.0, 4.0]
    values[700_000] = -1.0
    time, shown = _thinned(np.arange(len(values)) * 1.0, values)
    assert len(time) < 10_000 and np.all(np.diff(time) >= 0)
    assert set(shown[shown != 0]) == {1.0, 2.0, 3.0, 4.0, -1.0}
    assert time[shown == 3.0] == [499_999]
    values[300_000:400_000] = np.nan
    assert np.isnan(_thinned(np.arange(len(values)) * 1.0, values)[1]).sum() > 100


@pytest.mark.parametrize(
    "unit, power, scale, expected",
    [
        ("mV", -3, 1e-3, "mV"),
        ("mV", -3, 1.0, "V"),
        ("nA", -9, 1e-12, "pA"),
        ("nA", -9, 1e-10, "0.1 nA"),
        ("uS", -6, 1e-9, "nS"),
        ("uS", -6, 1e-6, "µS"),
        ("ms", -3, 1.0, "s"),
        ("1/ms", 3, 1.0, "1/s"),
        ("1/ms", 3, 1e3, "1/ms"),
        ("kg m^2 s^-3 A^-1", 0, 1e-3, "mV"),
        ("", 0, 1.0, ""),
        ("", 0, 0.01, "0.01"),
        ("mV/ms", 0, 1.0, "mV/ms"),
        ("mV/ms", 0, 10.0, "10 mV/ms"),
        ("mm^-2 nA", -3, 1.0, "A/m²"),
        ("mm^-2 nA", -3, 1e-3, "nA/mm²"),
        ("mm^-2 nA", -3, 1e-2, "10 nA/mm²"),
        ("pg mm^2 ms^-3", -12, 1.0, "kg m²/s³"),
        ("mV", -3, -1e-3, "-1 mV"),
        ("mm ms^-1", 0, 2.0, "2 mm/ms"),
        ("1/mV", 3, 1.0, "1/V"),
        ("kg m^2 s^-3", 0, 1.0, "kg m²/s³"),
    ],
)
def test_the_unit_of_a_scale(unit, power, scale, expected):
    assert scaled_unit(unit, power, scale) == expected


def contrast(colour: str) -> float:
    """With white, in 8-bit luminance: a cruder measure than the one that is used."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 255 - (0.299 * red + 0.587 * green + 0.114 * blue)


def test_colours_are_kept_where_white_shows_them_and_darkened_where_not():
    given = ["#000000", "#ee40FF", "#ffffff", "#ffff00", "#00ff00", "#eee", "", "#3ff9999", "red"]
    shown = legible(given)
    assert shown[:2] == given[:2]
    assert all(contrast(colour) > 60 for colour in shown)
    red, green, blue = (int(shown[3][i : i + 2], 16) for i in (1, 3, 5))
    assert red == green > 3 * blue, "dark yellow is still yellow"
    assert len(set(shown)) == len(shown), "lines can be told apart"
    assert legible(["#ffffff", "#ffffff"])[0] == legible(["#ffffff", "#ffffff"])[1]
    assert legible([]) == []
