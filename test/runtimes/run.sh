#!/bin/sh
# run.sh [DRIVER...]: every container runtime against everything a container with a POG must show; TAP as it goes, tables at the end.
#
# Needs root, a built dist/ and Debian's packages (install-packages.sh gets them). Each runtime has two containers, A and B, started
# through the wrapper or hook that a user would have; what is checked is in checks.sh, how each runtime is driven in drivers.sh. Then there
# are systemd as the first process (systemd.sh) and daemons at work (workloads.sh). Runtimes run side by side in lanes.
# What a machine lacks is skipped and said. The tables go to docs/runtimes.md with WRITE=1. Everything is removed at the end.

set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
here=$top/test/runtimes
export top here
cd "$top" || exit 1
[ "$(id -u)" -eq 0 ] || { echo "1..0 # SKIP test-runtimes needs root"; exit 0; }

work=$(mktemp -d "${TMPDIR:-/tmp}/pogs-runtimes-XXXXXX")
chmod 711 "$work"
run=$work/run
tag=$(basename "$work" | sed 's/.*-//')
export work run tag
passed=0 failed=0 skipped=0 number=0

. "$here/drivers.sh"
. "$here/checks.sh"

# A lane's drivers share files or a daemon, so they take turns.
lanes='docker,workload_docker,containerd podman_runc,podman_crun,podman_hooks,podman_CDI,systemd_podman runc,crun,workload_runc,lxc nspawn,unshare,systemd_nspawn,rootless,rootless_runc'

# Of the rootless one's service as its user: nobody else may ask it.
pogctl() {
	case ${driver:-} in
	rootless*) rootless_ unshare "$top/dist/bin/pogctl" --run-dir "$run" "$@" ;;
	*) "$top/dist/bin/pogctl" --run-dir "$run" "$@" ;;
	esac
}

service='' lane_jobs=''
finish() {
	trap - EXIT INT TERM
	for job in $lane_jobs; do kill "$job" 2>/dev/null; done
	for job in $lane_jobs; do wait "$job" 2>/dev/null; done
	if [ "$service" ]; then
		kill "$service" 2>/dev/null
		wait "$service" 2>/dev/null
	fi
	# Whatever still is mounted below must not be deleted through.
	awk -v work="$work/" 'index($5, work) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r point; do
		umount -l "$point" 2>/dev/null
	done
	rm -rf --one-file-system "$work"
}

# start_service RUN ETC: pogshim, its process in $started; fails when it does not come up.
start_service() {
	mkdir -p "$2"
	# Nothing is kept of a container that is gone, so that what is left is a leak.
	printf 'retain-count = 0\n' >"$2/pogs.conf"
	"$top/dist/bin/pogshim" --run-dir "$1" --etc-dir "$2" >"$1.log" 2>&1 &
	started=$!
	await_service "$1" "$started"
}

# await_service RUN PID
await_service() {
	tries=0
	until [ -e "$1/host/ctl" ] && "$top/dist/bin/pogctl" --run-dir "$1" ls >/dev/null 2>&1; do
		tries=$((tries + 1))
		if [ $tries -gt 100 ] || ! kill -0 "$2" 2>/dev/null; then
			sed 's/^/# /' "$1.log"
			return 1
		fi
		sleep 0.1
	done
}

# result RESULT CHECK [REASON]: to this driver's results; of a failure what was said, too.
result() {
	echo "$1 $2 ${3:-}" >>"$mine/results"
	[ "$1" != failed ] || tail -n 40 "$mine/said" | sed 's/^/# /' >"$mine/said-$2"
}

# drive DRIVER: all of its checks, in a shell of its own.
drive() {
	driver=$1
	mine=$work/on-$driver
	export mine
	mkdir "$mine"
	: >"$mine/said"
	wanted=$(checks_of "$driver")
	if ! reason=$("${driver}_missing"); then
		for check in $wanted; do result skip "$check" "$reason"; done
		return
	fi
	trap '"${driver}_down" >/dev/null 2>&1' EXIT
	trap 'exit 130' INT TERM
	if ! { "${driver}_up" && "$(start_of "$driver")" "$driver"; } >"$mine/said" 2>&1; then
		for check in $wanted; do
			result failed "$check"
			echo 'not started' >"$mine/said"
		done
		return
	fi
	for check in $wanted; do
		if "check_$(echo "$check" | tr - _)" "$driver" >"$mine/said" 2>&1; then result ok "$check"; else result failed "$check"; fi
	done
}

# report DRIVER: its results as TAP, and counted.
report() {
	mine=$work/on-$1
	while read -r result check reason; do
		number=$((number + 1))
		case $result in
		ok) passed=$((passed + 1)) && echo "ok $number - $1: $check" ;;
		skip) skipped=$((skipped + 1)) && echo "ok $number - $1: $check # SKIP $reason" ;;
		*)
			failed=$((failed + 1))
			echo "not ok $number - $1: $check"
			cat "$mine/said-$check"
			;;
		esac
		echo "$1 $check $result" >>"$work/results"
	done <"$mine/results"
}

trap finish EXIT
trap 'exit 130' INT TERM
echo 'TAP version 13'
sh "$here/install-packages.sh"
make_rootfs "$work/rootfs" || { echo "Bail out! Cannot make a root file system: no busybox-static"; exit 1; }
start_service "$run" "$work/etc" || { echo 'Bail out! pogshim does not start'; exit 1; }
service=$started

chosen=$*
: >"$work/results"
for lane in $lanes; do
	(
		trap 'exit 130' INT TERM
		for driver in $(echo "$lane" | tr , ' '); do
			case " ${chosen:-$drivers} " in *" $driver "*) ;; *) continue ;; esac
			(drive "$driver") &
			job=$!
			trap 'kill $job; wait $job; exit 130' INT TERM
			wait $job
			: >"$work/done-$driver"
		done
	) </dev/null &
	lane_jobs="$lane_jobs $!"
done
for driver in ${chosen:-$drivers}; do
	until [ -e "$work/done-$driver" ]; do sleep 0.1; done
	report "$driver"
done
for job in $lane_jobs; do wait "$job"; done

echo "1..$number"
echo "# tests $number"
echo "# pass $passed"
echo "# fail $failed"
echo "# skip $skipped"
sh "$here/table.sh" "$work/results" "$checks" "$systemd_checks" "$workload_checks" | tee "$work/table" | sed 's/^/# /'
if [ "${WRITE:-}" ] && [ ! "$chosen" ]; then
	awk -v table="$work/table" '
		/<!-- table: begin/ { print; while ((getline line <table) > 0) print line; skip = 1; next }
		/<!-- table: end/ { skip = 0 }
		!skip' docs/runtimes.md >"$work/doc" && cat "$work/doc" >docs/runtimes.md
fi
[ "$failed" -eq 0 ]
