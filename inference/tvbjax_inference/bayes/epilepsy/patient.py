"""A patient: a connectome, a gain and recorded seizures that fit each other, and what is thought.

All that can be wrong of one is told here, by `problems_of`; where it is from is left to others.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tvbjax.connectome import Connectome
from tvbjax.forward import Gain, Sensors
from tvbjax.kinds import check_kind, check_number
from tvbjax.near import near
from tvbjax_inference.bayes.epilepsy.seizure import Seizure, raise_all, some

_NORMALISED = 1e-6  # how far the largest weight may be from 1
_SHARE = 0.01  # of the median contact's largest gain: what is below it hears no region
_MATCHED = (
    "keep those that both have: --match, read_patient(folder, match=True) or Patient.matched(...)"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Patient:
    """What the inference of epileptogenic regions begins with.

    `connectome`: its largest weight is 1, without self connections. `gain`: (channel, region).
    `seizures`: their channels are the gain's, in its order; `Patient.matched` sees to that.
    `sensors`: the gain's channels in space, where that is known. `hypothesis`, `lesions`: labels of
    regions thought epileptogenic, and of those with a lesion on MRI. `hashes`: SHA-256 of the files
    that it was read from, by name. `reach`: how far a contact may be from the nearest centre of a
    region, mm.

    Raises TypeError, and one ValueError with all that does not fit, a line each.
    """

    name: str
    connectome: Connectome
    gain: Gain
    seizures: tuple[Seizure, ...]
    sensors: Sensors | None = None
    hypothesis: tuple[str, ...] = ()
    lesions: tuple[str, ...] = ()
    hashes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reach: float = 20.0

    def __post_init__(self):
        check_kind("Patient: name", self.name, str, "'patient1'")
        where = f"Patient {self.name!r}"
        check_kind(f"{where}: connectome", self.connectome, Connectome, "a tvbjax.Connectome")
        check_kind(f"{where}: gain", self.gain, Gain, "inverse_square_gain(connectome, sensors)")
        if self.sensors is not None:
            check_kind(f"{where}: sensors", self.sensors, Sensors, "Sensors(labels, positions)")
        check_number(f"{where}: reach, in mm,", self.reach, above=0.0)
        for field, kind in {"seizures": Seizure, "hypothesis": str, "lesions": str}.items():
            given = getattr(self, field)
            check_kind(f"{where}: {field}", given, (tuple, list), f"a list of {kind.__name__}")
            for number, one in enumerate(given):
                check_kind(f"{where}: {field}[{number}]", one, kind, f"a {kind.__name__}")
            object.__setattr__(self, field, tuple(given))
        object.__setattr__(self, "hashes", dict(self.hashes))
        object.__setattr__(self, "reach", float(self.reach))
        found = problems_of(
            self.connectome,
            self.gain,
            self.seizures,
            self.sensors,
            hypothesis=self.hypothesis,
            lesions=self.lesions,
            reach=self.reach,
        )
        raise_all(where, [f"{subject}: {text}" for subject, text in found])

    @classmethod
    def matched(
        cls,
        name: str,
        connectome: Connectome,
        gain: Gain,
        seizures: Sequence[Seizure],
        sensors: Sensors | None = None,
        **more,
    ) -> "Patient":
        """A patient of the channels that the gain and all seizures have, in the gain's order.

        For recordings that hold more than the gain does, such as an ECG, and the other way round.
        Raises as `Patient` does, and ValueError where they have no channel in common.
        """
        return cls(name, connectome, *matched(gain, seizures, sensors), **more)

    @property
    def channels(self) -> tuple[str, ...]:
        """Of the gain and of every seizure."""
        return self.gain.channels

    @property
    def regions(self) -> tuple[str, ...]:
        """Their labels."""
        return self.connectome.labels

    def __repr__(self) -> str:
        return (
            f"Patient({self.name!r}: {len(self.regions)} regions, {len(self.channels)} channels, "
            f"seizures {', '.join(seizure.name for seizure in self.seizures)})"
        )


def matched(
    gain: Gain, seizures: Sequence[Seizure], sensors: Sensors | None = None
) -> tuple[Gain, tuple[Seizure, ...], Sensors | None]:
    """All with the channels that all of them have, in the gain's order.

    Raises ValueError where there is no such channel.
    """
    named = [seizure.channels for seizure in seizures]
    named += [] if sensors is None else [sensors.labels]
    common = [channel for channel in gain.channels if all(channel in names for names in named)]
    if not common:
        first = next((s for s in seizures if not set(s.channels) & set(gain.channels)), None)
        theirs = "nothing" if first is None else f"{first.name!r}, {some(first.channels)}"
        raise ValueError(
            f"matched: no channel is in the gain ({some(gain.channels)}) and in all seizures (e.g. "
            f"{theirs}) and sensors; name contacts alike in all of them."
        )
    taken = None if sensors is None else sensors.take(common)
    return gain.take(common), tuple(seizure.take(common) for seizure in seizures), taken


def problems_of(
    connectome: Connectome | None,
    gain: Gain | None,
    seizures: Sequence[Seizure],
    sensors: Sensors | None,
    *,
    hypothesis: Sequence[str] = (),
    lesions: Sequence[str] = (),
    reach: float,
) -> Iterator[tuple[str, str]]:
    """All that does not fit: the subject, and what is wrong and how to mend it.

    Subjects are connectome, gain, sensors, hypothesis, lesions, seizures, `seizure 'name'` and
    `onsets of 'name'`.
    None for a connectome or gain: what needs it is not looked at.
    """
    if connectome is not None:
        yield from _of_connectome(connectome)
        yield from _of_labels(connectome, seizures, hypothesis, lesions)
    if gain is not None:
        yield from _of_gain(gain, connectome)
        yield from _of_channels(gain, seizures, sensors)
    if sensors is not None and connectome is not None and connectome.centres is not None:
        yield from _of_places(sensors, connectome.centres, reach)
    if not seizures:
        yield "seizures", "there are none; give one or more."
    names = [seizure.name for seizure in seizures]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield "seizures", f"two are called {name!r}; names are distinct."


def twice(label: str, labels: Sequence[str]) -> str:
    """What is wrong where a zip has two regions of a label, which are read as numbered ones."""
    numbered = [f"{label}_{number}" for number in (0, 1)]
    if not all(one in labels for one in numbered):
        return ""
    return (
        f"the label {label!r} is there twice, and was read as {some(numbered)}; give each region a "
        "label of its own in centres.txt."
    )


def _of_connectome(connectome: Connectome) -> Iterator[tuple[str, str]]:
    weights = np.asarray(connectome.weights)
    if not abs(weights.max() - 1.0) <= _NORMALISED:
        yield (
            "connectome",
            f"the largest weight is {weights.max():.7g}, not 1, for which priors of the coupling "
            "are made; give connectome.normalise() (of a file: read_connectome_zip, normalise, "
            "write_connectome_zip).",
        )
    own = np.flatnonzero(np.diag(weights))
    if len(own):
        yield (
            "connectome",
            f"{len(own)} regions are connected to themselves, the first is "
            f"{connectome.labels[own[0]]!r} with {weights[own[0], own[0]]:g}; give "
            "connectome.without_self_connections(), and normalise after that.",
        )


def _of_labels(
    connectome: Connectome,
    seizures: Sequence[Seizure],
    hypothesis: Sequence[str],
    lesions: Sequence[str],
) -> Iterator[tuple[str, str]]:
    lists = {"hypothesis": hypothesis, "lesions": lesions}
    lists |= {f"onsets of {seizure.name!r}": list(seizure.onsets or ()) for seizure in seizures}
    for subject, labels in lists.items():
        for label in labels:
            if label not in connectome.labels:
                hint = (
                    twice(label, connectome.labels)
                    or near(label, connectome.labels)
                    or f"there are {some(connectome.labels)}."
                )
                yield subject, f"no region is labelled {label!r}; {hint}"
        for label in sorted({label for label in labels if labels.count(label) > 1}):
            yield subject, f"the region {label!r} is named twice; name it once."


def _of_gain(gain: Gain, connectome: Connectome | None) -> Iterator[tuple[str, str]]:
    if connectome is not None and gain.sources != len(connectome.labels):
        yield (
            "gain",
            f"it has {gain.sources} columns and the connectome {len(connectome.labels)} regions; "
            "give one for each region, in the connectome's order.",
        )
    largest = np.abs(np.asarray(gain.matrix)).max(axis=1)
    usual = float(np.median(largest))
    deaf = [c for c, value in zip(gain.channels, largest, strict=True) if value <= _SHARE * usual]
    if deaf:
        yield (
            "gain",
            f"no region is in reach of {some(deaf)}: their largest gain is {_SHARE:.0%} of the "
            f"median contact's ({usual:.3g}) or less; leave them out (gain.take), or check their "
            "places and units (mm).",
        )


def _of_channels(
    gain: Gain, seizures: Sequence[Seizure], sensors: Sensors | None
) -> Iterator[tuple[str, str]]:
    named = {f"seizure {seizure.name!r}": seizure.channels for seizure in seizures}
    named |= {} if sensors is None else {"sensors": sensors.labels}
    for subject, names in named.items():
        if names == gain.channels:
            continue
        extra = [name for name in names if name not in gain.channels]
        lost = [name for name in gain.channels if name not in names]
        if extra:
            hint = near(extra[0], lost)
            yield (
                subject,
                f"the gain lacks the channels {some(extra)}{' - ' + hint if hint else ''}; name "
                f"them alike, or {_MATCHED}.",
            )
        if lost:
            yield (
                subject,
                f"there is nothing of the gain's channels {some(lost)}; name them alike, or "
                f"{_MATCHED}.",
            )
        if not extra and not lost:
            yield subject, "channels are the gain's in another order; give Patient.matched(...)."


def _of_places(sensors: Sensors, centres: np.ndarray, reach: float) -> Iterator[tuple[str, str]]:
    apart = np.linalg.norm(sensors.positions[:, None] - centres[None], axis=-1).min(axis=1)
    far = [
        (label, distance)
        for label, distance in zip(sensors.labels, apart, strict=True)
        if distance > reach
    ]
    if far:
        shown = ", ".join(f"{label!r} ({distance:.3g} mm)" for label, distance in far[:6])
        yield (
            "sensors",
            f"{len(far)} contacts are farther than {reach:g} mm from every region's centre: "
            f"{shown}{', ...' if len(far) > 6 else ''}; leave them out, raise reach, or check that "
            "contacts and regions are in one coordinate system, in mm.",
        )
