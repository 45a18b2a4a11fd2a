#!/usr/bin/env bash
# Writes the two hashed lock files from pyproject.toml. Needs uv; run it after changing a dependency.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
compile() {
  uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet --no-header "$@"
}
compile --extra build --output-file requirements.lock
compile --extra build --extra dev --constraint requirements.lock --output-file requirements-dev.lock
