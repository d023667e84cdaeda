#!/bin/bash
# SPDX-License-Identifier: MIT
# Everything about the sources that a machine can judge. `make lint` calls it with the flags
# that the build uses; each check is one line, followed by what it found if it failed.
set -u
cd "$(dirname "$0")/.."
flags=("$@")
jobs=$(nproc)
passed=0 failed=0
for flag in "${flags[@]}"; do
	case $flag in -I*/include) build=${flag#-I} && build=${build%/include} ;; esac
done
report=$(mktemp)
trap 'rm -f "$report"' EXIT

list() { # of the files that git knows, those that match: list '*.c' '*.h'
	git -c safe.directory='*' ls-files -- "$@"
}
each() { # runs a command for each file named on stdin, several at a time
	xargs -r -d '\n' -P "$jobs" -n 1 "$@"
}

formatted() {
	list '*.c' '*.h' | xargs -r -d '\n' -P "$jobs" -n 16 clang-format --dry-run -Werror
}
compiles_with_gcc() {
	list '*.c' | each gcc "${flags[@]}" -Werror -c -o /dev/null
}
compiles_with_clang() {
	list '*.c' | each clang "${flags[@]}" -Werror -fsyntax-only
}
binary_interface() {
	tests/abi.sh "$(realpath "$build/libbaton.so")"
}
# .clang-tidy says which checks, and why. The analyser does not know that cmocka's assertions
# end a test, so tests are looked at without it.
tidy() {
	xargs -r -d '\n' -P "$jobs" -I '{}' clang-tidy --quiet "$@" '{}' -- "${flags[@]}" 2>/dev/null
}
static_analysis() {
	list '*.c' ':!tests' | tidy
	list 'tests/*.c' | tidy --checks='-clang-analyzer-*'
}

# What a user's compiler sees, from another language and with all that it can complain about.
public_headers() {
	local dir=$build/include include
	for h in "$dir"/baton/*.h; do
		include="#include <baton/${h##*/}>"
		for cc in gcc clang; do
			echo "$include" | $cc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$dir" \
			    -fsyntax-only -xc - || echo "$h: not C11 for $cc"
		done
		for cc in g++ clang++; do
			echo "$include" | $cc -std=c++11 -Wall -Wextra -Werror -I"$dir" \
			    -fsyntax-only -xc++ - || echo "$h: not C++11 for $cc"
		done
	done
}
manual_pages() {
	list 'etc/*.[1-9]' | xargs -r -d '\n' mandoc -T lint -W warning
}
scripts() {
	local f
	bash -n etc/completion/baton
	for f in $(list '*.sh' '.ci/run'); do
		case $(head -n 1 "$f") in
		'#!/bin/sh') sh -n "$f" ;;
		'#!/bin/bash') bash -n "$f" ;;
		*) echo "$f: starts with neither #!/bin/sh nor #!/bin/bash" ;;
		esac
		[ -x "$f" ] || echo "$f: not executable"
	done
}
licence_lines() {
	list '*.c' '*.h' '*.sh' '*.py' '*.go' '.ci/*' 'etc/completion/*' Makefile | while read -r f; do
		head -n 3 "$f" | grep -q 'SPDX-License-Identifier: MIT' ||
		    echo "$f: no line 'SPDX-License-Identifier: MIT' at its top"
	done
	list '*.c' '*.h' | while read -r f; do
		[ "$(sed -n 2p "$f")" != '' ] && sed -n 2p "$f" | grep -q '^/\*' ||
		    echo "$f: line 2 is not the comment that says what the file is for"
	done
}
top_level() {
	list | sed 's|/.*||' | sort -u | grep -v '^\.' |
	    grep -vxE 'Makefile|README\.md|ctx|server|supervisor|tests|etc' |
	    sed 's/$/: does not belong at the top level/'
}
# The rest of the library and every handler see baton's own types only.
one_user_of_microhttpd() {
	[ "$(list 'server/*.[ch]' | xargs -r grep -l '<microhttpd\.h>' | wc -l)" -le 1 ] ||
	    list 'server/*.[ch]' | xargs -r grep -n '<microhttpd\.h>'
	list 'ctx/*' 'supervisor/*' 'tests/*.[ch]' | grep -v '^tests/bench/' |
	    xargs -r grep -n '<microhttpd\.h>'
	list 'server/*.[ch]' | grep -v '^server/wire/' | xargs -r grep -n '"server/wire/parser\.h"'
	list 'supervisor/*.[ch]' | xargs -r grep -nE '["<](baton|ctx)/|"server/[a-z/]+\.h"'
	list 'ctx/*.[ch]' | xargs -r grep -nE '["<](baton/http|server|supervisor)'
}

# The folders and who may use whom.
arrows() {
	python3 tests/arrows.py "$build/obj"
}
skips_say_why() {
	list 'tests/*.[ch]' | xargs -r grep -nE '\<skip\(\)' |
	    sed 's/$/ (harness_skip takes the reason)/'
}

check() { # a check passes if it writes nothing
	"$1" >"$report" 2>&1
	if [ -s "$report" ]; then
		failed=$((failed + 1))
		echo "FAIL  ${1//_/ }"
		sed 's/^/      /' "$report" | head -n 200
	else
		passed=$((passed + 1))
		echo "ok    ${1//_/ }"
	fi
}
for c in formatted compiles_with_gcc compiles_with_clang static_analysis public_headers \
    binary_interface manual_pages scripts licence_lines top_level one_user_of_microhttpd arrows skips_say_why; do
	check "$c"
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
