#!/bin/sh
# with-hugetlb.sh COMMAND...: runs it where crun can work. crun refuses a cgroup v1 tree that has v2 beside it while v2 holds a controller,
# which hugetlb is on such a machine as long as nobody has mounted it. What is mounted here is taken away at the end.
set -u
tree=/sys/fs/cgroup/hugetlb

if [ -d /sys/fs/cgroup/memory ] && [ ! -e "$tree" ] && [ "$(id -u)" -eq 0 ] && grep -q '^hugetlb.*1$' /proc/cgroups; then
	trap 'umount "$tree"; rmdir "$tree"' EXIT
	trap 'exit 130' INT TERM
	mkdir "$tree" && mount -t cgroup -o hugetlb cgroup "$tree"
fi
"$@"
