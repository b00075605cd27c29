# shellcheck shell=sh disable=SC2154,SC2034,SC2016
# What each runtime is held to. Sourced by run.sh. check_NAME DRIVER succeeds or says on its output what it saw; containers A and B run, and
# "${driver}_exec A SCRIPT" runs a shell in one. Every wait has a bound.

checks='dmesg kmsg logger tail conf clear syslog2 rsyslog pause privileged kernel charged isolation restart killed frees'

# checks_of DRIVER: those that it can be held to; what a runtime does not have (a pause, memory limits) is no column of its own.
checks_of() {
	case $1 in
	systemd_*) echo "$systemd_checks" ;;
	workload_*) echo "$workload_checks" ;;
	*)
		for check in $checks; do
			case $check in pause | privileged | kernel | charged | restart) command -v "$1_$check" >/dev/null || continue ;; esac
			echo "$check"
		done
		;;
	esac
}

# start_of DRIVER: what starts its containers.
start_of() {
	case $1 in
	systemd_* | workload_*) echo "$1_start" ;;
	*) echo start_both ;;
	esac
}

# inside A|B SCRIPT
inside() { timeout 20 env -u POGS_RUN_DIR sh -c '. "$here/drivers.sh"; "$1_exec" "$2" "$3"' sh "$driver" "$1" "$2"; }

# In a container: wait COMMAND, at most 5 s.
waiting='wait_for() { n=0; until eval "$1"; do n=$((n + 1)); [ $n -lt 50 ] || return 1; sleep 0.1; done; }'

check_dmesg() {
	inside A "echo '<4>canary-kmsg-A' >/dev/kmsg; dmesg" | tee "$mine/out"
	grep -q canary-kmsg-A "$mine/out"
}

check_kmsg() {
	# User space never writes as the kernel, but as facility user. The file waits for more, as the kernel's does.
	inside A "timeout 0.3 cat /proc/kmsg; :" | tee "$mine/out"
	grep -q '^<12>.*canary-kmsg-A' "$mine/out"
}

check_logger() {
	inside A "$waiting; logger -t canary canary-log-A; wait_for 'grep -q canary-log-A /var/log/messages' && cat /var/log/messages"
}

check_tail() {
	inside A "$waiting
		tail -n 0 -f /var/log/messages >/tmp/tail & pid=\$!
		wait_for 'logger again-A; grep -q again-A /tmp/tail'; status=\$?
		kill \$pid; exit \$status"
}

check_conf() {
	inside A "$waiting
		echo 'local3.* /var/log/own' >>/etc/syslog.conf
		logger -p local3.info canary-conf-A
		wait_for 'grep -q canary-conf-A /var/log/own' && grep -q local3 /etc/syslog.conf"
}

check_clear() {
	inside A "$waiting
		logger before-clear; wait_for 'grep -q before-clear /var/log/messages' || exit 1
		/run/pog/pogctl clear && ! grep -q before-clear /var/log/messages && logger canary-late-A &&
		wait_for 'grep -q canary-late-A /var/log/messages'"
}

# The system call, by whoever makes it: busybox's dmesg and klogd, util-linux's dmesg -S. Where nobody answers it, it is refused.
check_syslog2() {
	if command -v "${driver}_refuses" >/dev/null; then
		inside A 'busybox dmesg; dmesg -S; dmesg -C; klogd -n & sleep 0.2; kill $!' >"$mine/out" 2>&1
		cat "$mine/out"
		[ "$(grep -c 'ot permitted' "$mine/out")" -ge 3 ] && ! grep '^\[' "$mine/out"
		return
	fi
	inside A "$waiting
		set -e
		echo '<4>canary-syslog2-A' >/dev/kmsg
		busybox dmesg | grep canary-syslog2-A
		dmesg -S | grep canary-syslog2-A
		dmesg -S -n 4
		dmesg -n 5
		busybox dmesg -c | grep canary-syslog2-A
		! busybox dmesg | grep canary
		echo '<4>canary-again-A' >/dev/kmsg
		dmesg -S | grep canary-again-A
		dmesg -C
		! dmesg -S | grep canary
		busybox klogd -n & pid=\$!
		sleep 0.2
		echo '<4>canary-klogd-A' >/dev/kmsg
		wait_for 'grep -q \"kernel: .*canary-klogd-A\" /var/log/messages' || status=1
		kill \$pid
		exit \${status:-0}"
}

