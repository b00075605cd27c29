#!/bin/sh
# Gets what the benchmarks measure against: a C compiler, libfuse 3 and the syslog daemons of Debian. The daemons conflict
# with each other as packages, so they are unpacked side by side below bench/build/peers/ instead of being installed.
# Nothing here is needed to run POGs; a peer that cannot be had only skips its rows.
set -eu
cd "$(dirname "$0")"
mkdir -p build/peers build/debs

missing=
for package in gcc libc6-dev pkg-config fuse3 libfuse3-dev; do
	dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
if [ -n "$missing" ]; then
	apt-get update -q || true
	# shellcheck disable=SC2086
	apt-get install -y --no-install-recommends $missing
fi

# unpack NAME PACKAGE: the package and what it depends on that is not installed, into build/peers/NAME
unpack() {
	[ -e "build/peers/$1/.complete" ] && return 0
	rm -rf "build/debs/$1" "build/peers/$1"
	mkdir -p "build/debs/$1" "build/peers/$1"
	packages=$(apt-get install -s --no-install-recommends "$2" | sed -n 's/^Inst \([^ ]*\).*/\1/p')
	# shellcheck disable=SC2086
	(cd "build/debs/$1" && apt-get download ${packages:-$2})
	for deb in "build/debs/$1"/*.deb; do
		dpkg-deb -x "$deb" "build/peers/$1"
	done
	touch "build/peers/$1/.complete"
}

status=0
for pair in busybox:busybox-static rsyslog:rsyslog syslog-ng:syslog-ng-core; do
	unpack "${pair%%:*}" "${pair#*:}" || {
		echo "install-packages: ${pair%%:*} is not available here; its rows will be skipped" >&2
		status=1
	}
done

# fuse-native: its prebuilt binding for x86-64 loads libfuse 2 by a name that its own package does not install it under.
if [ ! -e build/fuse-native/.complete ]; then
	rm -rf build/fuse-native
	mkdir -p build/fuse-native/lib
	if npm install --prefix build/fuse-native --no-save --no-package-lock --ignore-scripts --no-audit --no-fund fuse-native@2.2.6; then
		ln -s ../node_modules/fuse-shared-library-linux/libfuse/lib/libfuse.so build/fuse-native/lib/libfuse.so.2
		touch build/fuse-native/.complete
	else
		echo "install-packages: fuse-native is not available here; its rows will be skipped" >&2
		status=1
	fi
fi
exit "$status"
