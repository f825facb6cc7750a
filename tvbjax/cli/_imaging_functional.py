"""`tvbjax imaging functional`: regional series and their connectivity from fMRIPrep's folder."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from tvbjax.cli._imaging_people import Atlas, Labels, OneOf, Out, each_person


def functional(
    folder: Annotated[Path, typer.Argument(metavar="FMRIPREP", help="fMRIPrep's derivatives.")],
    task: Annotated[str, typer.Option(help="As rest in sub-01_task-rest_...")],
    parcellation: Annotated[
        list[Path],
        typer.Option(
            help="Regions by number: an image in the space of the BOLD, or .label.gii of the left "
            "and then of the right hemisphere."
        ),
    ],
    labels: Labels,
    out: Out,
    atlas: Atlas = "own",
    space: Annotated[str | None, typer.Option(help="As MNI152NLin2009cAsym, fsaverage5.")] = None,
    session: OneOf = None,
    run: OneOf = None,
    low: Annotated[float | None, typer.Option(help="Hz, the lowest that stays.")] = 0.008,
    high: Annotated[float | None, typer.Option(help="Hz, the highest that stays.")] = None,
    window: Annotated[
        float, typer.Option(help="s, of the connectivity's dynamics, a third of the run at most.")
    ] = 60.0,
    figures: Annotated[bool, typer.Option(help="Draw pictures to look at.")] = True,
) -> None:
    """Take confounds out of BOLD and write series of regions, correlations and partial ones.

    Confounds are motion, high-pass, white matter and fluid, nilearn's choice for fMRIPrep. Each
    person is done by themselves: who fails is told, and the others go on.
    """
    from tvbjax import imaging
    from tvbjax.analysis import functional_connectivity
    from tvbjax.io import (
        read_numbered_labels,
        write_bids_connectivity,
        write_bids_regional_series,
    )

    names = read_numbered_labels(labels)
    people = sorted(one.name.removeprefix("sub-") for one in folder.glob("sub-*") if one.is_dir())
    if not people:
        raise ValueError(f"{folder}: no person; fMRIPrep's folder has sub-01/func/.")

    def work(person: str, _: None) -> None:
        found = imaging.fmriprep_run(
            folder, person, task=task, session=session, run=run, space=space
        )
        regions = imaging.read_parcels(*parcellation, bold=found.images[0])
        bold, confounds = found.load()
        series = imaging.regional_series(
            bold,
            regions,
            names,
            repetition_time=found.repetition_time,
            confounds=confounds,
            band=(low, high),
        )
        place = {"folder": out, "subject": person, "session": session, "atlas": atlas}
        write_bids_regional_series(series, **place, task=task, run=run)
        of_run = task if run is None else f"{task}run{run}"
        for measure, matrix in (
            ("pearsonCorrelation", np.asarray(functional_connectivity(series.values))),
            ("partialCorrelation", imaging.shrunk_partial_correlation(series).values),
        ):
            write_bids_connectivity(
                matrix, list(names.values()), **place, desc=of_run, measure=measure
            )
        if figures:
            length = float(series["time"][-1])
            of_session = "" if session is None else f"_ses-{session}"
            figure = imaging.functional_quality(series, window=min(1000.0 * window, length / 3))
            figure.savefig(out / f"sub-{person}{of_session}_task-{of_run}_quality.png")

    each_person(dict.fromkeys(people), work, out)