# rsyslog in the container, by either of its ways to the kernel's log.
check_rsyslog() {
	[ -x "$work/rootfs/bin/rsyslogd" ] || return 0
	for module in imklog imkmsg; do
		# The kernel's own messages come by the kernel alone; ours are of facility user.
		[ $module = imkmsg ] && options='' || options='permitnonkernelfacility="on"'
		inside A "$waiting
			printf 'module(load=\"$module\" $options)\n*.* /tmp/$module.out\n' >/tmp/$module.conf
			rsyslogd -n -i /tmp/$module.pid -f /tmp/$module.conf & pid=\$!
			wait_for 'echo \"<4>canary-$module-A\" >/dev/kmsg; grep -q canary-$module-A /tmp/$module.out 2>/dev/null'; status=\$?
			tail -n 3 /tmp/$module.out
			kill \$pid; wait \$pid; exit \$status" || return 1
	done
}

# A writer that is frozen in the middle has lost nothing, and its log can be read meanwhile.
check_pause() {
	inside A 'i=0; while [ $i -lt 40 ]; do logger -t seq "pause-$i-"; i=$((i + 1)); sleep 0.02; done >/dev/null 2>&1 &'
	sleep 0.2
	"${driver}_pause" A || return 1
	sleep 0.1
	seen=$(pogctl logs "$tag-$driver-A" | grep -c 'pause-[0-9]*-')
	sleep 0.2
	[ "$(pogctl logs "$tag-$driver-A" | grep -c 'pause-[0-9]*-')" = "$seen" ] || frozen=no
	"${driver}_unpause" A || return 1
	[ "${frozen:-yes}" = yes ] || { echo 'not frozen'; return 1; }
	tries=0
	until [ "$(pogctl logs "$tag-$driver-A" | grep -o 'pause-[0-9]*-' | sort -u | wc -l)" = 40 ]; do
		tries=$((tries + 1))
		[ $tries -lt 40 ] || return 1
		sleep 0.1
	done
	[ "$(pogctl logs "$tag-$driver-A" | grep -c 'pause-[0-9]*-')" = 40 ]
}

# Given CAP_SYSLOG, and everything: by whatever way it asks, it sees what it wrote and nothing of the host's, nor below what it unmounts.
check_privileged() {
	echo "<5>canary-host-$tag-$driver-rights" >/dev/kmsg
	for rights in syslog all; do
		"${driver}_privileged" $rights "grep CapEff /proc/self/status; echo '<4>canary-own' >/dev/kmsg
			for way in 'dmesg' 'dmesg -S' 'busybox dmesg' 'timeout 0.3 cat /proc/kmsg' 'timeout 0.3 cat /dev/kmsg'; do
				\$way 2>&1 | grep -q canary-own && echo seen || echo not seen by \"\$way\"
				\$way 2>&1 | grep canary-host
			done
			! busybox umount /proc/kmsg 2>/dev/null || timeout 0.3 cat /proc/kmsg 2>&1 | grep canary-host
			! busybox mknod /tmp/kmsg c 1 11 2>/dev/null || timeout 0.3 cat /tmp/kmsg 2>&1 | head -3" >"$mine/out" 2>&1 </dev/null
		cat "$mine/out"
		# CAP_SYSLOG is bit 34, the third bit of the ninth digit from the right: it is not given.
		grep -q 'CapEff:.*[0-38-b]........$' "$mine/out" || return 1
		[ "$(grep -c '^seen' "$mine/out")" = 5 ] && ! grep -e canary-host -e '^[0-9]*,[0-9]*,' "$mine/out" || return 1
	done
}

# What the kernel says of this container, in its own dmesg alone: a kill for want of memory, a fork refused, a crash. Told within 100 ms, which is
# test/e2e/kernel-messages.test.ts's to hold; here the machine is busy.
check_kernel() {
	inside A 'busybox dd if=/dev/zero of=/dev/null bs=200M count=1; :'
	# Nobody reaps orphans here, so a shell will not do for a parent that is refused a child.
	if [ -x "$work/rootfs/bin/crash" ]; then
		inside A 'crash forks'
		# The kernel speaks of ten crashes in five seconds at most, and not only of ours.
		for _ in 1 2 3 4 5 6 7 8 9; do
			inside A 'crash; sleep 0.1; dmesg | grep "crash.*segfault"' && break
			sleep 1
		done
	fi
	# A sick container may fail the first exec after that.
	for _ in 1 2 3; do inside A dmesg >"$mine/out" && break; done
	tail -n 30 "$mine/out"
	grep -v -i 'memory: usage' "$mine/out"
	killed=$(grep -m 1 'Killed process [0-9]* (busybox)' "$mine/out") || return 1
	if [ -x "$work/rootfs/bin/crash" ]; then
		grep -q 'fork rejected by pids controller in /$' "$mine/out" || return 1
		grep -q 'crash\[[0-9]*\]: segfault at 0 ' "$mine/out" || return 1
	fi
	# Of the host's, ours is the last one until then. The kernel stamps its records with a clock of its own, which time servers do not set
	# right: hours after the boot it is some milliseconds off, either way.
	dmesg | awk -v told="$killed" '
		BEGIN { split(told, part, /[][]/); at = part[2] + 0 }
		/Killed process [0-9]* \(busybox\)/ { split($0, part, /[][]/); each = part[2] + 0; if (each <= at + 1) said = each }
		END { print "told", at - said, "s after the kernel"; exit !(said && at - said < 1) }' || return 1
	inside B dmesg >"$mine/out-B"
	! grep -e Killed -e rejected -e segfault "$mine/out-B" && ! grep -e "$tag" -e 'Call Trace' -e 'Code:' "$mine/out"
}

