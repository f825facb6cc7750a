"""A report is parsed as HTML, and figures are asked what they show."""

import base64
import hashlib
import io
import re

import numpy as np
import pytest
import xarray as xr
from lxml import html
from matplotlib import image

from patients import Large, large_patient
from tvbjax import Connectome
from tvbjax.forward import Sensors
from tvbjax_inference.bayes import Diagnosis, StepHalving, epilepsy
from tvbjax_inference.bayes.epilepsy import figures

TRUSTED = Diagnosis((), xr.Dataset(), {"R-hat": 1.004})
NUMBERS = {"R-hat": 1.02, "bulk ESS": 300.0, "tail ESS": 200.0, "divergences": 7.0}
TROUBLE = Diagnosis(("7 steps diverged, near <b>hell</b>.",), xr.Dataset(), NUMBERS)


@pytest.fixture(scope="module")
def patient():
    return large_patient()


@pytest.fixture(scope="module")
def summary(patient):
    return epilepsy.summary(patient.tree)


@pytest.fixture(scope="module")
def surgery():
    """As `virtual_surgery` gives it, of 20 operations."""
    prevented = np.round(np.linspace(0.0, 1.0, 20), 2)
    names = ["no surgery", *(f"R-frontal{i} + R-insula{i}" for i in range(19))]
    return xr.Dataset(
        {
            "size": (("candidate", "draw"), np.tile(np.arange(20.0)[::-1, None], (1, 5))),
            "prevented": (("candidate",), prevented),
            "low": (("candidate",), (prevented - 0.1).clip(0)),
            "high": (("candidate",), (prevented + 0.1).clip(max=1)),
        },
        coords={"candidate": names},
        attrs={"more_than": 0, "level": 0.9, "duration": 20.0},
    )


def written(path, made: Large, summary, **more) -> tuple[str, html.HtmlElement]:
    file = path / "report.html"
    found = epilepsy.write_report(file, made.program, made.tree, summary=summary, **more)
    text = found.read_text(encoding="utf-8")
    return text, html.fromstring(text)


@pytest.fixture(scope="module")
def full(tmp_path_factory, patient, summary, surgery):
    return written(
        tmp_path_factory.mktemp("report"),
        patient,
        summary,
        patient="<script>alert('x')</script> & Co",
        surgery=surgery,
        sensors=patient.sensors,
        truth=patient.truth,
        hypothesis="a clinical hypothesis",
        hashes={"seizure <1>.edf": hashlib.sha256(b"1").hexdigest()},
        date="1 May",
        diagnosis=TROUBLE,
    )


def test_a_report_loads_nothing(full):
    text, page = full
    outside = re.sub(r"base64,[^\"]*", "", text)  # letters of which any word may be made
    assert "http" not in outside.lower() and "url(" not in outside and "@import" not in outside
    assert not page.xpath("//link | //script | //iframe | //a | //object | //embed")
    sources = page.xpath("//@src")
    assert len(sources) == 5
    for source in sources:
        head, data = source.split(",")
        assert head == "data:image/png;base64"
        picture = image.imread(io.BytesIO(base64.b64decode(data)), format="png")
        assert picture.shape[0] > 200 and picture.std() > 0.05


def test_text_is_escaped(full):
    text, page = full
    assert "<script" not in text and "<b>" not in text
    assert page.xpath("string(//h1)") == "<script>alert('x')</script> & Co"
    assert "near <b>hell</b>" in page.xpath("string(//section[1])")
    assert "seizure <1>.edf" in page.xpath("string(//section[h2='Data'])")


def test_trouble_is_said_first_and_everywhere(full):
    _, page = full
    body = page.xpath("//body")[0]
    assert [one.tag for one in body][:2] == ["header", "section"]
    assert "For research use only" in body[0].text_content()
    assert body[1].get("class") == "banner bad"
    assert "not to be trusted" in body[1].text_content()
    for title in ("Regions", "Recorded and predicted", "Virtual surgery"):
        section = page.xpath(f"//section[h2='{title}']")[0]
        assert section[1].get("class") == "warning", title


