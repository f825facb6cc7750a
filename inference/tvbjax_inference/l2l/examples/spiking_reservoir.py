"""Digits told apart by a reservoir of spiking neurons in NEST.

A fixed random network of excitatory and inhibitory neurons sees one image after the other (Maass,
Natschlaeger & Markram 2002, Neural Comput. 14:2531). Searched are either the network's own numbers,
with a readout by ridge regression (`ReservoirNumbers`), or the weights onto output neurons that
spike themselves (`ReservoirReadout`).
"""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from tvbjax.kinds import check_count
from tvbjax_inference.l2l.dimensions import Real
from tvbjax_inference.l2l.examples._engines import engine
from tvbjax_inference.l2l.examples._nest import fresh_nest
from tvbjax_inference.l2l.space import Space

_SHOWN, _PAUSE, _DT = 50.0, 30.0, 0.5  # ms an image is shown, ms without one, ms a step
_RIDGE = 1.0  # of spike counts
NEURON = {
    "C_m": 250.0,  # pF
    "tau_m": 10.0,  # ms
    "tau_syn_ex": 2.0,
    "tau_syn_in": 2.0,
    "t_ref": 2.0,
    "E_L": 0.0,  # mV
    "V_m": 0.0,
    "V_reset": 0.0,
    "V_th": 15.0,
}
# With which the readout alone is searched: about 4 spikes of a neuron for an image.
NUMBERS = {"gain": 2500.0, "weight": 100.0, "balance": 5.0}


@dataclasses.dataclass(frozen=True)
class Digits:
    """8x8 images of the digits 0 to `classes` - 1 of scikit-learn (Alpaydin & Kaynak 1998), the
    first `learned` + `tested` of each."""

    classes: int = 4
    learned: int = 10
    tested: int = 10

    def __post_init__(self):
        for name in ("classes", "learned", "tested"):
            check_count(f"Digits: {name}", getattr(self, name))

    def load(self) -> tuple[Float[np.ndarray, "image 64"], Int[np.ndarray, " image"]]:
        """Images, 0 to 1, and their classes: all that are learned, then those that are tested."""
        found = engine("Digits", "sklearn.datasets", "nest").load_digits()
        places = [np.flatnonzero(found.target == one) for one in range(self.classes)]
        first = [one[: self.learned] for one in places]
        rest = [one[self.learned : self.learned + self.tested] for one in places]
        chosen = np.concatenate(first + rest)
        return found.data[chosen] / 16.0, found.target[chosen]


