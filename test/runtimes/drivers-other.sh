# shellcheck shell=sh disable=SC2154,SC2329,SC2013,SC2016
# How containerd, LXC, systemd-nspawn and "pogctl run" are driven; sourced by drivers.sh, which says what each function is for.

# --- containerd without CRI, by ctr
ctr_() { ctr -a "$work/containerd/sock" "$@"; }
containerd_missing() { has containerd && has ctr && has runc; }
containerd_up() {
	make_wrapper runc
	mkdir "$work/containerd"
	cat >"$work/containerd/config.toml" <<-CONF
		version = 2
		root = "$work/containerd/root"
		state = "$work/containerd/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		  address = "$work/containerd/sock"
		[ttrpc]
		  address = "$work/containerd/sock.ttrpc"
	CONF
	containerd -c "$work/containerd/config.toml" >"$work/containerd/log" 2>&1 &
	echo $! >"$work/containerd/job"
	tries=0
	until ctr_ version >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || { tail -5 "$work/containerd/log"; return 1; }
		sleep 0.1
	done
}
containerd_start() {
	cp -a "$work/rootfs" "$work/containerd/rootfs-$1"
	ctr_ run -d --rootfs --runc-binary "$work/pogs-runc" --annotation "pogs.name=$tag-containerd-$1" \
		"$work/containerd/rootfs-$1" "$tag-$1" /bin/sleep 1000
}
containerd_exec() { ctr_ task exec --exec-id "x$$" "$tag-$1" /bin/busybox env PATH=/bin /bin/sh -c "$2"; }
containerd_pause() { ctr_ task pause "$tag-$1"; }
containerd_unpause() { ctr_ task resume "$tag-$1"; }
containerd_stop() {
	ctr_ task rm -f "$tag-$1"
	ctr_ container rm "$tag-$1"
}
containerd_down() {
	for name in A B; do containerd_stop $name; done
	end_daemon "$(cat "$work/containerd/job")"
	rm -rf "$work/containerd"
}

# --- LXC, by the hooks of mount/lxc
lxc_missing() { has lxc-start && has lxc-attach; }
lxc_up() {
	mkdir "$work/lxc"
	# What "pogctl install lxc" writes, with the run directory of this test.
	sed -e "s#@MOUNT@/lxc/pogs-lxc-hook#$work/lxc/hook#" -e "s#@MOUNT@#$top/mount#" -e "s#@RUN@#$run#" "$top/mount/lxc/pogs.conf" >"$work/lxc/pogs.conf"
	printf '#!/bin/sh\nexport POGS_RUN_DIR=%s\nexec %s/mount/lxc/pogs-lxc-hook "$@"\n' "$run" "$top" >"$work/lxc/hook"
	chmod 755 "$work/lxc/hook"
}
lxc_start() {
	id=$tag-lxc-$1
	mkdir "$work/lxc/$id"
	cp -a "$work/rootfs" "$work/lxc/$id/rootfs"
	cat >"$work/lxc/$id/config" <<-CONF
		lxc.include = $work/lxc/pogs.conf
		lxc.uts.name = $id
		lxc.rootfs.path = dir:$work/lxc/$id/rootfs
		lxc.net.0.type = empty
		lxc.autodev = 1
		lxc.mount.auto = proc:mixed sys:ro
		lxc.init.cmd = /bin/sleep 1000
		lxc.apparmor.profile = unconfined
		lxc.cgroup.memory.limit_in_bytes = 96M
		lxc.cgroup.pids.max = 40
	CONF
	lxc-start -P "$work/lxc" -n "$id" -l ERROR -o "$work/lxc/$id/log" || { tail -20 "$work/lxc/$id/log"; return 1; }
}
lxc_exec() { lxc-attach -P "$work/lxc" -n "$tag-lxc-$1" --clear-env -v PATH=/bin -- /bin/sh -c "$2"; }
lxc_pause() { lxc-freeze -P "$work/lxc" -n "$tag-lxc-$1"; }
lxc_unpause() { lxc-unfreeze -P "$work/lxc" -n "$tag-lxc-$1"; }
lxc_kernel() { :; }
lxc_charged() { :; }
lxc_restart() {
	lxc_stop "$1"
	lxc-start -P "$work/lxc" -n "$tag-lxc-$1"
}
lxc_stop() { lxc-stop -P "$work/lxc" -n "$tag-lxc-$1" -k; }
lxc_down() {
	for name in A B; do lxc_stop $name; done
	rm -rf "$work/lxc"
}

