#!/bin/sh
# SPDX-License-Identifier: MIT
# The fuzz targets for SOAK_SECONDS (600) each, beginning with what earlier runs have found, and
# random valid requests with another seed each time.
set -u
: "${SOAK_SECONDS:=600}"
status=0
FUZZ_SECONDS=$SOAK_SECONDS "$BATON_BUILD/tests/fuzz/run" || status=1
end=$(($(date +%s) + SOAK_SECONDS))
while [ "$(date +%s)" -lt "$end" ]; do
	seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
	GUARD_SEED=$seed GUARD_ROUNDS=2000 "$BATON_BUILD/tests/server/guard_random" || status=1
done
exit $status
