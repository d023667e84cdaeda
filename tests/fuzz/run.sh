#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the fuzz targets beside it that are named, or all, for a moment, always the same way; or
# for FUZZ_SECONDS each with another seed every time, after what has failed before. Says how it
# went as a cmocka program does, for tests/run.sh.
set -u
here=$(dirname "$0")
: "${FUZZ_RUNS:=30000}" "${FUZZ_SECONDS:=0}" "${FUZZ_DICT:=tests/fuzz/http.dict}"
# fuzz TARGET WHAT…
fuzz() {
	target=$1
	shift
	"$target" "$@" -dict="$FUZZ_DICT" -max_len=1024 -timeout=10 -verbosity=0 \
	    -print_final_stats=1 -artifact_prefix="$target." 2>&1
}
failed=0
[ $# -gt 0 ] || set -- "$here"/*
for name in "$@"; do
	name=${name##*/}
	case $name in run | *.*) continue ;; esac
	t=$here/$name
	echo "[ RUN      ] $name"
	status=0
	if [ "$FUZZ_SECONDS" -gt 0 ]; then
		mkdir -p "$t.corpus"
		for found in "$t".crash-* "$t".timeout-* "$t".oom-* "$t".leak-*; do
			[ ! -e "$found" ] || fuzz "$t" "$found" || status=1
		done
		[ "$status" != 0 ] ||
		    fuzz "$t" -max_total_time="$FUZZ_SECONDS" "$t.corpus" || status=1
	else
		# not the corpus that grows from one long run to the next
		rm -rf "$t.fresh" && mkdir -p "$t.fresh"
		fuzz "$t" -runs="$FUZZ_RUNS" -seed=1 -max_total_time=20 "$t.fresh" || status=1
	fi
	if [ "$status" = 0 ]; then
		echo "[       OK ] $name"
	else
		echo "[  FAILED  ] $name"
		failed=1
	fi
done
exit $failed
