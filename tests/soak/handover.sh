#!/bin/sh
# SPDX-License-Identifier: MIT
# Handovers on end: 1000 restarts under numbered requests, and as many connections at once as the
# limit of descriptors allows, 20 000 at the most.
set -u
status=0
n=20000
hard=$(ulimit -Hn)
if [ "$hard" != unlimited ] && [ "$hard" -lt $((n + 200)) ]; then
	n=$((hard - 200))
	echo "the limit of descriptors is $hard: $n connections in place of 20000"
fi
HANDOVER_RESTARTS=1000 "$BATON_BUILD/tests/e2e/handover_numbered" || status=1
HANDOVER_CONNECTIONS=$n HANDOVER_ROUNDS=20 "$BATON_BUILD/tests/e2e/handover_many" || status=1
exit $status
