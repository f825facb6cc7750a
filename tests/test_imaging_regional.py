"""Regional matrices of the mouse as Oh et al. publish them: what pandas writes is what is read."""

import numpy as np
import pandas as pd
import pytest

from tvbjax import imaging

NAMES = ["FRP", "MOp", "SSp-n", "VISp"]
CENTRES = {
    "FRP": (1.0, 5.0, 0.0),
    "MOp": (2.0, 3.0, 1.0),
    "SSp-n": (3.5, 1.5, 0.5),
    "VISp": (2.5, -3.0, 1.0),
    "MOB": (0.8, 7.0, -1.0),  # not in the tables
}


def tables(folder, **changes):
    """The four sheets as csv, as a spreadsheet saves them; W_ipsi has zeros without a p-value."""
    rng = np.random.default_rng(5)
    ipsi, contra = rng.lognormal(-3, 2, (2, 4, 4))
    ipsi[0, 2] = contra[3, 1] = 0.0
    p = {"PValue_ipsi": rng.random((4, 4)) * 0.1, "PValue_contra": rng.random((4, 4)) * 0.1}
    p["PValue_ipsi"][0, 2] = p["PValue_contra"][3, 1] = np.nan
    sheets = {"W_ipsi": ipsi, "W_contra": contra, **p, **changes}
    found = {}
    for name, values in sheets.items():
        frame = values if isinstance(values, pd.DataFrame) else pd.DataFrame(values, NAMES, NAMES)
        found[name] = folder / f"{name}.csv"
        frame.to_csv(found[name], index_label="ROOT", na_rep="#NUM!")
    return found, sheets


def read(found, **options):
    return imaging.read_regional_matrices(found["W_ipsi"], found["W_contra"], **options)


def test_both_hemispheres_by_target(tmp_path):
    found, sheets = tables(tmp_path)
    mouse = read(found, centres=CENTRES, speed=2.0)
    largest = max(sheets["W_ipsi"].max(), sheets["W_contra"].max())
    weights = np.asarray(mouse.weights) * largest
    assert mouse.labels == (*(f"Right {n}" for n in NAMES), *(f"Left {n}" for n in NAMES))
    place = {label: i for i, label in enumerate(mouse.labels)}
    for i, source in enumerate(NAMES):
        for j, target in enumerate(NAMES):
            for one, other in (("Right", "Left"), ("Left", "Right")):
                origin = place[f"{one} {source}"]
                same = weights[place[f"{one} {target}"], origin]
                crossed = weights[place[f"{other} {target}"], origin]
                assert same == pytest.approx(sheets["W_ipsi"][i, j], rel=1e-12)
                assert crossed == pytest.approx(sheets["W_contra"][i, j], rel=1e-12)
    lengths = np.asarray(mouse.tract_lengths)
    assert lengths[place["Right VISp"], place["Left VISp"]] == pytest.approx(5.0)
    across = np.sqrt(3.5**2 + 8.0**2 + 1.0**2)  # FRP at (1, 5, 0), VISp at (-2.5, -3, 1)
    assert lengths[place["Right FRP"], place["Left VISp"]] == pytest.approx(across)
    assert mouse.hemispheres is not None and mouse.hemispheres.tolist() == 4 * [True] + 4 * [False]
    assert mouse.speed == 2.0 and not read(found).tract_lengths.any()


def test_weights_that_are_not_significant_are_left_out(tmp_path):
    found, sheets = tables(tmp_path)
    pair = (found["PValue_ipsi"], found["PValue_contra"])
    for largest in (0.05, 0.02):
        mouse = read(found, p_values=pair, largest_p=largest)
        weights = np.asarray(mouse.weights)
        for place, side in ((slice(0, 4), "ipsi"), (slice(4, 8), "contra")):
            kept = np.nan_to_num(sheets[f"PValue_{side}"], nan=1.0) <= largest
            wanted = (sheets[f"W_{side}"] > 0) & kept
            assert 0 < wanted.sum() < 15
            np.testing.assert_array_equal(weights[place, :4].T > 0, wanted)
    blank = tmp_path / "blank.csv"
    pd.DataFrame(sheets["PValue_ipsi"], NAMES, NAMES).to_csv(blank)  # NaN is an empty field
    again = read(found, p_values=(blank, pair[1]), largest_p=0.02)
    np.testing.assert_array_equal(again.weights, weights)


