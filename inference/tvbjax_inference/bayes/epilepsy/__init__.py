"""Where epileptic seizures begin: patients, their recordings, the Epileptor network of their brain,
and what is inferred from them."""

from tvbjax_inference.bayes.epilepsy import (
    classification as classification,
    figures as figures,
    forms as forms,
    priors as priors,
)
from tvbjax_inference.bayes.epilepsy.electrodes import (
    inverse_square_gain as inverse_square_gain,
    shafts as shafts,
)
from tvbjax_inference.bayes.epilepsy.excitability import Equilibrium as Equilibrium
from tvbjax_inference.bayes.epilepsy.features import (
    check_seizure as check_seizure,
    envelope as envelope,
    feature_times as feature_times,
    fitted_window as fitted_window,
    log_power as log_power,
    seizure_window as seizure_window,
)
from tvbjax_inference.bayes.epilepsy.folder import (
    read_patient as read_patient,
    validate_patient as validate_patient,
    write_patient as write_patient,
)
from tvbjax_inference.bayes.epilepsy.model import (
    network as network,
    patient_program as patient_program,
)
from tvbjax_inference.bayes.epilepsy.patient import Patient as Patient, matched as matched
from tvbjax_inference.bayes.epilepsy.permittivity import NearSlowManifold as NearSlowManifold
from tvbjax_inference.bayes.epilepsy.priors import THRESHOLD as THRESHOLD
from tvbjax_inference.bayes.epilepsy.regions import (
    activity as activity,
    cells as cells,
    summary as summary,
    to_table as to_table,
)
from tvbjax_inference.bayes.epilepsy.report import write_report as write_report
from tvbjax_inference.bayes.epilepsy.resolution import (
    Correlations as Correlations,
    correlations as correlations,
    unresolved as unresolved,
)
from tvbjax_inference.bayes.epilepsy.seizure import Seizure as Seizure
from tvbjax_inference.bayes.epilepsy.study import (
    Study as Study,
    fit_patient as fit_patient,
    prior_of as prior_of,
    seizure_of as seizure_of,
    seizure_program as seizure_program,
)
from tvbjax_inference.bayes.epilepsy.surgery import (
    Disconnection as Disconnection,
    Resection as Resection,
    Search as Search,
    smallest_resection as smallest_resection,
    virtual_surgery as virtual_surgery,
)
from tvbjax_inference.bayes.epilepsy.synthetic import (
    Truth as Truth,
    synthetic_patient as synthetic_patient,
)
