# shellcheck shell=sh disable=SC2154,SC2034,SC2016
# What each runtime is held to. Sourced by run.sh. check_NAME DRIVER succeeds or says on its output what it saw; containers A and B run, and
# "${driver}_exec A SCRIPT" runs a shell in one. Every wait has a bound.

checks='dmesg kmsg logger tail conf clear isolation frees'

# inside A|B SCRIPT
inside() { timeout 20 env -u POGS_RUN_DIR sh -c '. "$here/drivers.sh"; "$1_exec" "$2" "$3"' sh "$driver" "$1" "$2"; }

# In a container: wait COMMAND, at most 5 s.
waiting='wait_for() { n=0; until eval "$1"; do n=$((n + 1)); [ $n -lt 50 ] || return 1; sleep 0.1; done; }'

check_dmesg() {
	driver=$1
	inside A "echo '<4>canary-kmsg-A' >/dev/kmsg; dmesg" | tee "$work/out"
	grep -q canary-kmsg-A "$work/out"
}

check_kmsg() {
	driver=$1
	# User space never writes as the kernel, but as facility user. The file waits for more, as the kernel's does. cat by its path: timeout
	# is busybox's and would run a cat of its own, with sendfile(2), which the kernel serves from the page cache of a FUSE file: from
	# one without a size, nothing.
	inside A "timeout 1 /bin/cat /proc/kmsg; :" | tee "$work/out"
	grep -q '^<12>.*canary-kmsg-A' "$work/out"
}

check_logger() {
	driver=$1
	inside A "$waiting; logger -t canary canary-log-A; wait_for 'grep -q canary-log-A /var/log/messages' && cat /var/log/messages"
}

check_tail() {
	driver=$1
	inside A "$waiting
		tail -n 0 -f /var/log/messages >/tmp/tail & pid=\$!
		wait_for 'logger again-A; grep -q again-A /tmp/tail'; status=\$?
		kill \$pid; exit \$status"
}

check_conf() {
	driver=$1
	inside A "$waiting
		echo 'local3.* /var/log/own' >>/etc/syslog.conf
		logger -p local3.info canary-conf-A
		wait_for 'grep -q canary-conf-A /var/log/own' && grep -q local3 /etc/syslog.conf"
}

check_clear() {
	driver=$1
	inside A "$waiting
		logger before-clear; wait_for 'grep -q before-clear /var/log/messages' || exit 1
		/run/pog/pogctl clear && ! grep -q before-clear /var/log/messages && logger canary-late-A &&
		wait_for 'grep -q canary-late-A /var/log/messages'"
}

# Nothing of A is in B or on the host, nothing of the host in either, and each file of B says what B has written.
check_isolation() {
	driver=$1
	echo "<5>canary-host-$tag-$driver" >/dev/kmsg
	dmesg >"$work/host"
	for name in A B; do
		inside $name 'dmesg; timeout 1 /bin/cat /proc/kmsg; timeout 1 /bin/cat /dev/kmsg; cat /var/log/* 2>/dev/null; :' >"$work/seen-$name"
		! grep canary-host "$work/seen-$name" || return 1
	done
	! grep 'canary-.*-A' "$work/seen-B" || return 1
	! grep -e canary-kmsg -e canary-log "$work/host" || return 1
	pogctl logs "$tag-$driver-B" >"$work/logs-B" && ! grep 'canary-.*-A' "$work/logs-B" || return 1
	pogctl logs "$tag-$driver-A" | grep -q canary-late-A
}

# The containers end: no POG, no mount, no directory, no tmpfs of theirs stays.
check_frees() {
	driver=$1
	"${driver}_stop" A
	"${driver}_stop" B
	tries=0
	while :; do
		left=$(pogctl ls | grep -- "$tag-$driver-"
			grep -- "$run/pogs/$tag-$driver-" /proc/self/mountinfo
			ls -d "$run/pogs/$tag-$driver-"* 2>/dev/null)
		[ "$left" ] || return 0
		tries=$((tries + 1))
		if [ $tries -gt 50 ]; then
			echo "$left"
			return 1
		fi
		sleep 0.1
	done
}

start_both() {
	driver=$1
	for name in A B; do
		"${driver}_start" $name || return 1
		# The POG is there, and so is the shell.
		tries=0
		until inside $name 'test -e /run/pog/stats' && pogctl show "$tag-$driver-$name" >/dev/null; do
			tries=$((tries + 1))
			[ $tries -lt 20 ] || return 1
			sleep 0.1
		done
	done
}
