"""Optimizees of the old framework run as they are: a small one, and its own where it is there."""

import math
import os
import subprocess
import sys
import types

import jax
import numpy as np
import pytest

from tvbjax import l2l
from tvbjax.l2l import examples

FromL2l = examples.from_l2l.FromL2l


class Hill:
    """Highest, 1, at x = 1 and y = (2, -1); written as optimizees are."""

    def create_individual(self):
        return {"x": np.random.uniform(-4.0, 4.0), "y": np.random.uniform(-4.0, 4.0, 2)}

    def bounding_func(self, individual):
        return {name: np.clip(value, -3.0, 3.0) for name, value in individual.items()}

    def simulate(self, traj):
        x, y = traj.individual.x, np.array(traj.individual.y)
        assert traj.individual.params["x"] == x and traj.individual.ind_idx == 0
        height = math.exp(-0.1 * ((x - 1.0) ** 2 + (y[0] - 2.0) ** 2 + (y[1] + 1.0) ** 2))
        return (height, np.random.random())


class Misspelt(Hill):
    def simulate(self, traj):
        return (traj.individual.xx,)


class Needy(Hill):
    def simulate(self, traj):
        return (traj.parameters.x,)


def test_fitness_becomes_a_loss_with_its_sign_turned_once():
    old = FromL2l(Hill(), fitness_weights=(2.0, 0.0))
    found = old({"x": 1.0, "y": np.array([2.0, -1.0])}, 3)
    assert found["loss"] == pytest.approx(-2.0)
    assert found["more"]["fitness"][0] == pytest.approx(1.0)
    far = old({"x": 9.0, "y": np.array([2.0, -1.0])}, 3)  # bounded to 3 before it is simulated
    assert far["loss"] == pytest.approx(-2.0 * math.exp(-0.4))


def test_random_numbers_are_the_seeds_and_are_put_back():
    old = FromL2l(Hill(), fitness_weights=(0.0, 1.0))
    values = {"x": 0.0, "y": np.zeros(2)}
    np.random.seed(1)
    expected = np.random.random(2).tolist()
    np.random.seed(1)
    first = np.random.random()
    losses = [old(values, seed)["loss"] for seed in (7, 7, 8)]
    assert [first, np.random.random()] == expected
    assert losses[0] == losses[1] != losses[2]


def test_the_space_is_made_of_an_individual():
    space = FromL2l(Hill(), (1.0, 0.0), ranges={"x": l2l.Real(-5.0, 5.0)}).space
    assert space.names == ("x", "y") and space.width == 3
    assert dict(space.dimensions)["x"] == l2l.Real(-5.0, 5.0)
    assert isinstance(dict(space.dimensions)["y"], l2l.Unbounded)


def test_unknown_names_are_told():
    values = {"x": 0.0, "y": np.zeros(2)}
    with pytest.raises(AttributeError, match="no 'xx'; did you mean 'x'"):
        FromL2l(Misspelt())(values, 0)
    with pytest.raises(AttributeError, match="no 'parameters', only individual"):
        FromL2l(Needy())(values, 0)
    with pytest.raises(ValueError, match="2 numbers, and there are 1 fitness_weights"):
        FromL2l(Hill())(values, 0)
    with pytest.raises(ValueError, match="ranges has 'z'"):
        _ = FromL2l(Hill(), (1.0, 0.0), ranges={"z": l2l.Real(0.0, 1.0)}).space
    with pytest.raises(TypeError, match="simulate"):
        FromL2l(types.SimpleNamespace(create_individual=dict))


def test_a_study_climbs_the_hill():
    old = FromL2l(Hill(), (1.0, 0.0), scale=2.0)
    study = l2l.Study(
        l2l.Python(old, old.space),
        l2l.SeparableNes(12),
        jax.random.key(0),
        l2l.MaxEvaluations(400),
        engine=l2l.Inline(),
    )
    found = study.run(progress=False)
    assert not found.failures
    assert found.loss < -0.99
    assert found.values["x"] == pytest.approx(1.0, abs=0.3)
    np.testing.assert_allclose(found.values["y"], [2.0, -1.0], atol=0.3)


# The package's own optimizee of benchmark functions, as its users make it; it minimises by -1.
REAL = """
import jax, numpy as np
from l2l.optimizees.functions import tools
from l2l.optimizees.functions.benchmarked_functions import BenchmarkedFunctions
from l2l.optimizees.functions.optimizee import FunctionGeneratorOptimizee
from l2l.utils.trajectory import Trajectory
from tvbjax import l2l
from tvbjax.l2l import examples

jax.config.update("jax_enable_x64", True)
(name, function), _ = BenchmarkedFunctions().get_function_by_index(4, noise=False)
traj = Trajectory()
optimizee = FunctionGeneratorOptimizee(traj, function, 1)
low, high = map(float, optimizee.bound)
ranges = {"coords": l2l.Real(low, high, shape=(optimizee.dims,))}
old = examples.from_l2l.FromL2l(optimizee, (-1.0,), ranges)
study = l2l.Study(l2l.Python(old, old.space), l2l.SeparableNes(16), jax.random.key(0),
                  l2l.MaxEvaluations(1600), engine=l2l.Inline())
found = study.run(progress=False)
direct = function.cost_function(found.values["coords"])
print(name, low, high, found.losses[:16].mean(), found.loss, np.ravel(direct)[0], found.failures)
"""


@pytest.mark.reference
def test_its_own_benchmark_runs_unchanged():
    """With L2LforHPC, from a Python named by TVBJAX_L2L_PYTHON that has it and tvbjax."""
    python = os.environ.get("TVBJAX_L2L_PYTHON")
    if python is None:
        pytest.skip("TVBJAX_L2L_PYTHON names no Python with L2LforHPC")
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [python, "-c", REAL], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    name, *_, first, loss, direct, failures = done.stdout.split()
    assert failures == "{}"
    assert float(loss) == pytest.approx(float(direct), abs=1e-9)
    assert float(loss) < 0.05 * float(first), name
