"""Networks as Python modules, for the tests: converted, imported and compared with lems.run."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

import test_network_pools as pools
from lems_text import network, run
from tvbjax import lems

DOCUMENTED = Path(__file__).parents[1] / "docs" / "networks.md"


def imported(source: lems.NetworkSource, folder: Path, name: str = "converted") -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(source.text)
    if source.arrays:
        np.savez(path.with_suffix(".npz"), **source.arrays)  # pyright: ignore[reportArgumentType]
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def converted(model: lems.Network, folder: Path, **options: Any) -> ModuleType:
    return imported(lems.network_module(model, "model.xml", **options), folder)


def check_same(
    model: lems.Network,
    folder: Path,
    *,
    step: float | None = None,
    duration: float | None = None,
    record=(),
    rtol: float = 1e-12,
    **options: Any,
) -> ModuleType:
    """Both runs give the same rows and the same events; the module."""
    expected = run(model, step=step, duration=duration, record=record, **options)
    module = converted(model, folder, record=record, step=step)
    length = model.duration if duration is None else duration
    assert length is not None
    steps = round(length / module.DT)
    time, quantities, events, _ = jax.jit(lambda: module.run(steps=steps, **options))()
    np.testing.assert_array_equal(time, expected.t)
    assert set(quantities) == set(expected.quantities) and set(events) == set(expected.events)
    for path, value in quantities.items():
        wanted = np.asarray(expected[path])
        scale = np.abs(wanted).max(initial=0.0)
        np.testing.assert_allclose(value, wanted, rtol=rtol, atol=rtol * scale, err_msg=path)
    every = options.get("every", 1)
    fine = np.arange(1, steps * every + 1) * module.DT
    for path, count in events.items():
        count, found = np.asarray(count), expected.events[path]
        rows, instances = np.nonzero(count.reshape(len(count), -1))
        many = count.reshape(len(count), -1)[rows, instances]
        assert len(found) == many.sum(), path
        times = found if count.ndim == 1 else found[:, 0]
        np.testing.assert_allclose(times, np.repeat(fine[rows], many), rtol=1e-12)
        if count.ndim > 1:
            np.testing.assert_array_equal(found[:, 1], np.repeat(instances, many))
    return module


def written_pair(folder: Path) -> Path:
    """The file of the documentation: Izhikevich cells, delays and weights."""
    path = folder / "izhikevich.xml"
    path.write_text(re.findall(r"```xml\n(.*?)```", DOCUMENTED.read_text(), re.DOTALL)[0])
    return path


def crowd(folder: Path, count: int) -> lems.Network:
    """A driven cell and `count` others, that it excites with weights of their own."""
    edges = "".join(
        f'<Edge id="e{i}" source="../../a" target="../pop[{i % 3}]" w="{i + 0.5}" '
        f'delay="{0.1 * i}s" synapse="saturating"/>'
        for i in range(count)
    )
    body = f"""{pools.TYPES}{pools.synapse("saturating")}<Whole id="all">
      <Ticks id="a" from="0.3s"/><Whole id="w"><Cells id="pop" of="cell"/>{edges}</Whole></Whole>"""
    return network(folder, body, "all")
