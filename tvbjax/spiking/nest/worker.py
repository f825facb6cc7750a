"""NEST in a process of its own: builds a network, and runs it window by window.

Run by path, with the pipe's ends as standard input and output; knows no tvbjax, only NEST and
numpy. What NEST prints goes to the error stream.
"""

import os
import sys
from typing import Any, BinaryIO

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from messages import receive, send  # noqa: E402  # pyright: ignore[reportMissingImports]

FAULT = "TVBJAX_NEST_FAULT"  # for tests of what happens when a simulator fails


def main() -> None:
    taken = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    given = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.environ["PYNEST_QUIET"] = "1"  # else NEST's licence would be its last words
    try:
        import nest
    except ImportError as error:
        send(given, {"failed": f"cannot be imported: {error}"}, {})
        return
    try:
        _serve(nest, taken, given)
    except EOFError:
        return  # nobody is there any more
    except Exception as error:  # told to the other side, whatever it is
        send(given, {"failed": f"{type(error).__name__}: {error}"}, {})


def _serve(nest: Any, taken: BinaryIO, given: BinaryIO) -> None:
    message, arrays = receive(taken)
    run = _Run(nest, message, arrays)
    send(given, {"version": nest.__version__}, {})
    while True:
        message, arrays = receive(taken)
        if message["do"] == "close":
            return
        if run.first == 0:
            run.add_proxies(arrays)
        run.hear(arrays)
        _fault()
        # Not Prepare and Run, within which recorders could not be emptied.
        nest.Simulate(message["steps"] * run.dt)
        run.first += message["steps"]
        send(given, {}, run.seen(message["steps"]))


def _fault() -> None:
    kind = os.environ.get(FAULT)
    if kind == "die":
        os._exit(3)
    if kind == "raise":
        raise RuntimeError("as asked for")
    if kind == "hang":
        import time

        time.sleep(3600)


