"""Epilepsy patients: the Epileptor network of a brain, held against what was recorded in it."""

from tvbjax_inference.bayes.epilepsy import (
    classification as classification,
    figures as figures,
    forms as forms,
    priors as priors,
)
from tvbjax_inference.bayes.epilepsy.excitability import Equilibrium as Equilibrium
from tvbjax_inference.bayes.epilepsy.model import (
    network as network,
    patient_program as patient_program,
)
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
from tvbjax_inference.bayes.epilepsy.surgery import (
    Disconnection as Disconnection,
    Resection as Resection,
    Search as Search,
    smallest_resection as smallest_resection,
    virtual_surgery as virtual_surgery,
)
