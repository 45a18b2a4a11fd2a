# Sourced by quickstart.sh and test.sh: makes or updates .venv from a hashed lock file and installs the project in it.
# Usage: source scripts/environment.sh LOCK_FILE     (sets $root and $python)
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"
python="$venv/bin/python"
lock="$root/$1"

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    echo "$candidate"
    return 0
  done
  echo "$0: no Python >= 3.11 was found; install one, or name one with PYTHON=/path/to/python3" >&2
  return 1
}

install_environment() {
  local base stamp digest
  # Both lock files and the project's metadata: a change of any installs again, anything else does not.
  stamp="$venv/installed-$(basename "$lock")"
  digest="$(cat "$root/requirements.lock" "$root/requirements-dev.lock" "$root/pyproject.toml" | cksum) $root"
  if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ]; then
    return 0
  fi
  if ! { [ -x "$python" ] && "$python" -m pip --version >/dev/null 2>&1; }; then
    base="$(find_python)" || return 1
    rm -rf "$venv"
    if ! "$base" -m venv "$venv"; then
      echo "$0: $base cannot make a virtual environment; install its venv module (Debian: python3-venv)" >&2
      return 1
    fi
  fi
  echo "Installing into $venv (once; a few minutes)"
  "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" || return 1
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e "$root" || return 1
  echo "$digest" > "$stamp"
}

install_environment || exit 1
