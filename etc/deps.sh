#!/bin/sh
# SPDX-License-Identifier: MIT
# Sees to it that what the groups named need (see etc/packages) is here. With apt-get and the
# right to use it, what is missing is installed. Elsewhere what is missing is looked for itself,
# by pkg-config, the compiler and PATH, and told with the names of the packages that have it.
# Says nothing, and needs no rights, when nothing is missing.
set -eu
: "${CC:=cc}"
list=$(dirname "$0")/packages

# The columns of the groups named, one package a line: column N...
rows() {
	awk -v groups=" $groups " -v columns="$*" 'index(groups, " " $1 " ") && $1 !~ /^#/ {
		n = split(columns, c, " ")
		for (i = 1; i <= n; i++) printf "%s%s", $c[i], i < n ? " " : "\n"
	}' "$list" | sort -u
}
have() { command -v "$1" >/dev/null 2>&1; }

missing_packages() {
	rows 2 | while read -r p; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed ||
		    echo "$p"
	done
}

# found KIND:WHAT[:VERSION]: or says what was not found.
found() {
	what=${1#*:}
	case $1 in
	bin:*) have "$what" || echo "the program $what" ;;
	inc:*) echo "#include <$what>" | "$CC" -E -x c - >/dev/null 2>&1 || echo "the header $what" ;;
	san:*)
		echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
		    clang -fsanitize="$what" -x c -o /dev/null - >/dev/null 2>&1 ||
		    echo "clang's run-time library for -fsanitize=$what"
		;;
	pkg:*:*)
		pkg-config --atleast-version="${what#*:}" "${what%:*}" 2>/dev/null ||
		    echo "${what%:*} ${what#*:} or later, by pkg-config (it finds" \
			"$(pkg-config --modversion "${what%:*}" 2>/dev/null || echo none))"
		;;
	pkg:*) pkg-config --exists "$what" 2>/dev/null || echo "$what, by pkg-config" ;;
	esac
}

# The line to type for each package manager that is here, or for all that are known of.
how_to_install() {
	managers=''
	for m in apt-get dnf pacman apk; do
		! have "$m" || managers="$managers $m"
	done
	for m in ${managers:-dnf pacman apk}; do
		case $m in
		apt-get) column=2 add=install ;;
		dnf) column=4 add=install ;;
		pacman) column=5 add=-S ;;
		apk) column=6 add=add ;;
		esac
		names=$(rows 3 $column | while read -r by name; do
			case " $missing " in *" $by "*) [ "$name" = - ] || echo "$name" ;; esac
		done | sort -u | tr '\n' ' ')
		[ -z "$names" ] || echo "deps:   $m $add ${names% }"
	done
}

# tell_what_is_missing HEADING_OF_THE_LINES_TO_TYPE: and ends. What no package is known for is not waited for.
tell_what_is_missing() {
	missing=''
	for by in $(rows 3); do
		without=$(found "$by")
		[ -n "$without" ] || continue
		missing="$missing $by"
		echo "deps: not found: $without"
	done
	[ -n "$missing" ] || exit 0
	lines=$(how_to_install)
	if [ -z "$lines" ]; then
		echo "deps: no package of this system is known to have it; what needs it is left out"
		exit 0
	fi
	echo "deps: $1"
	echo "$lines"
	exit 1
} >&2

groups=$*
# Two steps of one make may ask at the same time.
exec 9<"$list"
! have flock || flock 9
have apt-get && have dpkg-query || tell_what_is_missing \
    "apt-get is not here; this is how it is installed:"
missing=$(missing_packages | tr '\n' ' ')
missing=${missing% }
[ -n "$missing" ] || exit 0
as_root=
if [ "$(id -u)" != 0 ]; then
	as_root=sudo
	have sudo || tell_what_is_missing "run this as root, or with sudo installed: make deps"
fi
echo "deps: installing $missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { $as_root apt-get update && # shellcheck disable=SC2086
    $as_root apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 9<&-; then
	cat "$log" >&2
	echo "deps: apt-get failed; nothing is built without these packages" >&2
	exit 1
fi
