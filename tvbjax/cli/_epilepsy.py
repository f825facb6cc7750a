"""`tvbjax epilepsy`: patients' folders checked, made up, and fitted."""

import warnings
from pathlib import Path
from typing import Annotated

import jax
import typer
from rich.console import Console

app = typer.Typer(
    help="Where seizures begin: check a patient's folder, make one up, fit one.",
    no_args_is_help=True,
)


def _named(text: str) -> Path:
    """A folder that has a name: an empty one, as of an unset variable, is not the current one."""
    if not str(text).strip():
        raise typer.BadParameter("it is empty; name a folder ('.' is the current one).")
    return Path(text)


def _check_place(where: str, folder: Path) -> None:
    """Raises ValueError where no folder can be, since a file is there."""
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir():
                raise ValueError(f"{where}: {place} is a file; name a folder.")
            return


Folder = Annotated[
    Path,
    typer.Argument(
        parser=_named, metavar="PATIENT", help="The patient's folder: docs/epilepsy_patient.md."
    ),
]
Pace = Annotated[float, typer.Option(help="Recorded seconds in a ms of the model.")]
_SEEDS = 2**32 - 1
Match = Annotated[
    bool,
    typer.Option("--match", help="Leave out channels that gain and recordings do not share."),
]


@app.command()
def check(patient: Folder, match: Match = False, pace: Pace = 4.0) -> None:
    """Say everything that is wrong with a patient's folder, and with each seizure for `fit`.

    Warnings are for someone to look at; they keep nothing from being fitted.
    """
    from tvbjax.bayes import epilepsy

    console = Console(soft_wrap=True)

    def end(problems: list[str]) -> None:
        for problem in problems:
            console.print(f"- {problem}", highlight=False, markup=False)
        if problems:
            raise typer.Exit(1)

    end(epilepsy.validate_patient(patient, match=match))
    found = epilepsy.read_patient(patient, match=match)
    problems = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        for seizure in found.seizures:
            try:
                epilepsy.fitted_window(seizure, pace=pace)
            except ValueError as error:
                problems.append(f"seizure {seizure.name!r} cannot be fitted: {error}")
    for warning in caught:
        console.print(f"- warning: {warning.message}", highlight=False, markup=False)
    end(problems)
    seizures = ", ".join(one.name for one in found.seizures)
    verdict = "Look at what is warned of." if caught else "Nothing is wrong that can be seen."
    console.print(
        f"{found.name}: {len(found.regions)} regions, {len(found.channels)} channels, "
        f"seizures {seizures}. {verdict}",
        highlight=False,
        markup=False,
    )


@app.command()
def synthetic(
    folder: Annotated[Path, typer.Argument(parser=_named, metavar="FOLDER", help="A new folder.")],
    regions: Annotated[int, typer.Option(help="How many, even.")] = 84,
    shafts: Annotated[int, typer.Option(help="How many electrodes.")] = 12,
    seed: Annotated[
        int, typer.Option(min=0, max=_SEEDS, help="Another seed is another patient.")
    ] = 0,
) -> None:
    """Make up a patient with one seizure; what is true goes to truth.tsv in the folder."""
    from tvbjax.bayes import epilepsy

    _check_place("epilepsy synthetic", folder)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"epilepsy synthetic: {folder} is not empty; name a new folder.")
    patient, truth = epilepsy.synthetic_patient(
        jax.random.key(seed), regions=regions, shafts=shafts
    )
    epilepsy.write_patient(patient, folder)
    rows = ["region\texcitability\tonset"]
    for region, eta, onset in zip(patient.regions, truth.excitability, truth.onsets, strict=True):
        rows.append(f"{region}\t{eta:.6g}\t{onset:.6g}")
    (folder / "truth.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    Console().print(f"written to {folder}", highlight=False)


@app.command()
def fit(
    patient: Folder,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=_named, metavar="FOLDER", help="A folder for all that is found."
        ),
    ],
    seizure: Annotated[str | None, typer.Option(help="By default the first.")] = None,
    chains: Annotated[int, typer.Option(help="Of NUTS.")] = 4,
    warmup: Annotated[int, typer.Option(help="Steps of each chain that are thrown away.")] = 500,
    draws: Annotated[int, typer.Option(help="Of each chain.")] = 1000,
    accept: Annotated[
        float, typer.Option(help="Acceptance that steps are made for: more, fewer diverge.")
    ] = 0.95,
    pace: Pace = 4.0,
    dt: Annotated[
        float | None,
        typer.Option(
            help="ms of the model in a step of RecoupledHeun, such as 0.025, for the equations' "
            "own posterior; by default steps are Heun's, of 0.1."
        ),
    ] = None,
    match: Match = False,
    seed: Annotated[int, typer.Option(min=0, max=_SEEDS, help="Of the chains.")] = 0,
) -> None:
    """Fit a seizure of a patient: posterior.nc, regions.tsv and report.html.

    Whatever stops it, the same command goes on where it was. The prior is the clinicians'
    hypothesis of patient.json, else its lesions, else none.
    """
    from tvbjax import bayes, integrators

    _check_place("epilepsy fit --out", out)
    jax.config.update("jax_enable_x64", True)
    console = Console(soft_wrap=True)
    study = bayes.epilepsy.fit_patient(
        bayes.epilepsy.read_patient(patient, match=match),
        out,
        key=jax.random.key(seed),
        seizure=seizure,
        method=bayes.Nuts(chains, warmup, draws, target_accept=accept),
        pace=pace,
        integrator=None if dt is None else integrators.RecoupledHeun(dt),
        told=lambda text: console.print(text, highlight=False, markup=False),
    )
    console.print(f"written to {study.folder}; for research use only", highlight=False)
    if not study.diagnosis.trusted:
        raise typer.Exit(3)
