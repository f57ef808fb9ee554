#!/bin/sh
# Plays a real stream in a real browser: a demo as separate processes, its page in headless Chromium.
# usage: test-browser.sh path/to/livemesh
set -eu

livemesh=$1
dir=$(mktemp -d)
# Small, so that two cores have room for three orchestrators and a browser without a GPU.
ffmpeg -hide_banner -loglevel error -nostdin -f lavfi -i testsrc2=s=640x360:r=30:d=20 -f lavfi -i sine=f=330:beep_factor=4:r=48000:d=20 \
    -c:v libx264 -preset veryfast -bf 2 -g 60 -keyint_min 60 -sc_threshold 0 -pix_fmt yuv420p -b:v 1M -c:a aac "$dir/clip.mp4"
"$livemesh" demo --port 0 --for 120s --input "$dir/clip.mp4" >"$dir/demo.log" 2>&1 &
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