# The memory cgroup that is the container's own pays for the ring, and for a file of its own that it writes.
check_charged() {
	first=$(first_process A)
	[ "$first" ] || { echo 'no first process'; return 1; }
	if [ -d /sys/fs/cgroup/memory ]; then
		group=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' "/proc/$first/cgroup") field=total_shmem
	else
		group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$first/cgroup") field=shmem
	fi
	# 256k of text, and the index of it.
	pays "$((256 * 1024))" || return 1
	before=$paid
	inside A 'busybox dd if=/dev/zero of=/var/log/charged bs=1M count=2' && pays "$((before + 2 * 1024 * 1024))" || return 1
	inside A 'busybox rm /var/log/charged'
}

# pays BYTES: the cgroup in $group pays for so many bytes of shared memory, or will soon; how many is in $paid.
pays() {
	tries=0
	until paid=$(sed -n "s/^$field //p" "$group/memory.stat"); [ "${paid:-0}" -ge "$1" ]; do
		tries=$((tries + 1))
		[ $tries -lt 50 ] || { echo "$group pays for ${paid:-nothing} of $1 bytes"; return 1; }
		sleep 0.1
	done
}

# first_process A|B: the container's, as the service knows it; it has to be one.
first_process() {
	pid=$(sed -n 's/.*"process":{"pid":\([0-9]*\),.*/\1/p' "$run/pogs/$tag-$driver-$1/pog.json")
	[ "$pid" ] && grep -q -s '^NSpid:.*[0-9][[:space:]]*[[:space:]]1$' "/proc/$pid/status" && echo "$pid"
}

# Nothing of A is in B or on the host, nothing of the host in either, and each file of B says what B has written.
check_isolation() {
	echo "<5>canary-host-$tag-$driver" >/dev/kmsg
	inside A 'echo "<4>canary-kmsg-A" >/dev/kmsg; logger canary-log-A'
	dmesg >"$mine/host"
	for name in A B; do
		inside $name 'dmesg; timeout 0.3 cat /proc/kmsg; timeout 0.3 cat /dev/kmsg; cat /var/log/* 2>/dev/null; :' >"$mine/seen-$name"
		! grep canary-host "$mine/seen-$name" || return 1
	done
	! grep 'canary-.*-A' "$mine/seen-B" || return 1
	! grep -e canary-kmsg -e canary-log "$mine/host" || return 1
	pogctl logs "$tag-$driver-B" >"$mine/logs-B" && ! grep 'canary-.*-A' "$mine/logs-B" || return 1
	pogctl logs "$tag-$driver-A" | grep -q 'canary-.*-A'
}

# The same container again: the log is a new one, and it works.
check_restart() {
	"${driver}_restart" A || return 1
	await A || return 1
	inside A "$waiting; logger canary-anew-A; wait_for 'grep -q canary-anew-A /var/log/messages' && ! grep -q canary-late-A /var/log/messages"
}

# left_of NAME: what there still is of a POG.
left_of() {
	pogctl ls | grep -- "$tag-$driver-$1"
	grep -- "$run/pogs/$tag-$driver-$1" /proc/self/mountinfo
	ls -d "$run/pogs/$tag-$driver-$1"* 2>/dev/null
}

# freed NAME: nothing is, after 5 s at most.
freed() {
	tries=0
	while left=$(left_of "$1"); [ "$left" ]; do
		tries=$((tries + 1))
		if [ $tries -gt 50 ]; then
			echo "$left"
			return 1
		fi
		sleep 0.1
	done
}

# B's first process is killed behind the engine's back.
check_killed() {
	first=$(first_process B)
	[ "$first" ] || { echo 'no first process'; return 1; }
	kill -9 "$first" && freed B
}

# The containers end: no POG, no mount, no directory, no tmpfs of theirs stays.
check_frees() {
	"${driver}_stop" A
	"${driver}_stop" B
	freed ''
}

# await A|B: the POG is there, and so is the shell.
await() {
	tries=0
	until inside "$1" 'test -e /run/pog/stats' && pogctl show "$tag-$driver-$1" >/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || return 1
		sleep 0.1
	done
}

start_both() {
	for name in A B; do
		"${driver}_start" $name && await $name || return 1
	done
}
