#!/bin/sh
# SPDX-License-Identifier: MIT
# Each bad day of the supervisor 20 times, then each single allocation fails once, and 1000
# restarts of all instances under load, after which nothing may have grown.
. "$(dirname "$0")/steps.sh"
for t in "$BATON_BUILD"/tests/e2e/*/bad_days_*; do
	case $t in *.log) continue ;; esac
	since=$(now_ms) round=1
	while [ "$round" -le 20 ]; do
		# another part of all allocations each time
		run 600 BAD_DAYS_STRIDE=$((30 + round)) "$t"
		round=$((round + 1))
	done
	passed "e2e/${t##*/}, 20 rounds" "$since"
done
# Without the preloaded library, as with a sanitizer, they have nothing to do.
for t in bad_days_faults bad_days_memory; do
	step "e2e/$t, each allocation" 3600 BAD_DAYS_STRIDE=1 "$BATON_BUILD/tests/e2e/$t"
done
step 'e2e/restart_flat, 1000 restarts' 3600 \
    BAD_DAYS_RESTARTS=1000 "$BATON_BUILD/tests/e2e/deploy/restart_flat"
