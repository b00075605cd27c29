# shellcheck shell=sh disable=SC2154,SC2034,SC2329
# How each runtime is driven. Sourced by run.sh. DRIVER_missing tells why it cannot be tried; DRIVER_up and _down start and end what it needs;
# DRIVER_start, _exec and _stop work on containers A and B, whose POGs are named TAG-DRIVER-A and TAG-DRIVER-B. What not all have: _pause and
# _unpause, _restart, _privileged syslog|all SCRIPT (a third container with these rights), _kernel (limits of memory and processes are
# set), _refuses (nobody answers syslog(2)).

# On one line, a blank between: run.sh looks for them so.
drivers='runc crun podman_runc podman_crun podman_hooks podman_CDI docker containerd lxc nspawn unshare rootless rootless_runc systemd_podman systemd_nspawn workload_runc workload_docker'

has() { command -v "$1" >/dev/null 2>&1 || { echo "no $1 here"; return 1; }; }

# make_rootfs DIRECTORY: busybox, and the real dash, dmesg, logger, cat and timeout of this machine with their libraries; rsyslogd, and a program
# that crashes or forks, where they can be had.
make_rootfs() {
	busybox=${XDG_CACHE_HOME:-$HOME/.cache}/pogs/bin/busybox
	[ -x "$busybox" ] || return 1
	mkdir -p "$1/bin" "$1/usr" "$1/etc" "$1/var/log" "$1/proc" "$1/sys" "$1/dev" "$1/run" "$1/tmp" "$1/root"
	chmod 1777 "$1/tmp"
	cp "$busybox" "$1/bin/busybox"
	for applet in $("$busybox" --list); do [ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet" 2>/dev/null; done
	# A shell that is not busybox: that one would run its own dmesg.
	rm "$1/bin/sh" "$1/bin/dmesg" "$1/bin/logger" "$1/bin/cat" "$1/bin/timeout"
	ln -s dash "$1/bin/sh"
	for program in dash dmesg logger cat timeout rsyslogd; do
		command -v $program >/dev/null || continue
		cp -L "$(command -v $program)" "$1/bin/"
		add_libraries "$1" "$1/bin/$program"
	done
	# Loaded by name, when a thread is cancelled.
	for library in /usr/lib/*/libgcc_s.so.1 /lib/*/libgcc_s.so.1; do
		[ ! -e "$library" ] || { mkdir -p "$1${library%/*}" && cp -L "$library" "$1$library"; }
	done
	for module in lmnet imklog imkmsg; do
		for file in /usr/lib/*/rsyslog/"$module.so"; do
			[ -e "$file" ] || continue
			mkdir -p "$1${file%/*}"
			cp "$file" "$1$file"
			add_libraries "$1" "$file"
		done
	done
	gcc -static -O0 -x c -o "$1/bin/crash" - 2>/dev/null <<-'PROGRAM'
		#include <sys/wait.h>
		#include <unistd.h>
		int main(int argc, char **argv) {
			if (argc == 1) *(volatile int *)0 = 1;
			for (int i = 0; i < 60; i++) if (fork() == 0) { usleep(200000); _exit(0); }
			while (wait(NULL) > 0);
			return 0;
		}
	PROGRAM
	echo root:x:0:0:root:/root:/bin/sh >"$1/etc/passwd"
	echo root:x:0: >"$1/etc/group"
	echo ID=pogs-test >"$1/etc/os-release"
}

# add_libraries ROOT PROGRAM: what it is linked with.
add_libraries() {
	ldd "$2" | grep -o '/[^ ]*' | while read -r library; do
		[ ! -e "$1$library" ] || continue
		mkdir -p "$1${library%/*}"
		cp -L "$library" "$1$library"
	done
}

# make_wrapper RUNTIME: the wrapper with its settings, since engines pass on no variables.
make_wrapper() {
	printf '#!/bin/sh\nexport POGS_RUN_DIR=%s POGS_RUNTIME=%s\nexec %s/mount/pogs-runc "$@"\n' "$run" "$1" "$top" >"$work/pogs-$1"
	chmod 755 "$work/pogs-$1"
}

# --- runc and crun by hand, through the wrapper
make_bundle() { # RUNTIME ID SPEC: of $work/rootfs; SPEC is JavaScript that works on "spec"
	mkdir -p "$work/$2"
	[ -e "$work/$2/rootfs" ] || cp -a "$work/rootfs" "$work/$2/rootfs"
	rm -f "$work/$2/config.json"
	(cd "$work/$2" && "$1" spec) && node -e '
		const fs = require("fs"), spec = JSON.parse(fs.readFileSync(process.argv[1]))
		spec.process.terminal = spec.root.readonly = false
		spec.process.args = ["/bin/sleep", "1000"]
		spec.process.env = ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"]
		delete spec.process.rlimits
		eval(process.argv[2])
		fs.writeFileSync(process.argv[1], JSON.stringify(spec))' "$work/$2/config.json" "$3"
}
bundle_limits='spec.linux.resources.memory = { limit: 96 << 20, swap: 96 << 20 }; spec.linux.resources.pids = { limit: 40 }'
bundle_start() { # RUNTIME NAME
	id=$tag-$1-$2
	make_bundle "$1" "$id" "spec.linux.cgroupsPath = '/$id'; $bundle_limits" || return 1
	"$work/pogs-$1" --root "$work/state-$1" run -d --bundle "$work/$id" "$id" </dev/null >"$work/$id.log" 2>&1 || { cat "$work/$id.log"; return 1; }
}
bundle_exec() { "$1" --root "$work/state-$1" exec "$tag-$1-$2" sh -c "$3"; }
bundle_stop() {
	"$work/pogs-$1" --root "$work/state-$1" kill "$tag-$1-$2" KILL
	"$work/pogs-$1" --root "$work/state-$1" delete --force "$tag-$1-$2"
}
bundle_privileged() { # RUNTIME syslog|all SCRIPT
	id=$tag-$1-rights
	SCRIPT=$3 make_bundle "$1" "$id" "
		const every = '$(all_capabilities)'.split(',')
		spec.process.args = ['/bin/sh', '-c', process.env.SCRIPT]
		spec.process.noNewPrivileges = false
		for (const set of ['bounding', 'effective', 'permitted'])
			spec.process.capabilities[set] = '$2' === 'all' ? every : [...spec.process.capabilities[set], 'CAP_SYSLOG']
		if ('$2' === 'all') {
			spec.linux.devices = [{ path: '/dev/kmsg', type: 'c', major: 1, minor: 11, fileMode: 0o644, uid: 0, gid: 0 }]
			spec.linux.resources.devices = [{ allow: true, access: 'rwm' }]
			delete spec.linux.maskedPaths
		}" && "$work/pogs-$1" --root "$work/state-$1" run --bundle "$work/$id" "$id"
}
# Those that this machine lets anybody have (linux/capability.h), as "CAP_CHOWN,...".
all_capabilities() { capsh --decode="$(sed -n 's/^CapEff:\t//p' /proc/self/status)" | sed 's/.*=//' | tr '[:lower:]' '[:upper:]'; }
bundle_down() { for name in A B; do bundle_stop "$1" $name; done; }

runc_missing() { has runc; }
runc_up() { make_wrapper runc; }
runc_start() { bundle_start runc "$1"; }
runc_exec() { bundle_exec runc "$1" "$2"; }
runc_stop() { bundle_stop runc "$1"; }
runc_down() { bundle_down runc; }
runc_pause() { runc --root "$work/state-runc" pause "$tag-runc-$1"; }
runc_unpause() { runc --root "$work/state-runc" resume "$tag-runc-$1"; }
runc_privileged() { bundle_privileged runc "$@"; }
runc_kernel() { :; }
runc_charged() { :; }

crun_missing() { has crun; }
crun_up() { make_wrapper crun; }
crun_start() { bundle_start crun "$1"; }
crun_exec() { bundle_exec crun "$1" "$2"; }
crun_stop() { bundle_stop crun "$1"; }
crun_down() { bundle_down crun; }
crun_pause() { crun --root "$work/state-crun" pause "$tag-crun-$1"; }
crun_unpause() { crun --root "$work/state-crun" resume "$tag-crun-$1"; }
crun_privileged() { bundle_privileged crun "$@"; }
crun_kernel() { :; }
crun_charged() { :; }

# --- Podman
podman_() {
	CONTAINERS_CONF="$work/containers.conf" podman --root "$work/podman" --runroot "$work/podman-run" --runtime "$work/pogs-$podman_runtime" "$@"
}
podman_prepare() {
	podman_runtime=$1
	make_wrapper "$1"
	cat >"$work/containers.conf" <<-CONF
		[containers]
		default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
	CONF
	podman_ image exists pogs-test || tar -C "$work/rootfs" -c . | podman_ import - pogs-test
}
podman_start() {
	podman_runtime=$1
	podman_ run -d --network none --name "$tag-podman_$1-$2" --annotation "pogs.name=$tag-podman_$1-$2" \
		--memory 96m --memory-swap 96m --pids-limit 40 pogs-test /bin/sleep 1000
}
podman_rights() { # RUNTIME syslog|all SCRIPT
	podman_runtime=$1
	case $2 in syslog) rights=--cap-add=SYSLOG ;; *) rights=--privileged ;; esac
	podman_ run --rm $rights --network none pogs-test /bin/sh -c "$3"
}
podman_restart_() { podman_runtime=$1 && podman_ restart -t 0 "$tag-podman_${3:-$1}-$2"; } # RUNTIME NAME [DRIVER]
podman_exec_() { podman_runtime=$1 && podman_ exec "$tag-podman_${4:-$1}-$2" /bin/sh -c "$3"; } # RUNTIME NAME SCRIPT [DRIVER]
podman_stop_() { podman_runtime=$1 && podman_ rm -f -t 0 "$tag-podman_${3:-$1}-$2"; }
podman_end() {
	podman_runtime=$1
	# Images stay for the next one of them.
	podman_ rm -f -t 0 -a
}

podman_runc_missing() { has podman && has runc; }
podman_runc_up() { podman_prepare runc; }
podman_runc_start() { podman_start runc "$1"; }
podman_runc_exec() { podman_exec_ runc "$1" "$2"; }
podman_runc_stop() { podman_stop_ runc "$1"; }
podman_runc_down() { podman_end runc; }
podman_runc_pause() { podman_runtime=runc && podman_ pause "$tag-podman_runc-$1"; }
podman_runc_unpause() { podman_runtime=runc && podman_ unpause "$tag-podman_runc-$1"; }
podman_runc_restart() { podman_restart_ runc "$1"; }
podman_runc_privileged() { podman_rights runc "$@"; }
podman_runc_kernel() { :; }
podman_runc_charged() { :; }

podman_crun_missing() { has podman && has crun; }
podman_crun_up() { podman_prepare crun; }
podman_crun_start() { podman_start crun "$1"; }
podman_crun_exec() { podman_exec_ crun "$1" "$2"; }
podman_crun_stop() { podman_stop_ crun "$1"; }
podman_crun_down() { podman_end crun; }
podman_crun_pause() { podman_runtime=crun && podman_ pause "$tag-podman_crun-$1"; }
podman_crun_unpause() { podman_runtime=crun && podman_ unpause "$tag-podman_crun-$1"; }
podman_crun_restart() { podman_restart_ crun "$1"; }
podman_crun_privileged() { podman_rights crun "$@"; }
podman_crun_kernel() { :; }
podman_crun_charged() { :; }

# --- Podman without the wrapper: the hooks of hooks.d, and the CDI device
podman_hook() { # RUNTIME
	podman_prepare "$1"
	printf '#!/bin/sh\nexport POGS_RUN_DIR=%s\nexec %s/mount/pogs-hook "$@"\n' "$run" "$top" >"$work/pogs-hook"
	chmod 755 "$work/pogs-hook"
	mkdir -p "$work/hooks.d" "$work/cdi"
	for file in "$top/mount/hooks.d/"*.json; do sed "s#@MOUNT@#$work#" "$file" >"$work/hooks.d/${file##*/}"; done
	# CDI 0.5 looks in two directories of the host's.
	sed -e "s#@MOUNT@#$work#" -e "s#pogs.dev/log#pogs.dev/test-$tag#" "$top/mount/cdi/pogs.json" >"$work/cdi/pogs.json"
}
podman_plain() { # DRIVER NAME OPTION...
	id=$tag-podman_$1-$2
	shift 2
	CONTAINERS_CONF="$work/containers.conf" podman --root "$work/podman" --runroot "$work/podman-run" --runtime "$podman_runtime" \
		${hooks_dir:+--hooks-dir "$hooks_dir"} run -d --network none --name "$id" --annotation "pogs.name=$id" "$@" pogs-test /bin/sleep 1000
}

