#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every fuzz target beside it for a moment, always the same way, or for FUZZ_SECONDS each
# with another seed every time. Says how it went as a cmocka program does, for tests/run.sh.
set -u
here=$(dirname "$0")
: "${FUZZ_RUNS:=30000}" "${FUZZ_SECONDS:=0}" "${FUZZ_DICT:=tests/fuzz/http.dict}"
failed=0
for t in "$here"/*; do
	name=${t##*/}
	case $name in run | *.*) continue ;; esac
	[ -x "$t" ] || continue
	corpus=$t.corpus
	mkdir -p "$corpus"
	if [ "$FUZZ_SECONDS" -gt 0 ]; then
		set -- -max_total_time="$FUZZ_SECONDS"
	else
		rm -rf "$corpus" && mkdir -p "$corpus"
		set -- -runs="$FUZZ_RUNS" -seed=1 -max_total_time=20
	fi
	echo "[ RUN      ] $name"
	if "$t" "$@" -dict="$FUZZ_DICT" -max_len=1024 -timeout=10 -verbosity=0 \
	    -print_final_stats=1 -artifact_prefix="$t." "$corpus" 2>&1; then
		echo "[       OK ] $name"
	else
		echo "[  FAILED  ] $name"
		failed=1
	fi
done
exit $failed
