#!/bin/sh
# SPDX-License-Identifier: MIT
# How much do the tests see? A sample of mutants of ctx/, server/ and supervisor/ (a comparison
# turned round, a condition joined the other way, a call dropped), one at a time, in a copy of the
# tree below $BATON_BUILD. Those that no test kills are named: each asks for a test, or for less
# code, or for a line in mutants.argued that says why nobody could tell. Fails if fewer than 95 of
# 100 are killed. What does not compile, or compiles to the same code, is left out.
#
#	MUTANTS=100	so many at the most, but none is begun after SOAK_SECONDS (600)
#	SEED=n		the same sample again, as long as the sources are the same
#	FILES='a.c b.c'	of these files only
#	VERBOSE=1	one line for each mutant, with the test that has killed it
set -eu
: "${SOAK_SECONDS:=600}"
export SOAK_SECONDS
exec python3 "$(dirname "$0")/mutants.py"
