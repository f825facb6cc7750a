"""Where a result came from: models, parameters, data, versions, key - as JSON."""

import dataclasses
import functools
import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from types import FunctionType
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tvbjax.identity import digest, named
from tvbjax.mixed import Mixed
from tvbjax.regions import Regions
from tvbjax_lems import Model

if TYPE_CHECKING:
    from tvbjax.simulator import Simulator

_PACKAGES = ("tvbjax", "jax", "jaxlib", "equinox", "numpy", "sympy")
_SMALL = 16


def describe(simulator: "Simulator", key: jax.Array | None, **more) -> str:
    """Everything that a run depends on, as JSON text; large arrays by shape and SHA-256.

    `more`: what the simulator does not know, such as the initial state.
    """
    model = simulator.model
    return json.dumps(
        {
            "model": {"name": model.name, "sha256": _equations(model)},
            "parameters": {name: _value(value) for name, value in model.params.items()},
            "connectome": _value(simulator.connectome),
            "coupling": _value(simulator.coupling),
            "integrator": _value(simulator.integrator),
            "noise": _value(simulator.noise),
            "monitors": [_value(monitor) for monitor in simulator.monitors],
            "cortex": _value(simulator.cortex),
            "stimulus": [_value(stimulus) for stimulus in simulator.stimulus],
            "delays": _value(simulator.delays),
            "horizon": simulator.horizon,
            "key": _key(key),
            "dtype": str(jnp.result_type(float)),
            "backend": jax.default_backend(),
            "versions": versions(*_PACKAGES),
        }
        | more
    )


@functools.cache  # reading them takes longer than a short run
def versions(*packages: str) -> dict[str, str]:
    """Python's, and those of packages. Where one is on the path and not installed, or is not there
    at all, that is said: it is no reason to lose a run."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _value(value):
    """A JSON value: Modules by type and fields, small arrays as lists, large ones by digest."""
    if isinstance(value, eqx.Module):
        fields = {f.name: _value(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"type": type(value).__name__} | {k: v for k, v in fields.items() if v is not None}
    if isinstance(value, jax.Array | np.ndarray):
        array = np.asarray(value)
        if array.size <= _SMALL:
            return array.tolist()
        return {"shape": list(array.shape), "sha256": digest(array)}
    if isinstance(value, Regions):
        return {"count": len(value), "sha256": digest(np.asarray(value.labels))}
    if isinstance(value, dict):
        return {str(name): _value(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        if len(value) > _SMALL:
            return {"length": len(value), "sha256": digest(np.asarray(repr(value)))}
        return [_value(part) for part in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, FunctionType):
        return named(value)
    return getattr(value, "__qualname__", None) or repr(value)


def _equations(model: Model | Mixed) -> str | dict[str, str]:
    """SHA-256 of what is computed: two models of one name may differ in it."""
    if isinstance(model, Mixed):
        return {name: str(_equations(one.model)) for name, one in model.populations.items()}
    spec = model.spec
    said = repr((spec.dynamics, spec.observation, spec.states, spec.inputs, spec.observables))
    return hashlib.sha256(said.encode()).hexdigest()


def _key(key: jax.Array | None):
    if key is None:
        return None
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        implementation = str(jax.random.key_impl(key))
        return {"impl": implementation, "data": np.asarray(jax.random.key_data(key)).tolist()}
    return {"impl": "raw", "data": np.asarray(key).tolist()}