podman_hooks_missing() { has podman && has runc; }
podman_hooks_up() { podman_hook runc; }
podman_hooks_start() { podman_runtime=runc hooks_dir=$work/hooks.d && podman_plain hooks "$1"; }
podman_hooks_exec() { podman_exec_ runc "${1}" "$2" hooks; }
podman_hooks_stop() { podman_stop_ runc "$1" hooks; }
podman_hooks_refuses() { :; }
podman_hooks_down() { podman_end runc; }

podman_CDI_missing() { has podman && has crun; }
podman_CDI_up() { podman_hook crun && mkdir -p /etc/cdi && cp "$work/cdi/pogs.json" "/etc/cdi/pogs-test-$tag.json"; }
podman_CDI_start() { podman_runtime=crun hooks_dir='' && podman_plain CDI "$1" --device "pogs.dev/test-$tag=private"; }
podman_CDI_exec() { podman_exec_ crun "$1" "$2" CDI; }
podman_CDI_stop() { podman_stop_ crun "$1" CDI; }
podman_CDI_refuses() { :; }
podman_CDI_down() {
	rm -f "/etc/cdi/pogs-test-$tag.json"
	rmdir /etc/cdi 2>/dev/null
	podman_end crun
}

# --- Docker: a daemon of its own; what dockerd 20.10 passes on is the environment
docker_() { docker -H "unix://$work/docker/sock" "$@"; }
docker_missing() { has dockerd && has docker && has runc; }
docker_up() {
	make_wrapper runc
	mkdir "$work/docker"
	dockerd --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --storage-driver overlay2 \
		--exec-opt native.cgroupdriver=cgroupfs --add-runtime "pogs=$work/pogs-runc" --data-root "$work/docker/data" \
		--exec-root "$work/docker/exec" -H "unix://$work/docker/sock" -p "$work/docker/pid" >"$work/docker/log" 2>&1 &
	echo $! >"$work/docker/job"
	tries=0
	until docker_ version >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || { tail -5 "$work/docker/log"; return 1; }
		sleep 0.1
	done
	tar -C "$work/rootfs" -c . | docker_ import - pogs-test
}
docker_start() {
	docker_ run -d --runtime pogs --network none --name "$tag-$1" -e "POGS_NAME=$tag-docker-$1" \
		--memory 96m --memory-swap 96m --pids-limit 40 pogs-test /bin/sleep 1000
}
docker_pause() { docker_ pause "$tag-$1"; }
docker_unpause() { docker_ unpause "$tag-$1"; }
docker_restart() { docker_ stop -t 0 "$tag-$1" && docker_ start "$tag-$1"; }
docker_kernel() { :; }
docker_charged() { :; }
docker_privileged() {
	# --privileged gives every capability there is, and does not start where this machine has not all of them itself: all it has and knows, then.
	rights='--security-opt seccomp=unconfined --device /dev/kmsg --device-cgroup-rule "a *:* rwm"'
	for name in $(all_capabilities | tr , "\n" | grep -v -e BPF -e PERFMON -e CHECKPOINT); do rights="$rights --cap-add=$name"; done
	[ "$1" = all ] || rights=--cap-add=SYSLOG
	eval docker_ run --rm --runtime pogs "$rights" --network none pogs-test /bin/sh -c '"$2"'
}
docker_exec() { docker_ exec "$tag-$1" /bin/sh -c "$2"; }
docker_stop() { docker_ rm -f "$tag-$1"; }
docker_down() {
	for name in A B; do docker_ rm -f "$tag-$name"; done
	end_daemon "$(cat "$work/docker/job")"
	umount -l "$work/docker/exec/netns/default" 2>/dev/null
	rm -rf "$work/docker"
}

# end_daemon PID: and waits until it has gone.
end_daemon() {
	kill "$1" || return 0
	tries=0
	while kill -0 "$1" 2>/dev/null && [ $tries -lt 100 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
}

. "$here/drivers-other.sh"
