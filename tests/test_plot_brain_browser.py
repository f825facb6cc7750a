"""The interactive brain looked at in a real browser: what it draws, what it does, what it loads."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from browser import Page, browser, chromium
from tvbjax import datasets, plot

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.skipif(chromium() is None, reason="no chromium here")

TIMES = 200


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(autouse=True)
def nothing_goes_wrong(page):
    page.requests.clear()
    page.complaints.clear()
    yield
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("file:", "about:"))] == []


@pytest.fixture(scope="module")
def activity() -> xr.DataArray:
    """0 on the left and 1 on the right, then changing places; region 5 has no value."""
    connectome = datasets.connectome("tvb76")
    right = connectome.hemispheres
    assert right is not None
    later = np.arange(TIMES)[:, None] >= TIMES / 2
    values = (right[None] != later).astype(float)
    values[:, 5] = np.nan
    return xr.DataArray(
        np.stack([values, 10 * values - 5], axis=1),
        dims=("time", "variable", "region"),
        coords={
            "time": ("time", np.arange(TIMES) * 2.0, {"units": "ms"}),
            "variable": ["rate", "V"],
            "region": list(connectome.labels),
            "unit": ("variable", ["kHz", "mV"]),
        },
        name="test",
    )


@pytest.fixture(scope="module")
def saved(activity, tmp_path_factory) -> str:
    brain = plot.brain(
        activity, datasets.surface(), datasets.region_mapping(),
        connectome=datasets.connectome("tvb76"),
    )  # fmt: skip
    path = brain.save(tmp_path_factory.mktemp("page") / "brain.html")
    return path.as_uri()


def stage(page: Page) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of the page where the brain is."""
    box = page.evaluate(
        "(() => { const b = document.getElementById('brain').getBoundingClientRect();"
        " return [b.left, b.top, b.right, b.bottom]; })()"
    )
    left, top, right, bottom = (round(part) for part in box)
    return left, top, right, bottom


def halves(page: Page, path: Path | None = None) -> list[np.ndarray]:
    """Pixels of the brain's left and right half on the screen: those that are coloured."""
    left, top, right, bottom = stage(page)
    picture = page.picture(path)[top + 70 : bottom - 70, left:right]
    middle = picture.shape[1] // 2
    # The legend stands at the right edge.
    parts = [picture[:, 100:middle], picture[:, middle : middle + middle - 100]]
    return [part[np.ptp(part, axis=-1) > 0.15] for part in parts]


def is_yellow(pixels: np.ndarray) -> float:
    """The share of pixels of viridis's upper end rather than its lower."""
    return float((pixels[:, 1] > pixels[:, 2]).mean())


def test_from_the_top_left_is_left_and_from_the_front_it_is_right(page, saved, tmp_path):
    page.open(saved + "#view=top&t=0")
    assert page.evaluate("document.documentElement.dataset.state") == "ready"
    left, right = halves(page, tmp_path / "top.png")
    assert min(len(left), len(right)) > 20_000, "a brain is drawn, in colours"
    assert is_yellow(left) < 0.05 and is_yellow(right) > 0.95
    page.open(saved + "#view=front&t=0")
    left, right = halves(page)
    assert is_yellow(left) > 0.9 and is_yellow(right) < 0.1


def test_the_slider_and_playing_change_the_time(page, saved):
    page.open(saved + "#view=top")
    page.evaluate(
        f"(() => {{ const s = document.getElementById('time'); s.value = {TIMES - 1};"
        " s.dispatchEvent(new Event('input')); })()"
    )
    left, right = halves(page)
    assert is_yellow(left) > 0.95 and is_yellow(right) < 0.05
    assert page.evaluate("document.getElementById('now').textContent") == "398 ms"
    page.evaluate("document.getElementById('play').click()")
    page.wait_for("document.getElementById('time').value < 150")  # from the end to the beginning
    label = "document.getElementById('play').getAttribute('aria-label')"
    assert page.evaluate(label) == "Pause"
    page.press(" ")
    assert page.evaluate(label) == "Play"
    stopped = page.evaluate("document.getElementById('time').value")
    page.press(">")
    assert page.evaluate("document.getElementById('time').value") == str(int(stopped) + 1)