def test_steps_and_a_search_are_told(full, tmp_path, patient, summary, surgery):
    text, _ = full
    assert "Nobody looked how far the log density depends" in text
    rough = StepHalving(np.array([0.2, 3.25]))
    more = surgery.isel(candidate=[*range(20), *range(1, 11)])
    for chosen, word in (
        (epilepsy.Resection(("a", "b")), "The smallest effective resection: a + b, after which"),
        (None, "No resection that was tried is effective: after the best of them"),
    ):
        search = epilepsy.Search(chosen, 0.95, more)
        given = {"patient": "p", "surgery": search, "halving": rough}
        text, page = written(tmp_path, patient, summary, **given)
        assert word in text and "P(no seizure) is 0.95" in text
        assert "Half the step changes the log density by 3.2 nats at most" in text
        assert "The best of the 30 operations that were tried" in text
        operations = page.xpath("//section[h2='Virtual surgery']//tbody/tr/td[1]/text()")
        assert len(operations) == 26 and operations[-1] == "no surgery"


def test_tables_are_those_of_the_summary(full, summary, surgery):
    _, page = full
    rows = page.xpath("//section[h2='Regions']//table//tr")
    found = [tuple(cell.text_content() for cell in row) for row in rows]
    assert found == list(epilepsy.cells(summary, 25))
    pale = [row.get("class") == "unknown" for row in rows[1:]]
    assert pale == [row[-1] != "yes" for row in found[1:]] and any(pale) and not all(pale)
    operations = page.xpath("//section[h2='Virtual surgery']//tbody/tr/td[1]/text()")
    assert operations == surgery["candidate"].values[::-1].tolist()


def test_settings_priors_and_data_are_stated(full, patient):
    _, page = full
    settings = page.xpath("string(//section[h2='Settings'])")
    for part in ("Epileptor2DSmooth", "Heun, dt 0.1 ms", "a clinical hypothesis"):
        assert part in settings
    assert "Normal(loc -3, scale 1)" in settings and "LogNormal(loc 0, scale 0.5)" in settings
    assert "initial state: permittivityNormal(loc 3.6, scale 0.5)" in settings
    data = page.xpath("//section[h2='Data']//td[2]/text()")
    assert len(data) == 4 and all(len(one) == 64 for one in data)
    versions = page.xpath("//section[h2='Versions']//td/text()")
    assert {"python", "tvbjax", "numpyro"} <= set(versions)
    unresolved = page.xpath("string(//section[h2='What the data cannot resolve'])")
    assert "L-hippocampus0" in unresolved


def test_a_trusted_posterior_has_no_warning(tmp_path, patient, summary):
    bare = xr.DataTree.from_dict({g: patient.tree[g].to_dataset() for g in ("posterior", "prior")})
    _, page = written(
        tmp_path, patient._replace(tree=bare), summary, patient="P1", diagnosis=TRUSTED
    )
    assert page.xpath("//section[1]/@class") == ["banner good"]
    assert not page.xpath("//*[@class='warning']") and len(page.xpath("//img")) == 2
    assert "R-hat 1.004" in page.xpath("string(//section[1])")


def test_what_does_not_fit_is_told(tmp_path, patient, summary):
    with pytest.raises(ValueError, match=r"the path is report.pdf; give one that ends in .html"):
        epilepsy.write_report(
            tmp_path / "report.pdf", patient.program, patient.tree, patient="", summary=summary
        )
    with pytest.raises(ValueError, match="the hash of 'a.edf' is 'abc'; give the 64 digits"):
        written(tmp_path, patient, summary, patient="", hashes={"a.edf": "abc"})


def test_violins_are_coloured_by_probability(patient, summary):
    figure = figures.excitability_violins(patient.tree, summary, truth=patient.truth, most=12)
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert len(names) == 12 and set(names[:2]) == {"R-frontal3", "R-insula7"}
    bodies = axes.collections[1::2]
    hatched = [body.get_hatch() is not None for body in bodies]
    known = summary["known"].sel(region=names).values
    assert hatched == (~known).tolist() and any(hatched)
    assert axes.get_title(loc="left") == "Excitability of 12 of 36 regions"


