#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the test programs given, one after the other, and sums up: `N passed, N failed`.
# A program that hangs is ended after TEST_TIMEOUT seconds and counts as failed.
set -u
: "${TEST_TIMEOUT:=300}"
passed=0 failed=0 bad=
for t in "$@"; do
	log=$t.log
	timeout -k 5 "$TEST_TIMEOUT" "$t" >"$log" 2>&1
	status=$?
	ok=$(grep -c '^\[       OK \]' "$log")
	no=$(grep -c '^\[  FAILED  \] [a-zA-Z_]*$' "$log")
	[ "$status" = 0 ] || [ "$no" -gt 0 ] || no=1
	passed=$((passed + ok)) failed=$((failed + no))
	if [ "$status" = 0 ]; then
		echo "ok    $t ($ok tests)"
	else
		echo "FAIL  $t (status $status)"
		cat "$log"
		bad="$bad $t"
	fi
done
[ -z "$bad" ] || echo "failed:$bad"
echo "$passed passed, $failed failed"
[ -z "$bad" ] && [ "$passed" -gt 0 ]
