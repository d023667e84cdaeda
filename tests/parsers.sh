#!/bin/bash
# SPDX-License-Identifier: MIT
# parsers.sh PROGRAM...: runs those of the test programs that serve with every libmicrohttpd that they may meet beside
# the installed one, as the run-time linker finds it there: nothing is built for it. Those are the
# ones of Debian 12 and 13, and the newest. Debian's packages of them are unpacked into the build
# directory by an apt-get with lists of its own, so that the system stays as it is. MHD=FOLDER
# takes the libmicrohttpd.so.12 in that folder instead.
# If they cannot be had, that is a failure, and one line says why.
set -u
here=$(cd "$(dirname "$0")" && pwd)
: "${BATON_BUILD:?}" "${MHD:=}"
packages=$BATON_BUILD/parsers
wanted='libmicrohttpd12/bookworm libmicrohttpd12t64/trixie libmicrohttpd12t64/testing
	libmicrohttpd12t64/sid'

fail() {
	echo "FAIL  test-parsers: $*"
	echo '0 passed, 1 failed'
	exit 1
}

# apt-get with the lines of sources.list below, and nothing that is the system's.
private() {
	apt-get -qq -o Dir::Etc::SourceList="$packages/sources.list" -o Dir::Etc::SourceParts=- \
	    -o Dir::Etc::Preferences=- -o Dir::Etc::PreferencesParts=- -o APT::Default-Release= \
	    -o Dir::State::Lists="$packages/lists" -o Dir::Cache="$packages/cache" \
	    -o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin \
	    -o Acquire::Languages=none -o APT::Sandbox::User="$(id -un)" "$@" >"$packages/log" 2>&1
}
why() { grep -v '^W' "$packages/log" | tail -n 1; }

# The mirror that is configured here, with each suite that is wanted.
sources() {
	local uri key suite signed=
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
	    grep -v security | head -n 1)
	[ -n "$uri" ] || fail 'no mirror of Debian is configured'
	for key in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		[ ! -e "$key" ] || signed="[signed-by=$key] "
	done
	for suite in $wanted; do
		echo "deb $signed$uri ${suite#*/} main"
	done >"$packages/sources.list"
}

# A folder VERSION for each package.
fetch() {
	local deb dir version
	command -v apt-get >/dev/null ||
	    fail 'apt-get is not here; name a folder with another libmicrohttpd.so.12: MHD=FOLDER'
	rm -rf "$packages"
	mkdir -p "$packages/lists/partial" "$packages/cache/archives/partial" "$packages/debs"
	sources
	private update || fail "apt-get update: $(why)"
	# shellcheck disable=SC2086
	(cd "$packages/debs" && private download $wanted) || fail "apt-get download: $(why)"
	for deb in "$packages"/debs/*.deb; do
		version=${deb#*_} dir=$packages/versions/${version%%-*}
		mkdir -p "$dir"
		dpkg-deb -x "$deb" "$dir" || fail "${deb##*/} cannot be unpacked"
	done
	rm -rf "$packages/lists" "$packages/cache"
}

run_with() { # FOLDER
	local dir=$1 loaded
	loaded=$(LD_LIBRARY_PATH=$dir ldd "$BATON_BUILD/hello")
	case $loaded in
	*"$dir/libmicrohttpd.so.12"*) ;;
	*) fail "$dir/libmicrohttpd.so.12 is not what programs take from there: $loaded" ;;
	esac
	LD_LIBRARY_PATH=$dir "$here/run.sh" "${programs[@]}"
}

programs=()
for t in "$@"; do # those that serve, or start a program that does
	case $t in
	*/tests/server/*) readelf -d "$t" | grep -q libmicrohttpd || continue ;;
	*/tests/e2e/handover/*) ;;
	*/tests/e2e/*) grep -q 'tests/harness/hello.h\|"hello"' "$here/e2e/${t#*/tests/e2e/}.c" || continue ;;
	*) continue ;;
	esac
	programs+=("$t")
done
if [ -n "$MHD" ]; then
	run_with "$(realpath "$MHD")"
	exit
fi
[ -d "$packages/versions" ] || fetch
installed=$(pkg-config --modversion libmicrohttpd)
status=0 others=0
for version in $(ls "$packages/versions"); do
	[ "$version" != "$installed" ] || continue
	dir=$(dirname "$(find "$packages/versions/$version" -name libmicrohttpd.so.12)")
	# A newer one may take a newer C library than there is here.
	if ! said=$(LD_BIND_NOW=1 LD_LIBRARY_PATH=$dir "$BATON_BUILD/hello" --help 2>&1); then
		echo "libmicrohttpd $version does not run here: ${said%%$'\n'*}"
		continue
	fi
	echo "== libmicrohttpd $version"
	run_with "$dir" || status=1
	others=$((others + 1))
done
[ "$others" -gt 0 ] || fail "none of $(ls -x "$packages/versions") can be tried beside $installed"
exit "$status"
