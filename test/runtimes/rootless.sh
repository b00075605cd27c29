# shellcheck shell=sh disable=SC2154,SC2034,SC2329,SC2016
# Podman of an ordinary user, who is made for this and removed again. The user's pogshim runs in the user namespace of that Podman ("podman unshare"), where
# it is root; its run directory is where the wrapper looks for it, $XDG_RUNTIME_DIR/pogs.

rootless_user=pogs-$tag
rootless=$work/rootless

rootless_missing() {
	has podman && has crun && has newuidmap && has runuser && has useradd || return 1
	runuser -u nobody -- test -x "$top/dist/bin/pogshim" || { echo "an ordinary user may not enter $top"; return 1; }
}

# as_user COMMAND: in a mount namespace where /dev/fuse is everybody's, as it is on most machines.
as_user() {
	nsenter -t "$(cat "$rootless/holder")" -m runuser -u "$rootless_user" -- env -i HOME="$rootless/home" XDG_RUNTIME_DIR="$rootless/xdg" PATH="$PATH" \
		CONTAINERS_CONF="$rootless/containers.conf" "$@"
}
rootless_() { as_user podman --storage-driver vfs --runtime "$top/mount/pogs-${rootless_runtime:-crun}" "$@"; }

rootless_up() {
	mkdir "$rootless" && chmod 755 "$rootless" && useradd -m -d "$rootless/home" "$rootless_user" || return 1
	grep -q "^$rootless_user:" /etc/subuid || usermod --add-subuids 400000-465535 --add-subgids 400000-465535 "$rootless_user"
	install -d -m 700 -o "$rootless_user" "$rootless/xdg" "$rootless/xdg/etc"
	printf 'retain-count = 0\n' >"$rootless/xdg/etc/pogs.conf"
	cat >"$rootless/containers.conf" <<-CONF
		[containers]
		default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
	CONF
	mknod -m 666 "$rootless/fuse" c 10 229
	unshare -m --propagation private sh -c 'mount --bind "$1" /dev/fuse && exec sleep 3000' sh "$rootless/fuse" &
	echo $! >"$rootless/holder"
	for name in A B; do cp -a "$work/rootfs" "$rootless/root-$name" && chown -R -h "$rootless_user:" "$rootless/root-$name"; done
	sleep 0.2
	run=$rootless/xdg/pogs
	rootless_ unshare "$top/dist/bin/pogshim" --run-dir "$run" --etc-dir "$rootless/xdg/etc" >"$rootless/log" 2>&1 &
	echo $! >"$rootless/service"
	tries=0
	# Its control file is mounted where only its own namespace sees it.
	until [ -S "$run/seccomp.sock" ] && pogctl ls >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || { cat "$rootless/log"; return 1; }
		sleep 0.1
	done
}
rootless_start() {
	rootless_ run -d --network none --name "$tag-$1" --annotation "pogs.name=$tag-$driver-$1" --rootfs "$rootless/root-$1" /bin/sleep 1000
}
rootless_exec() { rootless_ exec "$tag-$1" /bin/sh -c "$2"; }
rootless_restart() { rootless_ restart -t 0 "$tag-$1"; }
rootless_stop() { rootless_ rm -f -t 0 "$tag-$1"; }
rootless_down() {
	rootless_ rm -f -t 0 -a
	# All that is this user's: the service and the process that holds Podman's namespaces.
	for signal in TERM TERM TERM KILL KILL; do
		pids=$(ps -o pid= -u "$rootless_user") || break
		# shellcheck disable=SC2086
		kill -$signal $pids
		sleep 0.5
	done
	kill "$(cat "$rootless/holder")"
	userdel -f "$rootless_user"
	rm -rf --one-file-system "$rootless"
}

# The same with runc.
rootless_runc_missing() { has runc && rootless_missing; }
rootless_runc_up() { rootless_runtime=runc && rootless_up; }
rootless_runc_start() { rootless_runtime=runc && rootless_start "$@"; }
rootless_runc_exec() { rootless_runtime=runc && rootless_exec "$@"; }
rootless_runc_restart() { rootless_runtime=runc && rootless_restart "$@"; }
rootless_runc_stop() { rootless_runtime=runc && rootless_stop "$@"; }
rootless_runc_down() { rootless_runtime=runc && rootless_down; }
