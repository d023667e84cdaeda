#!/bin/sh
# SPDX-License-Identifier: MIT
# Sourced by each part of the soak test. What a part runs has a limit of time and a line with
# its time; if it fails, or leaves a process behind, the part ends, with what was written and how
# to run it again. However a part ends, no process of it is left.
# shellcheck shell=sh
set -u
: "${SOAK_SECONDS:=600}"
log=$(mktemp) pid='' mark='' runs=0

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# What lives of the last run: everything it has started inherits its mark.
left_over() {
	[ -z "$mark" ] || grep -lsz "^SOAK_RUN=$mark\$" /proc/[0-9]*/environ | cut -d/ -f3
}

clean_up() {
	if [ -n "$pid" ]; then
		kill -TERM "$pid" 2>/dev/null
		wait "$pid"
	fi
	for p in $(left_over); do
		kill -KILL "$p" 2>/dev/null
	done
	rm -f "$log"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# run LIMIT_S [VARIABLE=value …] PROGRAM [ARGUMENT …]
run() {
	limit=$1
	shift
	runs=$((runs + 1)) mark=$$.$runs
	# Waited for in the background, or a signal would be looked at only when it has ended.
	SOAK_RUN=$mark timeout -k 10 "$limit" env BATON_BUILD="$BATON_BUILD" "$@" >"$log" 2>&1 &
	pid=$!
	wait "$pid"
	status=$?
	pid=''
	reason="it ended with status $status"
	[ "$status" != 124 ] || reason="it was not done after $limit s"
	for p in $(left_over); do
		reason="$reason, and left a process: $p, $(cat "/proc/$p/comm" 2>/dev/null)"
		status=1
	done
	[ "$status" != 0 ] || return 0
	echo "FAIL  $reason"
	sed 's/^/      /' "$log"
	echo "again: BATON_BUILD=$BATON_BUILD $*"
	exit 1
}

# passed NAME SINCE_MS: the line for what has run since then.
passed() {
	took=$(($(now_ms) - $2))
	printf 'ok    %-44s %d.%03d s\n' "$1" $((took / 1000)) $((took % 1000))
}

# step NAME LIMIT_S …: one run, and its line.
step() {
	name=$1 since=$(now_ms)
	shift
	run "$@"
	! grep -q '  SKIPPED ' "$log" || name="$name (not all of it)"
	passed "$name" "$since"
}
