"""Retrograde tables in the layout of Markov et al. (2014): means over injections by pandas."""

import numpy as np
import pandas as pd
import pytest

from tvbjax import imaging

AREAS = ["V1", "V2", "9/46d", "5", "TEpd"]
OTHERS = ["LIP", "CORE"]  # never injected


def table(seed=2):
    """One row per injection and source, as the published table has them: two injections into V1."""
    rng = np.random.default_rng(seed)
    rows = []
    for case, target in enumerate(["V1", "V1", "V2", "9/46d", "5", "TEpd"], start=1):
        sources = [one for one in AREAS + OTHERS if one != target and rng.random() < 0.8]
        counts = rng.lognormal(5, 2, len(sources)).astype(int) + 1
        for source, count in zip(sources, counts, strict=True):
            share = float(f"{count / counts.sum():.2e}")
            rows.append((case, f"M{80 + case}LH", source, target, share, count, "Known", "A, 2014"))
    names = ["CASE", "MONKEY", "SOURCE", "TARGET", "FLNe", "NEURONS", "STATUS", "BIBLIOGRAPHY"]
    return pd.DataFrame(rows, columns=names)


def lengths():
    """A table as a spreadsheet has it: one half, other areas too, and one in other letters."""
    names = ["TEPD", "LIP", "V2", "5", "V1", "9/46D"]
    places = np.random.default_rng(3).uniform(0, 40, (6, 3))
    between = np.linalg.norm(places[:, None] - places[None], axis=-1)
    frame = pd.DataFrame(between, names, names)
    half = frame.where(np.triu(np.ones((6, 6)), 1).astype(bool))
    return frame, half


def saved(frame, path, **options):
    frame.to_csv(path, index=False, **options)
    return path


def test_means_over_injections_and_every_pair_known(tmp_path):
    rows = table()
    brain = imaging.read_retrograde_table(saved(rows, tmp_path / "fln.csv"))
    assert brain.labels == tuple(AREAS) and brain.name == "macaque"
    injected = rows.groupby("TARGET")["CASE"].nunique()
    sums = rows.pivot_table("FLNe", "TARGET", "SOURCE", aggfunc="sum", fill_value=0.0)
    wanted = sums.div(injected, axis=0).reindex(index=AREAS, columns=AREAS, fill_value=0.0)
    np.testing.assert_allclose(brain.weights, wanted, rtol=1e-12)
    assert not np.diag(np.asarray(brain.weights)).any() and not brain.tract_lengths.any()


def test_other_columns_and_separators(tmp_path):
    rows = table()
    once = rows[rows["CASE"] > 1]
    first = imaging.read_retrograde_table(saved(once, tmp_path / "fln.csv"))
    renamed = pd.DataFrame({"TARGET": once.TARGET, "SOURCE": once.SOURCE, "FLN": once.FLNe})
    tabs = saved(renamed, tmp_path / "neuron.tsv", sep="\t")
    again = imaging.read_retrograde_table(tabs, fraction="fln", case=None, name="Neuron")
    np.testing.assert_array_equal(first.weights, again.weights)
    assert again.labels == first.labels and again.name == "Neuron"


def test_distances_are_those_of_the_table(tmp_path):
    full, half = lengths()
    path = saved(table(), tmp_path / "fln.csv")
    half.to_csv(tmp_path / "half.csv")
    full.to_csv(tmp_path / "full.csv")
    (full * 1000).to_csv(tmp_path / "um.csv")
    order = ["V1", "V2", "9/46D", "5", "TEPD"]
    for name, unit in (("half", 1.0), ("full", 1.0), ("um", 0.001)):
        found = imaging.read_retrograde_table(path, tmp_path / f"{name}.csv", unit=unit, speed=3.5)
        np.testing.assert_allclose(found.tract_lengths, full.loc[order, order], rtol=1e-9)
    assert found.speed == 3.5


def edited(row, column, value):
    rows = table().astype({column: object})
    rows.loc[row, column] = value
    return rows


@pytest.mark.parametrize(
    "rows, message",
    [
        (table().drop(columns="FLNe"), "there is no column FLNe; the columns are CASE, MONKEY"),
        (table().rename(columns={"STATUS": "Flne"}), "there are several columns FLNe"),
        (table().drop(columns="CASE"), "no column CASE; .*pass case=None where each pair"),
        (edited(2, "FLNe", "many"), "line 4, column 5: 'many' is not a number"),
        (edited(2, "FLNe", ""), "line 4, column 5: '' is not a number"),
        (edited(2, "FLNe", "nan"), "line 4: FLNe is nan; a fraction"),
        (edited(2, "FLNe", -0.1), "line 4: FLNe is -0.1"),
        (edited(2, "FLNe", 23.0), "line 4: FLNe is 23.0; a fraction of labelled neurons is from 0"),
        (edited(2, "SOURCE", ""), "line 4: the name of an area is missing"),
        (pd.concat([table(), table().iloc[[0]]]), "V2 to V1 is there twice of case 1"),
        (table().assign(FLNe=0.6), "line 3: fractions of the injection into V1 sum to 1.2"),
        (table().replace({"SOURCE": {"TEpd": "Tepd"}}), "'Tepd' and 'TEpd' are the same but for"),
        (table()[table()["TARGET"] == "V1"], "injections into 1 area; a connectome needs two"),
        (table().iloc[:0], "injections into 0 area"),
    ],
)  # fmt: skip
def test_tables_that_are_wrong_say_where(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        imaging.read_retrograde_table(saved(rows, tmp_path / "fln.csv"))


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.csv"):
        imaging.read_retrograde_table(tmp_path / "absent.csv")
    (tmp_path / "empty.csv").write_text("# nothing\n")
    with pytest.raises(ValueError, match="is empty"):
        imaging.read_retrograde_table(tmp_path / "empty.csv")
    (tmp_path / "ragged.csv").write_text("SOURCE,TARGET,FLNe\nV1,V2\n")
    with pytest.raises(ValueError, match="line 2: 2 columns, but the first row has 3"):
        imaging.read_retrograde_table(tmp_path / "ragged.csv", case=None)
    (tmp_path / "fln.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 8)
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        imaging.read_retrograde_table(tmp_path / "fln.xls")
    rows = table().drop(columns="CASE")
    with pytest.raises(ValueError, match="is there twice; name the column of cases"):
        imaging.read_retrograde_table(saved(rows, tmp_path / "fln.csv"), case=None)


def marred(change):
    full, _ = lengths()
    return change(full.copy())


def put(at, value):
    def change(frame):
        frame.loc[at] = value
        return frame

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda f: f.drop("V2").drop(columns="V2"), "between V1 and V2 is missing"),
        (put(("V1", "V2"), -3.0), "between V1 and V2 is -3"),
        (put(("V1", "V2"), 0.0), "between V1 and V2 is 0; give one > 0"),
        (put(("V1", "V2"), 300.0), "V1 and V2 are 300 and .* apart; a distance is the same both"),
        (lambda f: f * 1000.0, "the longest distance is .* mm, which no cortex has; pass unit="),
        (lambda f: f / f.max().max(), "the longest distance is .* mm, which no cortex has"),
        (lambda f: f.rename(index={"LIP": "v1"}, columns={"LIP": "v1"}), "'V1' is there twice"),
    ],
)
def test_distances_that_are_none(tmp_path, change, message):
    path = saved(table(), tmp_path / "fln.csv")
    marred(change).to_csv(tmp_path / "mm.csv")
    with pytest.raises(ValueError, match=message):
        imaging.read_retrograde_table(path, tmp_path / "mm.csv")
