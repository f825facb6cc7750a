"""Tables like the Allen Institute's, of a mouse whose connections are known."""

from typing import NamedTuple

import numpy as np
import pandas as pd

ROOT = 997
REGIONS = {101: "Anterior area", 102: "Dorsal area", 103: "Lateral area", 104: "Deep area"}
PARTS = {1011: 101, 1012: 101}  # of which the annotation's voxels are
SHAPE, RESOLUTION = (20, 16, 24), 100.0


class Mouse(NamedTuple):
    """`same`, `other`: the share of pixels with signal in a target (column) for an injection whose
    pixels all have signal into a source (row), on its side and the other one."""

    unionizes: pd.DataFrame
    experiments: pd.DataFrame
    structures: pd.DataFrame
    annotation: np.ndarray
    same: np.ndarray
    other: np.ndarray


def structures():
    rows = [(ROOT, "root", 0, "/997/"), (500, "Cortex", 1, "/997/500/")]
    # The atlas's order is not that of ids.
    order = {102: 2, 101: 3, 104: 6, 103: 7}
    rows += [(one, REGIONS[one], order[one], f"/997/500/{one}/") for one in REGIONS]
    rows += [
        (p, f"part {p}", 4 + i, f"/997/500/{q}/{p}/") for i, (p, q) in enumerate(PARTS.items())
    ]
    return pd.DataFrame(rows, columns=["id", "name", "graph_order", "structure_id_path"])


def annotation():
    """Boxes, the same in both hemispheres; some voxels are of the cortex alone."""
    volume = np.zeros(SHAPE, np.int32)
    half = SHAPE[2] // 2
    right = volume[:, :, half:]
    right[0:6, 0:8], right[6:10, 0:8] = 1011, 1012
    right[10:20, 0:8], right[0:10, 8:16], right[10:20, 8:16] = 102, 103, 104
    for back, down in ((18, 8), (0, 0), (0, 8)):  # so that 102 is the largest
        right[back : back + 2, down : down + 8, 10:12] = 500
    volume[:, :, :half] = right[:, :, ::-1]
    return volume


def mouse(seed=0, repeats=2, injected=0.9, left=(), leak=0.0):
    """`repeats` experiments into each region, whose injections differ in strength; those numbered
    in `left` are into the left hemisphere. `leak`: the share of the injection's signal in the next
    region."""
    rng = np.random.default_rng(seed)
    ids = list(REGIONS)
    same, other = rng.uniform(0.01, 0.4, (2, len(ids), len(ids)))
    rows, experiments = [], []
    for source in range(len(ids)):
        for repeat in range(repeats):
            number = 1000 + 10 * source + repeat
            experiments.append((number, ids[source], ""))
            strength = injected * rng.uniform(0.95, 1.0)
            side = 1 if number in left else 2
            signal = {ids[source]: strength * 1e4 * (1.0 - leak)}
            signal[ids[(source + 1) % len(ids)]] = strength * 1e4 * leak
            for one, amount in signal.items():
                pixels = 1e4 * (1.0 - leak if one == ids[source] else leak)
                if amount:
                    rows.append((number, one, side, True, strength, strength, pixels, amount))
            for target in range(len(ids)):
                for across, matrix in enumerate((same, other)):
                    mix = (1 - leak) * matrix[source] + leak * matrix[(source + 1) % len(ids)]
                    value = strength * mix[target]
                    hemisphere = side if not across else 3 - side
                    pixels = 1e5
                    row = (number, ids[target], hemisphere, False, value, 2.0 * value, pixels)
                    rows.append((*row, value * pixels))
    names = ["experiment_id", "structure_id", "hemisphere_id", "is_injection", "projection_density"]
    names += ["projection_energy", "sum_pixels", "sum_projection_pixels"]
    return Mouse(
        pd.DataFrame(rows, columns=names),
        pd.DataFrame(experiments, columns=["id", "structure_id", "transgenic_line"]),
        structures(),
        annotation(),
        same,
        other,
    )
