# shellcheck shell=sh disable=SC2154,SC2034,SC2329
# systemd as the first process: it gets to the end of its start, its journald reads our /dev/kmsg, and keeps a journal below our /var/log. The journal
# is a file that it maps.

systemd_checks='boots journal-k logger journal persistent own-log isolation frees'

systemd_podman_missing() { has podman && has runc && image_missing; }
systemd_podman_up() { podman_prepare runc; }
systemd_podman_start() {
	for name in A B; do
		id=$tag-$driver-$name
		podman_ run -d --systemd=always --network none --hostname "$id" --name "$id" --annotation "pogs.name=$id" \
			--rootfs "$work/image:O" /sbin/init || return 1
	done
}
systemd_podman_exec() { podman_runtime=runc && podman_ exec "$tag-systemd_podman-$1" /bin/sh -c "$2"; }
systemd_podman_stop() { podman_runtime=runc && podman_ rm -f -t 0 "$tag-systemd_podman-$1"; }
systemd_podman_down() { podman_end runc; }

systemd_nspawn_missing() { has systemd-nspawn && has setpriv && image_missing; }
systemd_nspawn_up() { mkdir "$work/booted"; }
systemd_nspawn_start() {
	for name in A B; do
		id=$tag-systemd_nspawn-$name
		image_root "$work/booted/$name" || return 1
		mkdir -p "$work/booted/$name/root/var/log/journal"
		systemd-nspawn -q --register=no --keep-unit --private-network -D "$work/booted/$name/root" -M "$tag-$name" --boot \
			</dev/null >"$work/booted/log-$name" 2>&1 &
		echo $! >"$work/booted/pid-$name"
		POGS_RUN_DIR=$run "$top/mount/nspawn/pogs-nspawn-attach" "$id" $! || { cat "$work/booted/log-$name"; return 1; }
	done
}
# As there: without the right to syslog(2) of the host.
systemd_nspawn_exec() {
	supervisor=$(cat "$work/booted/pid-$1")
	setpriv --bounding-set -syslog --inh-caps -syslog nsenter -t "$(cut -d ' ' -f 1 "/proc/$supervisor/task/$supervisor/children")" -m -u -i -p -n -r -w \
		env -i PATH=/usr/bin:/usr/sbin /bin/sh -c "$2"
}
systemd_nspawn_stop() { end_daemon "$(cat "$work/booted/pid-$1")"; }
systemd_nspawn_down() {
	for name in A B; do systemd_nspawn_stop $name; done
	for name in A B; do umount -l "$work/booted/$name/root" "$work/booted/$name"; done
	rm -rf --one-file-system "$work/booted"
}

# The end of the start: "running", or "degraded" by units that fail for reasons of their own, none of them about logs.
check_boots() {
	for name in A B; do
		inside $name "$waiting; wait_for 'systemctl is-system-running 2>/dev/null | grep -q -e running -e degraded'"
		state=$(inside $name 'systemctl is-system-running')
		inside $name 'systemctl --failed --plain --no-legend'
		echo "$state"
		case $state in
		running) ;;
		degraded) ! inside $name 'systemctl --failed --plain --no-legend' | grep -e journal -e syslog -e kmsg -e log || return 1 ;;
		*) return 1 ;;
		esac
	done
}
check_journal_k() {
	inside A "$waiting; echo '<4>canary-kmsg-A' >/dev/kmsg
		wait_for 'journalctl -q -k --no-pager | grep canary-kmsg-A' && dmesg | grep canary-kmsg-A"
}
# What speaks to journald itself, or runs as its unit, is in the journal.
check_journal() {
	inside A "$waiting; echo canary-native-A | systemd-cat; systemd-run -q --wait echo canary-unit-A
		wait_for 'journalctl -q --no-pager | grep canary-native-A && journalctl -q --no-pager | grep canary-unit-A'"
}
check_persistent() {
	inside A "$waiting; mkdir -p /var/log/journal; journalctl --flush
		wait_for 'ls /var/log/journal/*/system.journal' && echo '<4>canary-kept-A' >/dev/kmsg && journalctl --sync
		wait_for 'journalctl -q -D /var/log/journal --no-pager | grep canary-kept-A' && journalctl --verify -D /var/log/journal"
}
check_own_log() {
	pogctl logs "$tag-$driver-A" >"$mine/logs-A" && grep canary-kmsg-A "$mine/logs-A" && grep canary-log-A "$mine/logs-A"
}
