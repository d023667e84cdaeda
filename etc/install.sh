#!/bin/sh
# SPDX-License-Identifier: MIT
# install.sh install|uninstall BUILD SONAME HEADER...: what `make install` and `make uninstall`
# do, with DESTDIR, PREFIX and VERSION from the environment. One list serves both, so that
# uninstall removes exactly what install has put there (and directories that it leaves empty,
# of those that are baton's own).
set -eu
cd "$(dirname "$0")/.."
action=$1 build=$2 soname=$3
shift 3
: "${DESTDIR=}" "${PREFIX:=/usr/local}" "${VERSION:?}"
root=$DESTDIR$PREFIX

# each ACTION calls ACTION MODE SOURCE TARGET for each file
each() {
	"$1" 755 "$build/baton" bin/baton
	"$1" 644 "$build/libbaton.a" lib/libbaton.a
	"$1" 755 "$build/$soname" "lib/$soname"
	"$1" link "$soname" lib/libbaton.so
	"$1" pc etc/baton.pc.in lib/pkgconfig/baton.pc
	for f in $headers; do
		"$1" 644 "$f" "include/baton/${f##*/}"
	done
	for f in etc/man/*.[1-9]; do
		[ ! -e "$f" ] || "$1" 644 "$f" "share/man/man${f##*.}/${f##*/}"
	done
	"$1" 644 etc/completion/baton share/bash-completion/completions/baton
	"$1" unit etc/systemd/baton.service lib/systemd/system/baton.service
	for f in etc/systemd/baton.socket etc/guides/*; do
		[ ! -e "$f" ] || "$1" 644 "$f" "share/doc/baton/${f##*/}"
	done
}
put() {
	mkdir -p "$root/$(dirname "$3")"
	case $1 in
	link) ln -sf "$2" "$root/$3" ;;
	pc)
		sed "s|@PREFIX@|$PREFIX|; s|@VERSION@|$VERSION|" "$2" >"$root/$3"
		chmod 644 "$root/$3"
		;;
	unit)
		sed "s|/usr/local/|$PREFIX/|" "$2" >"$root/$3"
		chmod 644 "$root/$3"
		;;
	*) install -m "$1" "$2" "$root/$3" ;;
	esac
	echo "$root/$3"
}
remove() {
	rm -f "$root/$3"
}

headers=$*
case $action in
install) each put ;;
uninstall)
	each remove
	rmdir "$root/include/baton" "$root/share/doc/baton" 2>/dev/null || :
	;;
*)
	echo "install.sh: what is '$action'?" >&2
	exit 2
	;;
esac
# The run-time linker must learn of the library; a packager's DESTDIR is not this machine's.
if [ -z "$DESTDIR" ] && [ "$(id -u)" = 0 ]; then
	ldconfig
fi
