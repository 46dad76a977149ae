#!/bin/bash
# deps.sh: installs what muster needs to be built, run and tested on Debian 12
# or newer: a compiler, the libraries of docs/dependencies.md, a Redis server.
#
# Says nothing and touches nothing when all is there.  Works as root or with
# sudo.  A Redis that it installs is neither started nor enabled: the tests, the
# demo and `musterctl dev` start servers of their own, and never on port 6379.
set -euo pipefail

tools="gcc libc6-dev cmake ninja-build pkg-config lz4 xz-utils tzdata
       python3 nodejs"
libraries="libhiredis-dev libev-dev libyajl-dev libyaml-dev libxxhash-dev
           libmicrohttpd-dev libcmocka-dev"
servers="redis-server redis-tools"

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
policy_is_ours=no

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

tidy_up() {
    if [ "$policy_is_ours" = yes ]; then
        as_root rm -f "$policy"
    fi
    rm -f "$log"
}
trap tidy_up EXIT

is_installed() {
    local status
    status=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>>"$log") || return 1
    # With several architectures the word stands there several times.
    [[ "$status" == *installed ]] && [[ "$status" != *not-installed ]]
}

# Debian 12 calls it libmsgpack-dev, Debian 13 libmsgpack-c-dev.
msgpack_package() {
    if is_installed libmsgpack-dev || is_installed libmsgpack-c-dev; then
        return
    fi
    if [ -n "$(apt-cache madison libmsgpack-c-dev 2>>"$log")" ]; then
        echo libmsgpack-c-dev
    else
        echo libmsgpack-dev
    fi
}

missing_packages() {
    local package
    for package in $tools $libraries $servers; do
        is_installed "$package" || echo "$package"
    done
    msgpack_package
}

apt_get() {
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
        -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
        "$@" >"$log" 2>&1 </dev/null; then
        cat "$log" >&2
        return 1
    fi
}

# The package starts a server on 6379 unless a policy forbids it.
forbid_services() {
    if [ ! -e "$policy" ]; then
        policy_is_ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >"$log"
        as_root chmod 755 "$policy"
    fi
}

# For the next boot, and for a policy of the machine's own that let it start.
silence_redis() {
    if [ -d /run/systemd/system ]; then
        as_root systemctl --quiet disable --now redis-server >"$log" 2>&1 ||
            true
    elif [ "$policy_is_ours" = no ]; then
        as_root service redis-server stop >"$log" 2>&1 || true
    fi
}

install_missing() {
    local missing
    # A foreign source that does not answer must not stop us: what we need may
    # be at hand all the same, and the install below says so if it is not.
    apt_get update || echo "deps.sh: apt-get update failed; going on" >&2
    missing=$(missing_packages) # once more: the lists now name msgpack
    echo "deps.sh: installing ${missing//$'\n'/ }" >&2
    case "$missing" in *redis-server*) forbid_services ;; esac
    # shellcheck disable=SC2086 # a list of words
    apt_get install --no-install-recommends $missing
    case "$missing" in *redis-server*) silence_redis ;; esac
}

if ! command -v apt-get >/dev/null; then
    echo "deps.sh: needs apt-get (Debian 12 or newer, or a relative)" >&2
    exit 1
fi
missing=$(missing_packages)
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    echo "deps.sh: not root and no sudo; as root, run: apt-get install" \
        "${missing//$'\n'/ }" >&2
    exit 1
fi
install_missing
