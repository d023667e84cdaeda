#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the soak tests beside it one after the other. Each is a script that ends with status 0 if
# all is well; BATON_BUILD is where everything was built, SOAK_SECONDS how long each should take.
set -u
passed=0 failed=0
for t in "$(dirname "$0")"/*.sh; do
	[ "${t##*/}" != run.sh ] || continue
	echo "== ${t##*/}"
	if "$t"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL  $t"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
