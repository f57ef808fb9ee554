#!/bin/sh
# Follows a real chain of other people's software: the executable consensus specification drives EthereumJS over the Engine
# API, the light client follows it over HTTP while it grows, then through a proxy that lies.
# usage: test-interop.sh [--if-possible]   (skipping counts as success)
set -eu

cd "$(dirname "$0")/.."
place=${INTEROP_DIR:-$PWD/target/interop}
source=$PWD/fixtures/interop
skipped=1
[ "${1:-}" = --if-possible ] && skipped=0

skip() {
    echo "interop test: skipped: $1"
    exit $skipped
}

command -v python3 >/dev/null || skip "no python3 (apt-get install python3-venv)"
python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' ||
    skip "the consensus specification runs on Python 3.11 to 3.14, this is $(python3 --version)"
command -v node >/dev/null || skip "no node (apt-get install nodejs npm)"
node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' || skip "EthereumJS needs node 18, this is $(node --version)"
command -v npm >/dev/null || skip "no npm (apt-get install npm)"

mkdir -p "$place"
if ! cmp -s "$source/requirements.txt" "$place/requirements.txt"; then
    echo "installing eth-consensus-specs from PyPI into $place/venv: it makes the chain (100 MB)"
    rm -rf "$place/venv"
    python3 -m venv "$place/venv" || skip "no venv module (apt-get install python3-venv)"
    "$place/venv/bin/pip" install -q --pre -r "$source/requirements.txt" || skip "PyPI cannot be reached or lacks a wheel for this machine"
    cp "$source/requirements.txt" "$place/requirements.txt"
fi
if ! cmp -s "$source/package.json" "$place/package.json" || [ ! -d "$place/node_modules/@ethereumjs/client" ]; then
    echo "installing @ethereumjs/client from npm into $place/node_modules: it executes the chain's payloads (110 MB)"
    cp "$source/package.json" "$place/package.json"
    # No install script of any package is needed, so none runs.
    (cd "$place" && npm install --ignore-scripts --no-audit --no-fund --loglevel=error) ||
        { rm -f "$place/package.json"; skip "npm's registry cannot be reached"; }
fi

# Built before the chain starts: a chain in real time does not wait for a compiler.
cargo test -p livemesh-lightclient --test interop --no-run

run=$place/run
rm -rf "$run"
mkdir -p "$run"
"$place/venv/bin/python" "$source/driver.py" --client "$place" --run "$run" >"$run/driver.log" 2>&1 &
driver=$!
follow=""
cleanup() {
    [ -z "$follow" ] || kill "$follow" 2>/dev/null || true
    kill "$driver" 2>/dev/null || true
    wait "$driver" 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM

tail -f "$run/driver.log" &
follow=$!
for _ in $(seq 600); do
    [ -f "$run/chain.json" ] && break
    kill -0 "$driver" 2>/dev/null || { tail -20 "$run/execution.log" >&2; echo "interop test: the chain did not start" >&2; exit 1; }
    sleep 0.5
done
[ -f "$run/chain.json" ] || { echo "interop test: no chain after five minutes: see $run" >&2; exit 1; }

INTEROP_CHAIN="$run/chain.json" cargo test -p livemesh-lightclient --test interop -- --ignored --nocapture --test-threads 1
