#!/usr/bin/env bash
# Set up what omninode needs: .venv from requirements.lock and the npm packages of contracts/.
# Safe to repeat: a step whose inputs did not change is skipped, and then nothing is printed and no network is used.
# What the system lacks is installed through apt when root on Debian, otherwise named with the command to run (exit code 2).
set -euo pipefail
cd "$(dirname "$0")/.."
LOG=.cache/setup.log
PYTHON_STAMP=.venv/.stamp
NODE_STAMP=contracts/node_modules/.stamp
KERNEL_STAMP=.cache/kernels.stamp
mkdir -p .cache
exec 9>.cache/setup.lock
flock 9

# A stamp holds its step's inputs. The path is one of them: a virtual environment cannot be moved.
python_key() { { pwd && cat requirements.lock pyproject.toml; } | sha256sum; }
node_key() { sha256sum <contracts/package-lock.json; }
kernel_key() { { python_key && cat protocols/{fields,bn254,gram}/*.py protocols/*/kernels.py; } | sha256sum; }
fresh() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }
python_fresh() { [ -x .venv/bin/python ] && fresh $PYTHON_STAMP "$(python_key)"; }
node_fresh() { fresh $NODE_STAMP "$(node_key)"; }
kernel_fresh() { fresh $KERNEL_STAMP "$(kernel_key)"; }

if python_fresh && node_fresh && kernel_fresh; then exit 0; fi

find_python() {
  local name
  for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
}

# Sets MISSING: Debian packages for what is not there.
look() {
  MISSING=()
  command -v cc >/dev/null || command -v gcc >/dev/null || MISSING+=(build-essential)
  if ! node_fresh; then
    node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null || MISSING+=(nodejs)
    command -v npm >/dev/null || MISSING+=(npm)
  fi
  PYTHON_BIN=$(find_python || true)
  if [ -z "$PYTHON_BIN" ]; then
    MISSING+=(python3 python3-venv python3-dev)
    return
  fi
  "$PYTHON_BIN" -c 'import ensurepip, venv' 2>/dev/null || MISSING+=(python3-venv)
  local include
  include=$("$PYTHON_BIN" -c 'import sysconfig; print(sysconfig.get_path("include"))')
  [ -f "$include/Python.h" ] || MISSING+=(python3-dev)
  echo '#include <gmp.h>' | "$(command -v cc || command -v gcc || echo false)" -E -x c - >/dev/null 2>&1 || MISSING+=(libgmp-dev)
}

# step NAME COMMAND...: one line with seconds; the end of the log when it fails.
step() {
  local name=$1 start=$SECONDS
  shift
  printf '%-42s' "$name"
  if "$@" >>$LOG 2>&1; then
    printf '%4d s\n' $((SECONDS - start))
  else
    printf 'failed\n\nThe end of %s:\n' "$LOG" >&2
    tail -n 20 $LOG >&2
    exit 1
  fi
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q && apt-get install -q -y --no-install-recommends "${MISSING[@]}"
}

make_venv() { [ -x .venv/bin/python ] && .venv/bin/python -c 'import pip' || "$PYTHON_BIN" -m venv --clear .venv; }

install_python() {
  # Setuptools comes from the lock, so building our own package asks the network for nothing.
  .venv/bin/python -m pip install --disable-pip-version-check -q -r requirements.lock &&
    .venv/bin/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation \
      --config-settings editable_mode=compat -e .
}

# Compiled once here (half a minute), so that 18 daemons do not all compile the same at their first start.
warm_kernels() {
  export NUMBA_CACHE_DIR="${NUMBA_CACHE_DIR:-$PWD/.cache/numba}"
  .venv/bin/python -c 'import protocols.bn254.srs' &
  .venv/bin/python -c \
    'import protocols.sessions.machines, protocols.gram.exact, protocols.gram.projections, protocols.secagg.kernels' &&
    wait $!
}

install_node() { (cd contracts && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error); }

: >$LOG
look
if [ ${#MISSING[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    step "system packages: ${MISSING[*]}" apt_install
    look
  fi
  if [ ${#MISSING[@]} -gt 0 ]; then
    echo "omninode needs what is not here: ${MISSING[*]} (Python 3.11 or newer, Node 18 or newer). On Debian or Ubuntu run" >&2
    echo "    sudo apt-get update && sudo apt-get install -y ${MISSING[*]}" >&2
    echo "and then the same make command again." >&2
    exit 2
  fi
fi
if ! python_fresh; then
  step "Python environment (.venv)" make_venv
  step "Python packages (requirements.lock)" install_python
  python_key >$PYTHON_STAMP
fi
if ! kernel_fresh; then
  step "Arithmetic kernels (.cache/numba)" warm_kernels
  kernel_key >$KERNEL_STAMP
fi
if ! node_fresh; then
  step "npm packages (contracts/node_modules)" install_node
  node_key >$NODE_STAMP
fi
