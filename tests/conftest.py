"""Every test runs in float64 and under JAX's strict rules: no silent broadcast, no promotion.

Compiling is most of what tests do; programs are compiled in three quarters of the time, by XLA's
older ways. With XLA_FLAGS in the environment (it may be empty) they are compiled as for users.
"""

import importlib.metadata
import os
from pathlib import Path

import jax
import jaxtyping
import pytest

# XLA ends the process where it does not know a flag; these versions know this one.
if importlib.metadata.version("jaxlib").startswith("0.10."):
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# Its equations alone take seconds to compile, in whatever is tested of every model.
_LARGEST_MODEL = "ZerlautAdaptationSecondOrder"
# Chosen by slow_tests.py, from what tests took.
_SLOW = frozenset(Path(__file__).with_name("slow_tests.txt").read_text().splitlines())


def pytest_collection_modifyitems(items):
    for item in items:
        if _LARGEST_MODEL in item.name or item.nodeid.removeprefix("tests/") in _SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_let_go():
    """Every compiled program maps memory, and a process may have so many pieces and no more."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared test data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("TVBJAX_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared test data at {folder}; set TVBJAX_SHARED")
    return folder


@pytest.fixture
def without_type_checks():
    """For tests of very many calls, of which the checks of arguments' types would be the most."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)