def test_a_click_chooses_a_region_and_a_second_with_shift_joins_it(page, saved):
    page.open(saved + "#view=top&t=0")
    left, top, right, bottom = stage(page)
    x, y = (left + right) / 2, (top + bottom) / 2
    page.click(x + 90, y)
    chosen = "[...document.querySelectorAll('#chosen button')].map(b => b.textContent)"
    (first,) = page.evaluate(chosen)
    assert first.startswith("r") and first.endswith(": 1.00 kHz")
    assert page.evaluate("document.getElementById('tip').textContent") == first
    page.click(x - 90, y, modifiers=8)
    names = page.evaluate(chosen)
    assert names[0] == first and names[1].startswith("l") and names[1].endswith(": 0.00 kHz")
    page.click(left + 5, bottom - 150)  # beside the brain
    assert page.evaluate(chosen) == []


def test_a_region_without_value_says_so_and_is_grey(page, saved, activity):
    label = str(activity.region.values[5])
    page.open(f"{saved}#view=right&t=0&region={label}")
    chosen = page.evaluate("document.getElementById('chosen').textContent")
    assert chosen == f"{label}: no value"
    assert page.evaluate("document.getElementById('missing').hidden") is False


def test_dragging_keys_and_buttons_turn_the_brain(page, saved):
    page.open(saved + "#view=top&t=0")
    left, top, right, bottom = stage(page)
    x, y = (left + right) / 2, (top + bottom) / 2
    seen = [page.picture()]
    page.drag((x, y), (x + 80, y + 10))
    seen.append(page.picture())
    page.evaluate("document.getElementById('brain').focus()")
    page.press("ArrowLeft")
    seen.append(page.picture())
    page.press("r")
    seen.append(page.picture())
    page.evaluate("[...document.querySelectorAll('#sides button')].at(1).click()")
    seen.append(page.picture())
    page.press("+")
    seen.append(page.picture())
    for before, after in zip(seen[:-1], seen[1:], strict=True):
        assert (np.abs(before - after).max(axis=-1) > 0.1).mean() > 0.02


def test_another_variable_has_its_own_colours_unit_and_traces(page, saved):
    page.open(saved + "#view=top&variable=V&t=0")
    legend = page.evaluate("document.getElementById('legend').innerText")
    assert "V (mV)" in legend and "5" in legend and "\u22125" in legend
    left, right = halves(page)
    assert (left[:, 2] > left[:, 0]).mean() > 0.95, "below zero is blue"
    assert (right[:, 0] > right[:, 2]).mean() > 0.95, "above it red"


