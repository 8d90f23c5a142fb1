#!/usr/bin/env bash
# Installs the Debian packages named as arguments that are missing; what cannot be had is said, and left out.
set -u

declare -A program=([redis-server]=redis-server [postgresql]=postgres [nginx]=nginx [wrk]=wrk [curl]=curl)
PATH=$PATH:/usr/sbin:$(printf '%s:' /usr/lib/postgresql/*/bin)

is_there() {
    command -v "${program[$1]:-no-such-program}" || dpkg-query --show --showformat='${db:Status-Status}' "$1" | grep -qx installed
} >/dev/null 2>&1

missing() {
    for package in "$@"; do
        is_there "$package" || echo "$package"
    done
}

# Debian's packages start their services when they are installed; a test starts its own, on a port of its own.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    DEBIAN_FRONTEND=noninteractive "$@"
}

mapfile -t wanted < <(missing "$@")
if [ ${#wanted[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${wanted[*]}" >&2
    apt-get update -qq && without_services apt-get install -qq -y --no-install-recommends "${wanted[@]}" >/dev/null
fi
for package in $(missing "$@"); do
    echo "!! not installed: $package. What needs it is skipped or fails; as root: apt-get install $package" >&2
done
