"""Outputs of MRtrix3_connectome, QSIPrep, QSIRecon and TVB's pipeline converter, by their names."""

import shutil
import subprocess
import zipfile

import nibabel
import numpy as np
import pytest
import scipy.io
from nibabel.streamlines.tractogram import Tractogram

from meshes import sphere
from tvbjax import io

WEIGHTS = np.array([[0.0, 1.5, 0.25], [1.5, 0.0, 0.0], [0.25, 0.0, 0.0]])
LENGTHS = np.array([[0.0, 30.0, 41.5], [30.0, 0.0, 0.0], [41.5, 0.0, 0.0]])
LABELS = ("ctx-lh-cuneus", "Left-Thalamus-Proper", "ctx-rh-cuneus")
TABLE = """# Copyright of someone

0     ???     Unknown                0   0   0   0

1     L.CU    ctx-lh-cuneus          220 20  100 255
2     L.TH    Left-Thalamus          0   118 14  255
2     L.TH    Left-Thalamus-Proper   0   118 14  255
3     R.CU    ctx-rh-cuneus          220 20  100 255
"""
HISTORY = "# command_history: tck2connectome t.tck parc.mif c.csv -tck_weights_in weights.csv\n"


def mrtrix3(root, stem, names=("_level-participant_connectome", "_meanlength")):
    """A participant's folder, with upper triangles as tck2connectome writes them."""
    place = root / stem.split("_parc")[0].split("_desc")[0].replace("_ses", "/ses") / "connectome"
    place.mkdir(parents=True)
    for name, matrix in zip(names, (WEIGHTS + np.diag([7.0, 0, 0]), LENGTHS), strict=True):
        rows = "".join(",".join(f"{x:g}" for x in row) + "\n" for row in np.triu(matrix))
        (place / f"{stem}{name}.csv").write_text(HISTORY + rows)
    return place


def check(found, labels=LABELS, name="sub-01"):
    np.testing.assert_array_equal(np.asarray(found.weights) - np.diag([7.0, 0, 0]), WEIGHTS)
    np.testing.assert_array_equal(found.tract_lengths, LENGTHS)
    assert found.labels == labels and found.name == name


def test_mrtrix3_connectome_of_all_versions(tmp_path):
    mrtrix3(tmp_path / "old", "sub-01_parc-desikan")
    check(
        io.read_mrtrix3_connectome(tmp_path / "old", "01"), tuple(f"region_{i}" for i in range(3))
    )
    (tmp_path / "old" / "parc-desikan_lookup.txt").write_text(TABLE)
    found = io.read_mrtrix3_connectome(tmp_path / "old", "01")
    check(found)
    assert np.asarray(found.hemispheres).tolist() == [False, False, True]
    level = tmp_path / "new" / "MRtrix3_connectome-participant"
    mrtrix3(level, "sub-01_ses-a_desc-desikan", ("_connectome", "_meanlength"))
    (level / "desc-desikan_lookup.txt").write_text(TABLE)
    for folder in (tmp_path / "new", level):
        check(io.read_mrtrix3_connectome(folder, "01", session="a", parcellation="desikan"))
        check(io.read_mrtrix3_connectome(folder, "01"))


def test_what_mrtrix3_connectome_lacks_is_said(tmp_path):
    place = mrtrix3(tmp_path, "sub-01_parc-desikan")
    with pytest.raises(FileNotFoundError, match="there is no sub-02; there is sub-01"):
        io.read_mrtrix3_connectome(tmp_path, "02")
    with pytest.raises(FileNotFoundError, match="of aal; there is connectome/sub-01_parc-desikan_"):
        io.read_mrtrix3_connectome(tmp_path, "01", parcellation="aal")
    (place / "sub-01_parc-desikan_meanlength.csv").unlink()
    with pytest.raises(FileNotFoundError, match="output_verbosity 2, or pass lengths=False"):
        io.read_mrtrix3_connectome(tmp_path, "01")
    found = io.read_mrtrix3_connectome(tmp_path, "01", lengths=False)
    assert not np.asarray(found.tract_lengths).any()
    (tmp_path / "parc-desikan_lookup.txt").write_text("1 a\n2 b\n")
    with pytest.raises(ValueError, match="2 labels for weights"):
        io.read_mrtrix3_connectome(tmp_path, "01", lengths=False)
    shutil.copy(
        place / "sub-01_parc-desikan_level-participant_connectome.csv",
        place / "sub-01_parc-aal_level-participant_connectome.csv",
    )
    with pytest.raises(ValueError, match="several connectomes, .*parc-aal.*give parcellation="):
        io.read_mrtrix3_connectome(tmp_path, "01")