@pytest.mark.parametrize("width, height, dark", [(1280, 800, True), (390, 844, False)])
def test_dark_and_narrow_pages_show_everything(page, saved, width, height, dark):
    page.open(saved + "#view=left&t=0&region=rV1", width, height, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture = page.picture()
    assert (picture[-1, 1].mean() < 0.2) == dark
    sizes = page.evaluate(
        "['brain', 'traces', 'time', 'play', 'region'].map(id => {"
        " const b = document.getElementById(id).getBoundingClientRect();"
        " return [b.width, b.height, b.left, b.right]; })"
    )
    for wide, high, left, right in sizes:
        assert wide > 20 and high > 10 and left >= 0 and right <= width


def test_without_webgl_the_page_says_so_and_the_traces_work(page, saved):
    script = page.call(
        "Page.addScriptToEvaluateOnNewDocument",
        source="const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind === 'webgl2' ? null : get.call(this, kind, ...rest); };",
    )
    page.open(saved + "#t=150&region=rV1")
    assert page.evaluate("document.documentElement.dataset.state") == "without WebGL"
    assert "no WebGL 2" in page.evaluate("document.getElementById('unavailable').innerText")
    assert page.evaluate("document.getElementById('chosen').textContent") == "rV1: 0.00 kHz"
    page.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


def test_labels_are_text_and_nothing_of_them_runs(page, tmp_path):
    connectome = datasets.connectome("tvb76")
    wild = "<img src=x onerror=\"document.title='broken'\"></script><script>throw 1</script>"
    labels = [wild, *connectome.labels[1:]]
    data = xr.DataArray(
        np.arange(76.0)[None, None].repeat(2, 0),
        dims=("time", "variable", "region"),
        coords={"variable": [wild], "region": labels},
    )
    brain = plot.brain(data, datasets.surface(), datasets.region_mapping(), title=wild)
    page.open(brain.save(tmp_path / "wild.html").as_uri())
    page.evaluate("document.querySelector('#region').value = '0'")
    page.evaluate("document.querySelector('#region').dispatchEvent(new Event('change'))")
    page.settle()
    assert page.evaluate("document.getElementById('chosen').textContent") == f"{wild}: 0.0"
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.evaluate("document.title") == wild


def test_the_frame_of_a_notebook_draws_the_same(page, activity, tmp_path):
    brain = plot.brain(activity, datasets.surface(), datasets.region_mapping())
    cell = tmp_path / "notebook.html"
    cell.write_text(
        "<!DOCTYPE html><html><meta charset='utf-8'><body style='margin:0'>"
        + brain._repr_html_()
        + "<script>addEventListener('load', () => setTimeout(() => {"
        " document.documentElement.dataset.state = 'loaded'; }, 1500));</script>"
    )
    page.open(cell.as_uri(), 1280, 700)
    picture = page.picture()[100:550, 50:600]
    assert (np.ptp(picture, axis=-1) > 0.15).mean() > 0.2


def test_contrast_narrows_the_colours_and_the_legend_says_so(page, saved):
    page.open(saved + "#view=top&variable=V&t=0")
    page.evaluate(
        "(() => { const s = document.getElementById('contrast'); s.value = 1;"
        " s.dispatchEvent(new Event('input')); })()"
    )
    marks = page.evaluate("[...document.querySelectorAll('#bar li')].map(li => li.textContent)")
    assert marks == ["\u2264 \u22120.25", "0", "\u2265 0.25"]  # a twentieth of 5


def test_a_lost_graphics_context_comes_back(page, saved):
    page.open(saved + "#view=top&t=0")
    before = page.picture()
    lost = "document.getElementById('brain').getContext('webgl2').isContextLost()"
    page.evaluate(
        "window.loser = document.getElementById('brain').getContext('webgl2')"
        ".getExtension('WEBGL_lose_context'); window.loser.loseContext()"
    )
    page.wait_for(lost)
    page.settle()
    page.evaluate("window.loser.restoreContext()")
    page.wait_for("!" + lost)
    page.settle()
    assert (np.abs(page.picture() - before).max(axis=-1) > 0.02).mean() < 0.001


@pytest.mark.parametrize("value", [0.0, -3.5e-12, np.nan])
def test_one_time_without_any_difference_is_drawn(page, tmp_path, value):
    brain = plot.brain(
        np.full((1, 76), value), datasets.surface(), datasets.region_mapping(),
        connectome=datasets.connectome("tvb76"),
    )  # fmt: skip
    page.open(brain.save(tmp_path / "poor.html").as_uri() + "#view=left&region=rV1")
    assert page.evaluate("document.documentElement.dataset.state") == "ready"
    said = page.evaluate("document.getElementById('chosen').textContent")
    expected = {0.0: "rV1: 0.00", -3.5e-12: "rV1: \u22123.50e\u221212"}
    assert said == expected.get(value, "rV1: no value")
    assert page.evaluate("document.getElementById('missing').hidden") == (value == value)
