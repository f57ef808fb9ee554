#!/bin/sh
# Installs what is missing to build and run livemesh on Debian or Ubuntu, saying what and why.
# usage: setup.sh build | test
set -eu

purpose=${1:-build}
missing=""

# want PACKAGE REASON: notes a package that is not installed.
want() {
    if ! dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; then
        missing="$missing $1"
        printf '  %-20s %s\n' "$1" "$2"
    fi
}

if ! command -v cargo >/dev/null; then
    echo "livemesh needs a Rust toolchain (1.91 or later): see https://rustup.rs" >&2
    exit 1
fi
if ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian or Ubuntu: install FFmpeg's development files, libclang, pkg-config, a C compiler, ffmpeg and npm yourself." >&2
    exit 0
fi

list=$(
    want gcc "builds the parts that are C (cryptography)"
    want libc6-dev "headers of the C library"
    want make "runs the Makefile"
    want pkg-config "finds FFmpeg's libraries"
    want libavcodec-dev "decodes and encodes"
    want libavformat-dev "reads containers"
    want libavfilter-dev "converts frame rates"
    want libavutil-dev "shared by the other FFmpeg libraries"
    want libswscale-dev "scales pictures"
    want libclang-dev "generates the bindings to FFmpeg"
    want ffmpeg "publishes the demo's video, makes test video"
    # A newer npm than Debian's may be there already.
    command -v npm >/dev/null || want npm "builds the web page"
    if [ "$purpose" = test ]; then
        want iproute2 "network namespaces for the tests of the mesh"
        want nftables "NAT for the tests of the mesh"
        # Ubuntu's chromium is a snap, which a script should not install.
        grep -qi '^ID=debian' /etc/os-release && want chromium "plays the stream in the browser test"
    fi
    true
)
[ -z "$list" ] && exit 0

echo "livemesh needs these packages:"
echo "$list"
packages=$(echo "$list" | awk '{print $1}')
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    echo "Installing them needs root: sudo may ask for your password."
    as_root=sudo
fi
$as_root apt-get update -q >/dev/null
# shellcheck disable=SC2086 # one word a package is what is meant
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $packages >/dev/null
