"""The co-simulator: a brain, regions of which are spiking networks, checked when put together.

The two sides meet at the ends of windows. No window is longer than the least delay between a
spiking region and the others, so that all that one side needs of the other in a window is known
when it begins; the result is the same for every window.
"""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from tvbjax.connections import delays_of
from tvbjax.coupling import AbstractCarried, AbstractPairwise
from tvbjax.engine import channels, one_member
from tvbjax.engine._afferent import received
from tvbjax.engine._network import network_of
from tvbjax.kinds import check_kind
from tvbjax.simulator import Simulator
from tvbjax.spiking.drives import AbstractDrive, Current
from tvbjax.spiking.interfaces import Output
from tvbjax.spiking.monitors import averaged
from tvbjax.spiking.network import Network
from tvbjax.spiking.outside import AbstractSpikingSimulator
from tvbjax.spiking.signals import Heard, HeardEach
from tvbjax.steps import steps_of


class SpikingRegion(eqx.Module):
    """A region that is, or has beside it, a spiking network.

    `network`: a `Network`, whose drives hear the coupling inputs of the region's model by name, as
    `Poisson("E", Heard("c_0", gain=...), ...)`; or a network in another simulator, as
    `nest.Nest(network)`. `outputs`: what its populations are for the region's model.
    """

    network: Network | AbstractSpikingSimulator
    outputs: tuple[Output, ...]

    def __init__(
        self, network: Network | AbstractSpikingSimulator, outputs: Output | Sequence[Output] = ()
    ):
        kinds = (Network, AbstractSpikingSimulator)
        check_kind("SpikingRegion: network", network, kinds, "spiking.Network(...)")
        self.network = network
        self.outputs = (outputs,) if isinstance(outputs, Output) else tuple(outputs)
        for one in self.outputs:
            check_kind("SpikingRegion: outputs", one, Output, "Output('S_e', 'E', LowPass())")

    @property
    def described(self) -> Network:
        """The network, in whatever simulator it runs."""
        return self.network if isinstance(self.network, Network) else self.network.network


class CoSimulator(eqx.Module):
    """A brain, some of whose regions are spiking networks.

    `regions`: by the connectome's labels. `window`: ms, a multiple of the brain's dt, how often the
    two sides exchange what they have; by default as seldom as may be. `interleaved`: simulators
    outside of JAX run a window while the brain runs the one before; windows are then at most half
    as long. The networks' dt divides the brain's.

    Raises ValueError for windows over the least delay, populations or variables that there are
    not, units that do not fit, and couplings that a spiking region cannot hear.
    """

    simulator: Simulator
    regions: dict[str, SpikingRegion]
    taps: dict[str, Int[Array, " tap"]]
    window: int | None = eqx.field(static=True)
    longest: int = eqx.field(static=True)
    interleaved: bool = eqx.field(static=True)

    def __init__(
        self,
        simulator: Simulator,
        regions: Mapping[str, SpikingRegion],
        *,
        window: float | None = None,
        interleaved: bool = False,
    ):
        check_kind("CoSimulator: simulator", simulator, Simulator, "tvbjax.Simulator(...)")
        _check_simulator(simulator)
        if not (isinstance(regions, Mapping) and regions):
            raise TypeError(
                f"CoSimulator: regions is {regions!r:.60}; give a mapping from the connectome's "
                "labels to SpikingRegions."
            )
        self.simulator, self.regions = simulator, dict(regions)
        self.interleaved = interleaved
        for label, region in self.regions.items():
            check_kind(
                f"CoSimulator: region '{label}'", region, SpikingRegion, "SpikingRegion(...)"
            )
            _check_region(simulator, label, region)
        self.taps = {
            label: jnp.asarray(_taps_to(simulator, number), jnp.int32)
            for label, number in zip(self.regions, self.numbers, strict=True)
        }
        self.longest = _longest(simulator, self.numbers, interleaved)
        self.window = _window(simulator, window, self.longest, interleaved)
        if interleaved and not self.outside:
            raise ValueError(
                "CoSimulator: nothing waits for anything where all networks run in JAX; leave "
                "interleaved out, which is for simulators outside of it."
            )
        _check_coupling(simulator, self.numbers)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the spiking regions."""
        labels = self.simulator.connectome.labels
        return tuple(labels.index(label) for label in self.regions)

    @property
    def outside(self) -> bool:
        """Whether any network runs outside of JAX."""
        return any(not isinstance(one.network, Network) for one in self.regions.values())

    def substeps(self, label: str) -> int:
        """The steps of a region's network in a step of the brain."""
        dt = self.regions[label].described.dt
        return steps_of(self.simulator.integrator.dt, dt, "CoSimulator: the brain's dt")


