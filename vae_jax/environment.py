"""The process around the code: what would change results is ignored or refused, and what may is recorded.

A run is defined by its Config and its images. The environment may choose the device, not the numbers.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from vae_jax.errors import UserError

# JAX reads each of its settings from a variable. These choose devices, cache compiled programs, or print more.
_KEPT = (
    "JAX_PLATFORM", "JAX_CUDA_", "JAX_ROCM_", "JAX_PJRT_", "JAX_NUM_CPU_DEVICES", "JAX_COMPILATION_CACHE_",
    "JAX_ENABLE_COMPILATION_CACHE", "JAX_PERSISTENT_CACHE_", "JAX_RAISE_PERSISTENT_CACHE_ERRORS", "JAX_LOG",
    "JAX_DEBUG_LOG_", "JAX_TRACEBACK_", "JAX_DUMP_IR_",
)  # fmt: skip

# Numbers of threads and compiler flags change the order of sums, and with it the last bits.
_RECORDED = ("JAX_", "XLA_", "LIBTPU_", "OMP_", "OPENBLAS_", "MKL_", "NVIDIA_TF32_OVERRIDE", "CUDA_VISIBLE_DEVICES")

# Settings of JAX that a program or one of its libraries may have changed, with the values that hold in this code. Each
# would give other numbers, or end in an error of JAX's.
_PINNED = {
    "threefry_partitionable": True, "enable_x64": False, "default_matmul_precision": None,
    "numpy_dtype_promotion": "standard", "disable_jit": False, "debug_nans": False, "debug_infs": False,
    "transfer_guard": "allow",
}  # fmt: skip

# Those that cannot be changed for one thread alone, with the values that results depend on.
REQUIRED: dict[str, Any] = {
    "jax_random_seed_offset": 0, "jax_disable_most_optimizations": False, "jax_accurate_erf_inv": False,
    "flax_fix_rng_separator": False,
}  # fmt: skip


def isolate() -> list[str]:
    """Removes the variables that would change what JAX and Flax compute, as JAX_ENABLE_X64, and returns their names.

    Call it before importing JAX. Raises UserError if Python strips the docstrings that captions are made of (-OO).
    """
    if sys.flags.optimize > 1:
        raise UserError("Python strips docstrings, which captions are made of; run it without -OO and PYTHONOPTIMIZE=2")
    removed = sorted(name for name in os.environ if name.startswith(("JAX_", "FLAX_")) and not name.startswith(_KEPT))
    for name in removed:
        del os.environ[name]
    return removed


def settings() -> dict[str, str]:
    """Returns the variables that choose devices, or may change the last bits of results."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(_RECORDED)}


@contextlib.contextmanager
def own_settings() -> Iterator[None]:
    """JAX computes what it computes by default, whatever this process has set; in this thread, and until the end.

    Also a decorator. A thread that is started inside has the process's settings, until it enters this itself.

    Raises:
        UserError: JAX finds no device, as JAX_PLATFORMS names a platform that is not there, or a setting that would
            change results can only be changed for the whole process.
    """
    import flax
    import jax

    try:
        jax.devices()
    except Exception as error:  # of another kind for `cuda` where there is no GPU of NVIDIA's
        is_said = isinstance(error, RuntimeError) and str(error)
        reason = str(error).splitlines()[0] if is_said else f"none of {jax.config.values['jax_platforms']}"
        raise UserError(f"JAX finds no device ({reason}); check JAX_PLATFORMS") from error
    current = jax.config.values | {"flax_fix_rng_separator": flax.config.flax_fix_rng_separator}
    for name, value in REQUIRED.items():
        if (found := current.get(name, value)) != value:
            raise UserError(f"{name} is {found}, which changes results; set it to {value}")
    with contextlib.ExitStack() as stack:
        for name, value in _PINNED.items():
            stack.enter_context(getattr(jax, name)(value))
        yield
