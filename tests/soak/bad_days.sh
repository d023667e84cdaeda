#!/bin/sh
# SPDX-License-Identifier: MIT
# Each bad day of the supervisor 20 times, and 1000 restarts of all instances under load, after
# which nothing may have grown.
set -u
status=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for t in "$BATON_BUILD"/tests/e2e/bad_days_*; do
	case $t in *.log) continue ;; esac
	for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		# another part of all allocations each time
		if ! BAD_DAYS_STRIDE=$round timeout -k 10 600 "$t" >"$log" 2>&1; then
			echo "${t##*/}, round $round:"
			sed 's/^/      /' "$log"
			status=1
		fi
	done
	echo "${t##*/}: 20 rounds"
done
BAD_DAYS_RESTARTS=1000 timeout -k 10 3600 "$BATON_BUILD/tests/e2e/restart_flat" || status=1
exit $status