class _Run:
    """The nodes of a network, and what was read of them."""

    def __init__(self, nest: Any, message: dict[str, Any], arrays: dict[str, np.ndarray]):
        self.nest, self.dt, self.first = nest, message["dt"], 0
        nest.verbosity = nest.VerbosityLevel.ERROR
        nest.ResetKernel()
        nest.local_num_threads = 1  # more wait for one another by spinning
        nest.resolution = self.dt
        nest.rng_seed = message["seed"]
        self.populations: dict[str, Any] = {}
        self.recorders: dict[str, Any] = {}
        self.meters: dict[str, Any] = {}
        self.names: dict[str, list[str]] = {}
        for name, one in message["populations"].items():
            self._population(name, one, arrays)
        for name, one in message["projections"].items():
            self._projection(name, one, arrays)
        self.heard: list[tuple[dict[str, Any], Any]] = []
        self.proxies: list[tuple[dict[str, Any], float]] = []
        for name, one in message["drives"].items():
            self._drive(name, one, arrays)

    def _population(self, name: str, one: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        nest = self.nest
        self.populations[name] = cells = nest.Create(one["model"], one["size"], one["params"])
        for key, values in arrays.items():
            kind, _, rest = key.partition("|")
            owner, _, parameter = rest.partition("|")
            if kind == "population" and owner == name:
                cells.set({parameter: values.tolist()})
        self.recorders[name] = nest.Create("spike_recorder")
        nest.Connect(cells, self.recorders[name])
        if one["means"]:
            names = list(dict.fromkeys(one["means"]))
            self.names[name] = one["means"]
            meter = nest.Create("multimeter", {"record_from": names, "interval": self.dt})
            nest.Connect(meter, cells)
            self.meters[name] = meter

    def _projection(self, name: str, one: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        source = np.asarray(self.populations[one["source"]].tolist())
        target = np.asarray(self.populations[one["target"]].tolist())
        own = {key: arrays[f"projection|{name}|{key}"] for key in ("sources", "targets", "weights")}
        count = len(own["sources"])
        if not count:
            return
        delays = np.broadcast_to(arrays[f"projection|{name}|delays"], count) * self.dt
        spec = {
            "synapse_model": "static_synapse",
            "weight": np.broadcast_to(own["weights"], count).astype(float),
            "delay": np.round(delays, 9),
        }
        if one["receptor"]:
            spec["receptor_type"] = np.full(count, one["receptor"])
        ends = source[own["sources"]], target[own["targets"]]
        self.nest.Connect(*ends, "one_to_one", spec)

    def _drive(self, name: str, one: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        weights = arrays.get(f"drive|{name}|weights", np.ones(()))
        kind = one["kind"]
        if kind == "spikes":
            times, cells = arrays[f"drive|{name}|times"], arrays[f"drive|{name}|cells"]
            order = np.argsort(cells, kind="stable")
            numbers, first = np.unique(cells[order], return_index=True)
            for cell, own in zip(numbers, np.split(times[order], first[1:]), strict=True):
                self._spikes(one, int(cell), own, weights)
        elif kind == "current":
            self.heard.append((one, self._node("step_current_generator", one, 1.0)))
        elif kind == "poisson":
            self._node("poisson_generator", one, float(weights)).rate = one["rate"]
        elif "each" not in one:
            node = self._node("inhomogeneous_poisson_generator", one, float(weights))
            self.heard.append((one, node))
        else:
            self.proxies.append((one, float(weights)))

    def _node(self, model: str, one: dict[str, Any], weight: float, cell: int | None = None) -> Any:
        """A generator that is connected with a population, or one cell of it."""
        node, target = self.nest.Create(model), self.populations[one["target"]]
        spec = {"weight": weight, "delay": self.dt}
        if one.get("receptor"):
            spec["receptor_type"] = one["receptor"]
        self.nest.Connect(node, target if cell is None else target[cell], syn_spec=spec)
        return node

    def _spikes(self, one: dict[str, Any], cell: int, times: np.ndarray, weights) -> None:
        # What is sent arrives a step later.
        sent = np.sort(np.rint(times / self.dt) - 1) * self.dt
        weight = float(np.broadcast_to(weights, len(self.populations[one["target"]]))[cell])
        node = self._node("spike_generator", one, weight, cell)
        node.set({"spike_times": sent.round(9).tolist(), "allow_offgrid_times": True})

    def add_proxies(self, arrays: dict[str, np.ndarray]) -> None:
        """Build the proxies, as many as are told of."""
        for one, weight in self.proxies:
            for number, share in enumerate(arrays[one["each"]][0]):
                node = self._node("inhomogeneous_poisson_generator", one, weight * float(share))
                self.heard.append(({**one, "number": number}, node))

    def hear(self, arrays: dict[str, np.ndarray]) -> None:
        """Set what drives hear in the window that begins; NEST takes it a step later."""
        for one, node in self.heard:
            values = arrays[one["signal"]]
            values = values[:, one["number"]] if values.ndim == 2 else values
            values = one["gain"] * values + one["offset"]
            changes = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
            times = np.round((self.first + 1 + changes) * self.dt, 9).tolist()
            chosen = values[changes].tolist()
            if one["kind"] == "current":
                node.set({"amplitude_times": times, "amplitude_values": chosen})
            else:
                rates = np.maximum(chosen, 0.0).tolist()
                node.set({"rate_times": times, "rate_values": rates})

    def seen(self, steps: int) -> dict[str, np.ndarray]:
        """Spikes and means since the window began."""
        found = {}
        begin = self.first - steps
        for name, recorder in self.recorders.items():
            events = recorder.events
            recorder.n_events = 0
            found[f"steps|{name}"] = np.rint(events["times"] / self.dt).astype(np.int64) - 1 - begin
            first = self.populations[name][0].global_id
            found[f"cells|{name}"] = (events["senders"] - first).astype(np.int32)
        for name, meter in self.meters.items():
            events = meter.events
            meter.n_events = 0
            rows = np.rint(events["times"] / self.dt).astype(int) - 1 - begin
            columns = []
            for quantity in self.names[name]:
                sums = np.bincount(rows[rows >= 0], events[quantity][rows >= 0], steps)[:steps]
                cells = self.populations[name]
                means = sums / len(cells)
                means[-1] = np.mean(cells.get(quantity))  # which a meter tells in the next step
                columns.append(means)
            found[f"means|{name}"] = np.stack(columns, axis=1)
        return found


if __name__ == "__main__":
    main()
