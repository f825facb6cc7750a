"""Which files are run, and what each must agree with."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from conformance import corpora

NEUROML = (
    "Ex0_IaF", "Ex1_HH", "Ex2_Izh", "Ex3_Net", "Ex4_KS", "Ex4a_KS", "Ex5_DetCell", "Ex6_NMDA",
    "Ex7_STP", "Ex8_AdEx", "Ex9_FN", "Ex10_Q10", "Ex11_STDP", "Ex12_Net2", "Ex13_Instances",
    "Ex14_PyNN", "Ex15_CaDynamics", "Ex16_Inputs", "Ex17_Tissue", "Ex18_GHK", "Ex19_GapJunctions",
    "Ex19a_GapJunctionInstances", "Ex20_AnalogSynapses", "Ex20a_AnalogSynapsesHH",
    "Ex21_CurrentBasedSynapses", "Ex22_PinskyRinzelCA3", "Ex23_Spiketimes",
    "Ex24_FractionalConductance", "Ex25_MultiComp", "Ex26_Weights", "Ex27_MultiSynapses",
)  # fmt: skip
LEMS = tuple(f"example{number}" for number in range(1, 9)) + ("bounce-conditional",)

# Files on which PyLEMS is right; elsewhere it fails, or loses events, or ignores q10Settings.
PYLEMS_IS_RIGHT = frozenset(
    ("Ex0_IaF", "Ex1_HH", "Ex2_Izh", "Ex3_Net", "Ex5_DetCell", "Ex6_NMDA", "Ex7_STP", "Ex8_AdEx")
    + ("Ex9_FN", "Ex11_STDP", "Ex13_Instances")
    + ("example1", "example2", "example3", "example6", "bounce-conditional")
)
# Of those, the ones compared by their events alone: see docs/conformance.md.
NEAR = frozenset({"Ex6_NMDA", "Ex7_STP", "Ex8_AdEx"})

# What PyLEMS gets wrong where it is right otherwise: a subtype with dynamics of its own
# inherits no equation, PyLEMS adds the supertype's. These are one step ahead of t - tlast there.
PYLEMS_IS_WRONG = {"example3": frozenset({"p1[0]/tsince", "p2[0]/tsince"})}

# Up to when, s, jLEMS is compared with. In example4 the sodium channels go on inactivating, so that
# every spike depends on all before it; in Ex4a and Ex15 the current ends where another spike may
# start.
UNTIL = {"example4": 0.015, "Ex4a_KS": 0.195, "Ex15_CaDynamics": 0.6}

# Multi-compartment cells, which LEMS cannot describe: jLEMS refuses the file too.
NOT_REQUIRED = frozenset({"Ex25_MultiComp"})
NEUROML_REQUIRED = 26

STORED = Path(__file__).parent / "jlems.json"


@dataclass(frozen=True)
class Case:
    """One file. `name`: as in the tuples above."""

    name: str

    @property
    def is_neuroml(self) -> bool:
        return self.name in NEUROML

    @property
    def file(self) -> str:
        return f"LEMS_NML2_{self.name}.xml" if self.is_neuroml else f"{self.name}.xml"

    @property
    def required(self) -> bool:
        return self.name not in NOT_REQUIRED

    def path(self) -> Path:
        """Raises corpora.Absent."""
        examples = corpora.neuroml_examples if self.is_neuroml else corpora.lems_examples
        return examples() / self.file

    def spike_test(self) -> dict | None:
        """One of the tests published with NeuroML's examples. Raises corpora.Absent."""
        tests = _json(corpora.shared() / "spike_times.json")["tests"].values()
        return next((test for test in tests if test["file"] == self.file), None)

    def jlems(self) -> dict | None:
        """What jLEMS found, as `make_jlems.py` stored it."""
        return _json(STORED)["files"].get(self.file)

    def waveforms(self) -> list[dict]:
        """Entries of the manifest of stored waveforms. Raises corpora.Absent."""
        entries = _json(corpora.shared() / "waveforms" / "manifest.json")
        return [entry for entry in entries if Path(entry["file"]).name == self.file]


CASES = tuple(Case(name) for name in NEUROML + LEMS)


@cache
def _json(path: Path):
    return json.loads(path.read_text())
