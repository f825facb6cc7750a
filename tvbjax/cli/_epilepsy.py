"""`tvbjax epilepsy`: patients' folders checked, made up, and fitted."""

from pathlib import Path
from typing import Annotated

import jax
import typer
from rich.console import Console

app = typer.Typer(
    help="Where seizures begin: check a patient's folder, make one up, fit one.",
    no_args_is_help=True,
)
Folder = Annotated[Path, typer.Argument(help="The patient's folder: docs/epilepsy_patient.md.")]
Match = Annotated[
    bool,
    typer.Option("--match", help="Leave out channels that gain and recordings do not share."),
]


@app.command()
def check(patient: Folder, match: Match = False) -> None:
    """Say everything that is wrong with a patient's folder."""
    from tvbjax.bayes import epilepsy

    problems = epilepsy.validate_patient(patient, match=match)
    console = Console(soft_wrap=True)
    for problem in problems:
        console.print(f"- {problem}", highlight=False, markup=False)
    if problems:
        raise typer.Exit(1)
    found = epilepsy.read_patient(patient, match=match)
    seizures = ", ".join(one.name for one in found.seizures)
    console.print(
        f"{found.name}: {len(found.regions)} regions, {len(found.channels)} channels, "
        f"seizures {seizures}. Nothing is wrong that can be seen.",
        highlight=False,
        markup=False,
    )


@app.command()
def synthetic(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    regions: Annotated[int, typer.Option(help="How many, even.")] = 84,
    shafts: Annotated[int, typer.Option(help="How many electrodes.")] = 12,
    seed: Annotated[int, typer.Option(help="Another seed is another patient.")] = 0,
) -> None:
    """Make up a patient with one seizure; what is true goes to truth.tsv in the folder."""
    from tvbjax.bayes import epilepsy

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
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder for all that is found.")],
    seizure: Annotated[str | None, typer.Option(help="By default the first.")] = None,
    chains: Annotated[int, typer.Option(help="Of NUTS.")] = 4,
    warmup: Annotated[int, typer.Option(help="Steps of each chain that are thrown away.")] = 500,
    draws: Annotated[int, typer.Option(help="Of each chain.")] = 1000,
    pace: Annotated[float, typer.Option(help="Recorded seconds in a ms of the model.")] = 4.0,
    match: Match = False,
    seed: Annotated[int, typer.Option(help="Of the chains.")] = 0,
) -> None:
    """Fit a seizure of a patient: posterior.nc, regions.tsv and report.html.

    Whatever stops it, the same command goes on where it was. The prior is the clinicians'
    hypothesis of patient.json, else its lesions, else none.
    """
    from tvbjax import bayes

    jax.config.update("jax_enable_x64", True)
    console = Console(soft_wrap=True)
    study = bayes.epilepsy.fit_patient(
        bayes.epilepsy.read_patient(patient, match=match),
        out,
        key=jax.random.key(seed),
        seizure=seizure,
        method=bayes.Nuts(chains=chains, warmup=warmup, draws=draws),
        pace=pace,
        told=lambda text: console.print(text, highlight=False, markup=False),
    )
    console.print(f"written to {study.folder}; for research use only", highlight=False)
    if not study.diagnosis.trusted:
        raise typer.Exit(3)
