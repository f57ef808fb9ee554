#!/bin/sh
# Plays a real stream in a real browser: a demo as separate processes, its page in headless Chromium.
# usage: test-browser.sh path/to/livemesh
set -eu

livemesh=$1
dir=$(mktemp -d)
"$livemesh" demo --port 0 --for 75s >"$dir/demo.log" 2>&1 &
demo=$!
cleanup() {
    kill -INT "$demo" 2>/dev/null || true
    wait "$demo" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT

page=""
for _ in $(seq 120); do
    page=$(awk '$1 == "page" { print $2 }' "$dir/demo.log")
    [ -n "$page" ] && break
    kill -0 "$demo" 2>/dev/null || { cat "$dir/demo.log" >&2; exit 1; }
    sleep 0.5
done
[ -n "$page" ] || { echo "the demo did not start:" >&2; cat "$dir/demo.log" >&2; exit 1; }

code=0
node tests/browser/play.mjs "$page" demo --seconds 10 || code=$?
case $code in
    0) echo "browser test: 1 passed" ;;
    77) echo "browser test: skipped: no chromium" ;;
    *) cat "$dir/demo.log" >&2; exit "$code" ;;
esac
