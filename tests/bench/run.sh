#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the measurements given, programs and scripts, one after the other. Each says by itself
# what it leaves out because a peer is not installed. BENCH='ctx http' runs only those of these
# names; the long ones run only if they are named, or with BENCH=all.
set -u
long='restart crowd'
failed=
for program in "$@"; do
	name=${program##*/}
	name=${name%.*}
	case " ${BENCH:-} " in
	"  ") case " $long " in *" $name "*)
		echo "---- $name: takes minutes, skipped; BENCH=$name runs it"
		continue ;;
	esac ;;
	*" all "* | *" $name "*) ;;
	*) continue ;;
	esac
	case $program in
	*.py) runner=python3 ;;
	*) runner= ;;
	esac
	if [ -n "$runner" ] && ! command -v "$runner" >/dev/null; then
		echo "---- $name: $runner is not installed, skipped"
		continue
	fi
	echo "---- $name"
	$runner "$program" || failed="$failed $name"
done
[ -z "$failed" ] || echo "failed:$failed"
[ -z "$failed" ]
