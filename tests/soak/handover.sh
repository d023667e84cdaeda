#!/bin/sh
# SPDX-License-Identifier: MIT
# Handovers on end: 1000 restarts under numbered requests, and as many connections at once as the
# limit of descriptors allows, 20 000 at the most.
. "$(dirname "$0")/steps.sh"
n=20000
# shellcheck disable=SC3045 # dash and bash have it
hard=$(ulimit -Hn)
if [ "$hard" != unlimited ] && [ "$hard" -lt $((n + 200)) ]; then
	n=$((hard - 200))
	echo "the limit of descriptors is $hard: $n connections in place of 20000"
fi
step 'e2e/handover_numbered, 1000 restarts' 3600 \
    HANDOVER_RESTARTS=1000 "$BATON_BUILD/tests/e2e/handover/handover_numbered"
step "e2e/handover_many, 20 times $n" 3600 \
    HANDOVER_CONNECTIONS="$n" HANDOVER_ROUNDS=20 "$BATON_BUILD/tests/e2e/handover/handover_many"
