#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything at once against a server that is drained in the middle, with another seed each time,
# and clients that reset in every phase, for SOAK_SECONDS (600); before it, 10 million hand-outs
# to threads that are preempted anywhere.
. "$(dirname "$0")/steps.sh"
step 'server/ring, 10 million hand-outs' 3600 \
    RING_HAND_OUTS=3400000 "$BATON_BUILD/tests/server/engine/ring"
rounds=0 since=$(now_ms) end=$(($(date +%s) + SOAK_SECONDS))
while [ "$(date +%s)" -lt "$end" ]; do
	seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
	run 300 STRESS_SEED="$seed" "$BATON_BUILD/tests/server/stress"
	run 300 "$BATON_BUILD/tests/server/sched/reset_takeover"
	rounds=$((rounds + 1))
done
passed "server/stress, server/reset_takeover, $rounds rounds" "$since"