def test_what_mrtrix_itself_writes_is_read(tmp_path):
    """Streamlines between known places: 3 from a to b, 1 from c to a, 1 within a."""
    if shutil.which("tck2connectome") is None:
        pytest.skip("MRtrix is not installed")
    parcels = np.zeros((12, 12, 3), np.int16)
    for number, (x, y) in enumerate(((1, 1), (9, 1), (1, 9), (9, 9)), start=1):
        parcels[x : x + 2, y : y + 2] = number
    nibabel.save(nibabel.Nifti1Image(parcels, np.eye(4)), tmp_path / "parc.nii")  # type: ignore
    ends = [((1.5, 1.5), (9.5, 1.5))] * 3 + [((1.5, 9.5), (1.5, 1.5)), ((1.0, 1.0), (2.0, 2.0))]
    lines = [np.linspace((*a, 1.0), (*b, 1.0), 20) for a, b in ends]
    nibabel.streamlines.save(Tractogram(lines, affine_to_rasmm=np.eye(4)), tmp_path / "t.tck")  # type: ignore
    for name, options in (("w", []), ("l", ["-scale_length", "-stat_edge", "mean"])):
        command = ["tck2connectome", "t.tck", "parc.nii", f"{name}.csv", "-quiet", *options]
        subprocess.run(command, cwd=tmp_path, check=True)
    with pytest.raises(ValueError, match="above the diagonal only"):
        io.read_connectome_matrices(tmp_path / "w.csv")
    found = io.read_connectome_matrices(tmp_path / "w.csv", tmp_path / "l.csv", symmetric=True)
    weights = np.zeros((4, 4))
    weights[0, 0], weights[0, 1], weights[0, 2] = 1, 3, 1
    weights[1, 0], weights[2, 0] = 3, 1
    np.testing.assert_array_equal(found.weights, weights)
    lengths = np.asarray(found.tract_lengths)
    assert lengths[0, 1] == lengths[1, 0] == pytest.approx(8.0) and lengths[1, 2] == 0.0


def qsirecon(path, atlases=("4S156Parcels",), start="atlas_", labels=None):
    """As its interfaces do: one file per measure of pandas' and NumPy's arrays, then merged."""
    cells = np.array(labels or ["LH_Vis_1", "LH_Vis_2", "RH_Vis_1"], dtype=object)
    merged = {}
    for atlas in atlases:
        for measure, matrix in (
            ("sift_invnodevol_radius2_count", WEIGHTS),
            ("radius2_meanlength", LENGTHS),
        ):
            one = {
                f"{start}{atlas}_region_ids": np.arange(1, 4),
                f"{start}{atlas}_region_labels": cells if start else np.array(cells.tolist()),
                f"{start}{atlas}_{measure}_connectivity": matrix,
                "command": "tck2connectome -symmetric",
            }
            scipy.io.savemat(path, one, long_field_names=True)
            found = scipy.io.loadmat(path)
            merged |= {key: found[key] for key in found if not key.startswith("__")}
    scipy.io.savemat(path, merged, long_field_names=True, do_compression=True)


@pytest.mark.parametrize("start", ["atlas_", ""])
def test_qsirecon_and_qsiprep(tmp_path, start):
    path = tmp_path / "sub-01_space-T1w_connectivity.mat"
    qsirecon(path, start=start)
    found = io.read_qsirecon_connectome(path, "sift_invnodevol_radius2_count")
    np.testing.assert_array_equal(found.weights, WEIGHTS)
    np.testing.assert_array_equal(found.tract_lengths, LENGTHS)
    assert found.labels == ("LH_Vis_1", "LH_Vis_2", "RH_Vis_1")
    assert found.name == "sub-01_space-T1w_connectivity"
    assert np.asarray(found.hemispheres).tolist() == [False, False, True]
    alone = io.read_qsirecon_connectome(path, "sift_invnodevol_radius2_count", None)
    assert not np.asarray(alone.tract_lengths).any()


def test_what_qsirecon_lacks_is_said(tmp_path):
    path = tmp_path / "c.mat"
    qsirecon(path, ("AAL116", "AAL116_ext"))
    with pytest.raises(ValueError, match="several atlases, AAL116, AAL116_ext; say which"):
        io.read_qsirecon_connectome(path, "radius2_meanlength")
    with pytest.raises(ValueError, match="no atlas 'DK'; there is AAL116, AAL116_ext"):
        io.read_qsirecon_connectome(path, "radius2_meanlength", atlas="DK")
    there = "sift_invnodevol_radius2_count, radius2_meanlength"
    with pytest.raises(ValueError, match=f"no 'count' of AAL116_ext; there is {there}"):
        io.read_qsirecon_connectome(path, "count", atlas="AAL116_ext")
    with pytest.raises(ValueError, match="no 'long' of AAL116; there is .*lengths=, or None"):
        io.read_qsirecon_connectome(path, "radius2_meanlength", "long", atlas="AAL116")
    qsirecon(path, labels=["a", "b"])
    with pytest.raises(ValueError, match="2 labels for weights"):
        io.read_qsirecon_connectome(path, "radius2_meanlength")
    scipy.io.savemat(path, {"W": WEIGHTS})
    with pytest.raises(ValueError, match="no variable .*holds W. read_connectome_matrices"):
        io.read_qsirecon_connectome(path, "radius2_meanlength")


