#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the parts of the soak test one after the other, up to the first that fails. BATON_BUILD is
# where everything was built, SOAK_SECONDS (600) how long what goes by the clock should take.
set -u
: "${SOAK_SECONDS:=600}"
export SOAK_SECONDS
here=$(dirname "$0") pid=''
# A part ends what it has started.
forward() {
	[ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null
	wait
	exit "$1"
}
trap 'forward 129' HUP
trap 'forward 130' INT
trap 'forward 143' TERM
begin=$(date +%s) parts=0
for part in fuzz handover stress bad_days mutants; do
	start=$(date +%s)
	echo "== $part"
	"$here/$part.sh" &
	pid=$!
	if ! wait "$pid"; then
		echo "FAIL  $part, after $(($(date +%s) - start)) s; the whole part again:"
		echo "      BATON_BUILD=$BATON_BUILD SOAK_SECONDS=$SOAK_SECONDS $here/$part.sh"
		exit 1
	fi
	pid=''
	echo "ok    $part, $(($(date +%s) - start)) s"
	parts=$((parts + 1))
done
echo "$parts parts passed in $(($(date +%s) - begin)) s"
