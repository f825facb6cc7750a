"""LEMS and RateML models: `tvbjax.lems.load("MontbrioPazoRoxin")` or a path gives a Model."""

from tvbjax_lems import (
    NEURAL as NEURAL,
    SI as SI,
    Code as Code,
    Diagnostic as Diagnostic,
    DimensionCheck as DimensionCheck,
    FlatCoupling as FlatCoupling,
    FlatModel as FlatModel,
    FlatParameter as FlatParameter,
    LemsError as LemsError,
    LemsWarning as LemsWarning,
    Model as Model,
    Place as Place,
    UnitSystem as UnitSystem,
    check as check,
    evaluate as evaluate,
    load as load,
    models as models,
)
