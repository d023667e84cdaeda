#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages of the groups named (see etc/packages) that are missing;
# says nothing and needs no rights when none is.
set -eu
list=$(dirname "$0")/packages
missing=
for group in "$@"; do
	for p in $(awk -v g="$group" '$1 == g { print $2 }' "$list"); do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed ||
		    missing="$missing $p"
	done
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
	echo "deps: not a Debian system; install the equivalents of:$missing" >&2
	exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps: missing:$missing; run 'make deps' as root" >&2
		exit 1
	fi
	as_root=sudo
fi
echo "deps: installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { $as_root apt-get update && # shellcheck disable=SC2086
    $as_root apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
	cat "$log" >&2
	echo "deps: apt-get failed; nothing is built without these packages" >&2
	exit 1
fi