def changed(values, at, value):
    values = values.astype(object)
    values[at] = value
    return values


@pytest.mark.parametrize(
    "name, at, value, message",
    [
        ("W_ipsi", (1, 3), -0.5, r"W_ipsi.csv: from MOp to VISp is -0.5; a weight is finite"),
        ("W_contra", (0, 1), "nan", r"W_contra.csv: from FRP to MOp is nan"),
        ("W_contra", (0, 1), "inf", r"from FRP to MOp is inf"),
        ("W_contra", (2, 0), "#NUM!", r"W_contra.csv, line 4, column 2: '#NUM!' is not a number"),
        ("W_ipsi", (0, 0), "1,5", r"W_ipsi.csv, line 2, column 2: '1,5' is not a number"),
        ("PValue_ipsi", (3, 3), 1.5, r"PValue_ipsi.csv: from VISp to VISp is 1.5; a p-value"),
        ("PValue_contra", (3, 3), "low", r"PValue_contra.csv, line 5, column 5: 'low'"),
    ],
)
def test_wrong_numbers_say_where(tmp_path, name, at, value, message):
    _, sheets = tables(tmp_path)
    found, _ = tables(tmp_path, **{name: changed(sheets[name], at, value)})
    with pytest.raises(ValueError, match=message):
        read(found, p_values=(found["PValue_ipsi"], found["PValue_contra"]))


def test_tables_that_do_not_fit(tmp_path):
    _, sheets = tables(tmp_path)
    frame = pd.DataFrame(sheets["W_contra"], NAMES, NAMES)
    found, _ = tables(tmp_path, W_contra=frame.iloc[:3])
    with pytest.raises(ValueError, match="W_contra.csv: 3 rows and 4 columns"):
        read(found)
    found, _ = tables(tmp_path, W_contra=frame.iloc[:, ::-1])
    with pytest.raises(ValueError, match="number 0 is 'FRP' and 'VISp'"):
        read(found)
    found, _ = tables(tmp_path, W_contra=frame.rename(index={"MOp": "MOs"}, columns={"MOp": "MOs"}))
    with pytest.raises(ValueError, match="4 and 4 structures, of which number 1 is 'MOs' and 'MOp"):
        read(found)
    (tmp_path / "bare.csv").write_text("1,2\n3,4\n")
    with pytest.raises(ValueError, match="no names of structures in its first column"):
        imaging.read_regional_matrices(tmp_path / "bare.csv", tmp_path / "bare.csv")
    found, _ = tables(tmp_path, W_contra=frame * 0, W_ipsi=frame * 0)
    with pytest.raises(ValueError, match="all weights are 0"):
        read(found)
    with pytest.raises(FileNotFoundError, match="absent.csv"):
        imaging.read_regional_matrices(found["W_ipsi"], tmp_path / "absent.csv")
    twice = frame.rename(index={"MOp": "FRP"}, columns={"MOp": "FRP"})
    found, _ = tables(tmp_path, W_contra=twice, W_ipsi=twice)
    with pytest.raises(ValueError, match="Right FRP"):
        read(found)


@pytest.mark.parametrize(
    "centres, message",
    [
        ({"FRP": (1.0, 5.0, 0.0)}, r"centres has no MOp, SSp-n, VISp \(3 of 4"),
        ({**CENTRES, "MOp": (-2.0, 3.0, 1.0)}, "the centre of MOp is .*to the right of the mid"),
        ({**CENTRES, "MOp": (2000.0, 3000.0, 1000.0)}, "no mm in a mouse; divide um by 1000"),
        ({**CENTRES, "MOp": (2.0, 3.0)}, "the centre of MOp is .*three numbers"),
        ({**CENTRES, "MOp": (2.0, np.nan, 1.0)}, "the centre of MOp is"),
    ],
)
def test_centres_that_are_none(tmp_path, centres, message):
    found, _ = tables(tmp_path)
    with pytest.raises(ValueError, match=message):
        read(found, centres=centres)