@dataclasses.dataclass(frozen=True)
class Reservoir:
    """`excitatory` neurons and a quarter as many inhibitory ones, in which each has `indegree`
    inputs; every excitatory neuron sees a random eighth of the pixels. `seed`: of what is random in
    it, all of which is drawn here and not in NEST."""

    excitatory: int = 80
    indegree: int = 10
    seed: int = 0

    def __post_init__(self):
        check_count("Reservoir: excitatory", self.excitatory, 4)
        check_count("Reservoir: indegree", self.indegree)

    @property
    def neurons(self) -> int:
        """Excitatory ones, and then inhibitory ones."""
        return self.excitatory + self.excitatory // 4

    def eyes(self) -> Float[np.ndarray, "excitatory 64"]:
        """How strongly each excitatory neuron sees each pixel; rows sum to 1."""
        draw = np.random.default_rng(self.seed)
        seen = draw.random((self.excitatory, 64)) * (draw.random((self.excitatory, 64)) < 1 / 8)
        return seen / np.maximum(seen.sum(axis=1, keepdims=True), 1e-9)

    def sources(self) -> Int[np.ndarray, "neuron indegree"]:
        """From which neurons each has its inputs."""
        draw = np.random.default_rng([self.seed, 1])
        return draw.integers(0, self.neurons, (self.neurons, self.indegree))

    def currents(
        self, images: Float[np.ndarray, "image 64"], gain: float
    ) -> Float[np.ndarray, "image excitatory"]:
        """Of each image, pA. `gain`: pA that a neuron has of an even white image."""
        return gain * images @ self.eyes().T

    def run(
        self,
        who: str,
        images: Float[np.ndarray, "image 64"],
        numbers: dict[str, float],
        seed: int,
        outward: Float[np.ndarray, "class excitatory"] | None = None,
    ) -> Int[np.ndarray, "image neuron"]:
        """Spikes of every neuron while each image is shown; of output neurons where they have
        weights `outward` (pA), else of the reservoir's.

        `numbers`: gain (pA), weight (pA) of excitatory synapses, balance (inhibitory ones are so
        many times as strong). Images are shown for 50 ms, with 30 ms between them.
        """
        nest = fresh_nest(who, seed, _DT)
        cells = nest.Create("iaf_psc_exp", self.neurons, params=NEURON)
        self._shown_to(nest, cells[: self.excitatory], self.currents(images, numbers["gain"]))
        sources = self.sources()
        weights = np.where(sources < self.excitatory, 1.0, -numbers["balance"])
        before = np.asarray(cells.tolist())
        nest.Connect(
            before[sources.ravel()],
            np.repeat(before, self.indegree),
            conn_spec="one_to_one",
            syn_spec={
                "weight": numbers["weight"] * weights.ravel(),
                "delay": np.full(sources.size, 1.5),
            },
        )
        watched = cells
        if outward is not None:
            watched = nest.Create("iaf_psc_exp", len(outward), params=NEURON)
            spec = {"weight": np.asarray(outward, float), "delay": 1.5}
            nest.Connect(cells[: self.excitatory], watched, "all_to_all", spec)
        recorder = nest.Create("spike_recorder")
        nest.Connect(watched, recorder)
        nest.Simulate(len(images) * (_SHOWN + _PAUSE))
        events = recorder.events
        which = ((events["times"] - _DT) // (_SHOWN + _PAUSE)).astype(int)
        counts = np.zeros((len(images), len(watched)), int)
        senders = np.asarray(events["senders"], int) - watched.tolist()[0]
        np.add.at(counts, (which, senders), 1)
        return counts

    def _shown_to(self, nest: Any, cells: Any, currents: np.ndarray) -> None:
        """A current for each neuron that changes with the images."""
        starts = _DT + np.arange(len(currents)) * (_SHOWN + _PAUSE)
        times = np.sort(np.concatenate([starts, starts + _SHOWN]))
        generators = nest.Create("step_current_generator", len(cells))
        for generator, row in zip(generators, currents.T, strict=True):
            steps = np.stack([row, np.zeros(len(row))], axis=1).ravel()
            generator.set(amplitude_times=times, amplitude_values=steps)
        nest.Connect(generators, cells, "one_to_one", {"delay": _DT})


@dataclasses.dataclass(frozen=True)
class ReservoirNumbers:
    """An optimisee: the mean squared error of a linear readout of a reservoir's spike counts, for
    images that it has not learned. Searched are the network's gain, weight and balance.

    Kept with it: the share of images that are told right. Needs `pip install 'tvbjax[nest]'`.
    """

    digits: Digits = Digits()
    reservoir: Reservoir = Reservoir()

    @property
    def space(self) -> Space:
        """Gain (pA), excitatory weight (pA), and how many times stronger inhibition is."""
        return Space(
            gain=Real(50.0, 5000.0, log=True),
            weight=Real(1.0, 1000.0, log=True),
            balance=Real(0.0, 10.0),
        )

    def __call__(self, values: dict[str, Any], seed: int) -> dict[str, Any]:
        images, labels = self.digits.load()
        counts = self.reservoir.run("ReservoirNumbers", images, values, seed).astype(float)
        learned = self.digits.classes * self.digits.learned
        inputs = np.concatenate([counts, np.ones((len(counts), 1))], axis=1)
        wanted = np.eye(self.digits.classes)[labels]
        known = inputs[:learned]
        gram = known.T @ known + _RIDGE * np.eye(inputs.shape[1])
        told = inputs[learned:] @ np.linalg.solve(gram, known.T @ wanted[:learned])
        right = np.mean(np.argmax(told, axis=1) == labels[learned:])
        error = np.mean((told - wanted[learned:]) ** 2)
        return {
            "loss": float(error),
            "more": {"accuracy": float(right), "spikes": float(counts.mean())},
        }


@dataclasses.dataclass(frozen=True)
class ReservoirReadout:
    """An optimisee: how far the spike counts of output neurons, one for each digit, are from those
    wanted: `most` spikes of the right one, none of the others. Searched are their weights.

    Its outputs are the counts divided by `most`, for ensemble Kalman inversion with `wanted` as
    data. Kept with it: the share of images that are told right, among the learned (all that are
    `tested` are left out) . Needs `pip install 'tvbjax[nest]'`.
    """

    digits: Digits = Digits()
    reservoir: Reservoir = Reservoir()
    most: float = 8.0

    @property
    def space(self) -> Space:
        """A weight of each excitatory neuron onto each output neuron, pA."""
        return Space(weights=Real(-500.0, 500.0, shape=(self.digits.classes, self.excitatory)))

    @property
    def excitatory(self) -> int:
        """How many neurons are read out."""
        return self.reservoir.excitatory

    @property
    def wanted(self) -> Float[np.ndarray, " output"]:
        """What the outputs should be: images one after the other, of each all digits."""
        return np.eye(self.digits.classes)[self._learned()[1]].ravel()

    def __call__(self, values: dict[str, Any], seed: int) -> dict[str, Any]:
        images, labels = self._learned()
        counts = self.reservoir.run(
            "ReservoirReadout", images, NUMBERS, seed, np.asarray(values["weights"])
        )
        outputs = counts / self.most
        return {
            "loss": float(np.mean((outputs.ravel() - self.wanted) ** 2)),
            "outputs": outputs.ravel().tolist(),
            "more": {"accuracy": float(np.mean(np.argmax(counts, axis=1) == labels))},
        }

    def _learned(self) -> tuple[np.ndarray, np.ndarray]:
        images, labels = self.digits.load()
        learned = self.digits.classes * self.digits.learned
        return images[:learned], labels[:learned]
