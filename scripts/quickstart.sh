#!/usr/bin/env bash
# Makes .venv, then compares AE and VAE on 5,000 real digits. Flags are passed on to the launcher.
set -euo pipefail
# shellcheck source=scripts/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" requirements.lock
# -P: a folder called vae_jax in the current directory must not stand in for ours.
exec "$python" -P -m vae_jax "$@"
