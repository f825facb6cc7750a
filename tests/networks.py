"""Small networks for the tests, and TVB's step written once more as slow, plain loops."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.special import expit

import tvbjax
from tvbjax import coupling, integrators

LINEAR = """
<Lems xmlns:tvbjax="urn:tvbjax:lems:1">
  <Dimension name="time" t="1"/>
  <Dimension name="per_time" t="-1"/>
  <Unit symbol="ms" dimension="time" power="-3"/>
  <Unit symbol="per_ms" dimension="per_time" power="3"/>
  <ComponentType name="Decay">
    <Parameter name="gamma" dimension="per_time"/>
    <Requirement name="c" dimension="per_time" tvbjax:source="x"/>
    <Exposure name="x" dimension="none"/>
    <Dynamics>
      <StateVariable name="x" dimension="none" exposure="x" tvbjax:initial="0, 2"/>
      <TimeDerivative variable="x" value="c - gamma * x"/>
    </Dynamics>
  </ComponentType>
  <Component id="decay" type="Decay" gamma="1 per_ms"/>
</Lems>
"""


def linear_model(folder: Path, gamma: float = 1.0):
    """dx/dt = c - gamma x, compiled from LEMS."""
    path = folder / "decay.xml"
    path.write_text(LINEAR.replace('gamma="1 per_ms"', f'gamma="{gamma!r} per_ms"'))
    return tvbjax.lems.load(path)


def ring_connectome(regions: int = 5, seed: int = 0, speed: float = 2.0) -> tvbjax.Connectome:
    """Random sparse weights with a few zero lengths, self-connections and distinct delays."""
    draw = np.random.default_rng(seed)
    weights = draw.uniform(0.1, 1.0, (regions, regions)) * (draw.random((regions, regions)) < 0.7)
    lengths = draw.uniform(0.0, 6.0, (regions, regions))
    lengths[0, 1] = 0.0
    np.fill_diagonal(lengths, 0.0)
    return tvbjax.Connectome(weights, lengths, speed=speed)


def network(folder: Path, *, delayed: bool = True, regions: int = 5, **changes) -> tvbjax.Simulator:
    """A small delayed linear network; `changes` are arguments of the Simulator."""
    speed = 2.0 if delayed else 1e9
    arguments: dict[str, Any] = dict(
        model=linear_model(folder),
        connectome=ring_connectome(regions, speed=speed),
        coupling=coupling.Linear(a=0.3, b=0.05),
        integrator=integrators.Heun(dt=0.1),
        monitors=tvbjax.monitors.Raw(),
    )
    return tvbjax.Simulator(**(arguments | changes))


def plain_coupling(rule, weights, sent, own):
    """Every coupling function as a double loop over target i and source j, from its formula.

    `sent[i, j]`: what i receives of j, `(arity,)`; `own[i]`: i's present value, `(arity,)`.
    """
    nodes = len(weights)
    p = {n: float(v) for n, v in vars(rule).items()}
    total = np.zeros(nodes)
    for i in range(nodes):
        for j in range(nodes):
            x, y = sent[i, j], own[i]
            match rule:
                case coupling.Difference():
                    pre = x[0] - y[0]
                case coupling.Kuramoto():
                    pre = np.sin(x[0] - y[0])
                case coupling.HyperbolicTangent():
                    pre = p["a"] * (1 + np.tanh((p["b"] * x[0] - p["midpoint"]) / p["sigma"]))
                case coupling.SigmoidalJansenRit():
                    gate = expit(p["r"] * (x[0] - x[1] - p["midpoint"]))
                    pre = p["cmin"] + (p["cmax"] - p["cmin"]) * gate
                case _:
                    pre = x[0]
            total[i] += weights[i, j] * pre
    match rule:
        case coupling.Linear():
            return p["a"] * total + p["b"]
        case coupling.Kuramoto():
            return p["a"] / nodes * total
        case coupling.HyperbolicTangent():
            return total
        case coupling.Sigmoidal():
            drive = -p["a"] * (total - p["midpoint"]) / p["sigma"]
            return p["cmin"] + (p["cmax"] - p["cmin"]) / (1 + np.exp(drive))
        case _:
            return p["a"] * total


def plain_run(simulator, history: np.ndarray, steps: int, kicks=None) -> np.ndarray:
    """DESIGN's step semantics without a ring buffer: all states are kept and looked up.

    `history`: (rows, state, region), oldest first, the last is t = 0. Gives `(steps, state, node)`.
    """
    model, dt = simulator.model, simulator.integrator.dt
    weights = np.asarray(simulator.connectome.weights)
    lengths = np.asarray(simulator.connectome.tract_lengths)
    delays = np.rint(lengths / float(simulator.connectome.speed) / dt).astype(int)
    low, high = np.asarray(model.bounds).T[:, :, None]
    states = list(history)
    for n in range(steps):
        x = states[-1]
        names = model.state_variables
        reads = [[names.index(name) for name in one] for (one,) in simulator.reads]
        inputs = [_input(simulator, s, states, delays, weights) for s in reads]
        c = jnp.asarray(np.array(inputs).reshape(len(inputs), -1))

        def f(x, c=c):
            return np.asarray(model.dfun(jnp.asarray(x), c))

        def bound(x):
            return np.clip(x, low, high)

        z = 0.0 if kicks is None else kicks[n]
        states.append(_plain_step(simulator.integrator, f, bound, x, z, dt))
    return np.array(states[len(history) :])


def _input(simulator, sources, states, delays, weights):
    nodes = len(weights)
    past = len(states) - 1
    sent = np.array(
        [
            [[states[max(0, past - delays[i, j])][s, j] for s in sources] for j in range(nodes)]
            for i in range(nodes)
        ]
    )
    own = np.array([[states[-1][s, i] for s in sources] for i in range(nodes)])
    return plain_coupling(simulator.coupling, weights, sent, own)


def _plain_step(integrator, f, bound, x, z, dt):
    match integrator:
        case integrators.Euler():
            return bound(x + dt * f(x) + z)
        case integrators.Heun():
            k1 = f(x)
            return bound(x + dt / 2 * (k1 + f(bound(x + dt * k1 + z))) + z)
        case integrators.RK4():
            k1 = f(x)
            k2 = f(bound(x + dt / 2 * k1))
            k3 = f(bound(x + dt / 2 * k2))
            k4 = f(bound(x + dt * k3))
            return bound(x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4) + z)


def trajectory(
    model,
    duration: float,
    initial: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    rule: Any = None,
    integrator: Any = None,
    every: float = 1.0,
    **arguments: Any,
) -> np.ndarray:
    """Every `every` ms all observables of a network without delays, (time, observable, node).

    Without weights the nodes are on their own. `arguments` are those of Simulator, and a key.
    """
    key = arguments.pop("key", None)
    nodes = np.shape(initial)[1]
    simulator = tvbjax.Simulator(
        model,
        tvbjax.Connectome(np.zeros((nodes, nodes)) if weights is None else weights),
        (rule or coupling.Linear(a=0.0)) if model.inputs else None,
        integrator or integrators.Heun(dt=0.1),
        monitors=tvbjax.monitors.SubSample(every, variables=model.observables),
        **arguments,
    )
    result = tvbjax.simulate(simulator, duration, initial=initial, key=key, progress=False)
    return np.asarray(result.samples["subsample"].values)


def with_params(model, **values):
    """The model with other parameters: numbers, or one for each node."""
    params = model.params | {name: jnp.asarray(value, float) for name, value in values.items()}
    return eqx.tree_at(lambda m: m.params, model, params)
