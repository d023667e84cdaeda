#!/bin/sh
# SPDX-License-Identifier: MIT
# abi.sh LIBRARY: programs that were linked with the last release run with
# this library, too: nothing is missing, and no public structure or parameter has changed. The
# description of the last release (etc/abi/, one file) was made by
#	tests/abi.sh --record VERSION LIBRARY HEADERS
# which belongs to each release, and removes the one before. Says nothing if all is well.
#
# What is added at the end of a list of functions or enumerators is no break. If a break is
# really wanted, the soname moves with it, so that old programs go on with the old library:
# SONAME in Makefile (libbaton.so.N) and the version's name in server/libbaton.map (BATON_N).
# From then on to the next release nothing is compared, since no program has that soname.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)

if [ "$1" = --record ]; then
	rm -f "$here"/etc/abi/libbaton-*.xml
	mkdir -p "$here/etc/abi"
	exec abidw --exported-interfaces-only --drop-private-types --headers-dir "$4" \
	    --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed \
	    --out-file "$here/etc/abi/libbaton-$2.xml" "$3"
fi
library=$1 last=$(echo "$here"/etc/abi/libbaton-*.xml)

attribute() { # of the description's first element
	sed -n "s/^<abi-corpus .*$1='\([^']*\)'.*/\1/p" "$last"
}
case $(attribute architecture) in
*-"$(uname -m)") ;;
*) exit 0 ;; # it describes the library of another kind of machine
esac
soname=$(readelf -d "$library" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')
[ "$soname" = "$(attribute soname)" ] || exit 0

status=0
report=$(abidiff --no-added-syms "$last" "$library" 2>&1) || status=$?
[ "$status" = 0 ] && exit 0
echo "$report"
echo "$soname is not what programs linked with ${last##*/} expect (abidiff: status $status)."
echo "Undo it, or move the soname: the first comment of tests/abi.sh says how."
exit 1