BALL = sphere(1, 40.0)
MAPPING = np.arange(len(BALL.vertices)) % 3
GAIN = np.random.default_rng(0).normal(size=(2, len(BALL.vertices)))
CENTRES = np.array([[-20.0, -80.0, 5.0], [-10.0, -20.0, 8.0], [20.5, -80.0, 5.0]])


def converter(root):
    """What the converter writes for BIDS, by the calls that it makes."""
    person = root / "derivatives" / "TVB" / "sub-01"
    for name in ("connectivity", "anat", "eeg", "func"):
        (person / name).mkdir(parents=True)
    stem = person / "connectivity" / "sub-01_desc-{}_conndata-network_connectivity.tsv"
    np.savetxt(str(stem).format("weight"), WEIGHTS, delimiter="\t")
    np.savetxt(str(stem).format("distance"), LENGTHS, delimiter="\t")
    (person / "connectivity" / "sub-01_conndata-network_connectivity.json").write_text(
        '{"description": "Structural connectome", "source_node_info": {"parcellation": "desikan"}}'
    )
    rows = ["name\tcentroid-x\tcentroid-y\tcentroid-z"]
    for label, xyz in zip(LABELS, CENTRES, strict=True):
        rows.append("\t".join([label, *(f"{x:.6f}" for x in xyz)]))
    (person / "anat" / "sub-01_desc-centroid_morph.tsv").write_text("\n".join(rows) + "\n")
    gifti: type = nibabel.gifti.GiftiDataArray  # type: ignore
    points = gifti(BALL.vertices.astype("float32"), intent="NIFTI_INTENT_POINTSET")
    corners = gifti(BALL.triangles.astype("int32"), intent="NIFTI_INTENT_TRIANGLE")
    mapping = gifti(MAPPING.astype("int32"), intent="NIFTI_INTENT_LABEL", datatype=8)
    for name, arrays in (("pial.surf", [points, corners]), ("dparc.label", [mapping])):
        image = nibabel.gifti.GiftiImage(darrays=arrays)  # type: ignore
        nibabel.save(image, person / "anat" / f"sub-01_space-individual_{name}.gii")  # type: ignore
    np.savetxt(person / "eeg" / "sub-01_desc-eeg_proj.tsv", GAIN, delimiter="\t")
    (person / "eeg" / "sub-01_task-simulation_electrodes.tsv").write_text(
        "name\tx\ty\tz\nFp1\t-20.000000\t80.5\t0\nOz\t0\t-90\t10\n"
    )
    return person


def test_the_converters_bids_files(tmp_path):
    person = converter(tmp_path)
    found = io.read_bids_connectome(tmp_path / "derivatives" / "TVB", "01")
    np.testing.assert_array_equal(found.weights, WEIGHTS)
    np.testing.assert_array_equal(found.tract_lengths, LENGTHS)
    assert found.labels == LABELS
    np.testing.assert_allclose(np.asarray(found.centres), CENTRES)
    surface = io.read_surface(person / "anat" / "sub-01_space-individual_pial.surf.gii")
    np.testing.assert_allclose(surface.vertices, BALL.vertices, rtol=1e-6)
    mapping = person / "anat" / "sub-01_space-individual_dparc.label.gii"
    np.testing.assert_array_equal(io.read_region_mapping(mapping), MAPPING)
    gain = person / "eeg" / "sub-01_desc-eeg_proj.tsv"
    np.testing.assert_allclose(io.read_gain_matrix(gain), GAIN)
    sensors = io.read_sensors(person / "eeg" / "sub-01_task-simulation_electrodes.tsv")
    assert sensors.labels == ("Fp1", "Oz")
    np.testing.assert_array_equal(sensors.positions, [[-20, 80.5, 0], [0, -90, 10]])


