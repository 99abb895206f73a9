#!/bin/sh
# Installs the runtimes that the benchmarks compare with, from the distribution's own packages. Nothing else is touched.
set -eu

PACKAGES="golang-go librust-tokio-dev libuv1-dev libst-dev libboost-context-dev libboost-fiber-dev erlang-base
          python3 python3-uvloop g++ pkg-config"
command -v cargo >/dev/null 2>&1 || PACKAGES="$PACKAGES cargo rustc"

if ! command -v apt-get >/dev/null 2>&1; then
    echo "bench/setup-peers.sh: this system has no apt-get; install the counterparts of:" $PACKAGES >&2
    exit 1
fi

missing=""
for package in $PACKAGES; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "every peer is installed already"
    exit 0
fi

sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
echo "installing:$missing"
$sudo apt-get update -qq
# One by one: a release that lacks one peer still gets the others, and the benchmark names the missing one.
for package in $missing; do
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
        echo "not available here: $package" >&2
done
