"""tune_cpu changes what XLA reads when it starts, so each test is a process of its own."""

import os
import subprocess
import sys

import pytest

ADDED = "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=65536"


def flags_after(script: str, flags: str | None = None) -> subprocess.CompletedProcess[str]:
    """The script's process; it prints XLA_FLAGS at its end."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    if flags is not None:
        environment["XLA_FLAGS"] = flags
    whole = f"import os, tvbjax\n{script}\nprint(os.environ.get('XLA_FLAGS'))"
    return subprocess.run(
        [sys.executable, "-c", whole], env=environment, capture_output=True, text=True, timeout=200
    )


@pytest.mark.parametrize(
    "before, after",
    [
        (None, ADDED),
        ("--xla_dump_to=/nowhere", f"--xla_dump_to=/nowhere {ADDED}"),
        ("--xla_backend_extra_options=own=1", "--xla_backend_extra_options=own=1"),
        ("flags.txt", "flags.txt"),  # XLA takes this for the name of a file
    ],
)
def test_it_adds_to_the_flags_and_keeps_those_of_the_user(before, after):
    ran = flags_after("tvbjax.tune_cpu(); tvbjax.tune_cpu()", before)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == after


def test_jax_starts_with_it_and_computes():
    script = """
tvbjax.tune_cpu()
import jax, jax.numpy as jnp
step = lambda x, _: (0.5 * x, None)
assert float(jax.lax.scan(step, jnp.ones(3), length=4)[0][0]) == 0.5**4
assert jax.local_device_count() == 1
tvbjax.tune_cpu()  # already done, so no error
"""
    ran = flags_after(script)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == ADDED


def test_it_refuses_to_be_late():
    ran = flags_after("import jax; jax.devices(); tvbjax.tune_cpu()")
    assert ran.returncode == 1
    assert "RuntimeError: tune_cpu: JAX has started" in ran.stderr
