#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the test programs given, TEST_JOBS at a time (as many as there are processors): a line for
# each, with its time, a line for each test that it skipped, with the reason, and what it wrote if
# it failed. Ends with `N passed, N failed`. A program that hangs is told to end (and ends what it
# started) after TEST_TIMEOUT seconds, and counts as failed; so do those that run when this is
# interrupted.
set -u
set -m 2>/dev/null # in the background nothing is to ignore SIGINT: tests send it, too
: "${TEST_TIMEOUT:=300}" "${TEST_JOBS:=$(nproc)}"
passed=0 failed=0 skipped=0 bad=''
declare -A running=() began=() # by pid: the program, and when it was started

interrupted() { # by signal $1: what runs is told to end, and waited for
	local pid
	trap '' HUP INT TERM
	for pid in "${!running[@]}"; do
		kill -TERM "$pid" 2>/dev/null
	done
	for pid in "${!running[@]}"; do
		wait "$pid"
		echo "interrupted: ${running[$pid]}"
	done
	exit $((128 + $1))
}
trap 'interrupted 1' HUP
trap 'interrupted 2' INT
trap 'interrupted 15' TERM

# The tests of which $log says that; cmocka names a failed one again at its end.
names() {
	grep -axE "\[($1)\] [a-zA-Z_][a-zA-Z0-9_]*" "$log" | sed 's/.* //' | sort -u
}
# NAME: REASON for each skipped test. harness_skip writes the reason just before cmocka's line.
skips() {
	awk '/^skip: / { why = substr($0, 7) }
	    /^\[  SKIPPED \] [a-zA-Z_][a-zA-Z0-9_]*$/ && !told[$4]++ {
		print $4 ": " (why ? why : "it does not say why")
		why = ""
	    }' "$log"
}
now_ms() { echo $(($(date +%s%N) / 1000000)); }

start() {
	timeout -k 10 "$TEST_TIMEOUT" "$1" >"$1.log" 2>&1 &
	running[$!]=$1
	began[$!]=$(now_ms)
}

# Waits for one of those that run, and tells how it went.
finish_one() {
	local pid='' status took t log name ok no skip what='' reason
	wait -n -p pid "${!running[@]}" 2>/dev/null
	status=$?
	if [ -z "${pid:-}" ]; then # one has ended already, and the shell has told so on its own
		for pid in "${!running[@]}"; do
			kill -0 "$pid" 2>/dev/null || break
		done
		wait "$pid"
		status=$?
	fi
	t=${running[$pid]}
	took=$(($(now_ms) - began[$pid]))
	unset "running[$pid]" "began[$pid]"
	log=$t.log
	name=${t##*/tests/}
	ok=$(names '       OK ' | wc -l)
	no=$(names '  FAILED  |  ERROR   ' | wc -l)
	skip=$(names '  SKIPPED ' | wc -l)
	[ "$skip" = 0 ] || what=", $skip skipped"
	if [ "$status" = 0 ] && [ "$no" = 0 ] && [ $((ok + skip)) -gt 0 ]; then
		printf 'ok    %-44s %3d tests%s, %d.%03d s\n' "$name" "$ok" "$what" \
		    $((took / 1000)) $((took % 1000))
	else
		[ "$no" -gt 0 ] || no=1
		reason="status $status"
		[ "$status" != 124 ] || reason="not done after $TEST_TIMEOUT s"
		[ "$status" != 0 ] || [ "$ok" -gt 0 ] || reason="it ran no test"
		echo "FAIL  $t ($reason)"
		sed 's/^/      /' "$log"
		bad="$bad $t"
	fi
	skips | sed "s|^|skip  $name: |"
	passed=$((passed + ok)) failed=$((failed + no)) skipped=$((skipped + skip))
}

begin=$(now_ms)
for t in "$@"; do
	[ "${#running[@]}" -lt "$TEST_JOBS" ] || finish_one
	start "$t"
done
while [ "${#running[@]}" -gt 0 ]; do
	finish_one
done
[ "$skipped" = 0 ] || echo "$skipped skipped"
[ -z "$bad" ] || echo "failed:$bad"
took=$(($(now_ms) - begin))
echo "$# programs in $((took / 1000)) s"
echo "$passed passed, $failed failed"
[ -z "$bad" ] && [ "$passed" -gt 0 ]
