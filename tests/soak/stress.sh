#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything at once against a server that is drained in the middle, and clients that reset in
# every phase, for SOAK_SECONDS (600), with another seed each time. What failed can be repeated
# with the STRESS_SEED that its output names.
set -u
: "${SOAK_SECONDS:=600}"
status=0 rounds=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
end=$(($(date +%s) + SOAK_SECONDS))
while [ "$(date +%s)" -lt "$end" ]; do
	for t in stress reset_takeover; do
		if ! timeout -k 10 300 "$BATON_BUILD/tests/server/$t" >"$log" 2>&1; then
			sed 's/^/      /' "$log"
			status=1
		fi
	done
	rounds=$((rounds + 1))
done
echo "$rounds rounds of stress"
exit $status