def test_a_region_that_the_converter_did_not_find(tmp_path):
    person = converter(tmp_path)
    path = person / "anat" / "sub-01_desc-centroid_morph.tsv"
    path.write_text(path.read_text().replace("-10.000000\t-20.000000\t8.000000", "nan\tnan\tnan"))
    with pytest.raises(ValueError, match=r"centres\[1, 0\] is nan.*leave centres out"):
        io.read_bids_connectome(person.parent, "01")
    found = io.read_bids_connectome(person.parent, "01", centres=False)
    assert found.centres is None and found.labels == LABELS
    path.write_text("name\tcentroid-x\tcentroid-y\tcentroid-z\na\t1\t2\t3\n")
    with pytest.raises(ValueError, match="1 labels for 3 regions"):
        io.read_bids_connectome(person.parent, "01")


def test_the_converters_files_for_tvb(tmp_path):
    with zipfile.ZipFile(tmp_path / "sub-01_Connectome.zip", "w") as archive:
        for name, values in {
            "weights": WEIGHTS, "tract_lengths": LENGTHS, "average_orientations": CENTRES / 90,
            "areas": [[3.0], [0.0], [4.0]], "cortical": [1, 0, 1], "hemispheres": [0, 0, 1],
        }.items():  # fmt: skip
            np.savetxt(tmp_path / "array.txt", values)
            archive.write(tmp_path / "array.txt", f"{name}.txt")
        rows = (
            f"{name} {x:.6f} {y:.6f} {z:.6f}\n"
            for name, (x, y, z) in zip(LABELS, CENTRES, strict=True)
        )
        archive.writestr("centres.txt", "".join(rows))
    found = io.read_connectome_zip(tmp_path / "sub-01_Connectome.zip")
    assert found.labels == LABELS and np.asarray(found.cortical).tolist() == [True, False, True]
    with zipfile.ZipFile(tmp_path / "sub-01_Cortex.zip", "w") as archive:
        for name, values in {
            "triangles": BALL.triangles, "vertices": BALL.vertices, "normals": BALL.vertices / 40,
        }.items():  # fmt: skip
            np.savetxt(tmp_path / "array.txt", values, fmt="%i" if name == "triangles" else "%f")
            archive.write(tmp_path / "array.txt", f"{name}.txt")
    surface = io.read_surface(tmp_path / "sub-01_Cortex.zip")
    np.testing.assert_array_equal(surface.triangles, BALL.triangles)
    np.savetxt(tmp_path / "sub-01_region_mapping.txt", MAPPING, fmt="%i")
    mapping = io.read_region_mapping(tmp_path / "sub-01_region_mapping.txt")
    np.testing.assert_array_equal(mapping, MAPPING)
    scipy.io.savemat(tmp_path / "sub-01_EEGProjection.mat", mdict={"ProjectionMatrix": GAIN})
    gain = io.read_gain_matrix(tmp_path / "sub-01_EEGProjection.mat")
    np.testing.assert_array_equal(gain, GAIN)
    (tmp_path / "sub-01_EEG_Locations.txt").write_text("Fp1 -20.000000 80.500000 0.000000\n")
    assert io.read_sensors(tmp_path / "sub-01_EEG_Locations.txt").labels == ("Fp1",)
    series = np.random.default_rng(1).normal(size=(6, 3))
    np.savetxt(tmp_path / "sub-01_task-rest_parc-desikan_ROI_timeseries.txt", series, fmt="%f  ")
    read = io.read_regional_series(
        tmp_path / "sub-01_task-rest_parc-desikan_ROI_timeseries.txt", LABELS, repetition_time=2e3
    )
    np.testing.assert_allclose(read.values, series, atol=1e-6)


@pytest.mark.parametrize(
    "content, message",
    [
        ("Fp1 1 2 3\n", "there is no column name, x, y, z"),
        ("name\tx\ty\tz\nFp1\t1\tn/a\t3\n", "line 2, column 3: 'n/a' is not a number"),
        ("name\tx\ty\tz\nFp1\t1\t2\n", "line 2: 3 of 4 columns"),
        ("name\tx\ty\tz\n", "has no electrodes"),
    ],
)
def test_bad_electrodes_are_refused(tmp_path, content, message):
    path = tmp_path / "electrodes.tsv"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"electrodes.tsv.*{message}"):
        io.read_sensors(path)


def test_bad_gifti_labels_are_refused(tmp_path):
    path = tmp_path / "a.label.gii"
    path.write_text("no GIFTI")
    with pytest.raises(ValueError, match="no readable GIFTI file"):
        io.read_region_mapping(path)
    points = nibabel.gifti.GiftiDataArray(  # type: ignore
        np.zeros((4, 3), np.float32), intent="NIFTI_INTENT_POINTSET"
    )
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[points]), path)  # type: ignore
    with pytest.raises(ValueError, match="one array of labels"):
        io.read_region_mapping(path)
