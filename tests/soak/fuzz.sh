#!/bin/sh
# SPDX-License-Identifier: MIT
# The fuzz targets for SOAK_SECONDS (600) each, beginning with what earlier runs have found, and
# random valid requests with another seed each time.
. "$(dirname "$0")/steps.sh"
for t in "$BATON_BUILD"/tests/fuzz/*; do
	name=${t##*/}
	case $name in run | *.*) continue ;; esac
	[ -x "$t" ] || continue
	step "fuzz/$name" $((SOAK_SECONDS * 2 + 120)) \
	    FUZZ_SECONDS="$SOAK_SECONDS" "$BATON_BUILD/tests/fuzz/run" "$name"
done
seeds=0 since=$(now_ms) end=$(($(date +%s) + SOAK_SECONDS))
while [ "$(date +%s)" -lt "$end" ]; do
	seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
	run 600 GUARD_SEED="$seed" GUARD_ROUNDS=2000 "$BATON_BUILD/tests/server/wire/guard_random"
	seeds=$((seeds + 1))
done
passed "server/guard_random, $seeds seeds" "$since"
