"""The mouse's connectome from tables of tracers: a planted one is found again."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from allen_mouse import REGIONS, RESOLUTION, SHAPE, mouse
from tvbjax import imaging

ORDER = (102, 101, 104, 103)  # as the atlas lists them
ROWS = [list(REGIONS).index(one) for one in ORDER]


def tables_of(made, **changes):
    parts = {name: getattr(made, name) for name in ("unionizes", "experiments", "structures")}
    return imaging.allen_tables(**{**parts, **changes})


def places_of(made):
    return imaging.allen_places(made.annotation, tables_of(made).structures, RESOLUTION)


def built(made, **options: Any):
    options = {"volume": 0.1, **options}
    return imaging.allen_connectome(tables_of(made), places_of(made), **options)


def planted(made):
    """What the connectome should be, of all four regions."""
    same, other = (matrix[np.ix_(ROWS, ROWS)].T for matrix in (made.same, made.other))
    weights = np.block([[same, other], [other, same]])
    return weights / weights.max()


def test_a_planted_connectome_is_found_again():
    made = mouse()
    found = built(made)
    assert found.structures == ORDER and not found.left_out
    assert found.experiments[102] == (1010, 1011)
    np.testing.assert_allclose(found.connectome.weights, planted(made), rtol=1e-12)
    labels = found.connectome.labels
    assert labels[0] == "Right Dorsal area" and labels[4] == "Left Dorsal area"
    assert found.connectome.hemispheres is not None
    assert found.connectome.hemispheres.tolist() == 4 * [True] + 4 * [False]


def test_injections_on_the_left_are_those_on_the_right_mirrored():
    made = mouse(left=(1000, 1021))
    np.testing.assert_allclose(built(made).connectome.weights, planted(made), rtol=1e-12)


def test_each_weighting_is_what_it_says():
    made = mouse(repeats=1)
    rows = made.unionizes
    outside = rows[~rows.is_injection]
    for weighting, column in (
        (imaging.projection_density, "projection_density"),
        (imaging.projection_energy, "projection_energy"),
    ):
        weights = np.asarray(built(made, weighting=weighting).connectome.weights)
        wanted = np.array(
            [
                [
                    outside[
                        (outside.experiment_id == 1000 + 10 * list(REGIONS).index(source))
                        & (outside.structure_id == target)
                        & (outside.hemisphere_id == 2)
                    ][column].item()
                    for source in ORDER
                ]
                for target in ORDER
            ]
        )
        np.testing.assert_allclose(weights[:4, :4] / weights[0, 0], wanted / wanted[0, 0])


def test_a_rejected_experiment_is_not_in_the_mean():
    """The builder of TVB leaves it in."""
    made = mouse()
    poor = made.unionizes.experiment_id == 1011
    rows = made.unionizes.copy()
    rows.loc[poor & rows.is_injection, "sum_projection_pixels"] *= 0.5
    rows.loc[poor & ~rows.is_injection, "projection_density"] *= 7.0
    found = built(made._replace(unionizes=rows))
    assert found.experiments[102] == (1010,)
    np.testing.assert_allclose(found.connectome.weights, planted(made), rtol=1e-12)


def test_what_a_structure_is_left_out_for():
    made = mouse()
    rows = made.annotation.copy()
    rows[rows == 104] = 103
    small = built(made._replace(annotation=rows))
    assert small.structures == (102, 101, 103)
    assert small.left_out == {104: "its volume is 0 mm³, below 0.1"}
    weak = made.unionizes.copy()
    weak.loc[
        weak.experiment_id.isin((1000, 1001)) & weak.is_injection, "sum_projection_pixels"
    ] /= 3
    found = built(made._replace(unionizes=weak))
    assert 101 not in found.structures
    assert "of 2 experiments the best has signal in" in found.left_out[101]
    holes = made.unionizes.copy()
    holes.loc[(holes.structure_id == 103) & (holes.hemisphere_id == 1), "projection_density"] = (
        np.nan
    )
    found = built(made._replace(unionizes=holes))
    assert found.structures == (102, 101, 104)
    assert "nothing was measured" in found.left_out[103]


def test_places_are_in_millimetres_and_mirrored():
    made = mouse()
    found = built(made)
    centres = found.connectome.centres
    assert centres is not None
    # Of 'Dorsal area': voxels 10 to 19 to the back, 0 to 7 down, 12 to 23 from the left.
    np.testing.assert_allclose(centres[0], [0.6, -0.5, 0.4])
    np.testing.assert_allclose(centres[4], [-0.6, -0.5, 0.4])
    assert float(found.connectome.tract_lengths[0, 4]) == pytest.approx(1.2)
    assert places_of(made).volume_of(102) == pytest.approx(10 * 8 * 12 * 1e-3)
    assert places_of(made).volume_of(101) == pytest.approx((10 * 12 - 4) * 8 * 1e-3)


def test_the_parcellation_has_a_region_for_each_voxel():
    made = mouse()
    found = built(made)
    regions = imaging.allen_parcellation(
        made.annotation, tables_of(made).structures, found.structures, places_of(made)
    )
    assert regions.shape == SHAPE
    assert regions[0, 0, 20] == 1 and regions[0, 0, 3] == 5  # parts of 'Anterior area'
    # The cortex's own voxels are with the largest of its regions, 'Dorsal area'.
    assert regions[19, 9, 22] == 0 and regions[0, 9, 1] == 4
    counts = np.bincount(regions[regions >= 0])
    np.testing.assert_array_equal(counts[:4], counts[4:])


def test_the_homogeneous_model_tells_injections_apart_that_spread():
    made = mouse(leak=0.3)
    blurred = np.asarray(built(made).connectome.weights)
    assert np.abs(blurred - planted(made)).max() > 0.05
    matrix = imaging.homogeneous_matrix(tables_of(made), tuple(REGIONS))
    # 1e5 pixels of each target, of an injection of 1e4.
    np.testing.assert_allclose(matrix.same, 10.0 * made.same, rtol=1e-9)
    np.testing.assert_allclose(matrix.other, 10.0 * made.other, rtol=1e-9)
    ordered = matrix._replace(
        same=matrix.same[np.ix_(ROWS, ROWS)],
        other=matrix.other[np.ix_(ROWS, ROWS)],
        structures=ORDER,
    )
    connectome = ordered.connectome(tables_of(made).structures, places_of(made))
    np.testing.assert_allclose(connectome.weights, planted(made), rtol=1e-9)


def test_transgenic_mice_are_left_out():
    made = mouse()
    lines = made.experiments.copy()
    lines.loc[0, "transgenic_line"] = "Emx1-IRES-Cre"
    assert built(made._replace(experiments=lines)).experiments[101] == (1001,)
    tables = tables_of(made, experiments=lines, wild_type=False)
    assert set(tables.injected) == set(made.experiments.id)


def test_csv_files_are_read_as_data_frames_are(tmp_path):
    made = mouse()
    paths = {}
    for name in ("unionizes", "experiments", "structures"):
        paths[name] = tmp_path / f"{name}.csv"
        getattr(made, name).to_csv(paths[name], index=False)
    found = imaging.allen_connectome(imaging.allen_tables(**paths), places_of(made), volume=0.1)
    np.testing.assert_allclose(found.connectome.weights, planted(made), rtol=1e-12)


def changed(made, table, column, row, value):
    frame = getattr(made, table).astype({column: object})
    frame.loc[row, column] = value
    return {table: frame}


@pytest.mark.parametrize(
    "change, message",
    [
        (("unionizes", "hemisphere_id", 3, 5), "hemisphere_id of row 3 is 5; it is 1"),
        (("unionizes", "structure_id", 2, 1.5), "structure_id of row 2 is 1.5; it is a whole"),
        (("unionizes", "projection_density", 4, -1.0), "projection_density of row 4 is -1"),
        (("unionizes", "sum_pixels", 4, "many"), "sum_pixels holds what is no number"),
        (("unionizes", "is_injection", 1, "maybe"), "is_injection of row 1 is 'maybe'"),
        (
            ("structures", "structure_id_path", 2, "cortex"),
            "structure_id_path of row 2 is 'cortex'",
        ),
        (("structures", "id", 2, 500), "structures: an id is there twice"),
    ],
)
def test_tables_that_are_wrong_say_where(change, message):
    made = mouse()
    with pytest.raises(ValueError, match=message):
        tables_of(made, **changed(made, *change))


def test_tables_that_do_not_fit(tmp_path):
    made = mouse()
    with pytest.raises(ValueError, match="there is no column hemisphere_id; the columns are"):
        tables_of(made, unionizes=made.unionizes.drop(columns="hemisphere_id"))
    twice = pd.concat([made.unionizes, made.unionizes.iloc[[5]]])
    with pytest.raises(ValueError, match="several rows of experiment_id 1000, structure_id 10"):
        tables_of(made, unionizes=twice)
    with pytest.raises(FileNotFoundError, match="experiments: there is no file"):
        tables_of(made, experiments=tmp_path / "absent.csv")
    lines = made.experiments.assign(transgenic_line="Cre")
    with pytest.raises(ValueError, match="none of 8 is of a wild-type mouse"):
        tables_of(made, experiments=lines)
    with pytest.raises(ValueError, match="0 of 4 structures remain .*lower the thresholds"):
        built(made, volume=50.0)
    with pytest.raises(ValueError, match="no voxel of the annotation"):
        imaging.allen_places(np.full(SHAPE, 7), tables_of(made).structures, 100.0)
    with pytest.raises(ValueError, match="nothing was injected into 999"):
        imaging.homogeneous_matrix(tables_of(made), (*REGIONS, 999))
    one = made.experiments[made.experiments.id == 1000]
    with pytest.raises(ValueError, match="nothing was injected into 102"):
        imaging.homogeneous_matrix(tables_of(made, experiments=one), tuple(REGIONS))
