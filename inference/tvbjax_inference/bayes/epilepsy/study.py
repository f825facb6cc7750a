"""From a patient's folder to a posterior, its report, and virtual surgery: what the command line
does, step by step, for those who want another step."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import Array

from tvbjax import monitors
from tvbjax.integrators import AbstractIntegrator
from tvbjax.io.atomic import atomic_path
from tvbjax.io.xarray_files import write_dataset
from tvbjax.kinds import check_kind
from tvbjax.near import near
from tvbjax_inference.bayes.diagnosis import Diagnosis, diagnose
from tvbjax_inference.bayes.discretisation import StepHalving, step_halving
from tvbjax_inference.bayes.epilepsy.features import AFTER, BEFORE, PACE, STEP, fitted_window
from tvbjax_inference.bayes.epilepsy.forms import SMOOTH
from tvbjax_inference.bayes.epilepsy.model import network, patient_program
from tvbjax_inference.bayes.epilepsy.patient import Patient
from tvbjax_inference.bayes.epilepsy.permittivity import NearSlowManifold
from tvbjax_inference.bayes.epilepsy.priors import (
    Excitability,
    clinical_hypothesis,
    lesion_on_mri,
    uninformed,
)
from tvbjax_inference.bayes.epilepsy.regions import activity, summary, to_table
from tvbjax_inference.bayes.epilepsy.report import write_report
from tvbjax_inference.bayes.epilepsy.seizure import Seizure
from tvbjax_inference.bayes.epilepsy.surgery import Search, smallest_resection
from tvbjax_inference.bayes.likelihoods import SeegLogPower
from tvbjax_inference.bayes.method import AbstractMethod
from tvbjax_inference.bayes.nuts import Nuts
from tvbjax_inference.bayes.program import Program
from tvbjax_inference.bayes.sampling import sample

if TYPE_CHECKING:
    import xarray as xr

# Of the regions that a resection takes out at most, of the draws that it is tried in, and for how
# many times as long as what was recorded: a seizure that is only late is not prevented.
_UP_TO, _DRAWS, _LONGER = 2, 100, 4
_HALVED = 10  # draws


def prior_of(patient: Patient) -> Excitability:
    """What is known of a patient before the recording: the clinicians' hypothesis, else lesions on
    MRI, else nothing."""
    labels = patient.connectome.labels
    if patient.hypothesis:
        return clinical_hypothesis(labels, patient.hypothesis)
    if patient.lesions:
        return lesion_on_mri(labels, patient.lesions)
    return uninformed(labels)


def seizure_of(patient: Patient, name: str | None = None) -> Seizure:
    """A seizure by name; the first where no name is given. Raises ValueError."""
    if name is None:
        return patient.seizures[0]
    names = [one.name for one in patient.seizures]
    if name not in names:
        hint = near(name, names) or f"there are {', '.join(names)}."
        raise ValueError(f"{patient.name}: there is no seizure '{name}'; {hint}")
    return patient.seizures[names.index(name)]


def seizure_program(
    patient: Patient,
    seizure: Seizure,
    *,
    excitability: Excitability | None = None,
    pace: float = PACE,
    before: float = BEFORE,
    after: float = AFTER,
    error: float = 0.2,
    spread: float = 0.3,
    integrator: AbstractIntegrator | None = None,
) -> Program:
    """The program of one seizure: log power of what contacts recorded, from `before` s ahead of the
    onset to `after` s behind the end, as far as they were recorded, beside a network of smooth
    Epileptors.

    `pace`: s of the recording in 1 ms of the model: choose it so that the model's discharge, of
    about 5 ms, lasts as long as the seizure; the window then holds one of them. There is a sample
    every 0.2 ms. `error`: of the model, in log power; `spread`: of the contacts' own offsets.
    `excitability`: by default `prior_of(patient)`. `integrator`: by default Heun's with steps of
    0.1 ms, between which the coupling is held; `RecoupledHeun(dt=0.025)` for the equations' own
    posterior.

    Raises `ValueError` where the window has no seizure, or is too short.
    """
    check_kind("seizure_program: patient", patient, Patient, "epilepsy.read_patient(folder)")
    _, features = fitted_window(seizure, pace=pace, before=before, after=after, step=STEP)
    watch = monitors.SubSample(STEP, (SMOOTH.source,))
    simulator = network(patient.connectome, integrator=integrator, watch=watch)
    likelihood = SeegLogPower(patient.gain, features, error=error, spread=spread)
    prior = prior_of(patient) if excitability is None else excitability
    return patient_program(simulator, likelihood, excitability=prior, initial=NearSlowManifold())


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """What `fit_patient` found, and where it is: `posterior.nc`, `regions.tsv`, `report.html`."""

    program: Program
    tree: "xr.DataTree"
    diagnosis: Diagnosis
    summary: "xr.Dataset"
    surgery: Search
    halving: StepHalving
    folder: Path


def fit_patient(
    patient: Patient,
    out: str | Path,
    *,
    key: Array,
    seizure: str | None = None,
    method: AbstractMethod = Nuts(),
    date: str = "",
    progress: bool = True,
    told: Callable[[str], None] = lambda text: None,
    **settings,
) -> Study:
    """A patient's posterior of one seizure, with all that a researcher looks at, in a folder.

    `seizure`: by default the first. `settings`: as for `seizure_program`. A run that was ended goes
    on from `chains.npz` in the folder. `told`: is called with what is being done.

    Virtual surgery searches the smallest effective resection of one or two of the regions that are
    most probably epileptogenic or first to discharge.
    """
    chosen = seizure_of(patient, seizure)
    program = seizure_program(patient, chosen, **settings)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    told(f"{patient.name}, {chosen.name}: {len(program.simulator.connectome.labels)} regions")
    tree = sample(
        program, key=key, method=method, checkpoint=folder / "chains.npz", progress=progress
    )
    tree.attrs |= _where_from(patient, chosen, settings)
    write_dataset(tree, folder / "posterior.nc")
    diagnosis, halving = diagnose(tree), step_halving(program, tree, _HALVED)
    told(str(diagnosis))
    told(str(halving))
    ran = activity(program, tree)
    regions = summary(tree, ran)
    with atomic_path(folder / "regions.tsv") as path:
        path.write_text(regions.to_dataframe().to_csv(sep="\t"), encoding="utf-8")
    told(to_table(regions))
    surgery = smallest_resection(
        program, tree, up_to=_UP_TO, draws=_DRAWS, duration=_LONGER * program.length
    )
    told(str(surgery))
    write_report(
        folder / "report.html",
        program,
        tree,
        patient=f"{patient.name}, {chosen.name}",
        summary=regions,
        surgery=surgery,
        sensors=patient.sensors,
        hypothesis=(settings.get("excitability") or prior_of(patient)).said,
        hashes=dict(patient.hashes),
        date=date,
        diagnosis=diagnosis,
        halving=halving,
    )
    return Study(program, tree, diagnosis, regions, surgery, halving, folder)


def _where_from(patient: Patient, seizure: Seizure, settings: Mapping[str, Any]) -> dict[str, str]:
    """What a posterior does not know of itself, and what makes s of the recording of its ms."""
    pace, before = settings.get("pace", PACE), settings.get("before", BEFORE)
    begin = max(0.0, (seizure.onset or 0.0) - before)
    return {
        "patient": patient.name,
        "seizure": f"{seizure.name}: onset at {seizure.onset:g} s, end at {seizure.end:g} s",
        "time": f"1 ms of the model is {pace:g} s; 0 ms is at {begin:g} s of the recording",
        "files, sha256": json.dumps(dict(patient.hashes)),
    }