def _check_simulator(simulator: Simulator) -> None:
    if simulator.cortex is not None:
        raise ValueError(
            "CoSimulator: the nodes are vertices of a surface; give a network of regions."
        )
    integrator = simulator.integrator
    if integrator.ahead or integrator.needs_no_delays:
        name = type(integrator).__name__
        raise ValueError(
            f"CoSimulator: {name} looks at the coupling at the end of a step, which is not known "
            "before the spiking network has made it; use Heun(dt=...) or Euler(dt=...)."
        )
    for name, rules in zip(simulator.model.inputs, simulator.rules, strict=True):
        for rule in rules:
            if isinstance(rule, AbstractCarried | AbstractPairwise):
                raise ValueError(
                    f"CoSimulator: {type(rule).__name__} of the input '{name}' has no delay, or is "
                    "evaluated for every pair; give a rule that sums delayed signals, as Linear."
                )


def _check_region(simulator: Simulator, label: str, region: SpikingRegion) -> None:
    labels = simulator.connectome.labels
    if label not in labels:
        raise ValueError(
            f"CoSimulator: the connectome has no region '{label}' for a spiking network; it has "
            f"{', '.join(labels[:8])}{', ...' if len(labels) > 8 else ''}."
        )
    network, who = region.described, f"CoSimulator: region '{label}'"
    dt = simulator.integrator.dt
    if network.dt > dt * (1 + 1e-9):
        raise ValueError(
            f"{who}: a step of the network is {network.dt:g} ms, longer than the brain's of "
            f"{dt:g} ms; give the network a dt that divides the brain's."
        )
    steps_of(dt, network.dt, f"{who}: the brain's dt")
    for name, drive in network.drives.items():
        heard = heard_by(drive)
        if heard is not None:
            _check_heard(simulator, who, network, name, heard)
    taken = set()
    for output in region.outputs:
        _check_output(simulator, who, network, output)
        if output.variable in taken:
            raise ValueError(f"{who}: two outputs are for '{output.variable}'; give one.")
        taken.add(output.variable)


def heard_by(drive: AbstractDrive) -> Heard | HeardEach | None:
    """What a drive hears from outside, None where nothing."""
    course = getattr(drive, "rate", getattr(drive, "value", None))
    return course if isinstance(course, Heard | HeardEach) else None


def _check_heard(
    simulator: Simulator, who: str, network: Network, name: str, heard: Heard | HeardEach
) -> None:
    model, drive = simulator.model, network.drives[name]
    if heard.name not in model.inputs:
        raise ValueError(
            f"{who}: the drive '{name}' hears '{heard.name}'; the model {model.name} "
            f"has the coupling inputs {', '.join(model.inputs) or 'none'}."
        )
    cell = network.populations[drive.target].cell
    wanted = cell.units.get(drive.state, "") if isinstance(drive, Current) else "1/ms"
    sent = model.units.get(heard.name, "")
    unit = sent if heard.unit is None else heard.unit
    if unit and wanted and not _alike(unit, wanted):
        what = f"'{heard.name}' is" if heard.unit is None else "what it hears is said to be"
        raise ValueError(
            f"{who}: the drive '{name}' wants {wanted}, and {what} in {unit}; give "
            f"{type(heard).__name__}('{heard.name}', gain=..., unit='{wanted}') with the gain that "
            "makes it that."
        )
    if isinstance(heard, HeardEach):
        number = model.inputs.index(heard.name)
        rules = simulator.rules[number]
        reads = next(iter(simulator.reads[number]))
        shape = jax.ShapeDtypeStruct((len(reads), 1), jnp.result_type(float))
        if len(rules) > 1 or jax.eval_shape(next(iter(rules)).source, shape).shape[0] != 1:
            raise ValueError(
                f"{who}: the drive '{name}' hears each region by itself, and '{heard.name}' has "
                "several signals from each; give it one rule that sends one, such as Linear."
            )


