#!/bin/sh
# setup.sh run|test - installs what is missing, and says so. Does nothing and says nothing when all is there.
#
#   run   what building and the tour need
#   test  that, and what the whole suite needs
#
# Debian and Ubuntu (apt-get). Elsewhere it names what is missing.
set -eu

required='' # without these nothing can be built
optional='' # without these something is left out: a backend, a suite

has() { command -v "$1" >/dev/null 2>&1; }

compiler() {
    for cc in "${CC:-}" cc gcc clang; do
        # shellcheck disable=SC2086  # CC may be "ccache gcc"
        if [ -n "$cc" ] && has ${cc%% *}; then
            echo "$cc"
            return
        fi
    done
}

# has_header liburing.h: can be included. Without a compiler nobody can tell, and the package is asked for.
has_header() {
    cc=$(compiler)
    # shellcheck disable=SC2086
    [ -n "$cc" ] && echo "#include <$1>" | $cc -E - >/dev/null 2>&1
}

require() { required="$required $1"; }
prefer() { optional="$optional $1"; }

need_for_run() {
    [ -n "$(compiler)" ] || require gcc
    has_header stdio.h || require libc6-dev
    has cmake || require cmake
    has ninja || has make || require ninja-build
    has pkg-config || require pkg-config
    has_header liburing.h || prefer liburing-dev
    has_header elfutils/libdwfl.h || prefer libdw-dev
    has_header ares.h || prefer libc-ares-dev
    has_header openssl/ssl.h || prefer libssl-dev
}

need_for_test() {
    need_for_run
    has_header check.h || require check
    has python3 || require python3
    has valgrind || require valgrind
    has nc || prefer netcat-openbsd
    has socat || prefer socat
    has curl || prefer curl
    has openssl || prefer openssl
    has g++ || has clang++ || prefer g++
    has clang || prefer clang
    has_header curl/curl.h || prefer libcurl4-openssl-dev
    has wrk || prefer wrk
    has nginx || [ -x /usr/sbin/nginx ] || prefer nginx-light
    if [ "$(uname -m)" = x86_64 ]; then
        has qemu-aarch64 || prefer qemu-user
        has aarch64-linux-gnu-gcc || prefer gcc-aarch64-linux-gnu
        [ -e /usr/aarch64-linux-gnu/include/stdio.h ] || prefer libc6-dev-arm64-cross
    fi
}

# As root directly; otherwise through sudo, which may ask for the password.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

# Debian starts a web server that it installs, now and at each boot. The tests start one for themselves, for a moment: this machine
# is not to get one. A policy of the machine's own stays as it is.
keep_from_starting() {
    [ ! -e "$policy" ] || return 0
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    trap 'as_root rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM
}

install_missing() {
    case "$optional" in
    *nginx*)
        policy=/usr/sbin/policy-rc.d
        keep_from_starting
        install_packages
        if has systemctl; then
            as_root systemctl disable nginx >/dev/null 2>&1 || true # it is not there, or systemd is not
        fi
        ;;
    *) install_packages ;;
    esac
}

# --no-remove: a package that would push another one out (a cross compiler and gcc-multilib) is left alone. Then the
# others are installed one by one.
install_packages() {
    apt update || echo "setup: the package lists could not be refreshed; trying with those at hand" >&2
    # shellcheck disable=SC2086
    apt install -y --no-install-recommends --no-remove $required $optional && return
    failed=''
    for package in $required; do
        apt install -y --no-install-recommends --no-remove "$package" || failed="$failed $package"
    done
    for package in $optional; do
        apt install -y --no-install-recommends --no-remove "$package" ||
            echo "setup: $package could not be installed; what needs it is left out" >&2
    done
    if [ -n "$failed" ]; then
        echo "setup: could not install:$failed" >&2
        exit 1
    fi
}

# Nothing can be installed: an error when something required is missing, a remark otherwise.
give_up() {
    echo "setup: missing:$required$optional" >&2
    echo "setup: $1" >&2
    [ -z "$required" ] || exit 1
    exit 0
}

case "${1:-}" in
run) need_for_run ;;
test) need_for_test ;;
*)
    echo "usage: scripts/setup.sh run|test" >&2
    exit 2
    ;;
esac

[ -n "$required$optional" ] || exit 0
has apt-get || give_up "there is no apt-get here; please install these (Debian's names) with your package manager"
[ "$(id -u)" = 0 ] || has sudo || give_up "please install these as root: apt-get install$required$optional"
echo "setup: installing$required$optional"
install_missing
