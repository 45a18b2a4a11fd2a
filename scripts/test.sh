#!/usr/bin/env bash
# Makes .venv with the test tools, then checks style, types and behaviour. Flags are passed on to pytest.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" requirements-dev.lock
cd "$root"
# The tests of the page need a browser, and are skipped where none can be installed.
command -v chromium >/dev/null || apt-get install --yes chromium >/dev/null 2>&1 || true
"$python" -m ruff check .
"$python" -m ruff format --check --quiet . || { echo "run: $python -m ruff format ." >&2; exit 1; }
"$python" -m mypy
# The workers and the processes that they start compile the same programs: what one has compiled, the others read, but for
# programs that are compiled sooner than written. Programs without the lines that they come from are made faster.
JAX_COMPILATION_CACHE_DIR="$(mktemp -d)"
export JAX_COMPILATION_CACHE_DIR JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0.1 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1
export JAX_TRACEBACK_IN_LOCATIONS_LIMIT=0
trap 'rm -rf "$JAX_COMPILATION_CACHE_DIR"' EXIT
unset PYTHONDONTWRITEBYTECODE  # what many processes import is compiled once
# Two workers share the two cores that this is meant for; XLA would start a thread per core in each of them. Neighbouring
# tests share what their module sets up, so that a worker has its half of them, until the other one has nothing to do.
# Without its emitters of fused loops XLA compiles a program in half the time, and with fewer optimizations in a tenth less
# still; results differ by rounding.
XLA_FLAGS="${XLA_FLAGS:-} --xla_cpu_multi_thread_eigen=false --xla_cpu_use_fusion_emitters=false \
--xla_backend_optimization_level=1" \
  "$python" -m pytest --numprocesses=2 --dist=worksteal "$@"
