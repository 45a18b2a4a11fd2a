"""Environment variables: those that would change results are ignored, the others are recorded.

A run is defined by its Config and its images. The environment may choose the device, not the numbers.
"""

import os
import sys

from vae_jax.workdir import UserError

# JAX reads each of its settings from a variable. These choose devices, cache compiled programs, or print more.
_KEPT = (
    "JAX_PLATFORM", "JAX_CUDA_", "JAX_ROCM_", "JAX_PJRT_", "JAX_NUM_CPU_DEVICES", "JAX_COMPILATION_CACHE_",
    "JAX_ENABLE_COMPILATION_CACHE", "JAX_PERSISTENT_CACHE_", "JAX_RAISE_PERSISTENT_CACHE_ERRORS", "JAX_LOG",
    "JAX_DEBUG_LOG_", "JAX_TRACEBACK_", "JAX_DUMP_IR_",
)  # fmt: skip

# Numbers of threads and compiler flags change the order of sums, and with it the last bits.
_RECORDED = ("JAX_", "XLA_", "LIBTPU_", "OMP_", "OPENBLAS_", "MKL_", "NVIDIA_TF32_OVERRIDE", "CUDA_VISIBLE_DEVICES")


def isolate() -> list[str]:
    """Removes the variables that would change what JAX computes, such as JAX_ENABLE_X64, and returns their names.

    Call it before importing JAX. Raises UserError if Python strips the docstrings that captions are made of (-OO).
    """
    if sys.flags.optimize > 1:
        raise UserError("Python strips docstrings, which captions are made of; run it without -OO and PYTHONOPTIMIZE=2")
    removed = sorted(name for name in os.environ if name.startswith("JAX_") and not name.startswith(_KEPT))
    for name in removed:
        del os.environ[name]
    return removed


def settings() -> dict[str, str]:
    """Returns the variables that choose devices, or may change the last bits of results."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(_RECORDED)}


def check_devices() -> None:
    """Raises UserError if JAX finds no device, for example as JAX_PLATFORMS names a platform that is not there."""
    import jax

    try:
        jax.devices()
    except RuntimeError as error:
        raise UserError(f"JAX finds no device ({str(error).splitlines()[0]}); check JAX_PLATFORMS") from error