def _check_output(simulator: Simulator, who: str, network: Network, output: Output) -> None:
    model = simulator.model
    if output.variable not in model.state_variables:
        raise ValueError(
            f"{who}: '{output.variable}' is no state variable of {model.name}; it has "
            f"{', '.join(model.state_variables)}."
        )
    if output.population not in network.populations:
        raise ValueError(
            f"{who}: the output '{output.variable}' is of the population '{output.population}'; "
            f"there are {', '.join(network.populations)}."
        )
    seen = averaged(network.monitors, output.population)
    if output.quantity is not None and output.quantity not in seen:
        raise ValueError(
            f"{who}: the output '{output.variable}' is made of the mean of '{output.quantity}', "
            f"which the network does not record; give it "
            f"monitors=[Means('{output.population}', ('{output.quantity}',)), ...]."
        )
    unit, given = model.units.get(output.variable, ""), output.converter.unit
    kind = type(output.converter).__name__
    if output.quantity is not None and output.converter.of_rates:
        raise ValueError(
            f"{who}: {kind} makes '{output.variable}' of a rate, and not of the mean of "
            f"'{output.quantity}'; leave the quantity out, or take Mean(gain, offset, unit)."
        )
    if not output.replaces:
        unit = f"{unit or '1'}/ms"
    if not _alike(unit, given):
        raise ValueError(
            f"{who}: {'' if output.replaces else 'the derivative of '}'{output.variable}' is in "
            f"{unit or '1'}, and {kind} gives "
            f"{given or '1'}; choose another converter, or one with gain and unit="
            f"'{unit}' if its gain makes it that."
        )


def _alike(one: str, other: str) -> bool:
    same = {"kHz": "1/ms", "Hz": "1/s", "1": ""}
    return same.get(one, one) == same.get(other, other)


def _check_coupling(simulator: Simulator, numbers: tuple[int, ...]) -> None:
    """Raise ValueError where a spiking region's input depends on its own state at the moment, which
    is not known for the steps of a window."""
    moved = np.asarray(_own_slopes(simulator, numbers))
    if (moved != 0).any():
        which = simulator.model.inputs[int(np.argwhere(moved != 0)[0, 0])]
        raise ValueError(
            f"CoSimulator: the input '{which}' compares what arrives with the region's own state, "
            "which a spiking region makes only in its window; give it a coupling that reads the "
            "senders alone, as Linear or Sigmoidal."
        )


@eqx.filter_jit
def _own_slopes(simulator: Simulator, numbers: tuple[int, ...]) -> Float[Array, "input region"]:
    """How some regions' inputs change with all states of the moment."""
    low, high = (np.asarray(x) for x in zip(*simulator.model.initial_range, strict=True))
    middle = (low + 0.4 * (high - low))[:, None]
    state = jnp.asarray(np.broadcast_to(middle, (len(low), simulator.nodes)), float)
    network = network_of(one_member(simulator))
    width, _ = channels(simulator)
    sums = 0.1 * jnp.ones((simulator.regions, width), state.dtype)

    def inputs(state):
        return received(simulator, network, state, sums, ())[:, np.asarray(numbers)]

    return jax.jvp(inputs, (state,), (jnp.ones_like(state),))[1]


def _taps_to(simulator: Simulator, number: int) -> np.ndarray:
    """The taps of the connections to a region."""
    targets = np.repeat(np.asarray(simulator.edges.targets), simulator.delays.taps)
    return np.flatnonzero((targets == number) & (delays_of(simulator) >= 0))


def _longest(simulator: Simulator, numbers: Sequence[int], interleaved: bool) -> int:
    """The longest window in steps: the least delay to or from a spiking region, or half of it."""
    taps, edges = simulator.delays.taps, simulator.edges
    delays = delays_of(simulator)
    ends = (np.repeat(np.asarray(end), taps) for end in (edges.targets, edges.sources))
    targets, sources = ends
    touched = (np.isin(targets, numbers) | np.isin(sources, numbers)) & (delays >= 0)
    if not touched.any():
        return 2**20
    least = int(delays[touched].min())
    longest = least // 2 if interleaved else least
    if longest < 1:
        place = np.flatnonzero(touched & (delays == least))[0]
        labels = simulator.connectome.labels
        source, target = labels[sources[place]], labels[targets[place]]
        own = source == target
        raise ValueError(
            f"CoSimulator: the connection from '{source}' to '{target}' has a delay of {least} "
            "steps, and a spiking region needs one of at least "
            f"{2 if interleaved else 1}; "
            + (
                "set that weight to 0, for the network has its own connections."
                if own
                else "give it a longer tract, a lower speed, or a smaller dt."
            )
        )
    return longest


def _window(
    simulator: Simulator, window: float | None, longest: int, interleaved: bool
) -> int | None:
    if window is None:
        return None
    dt = simulator.integrator.dt
    steps = steps_of(window, dt, "CoSimulator: the window")
    if steps > longest:
        what = "half of the least delay" if interleaved else "the least delay"
        raise ValueError(
            f"CoSimulator: the window is {window:g} ms, and {what} to or from a spiking region is "
            f"{longest * dt:g} ms; give at most that, or None for the longest."
        )
    return steps
