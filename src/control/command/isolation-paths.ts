/**
 * Every way into a container's log and every way out of one, as data: what `pogctl doctor --isolation` and the tests plant and
 * search. Shell of the lowest common kind (POSIX sh, busybox); a row whose program a container lacks plants or shows nothing.
 *
 * Invariant: a way in may not change more than the log of its own container, and a way out changes nothing (but for
 * /proc/kmsg, which is consumed by reading).
 */
import { SWEEP } from './isolation-sweep.ts'

/** Ways in: `$1` is the word. What is planted here can be found by one of the ways out in the same container, and nowhere else. */
export const WAYS_IN: Readonly<Record<string, string>> = {
	'/dev/kmsg': 'echo "<14>kmsg: $1" > /dev/kmsg',
	'/dev/log': 'logger -t isolation "$1"',
	'/dev/log, the tag': 'logger -t "$1" tagged',
	'/dev/log, RFC 5424': 'logger --rfc5424 -t isolation "$1"',
	'a line appended to a view': 'echo "$1" >> /var/log/messages',
	'a file of its own': 'echo "$1" > /var/log/isolation.own',
	'the name of a file': ': > "/var/log/name-$1"',
	'the name of a directory': 'mkdir "/var/log/directory-$1"',
	'the target of a link': 'ln -s "/$1" /var/log/isolation.link',
	'a file in /run/pog': 'echo "$1" > /run/pog/isolation.own',
	'an attribute of a file': `setfattr -n user.isolation -v "$1" /var/log/isolation.own ||
		python3 -c 'import os, sys; os.setxattr("/var/log/isolation.own", "user.isolation", sys.argv[1].encode())' "$1"`,
	'the control file': 'echo "write <13>isolation: $1" > /run/pog/ctl',
	'pogctl inside': '/run/pog/pogctl write "isolation: $1"',
	'its configuration': 'echo "# $1" >> /etc/syslog.conf',
	'a fault in its configuration': 'echo "user.$1 /var/log/fault" >> /run/pog/syslog.conf',
	'the name of a file in its configuration': 'echo "local7.* /var/log/conf-$1" >> /run/pog/syslog.conf',
}

/** Ways out. What each prints, on both outputs, is searched. */
export const WAYS_OUT: Readonly<Record<string, string>> = {
	'/dev/kmsg': 'timeout 1 cat /dev/kmsg',
	'/proc/kmsg': 'timeout 1 cat /proc/kmsg',
	dmesg: 'dmesg',
	'syslog(2)': 'dmesg -S; busybox dmesg',
	'syslog(2), each action': `python3 -c '
import ctypes
libc = ctypes.CDLL(None)
for action in (2, 3, 9, 10):
    room = ctypes.create_string_buffer(1 << 20)
    if action != 2 or libc.klogctl(9, None, 0) > 0:
        print(action, libc.klogctl(action, room, len(room)), room.value)'`,
	'files of /var/log': 'find /var/log -type f -exec cat {} +',
	'names of /var/log and /run/pog': 'find /var/log /run/pog -exec ls -ld {} +',
	'attributes of /var/log': 'getfattr -Rhd /var/log; getfattr -d /dev/kmsg /run/pog /etc/syslog.conf',
	'statfs(2), stat(2)': 'stat -f /var/log /run/pog; stat /var/log/* /run/pog/* /dev/kmsg /proc/kmsg; df -a',
	'/etc/syslog.conf': 'cat /etc/syslog.conf /run/pog/syslog.conf',
	'/run/pog': 'cat /run/pog/status /run/pog/stats /run/pog/log /run/pog/isolation.own',
	'answers of the control file': '{ echo nonsense >&3; cat <&3; } 3<>/run/pog/ctl',
	'pogctl inside': '/run/pog/pogctl read; /run/pog/pogctl conf get; /run/pog/pogctl conf check; /run/pog/pogctl status',
	'/proc/self/mountinfo, /proc/mounts': 'cat /proc/self/mountinfo /proc/mounts',
	'/proc/sys/kernel, host name':
		'cat /proc/sys/kernel/printk /proc/sys/kernel/dmesg_restrict /proc/sys/kernel/hostname',
	'nodes by number (open_by_handle_at(2))': `python3 -c '
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
mount = os.open("/var/log", os.O_RDONLY)
for kind in (0x81, 0x82):
    for node in [*range(1, 2000), *((k << 50) + n for k in (1, 2) for n in range(2000))]:
        body = struct.pack("<QI", node, 0) if kind == 0x81 else struct.pack("<QIQI", node, 0, 1, 0)
        fd = libc.open_by_handle_at(mount, struct.pack("<Ii", len(body), kind) + body, 0o4000)
        if fd >= 0: print(node, os.read(fd, 1 << 16) if not os.path.isdir("/proc/self/fd/%d" % fd) else os.listdir(fd)); os.close(fd)'`,
	'all that its root reaches, raw': SWEEP,
	"the service's own directory": 'ls -laR "$POGS_SERVICE_DIRECTORY" /run/pogs',
}

/** Ways out that the host has into a container that runs, which change nothing there: `$1` is where its tree is mounted. */
export const HOST_WAYS_OUT: Readonly<Record<string, string>> = {
	'files of /var/log': 'find "$1/var/log" -type f -exec cat {} +',
	names: 'find "$1/var/log" "$1/run/pog" -exec ls -ld {} +',
	'/dev/kmsg': 'timeout 1 cat "$1/dev/kmsg"',
	'/run/pog, /etc/syslog.conf': 'cat "$1/run/pog/status" "$1/run/pog/stats" "$1/run/pog/log" "$1/etc/syslog.conf"',
}
