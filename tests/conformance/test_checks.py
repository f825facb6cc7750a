"""NeuroML's core types and examples pass the checks; only their known faults give warnings.

The files are NeuroML's: where its package is not installed the tests skip.
"""

from pathlib import Path

import pytest

from conformance import corpora
from tvbjax import lems

# What is wrong with dimensions in the core types: element and what it belongs to.
FAULTS = {
    ("channelDensityGHK2", "pOpen"),
    ("pinskyRinzelCA3Cell", "Si"),
    ("pinskyRinzelCA3Cell", "Wi"),
    ("alphaCurrSynapse", "A"),
}


def files(folder: str, pattern: str) -> list[Path]:
    try:
        return sorted((corpora.neuroml() / folder).glob(pattern))
    except corpora.Absent:
        return []


@pytest.mark.slow
@pytest.mark.reference
def test_neuromls_examples_pass_the_checks():
    examples = [*files("LEMSexamples", "LEMS_*.xml"), *files("examples", "*.nml")]
    if not examples:
        pytest.skip("NeuroML's files are not installed; run `make conformance` once")
    for file in examples:
        found = lems.check(file, include=[corpora.core_types()])
        errors = [one for one in found if one.is_error]
        if "MultiComp" in file.name:  # records segments, which LEMS has no dynamics for
            errors = [one for one in errors if "cannot record" not in one.message]
        assert not errors, "\n".join(map(str, errors))
        told = [one for one in found if one.code.value == "LEMS020"]
        unknown = [
            one
            for one in told
            if not any(f"'{a}'" in one.context and f"'{b}'" in one.context for a, b in FAULTS)
        ]
        assert not unknown, "\n".join(map(str, unknown))