# --- systemd-nspawn: attached once it runs, as the drop-in of mount/nspawn does
nspawn_missing() { has systemd-nspawn; }
nspawn_up() { mkdir "$work/nspawn"; }
nspawn_start() {
	cp -a "$work/rootfs" "$work/nspawn/$1"
	# With a memory cgroup of its own, as a unit would have.
	group=$(nspawn_group "$1")
	mkdir "$group" 2>/dev/null
	sh -c '[ ! -d "$0" ] || echo $$ >"$0/cgroup.procs"; exec "$@"' "$group" systemd-nspawn -q --register=no --keep-unit --private-network \
		-D "$work/nspawn/$1" -M "$tag-nspawn-$1" /bin/busybox sh -c "$agent" </dev/null >"$work/nspawn/log-$1" 2>&1 &
	echo $! >"$work/nspawn/pid-$1"
	POGS_RUN_DIR=$run "$top/mount/nspawn/pogs-nspawn-attach" "$tag-nspawn-$1" $!
}
nspawn_exec() { tell_agent "$(cat "$work/nspawn/pid-$1")" "$2"; }
nspawn_refuses() { :; }
nspawn_charged() { :; }
nspawn_group() {
	root=/sys/fs/cgroup/memory
	[ -d $root ] || root=/sys/fs/cgroup
	echo "$root/pogs-$tag-nspawn-$1"
}
nspawn_stop() { end_daemon "$(cat "$work/nspawn/pid-$1")"; }
nspawn_down() {
	for name in A B; do
		nspawn_stop $name
		rmdir "$(nspawn_group $name)" 2>/dev/null
	done
	rm -rf "$work/nspawn"
}

# What those without an exec of their own run: a shell that does what it is told, so that all is done with a container's own rights and filters.
agent='busybox mkdir -p /tmp; busybox mkfifo /tmp/in /tmp/out
	while :; do script=$(busybox cat /tmp/in); { /bin/sh -c "$script"; echo "status $?"; } >/tmp/out 2>&1; done'

# tell_agent PID SCRIPT: to the agent below that process.
tell_agent() {
	first=$(descendant "$1") && [ -p "/proc/$first/root/tmp/out" ] || return 1
	printf '%s' "PATH=/bin; export PATH; $2" >"/proc/$first/root/tmp/in"
	said=$(cat "/proc/$first/root/tmp/out")
	printf '%s\n' "$said" | sed '$d'
	return "${said##*status }"
}

# descendant PID: the agent below it.
descendant() {
	for child in $(cat "/proc/$1/task"/*/children 2>/dev/null); do
		if [ "$(cat "/proc/$child/comm" 2>/dev/null)" = busybox ]; then echo "$child" && return; fi
		descendant "$child" && return
	done
	return 1
}

# --- unshare(1): "pogctl run"
unshare_missing() { has unshare && has setpriv; }
unshare_up() { mkdir "$work/unshare"; }
unshare_start() {
	"$top/dist/bin/pogctl" --run-dir "$run" run --name "$tag-unshare-$1" --rootfs "$work/rootfs" -- /bin/busybox sh -c "$agent" \
		</dev/null >"$work/unshare/log-$1" 2>&1 &
	echo $! >"$work/unshare/pid-$1"
	tries=0
	# pogctl, (setpriv that became) unshare, the shell that is process 1 in there, and its command
	until descendant "$(cat "$work/unshare/pid-$1")" >/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || { cat "$work/unshare/log-$1"; return 1; }
		sleep 0.1
	done
}
unshare_exec() { tell_agent "$(cat "$work/unshare/pid-$1")" "$2"; }
unshare_stop() { end_daemon "$(cat "$work/unshare/pid-$1")"; }
unshare_down() {
	for name in A B; do unshare_stop $name; done
	rm -rf "$work/unshare"
}

. "$here/rootless.sh"
. "$here/image.sh"
. "$here/systemd.sh"
. "$here/workloads.sh"
