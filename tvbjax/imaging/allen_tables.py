"""The tables of the Allen Mouse Brain Connectivity Atlas that a user brings, checked.

As the Allen Institute's SDK and web interface write them: one row per experiment, structure and
hemisphere (structure unionizes), one per experiment, one per structure. Oh et al. (2014), Nature
508, 207; the data are under the Allen Institute's terms of use.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

if TYPE_CHECKING:
    import pandas as pd

LEFT, RIGHT = 1, 2  # hemisphere_id; 3 is both

_UNIONIZES = {
    "experiment_id": ("experiment_id", "section_data_set_id"),
    "structure_id": ("structure_id",),
    "hemisphere_id": ("hemisphere_id",),
    "is_injection": ("is_injection",),
    "projection_density": ("projection_density",),
    "projection_energy": ("projection_energy",),
    "sum_pixels": ("sum_pixels",),
    "sum_projection_pixels": ("sum_projection_pixels",),
}
_EXPERIMENTS = {
    "id": ("id", "experiment_id", "section_data_set_id"),
    "structure_id": ("primary_injection_structure", "structure_id", "structure-id"),
}
_LINE = ("transgenic_line", "transgenic-line")
_STRUCTURES = {
    "id": ("id",),
    "name": ("name", "safe_name"),
    "graph_order": ("graph_order",),
    "structure_id_path": ("structure_id_path",),
}
_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


@dataclass(frozen=True, eq=False)
class Unionizes:
    """What was measured, one row per experiment, structure, hemisphere and kind.

    `is_injection`: of the site of injection, or of what lies outside of it. `projection_density`:
    the share of pixels with signal; `projection_energy`: their mean intensity. `sum_pixels`,
    `sum_projection_pixels`: all pixels, and those with signal.
    """

    experiment_id: Int[np.ndarray, " row"]
    structure_id: Int[np.ndarray, " row"]
    hemisphere_id: Int[np.ndarray, " row"]
    is_injection: Bool[np.ndarray, " row"]
    projection_density: Float[np.ndarray, " row"]
    projection_energy: Float[np.ndarray, " row"]
    sum_pixels: Float[np.ndarray, " row"]
    sum_projection_pixels: Float[np.ndarray, " row"]


@dataclass(frozen=True, eq=False)
class Structures:
    """The ontology: `paths` from the root to each structure, by id; `order` as the atlas lists
    them."""

    ids: Int[np.ndarray, " structure"]
    names: tuple[str, ...]
    order: Int[np.ndarray, " structure"]
    paths: tuple[tuple[int, ...], ...]

    def below(self, structure: int) -> tuple[int, ...]:
        """The structure and all that are parts of it."""
        return tuple(
            int(one) for one, path in zip(self.ids, self.paths, strict=True) if structure in path
        )

    def name_of(self, structure: int) -> str:
        return self.names[self._row(structure)]

    def order_of(self, structure: int) -> int:
        return int(self.order[self._row(structure)])

    def path_of(self, structure: int) -> tuple[int, ...]:
        return self.paths[self._row(structure)]

    def _row(self, structure: int) -> int:
        found = np.flatnonzero(self.ids == structure)
        if not len(found):
            raise ValueError(
                f"structures: there is no structure {structure}, which the other tables name; "
                "take all tables from one version of the atlas."
            )
        return int(found[0])


@dataclass(frozen=True, eq=False)
class AllenTables:
    """`injected`: by experiment the structure that it was injected into."""

    unionizes: Unionizes
    injected: Mapping[int, int]
    structures: Structures


def allen_tables(
    unionizes: "pd.DataFrame | str | Path",
    experiments: "pd.DataFrame | str | Path",
    structures: "pd.DataFrame | str | Path",
    *,
    wild_type: bool = True,
) -> AllenTables:
    """The tables, from data frames or csv files.

    Columns of `unionizes`: experiment_id (or section_data_set_id), structure_id, hemisphere_id,
    is_injection, projection_density, projection_energy, sum_pixels, sum_projection_pixels; of
    `experiments`: id, primary_injection_structure (or structure_id) and, for `wild_type`, which
    leaves out transgenic mice, transgenic_line; of `structures`: id, name, graph_order,
    structure_id_path. Others are ignored.

    Raises ValueError for a column that is missing, numbers that are none, a measure that is
    negative, or a row that is there twice; FileNotFoundError.
    """
    rows = _frame(unionizes, "unionizes")
    found = {name: _column(rows, "unionizes", names) for name, names in _UNIONIZES.items()}
    whole = ("experiment_id", "structure_id", "hemisphere_id")
    columns: dict[str, Any] = {n: _whole(found[n], "unionizes", n) for n in whole}
    columns["is_injection"] = _truths(found["is_injection"], "unionizes", "is_injection")
    for name in _UNIONIZES:
        if name not in columns:
            columns[name] = _measures(found[name], "unionizes", name)
    _check_sides(columns["hemisphere_id"])
    _check_once(columns)
    made = Structures(*_ontology(_frame(structures, "structures")))
    return AllenTables(Unionizes(**columns), _injected(experiments, wild_type), made)


def _frame(table: Any, what: str) -> "pd.DataFrame":
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        return table.reset_index() if table.index.name else table
    path = Path(table)
    if not path.is_file():
        raise FileNotFoundError(f"{what}: there is no file {path}.")
    try:
        return pd.read_csv(path)
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{what}: {path} is no readable csv ({error}).") from error


def _column(table: "pd.DataFrame", what: str, names: Sequence[str]) -> np.ndarray:
    for name in names:
        if name in table.columns:
            return table[name].to_numpy()
    raise ValueError(
        f"{what}: there is no column {' or '.join(names)}; the columns are "
        f"{', '.join(map(str, table.columns))}."
    )


def _whole(values: np.ndarray, what: str, name: str) -> Int[np.ndarray, " row"]:
    numbers = _measures(values, what, name)
    wrong = np.flatnonzero(~(numbers == np.floor(numbers)))
    if len(wrong):
        raise ValueError(
            f"{what}: {name} of row {wrong[0]} is {values[wrong[0]]!r}; it is a whole number."
        )
    return numbers.astype(np.int64)


def _measures(values: np.ndarray, what: str, name: str) -> Float[np.ndarray, " row"]:
    """Numbers >= 0, or NaN where nothing was measured."""
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: {name} holds what is no number ({error}).") from error
    wrong = np.flatnonzero((numbers < 0) | np.isinf(numbers))
    if len(wrong):
        raise ValueError(
            f"{what}: {name} of row {wrong[0]} is {numbers[wrong[0]]:g}; it is finite and >= 0."
        )
    return numbers


def _truths(values: np.ndarray, what: str, name: str) -> Bool[np.ndarray, " row"]:
    known = [_TRUTHS.get(str(value).lower()) for value in values]
    if None in known:
        row = known.index(None)
        raise ValueError(f"{what}: {name} of row {row} is {values[row]!r}; give True or False.")
    return np.array(known, bool)


def _check_sides(sides: np.ndarray) -> None:
    wrong = np.flatnonzero(~np.isin(sides, (LEFT, RIGHT, 3)))
    if len(wrong):
        raise ValueError(
            f"unionizes: hemisphere_id of row {wrong[0]} is {sides[wrong[0]]}; it is 1 (left), 2 "
            "(right) or 3 (both)."
        )


def _check_once(columns: Mapping[str, np.ndarray]) -> None:
    names = ("experiment_id", "structure_id", "hemisphere_id", "is_injection")
    keys = np.stack([columns[name].astype(np.int64) for name in names], axis=1)
    _, first, counts = np.unique(keys, axis=0, return_index=True, return_counts=True)
    if (counts > 1).any():
        row = dict(zip(names, keys[first[np.argmax(counts > 1)]].tolist(), strict=True))
        told = ", ".join(f"{name} {value}" for name, value in row.items())
        raise ValueError(f"unionizes: there are several rows of {told}; keep one of them.")


def _injected(experiments: Any, wild_type: bool) -> dict[int, int]:
    rows = _frame(experiments, "experiments")
    ids, structures = (
        _whole(_column(rows, "experiments", names), "experiments", name)
        for name, names in _EXPERIMENTS.items()
    )
    kept = np.ones(len(ids), bool)
    if wild_type:
        lines = _column(rows, "experiments", _LINE)
        kept = np.array([line is None or line != line or str(line).strip() == "" for line in lines])
    if not kept.any():
        raise ValueError(
            f"experiments: none of {len(ids)} is of a wild-type mouse; pass wild_type=False to use "
            "those of transgenic ones."
        )
    return dict(zip(ids[kept].tolist(), structures[kept].tolist(), strict=True))


def _ontology(rows: "pd.DataFrame"):
    ids, names, order, paths = (
        _column(rows, "structures", names) for names in _STRUCTURES.values()
    )
    ids = _whole(ids, "structures", "id")
    if len(np.unique(ids)) < len(ids):
        raise ValueError("structures: an id is there twice; keep one row of each structure.")
    found = []
    for row, path in enumerate(paths):
        parts = [part for part in str(path).strip("/[]").replace(",", "/").split("/") if part]
        if not parts or not all(part.strip().isdigit() for part in parts):
            raise ValueError(
                f"structures: structure_id_path of row {row} is {path!r}; it is like '/997/8/'."
            )
        found.append(tuple(int(part) for part in parts))
    text = tuple(str(name) for name in names)
    return ids, text, _whole(order, "structures", "graph_order"), tuple(found)
