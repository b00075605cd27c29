#!/bin/sh
# run.sh [DRIVER...]: every container runtime against everything a container with a POG must show; TAP as it goes, one table at the end.
#
# Needs root, a built dist/ and Debian's packages (install-packages.sh gets them). Each runtime has two containers, A and B, started
# through the wrapper or hook that a user would have; what is checked is in checks.sh, how each runtime is driven in drivers.sh.
# What a machine lacks is skipped and said. The table goes to docs/runtimes.md with WRITE=1. Everything is removed at the end.

set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/test/runtimes
export top here
cd "$top" || exit 1
[ "$(id -u)" -eq 0 ] || { echo "1..0 # SKIP test-runtimes needs root"; exit 0; }

work=$(mktemp -d "${TMPDIR:-/tmp}/pogs-runtimes-XXXXXX")
run=$work/run
tag=$(basename "$work" | sed 's/.*-//')
export work run tag
passed=0 failed=0 skipped=0 number=0
results=$work/results
: >"$results"

. "$here/drivers.sh"
. "$here/checks.sh"

pogctl() { "$top/dist/bin/pogctl" --run-dir "$run" "$@"; }

service=
finish() {
	trap - EXIT INT TERM
	for name in $drivers; do [ ! -e "$work/up-$name" ] || "${name}_down" >/dev/null 2>&1; done
	if [ "$service" ]; then
		kill "$service" 2>/dev/null
		wait "$service" 2>/dev/null
	fi
	drop_hugetlb
	# Whatever still is mounted below must not be deleted through.
	awk -v work="$work/" 'index($5, work) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r point; do
		umount -l "$point" 2>/dev/null
	done
	rm -rf --one-file-system "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# note RESULT DRIVER CHECK [REASON]: one line of TAP, and a cell of the table.
note() {
	number=$((number + 1))
	case $1 in
	ok) passed=$((passed + 1)) && echo "ok $number - $2: $3" ;;
	skip) skipped=$((skipped + 1)) && echo "ok $number - $2: $3 # SKIP $4" ;;
	*)
		failed=$((failed + 1))
		echo "not ok $number - $2: $3"
		sed 's/^/# /' "$work/said"
		;;
	esac
	echo "$2 $3 $1" >>"$results"
}

echo 'TAP version 13'
sh "$here/install-packages.sh"
make_rootfs "$work/rootfs" || { echo "Bail out! Cannot make a root file system: no busybox-static"; exit 1; }

mkdir "$work/etc"
# Nothing is kept of a container that is gone, so that what is left is a leak.
printf 'retain-count = 0\n' >"$work/etc/pogs.conf"
"$top/dist/bin/pogshim" --run-dir "$run" --etc-dir "$work/etc" >"$work/pogshim.log" 2>&1 &
service=$!
tries=0
until [ -e "$run/host/ctl" ] && pogctl ls >/dev/null 2>&1; do
	tries=$((tries + 1))
	if [ $tries -gt 100 ] || ! kill -0 "$service" 2>/dev/null; then
		sed 's/^/# /' "$work/pogshim.log"
		echo 'Bail out! pogshim does not start'
		exit 1
	fi
	sleep 0.1
done

chosen=$*
for driver in ${chosen:-$drivers}; do
	if ! reason=$("${driver}_missing"); then
		for check in $checks; do note skip "$driver" "$check" "$reason"; done
		continue
	fi
	touch "$work/up-$driver"
	: >"$work/said"
	if "${driver}_up" >"$work/said" 2>&1 && start_both "$driver" >>"$work/said" 2>&1; then
		for check in $checks; do
			[ "$check" != frees ] || continue
			if "check_$check" "$driver" >"$work/said" 2>&1; then note ok "$driver" "$check"; else note failed "$driver" "$check"; fi
		done
		if check_frees "$driver" >"$work/said" 2>&1; then note ok "$driver" frees; else note failed "$driver" frees; fi
	else
		for check in $checks; do
			note failed "$driver" "$check"
			echo 'not started' >"$work/said"
		done
	fi
	"${driver}_down" >/dev/null 2>&1
	rm -f "$work/up-$driver"
done

echo "1..$number"
echo "# tests $number"
echo "# pass $passed"
echo "# fail $failed"
echo "# skip $skipped"
sh "$here/table.sh" "$results" "$checks" | tee "$work/table" | sed 's/^/# /'
if [ "${WRITE:-}" ] && [ ! "$chosen" ]; then
	awk -v table="$work/table" '
		/<!-- table: begin/ { print; while ((getline line <table) > 0) print line; skip = 1; next }
		/<!-- table: end/ { skip = 0 }
		!skip' docs/runtimes.md >"$work/doc" && cat "$work/doc" >docs/runtimes.md
fi
[ "$failed" -eq 0 ]