def test_the_map_is_grey_where_nothing_is_known(patient, summary):
    connectome = patient.program.simulator.connectome
    figure = figures.map_of_probability(summary, connectome, patient.sensors)
    arrays = [one.get_array() for one in figure.axes[0].collections]
    shown = [array.size for array in arrays if array is not None]
    assert shown == [int(summary["known"].sum())]
    assert [np.size(line.get_xdata()) for line in figure.axes[0].lines] == [66]


def test_rings_are_around_regions_that_are_driven(patient, summary):
    connectome = patient.program.simulator.connectome
    given = summary.assign(epileptogenic=summary["epileptogenic"] * 0.0)
    given["epileptogenic"][3] = 1.0
    given["recruited"] = given["epileptogenic"] * 0.0
    given["recruited"][[3, 5, 8]] = 0.9
    figure = figures.map_of_probability(given, connectome)
    for axes in figure.axes[:3]:
        assert len(np.asarray(axes.collections[-1].get_offsets())) == 2
    (legend,) = figure.legends
    assert "P(recruited) > 0.5" in legend.get_texts()[0].get_text()
    given["recruited"][:] = 0.0
    assert not figures.map_of_probability(given, connectome).legends


def test_an_implantation_names_shafts_and_few_regions(patient):
    connectome = patient.program.simulator.connectome
    figure = figures.implantation(connectome, patient.sensors)
    for axes in figure.axes[:3]:
        assert [np.size(line.get_xdata()) for line in axes.lines] == [66]
        names = {text.get_text() for text in axes.texts}
        assert set("ABCDEF") <= names and not names & set(connectome.labels)
    some = connectome.subset(connectome.labels[8:28])
    for axes in figures.implantation(some, patient.sensors).axes[:3]:
        assert 10 <= len({text.get_text() for text in axes.texts} & set(some.labels)) <= 20


def test_of_two_regions_behind_one_another_the_nearer_has_its_name():
    connectome = Connectome(
        np.ones((4, 4)) - np.eye(4),
        labels=["L-a", "L-b", "R-a", "R-b"],
        centres=np.array([[-30, 40, 0], [-30, -40, 30], [30, 40, 0], [30, -40, 30]], float),
        hemispheres=np.array([False, False, True, True]),
    )
    sensors = Sensors(["A1", "A2"], np.array([[20.0, 40, 0], [25, 40, 0]]), name="seeg")
    figure = figures.implantation(connectome, sensors)
    found = [{text.get_text() for text in axes.texts} - {"A"} for axes in figure.axes[:3]]
    assert {"R-a", "R-b"} <= found[0] and not {"L-a", "L-b"} & found[0]
    assert set(connectome.labels) <= found[1] and set(connectome.labels) <= found[2]


def test_contacts_are_in_the_order_of_electrodes(patient):
    figure = figures.predicted_seeg(patient.tree, most=12, level=0.99)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == 12
    assert titles == sorted(titles, key=lambda label: (label[0], int(label[1:])))


def test_bars_keep_what_is_without_surgery(surgery):
    axes = figures.surgery_bars(surgery, most=6).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) == 6 and names[-1] == "no surgery" and names[0] == "R-frontal18 + R-insula18"
    assert (
        [bar.get_width() for bar in axes.containers[0]]
        == sorted(  # type: ignore[attr-defined]
            [*surgery["prevented"].values[-5:], 0.0], reverse=True
        )
    )


def test_labels_are_no_mathematics(surgery):
    strange = surgery.assign_coords(candidate=[f"$\\frac{i}$" for i in range(20)])
    figures.surgery_bars(strange, most=3).savefig(io.BytesIO())


def test_a_truth_of_another_shape_is_told(patient, summary):
    with pytest.raises(ValueError, match=r"truth has the shape \(3,\); give one for each"):
        figures.shrinkage_scatter(patient.tree, summary, np.zeros(3))
