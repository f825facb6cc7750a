"""Settings of XLA, JAX's compiler, that suit small simulations. Set before JAX starts.

XLA's CPU runtime starts every operation of a time loop separately, which takes longer than the
operations of a few neurons do, unless the arrays of the loop are smaller than a threshold: then the
loop becomes one piece of machine code.
"""

import os

import jax

_FLAG = "--xla_backend_extra_options="
SETTING = f"{_FLAG}xla_cpu_small_while_loop_byte_threshold=65536"


def tune_cpu() -> None:
    """Let XLA compile time loops over small networks whole: they run several times faster on CPU.

    Call it before anything is computed. It adds to the environment variable XLA_FLAGS; where that
    has xla_backend_extra_options already, or names a file, it is left as it is. Results may differ
    in the last digits. Raises RuntimeError where JAX has started, since it reads XLA_FLAGS once.

        import tvbjax

        tvbjax.tune_cpu()
    """
    flags = os.environ.get("XLA_FLAGS", "").strip()
    if _FLAG in flags or (flags and not flags.startswith("-")):
        return
    if _has_started():
        raise RuntimeError(
            "tune_cpu: JAX has started, and reads XLA_FLAGS only then; call tvbjax.tune_cpu() "
            "before the first array is made."
        )
    os.environ["XLA_FLAGS"] = f"{flags} {SETTING}".strip()


def _has_started() -> bool:
    """Whether JAX has opened its devices: from then on it refuses to change their number."""
    setting = "jax_num_cpu_devices"
    number = jax.config.values[setting]
    try:
        jax.config.update(setting, number + 2)
    except RuntimeError:
        return True
    jax.config.update(setting, number)
    return False
