#!/bin/sh
# Installs the container engines of the matrix that this machine lacks, from Debian. Never fails: what cannot be had is skipped.
set -u
lacking=
for pair in runc:runc crun:crun podman:podman dockerd:docker.io containerd:containerd lxc-start:lxc systemd-nspawn:systemd-container \
	mmdebstrap:mmdebstrap newuidmap:uidmap slirp4netns:slirp4netns fuse-overlayfs:fuse-overlayfs useradd:passwd; do
	command -v "${pair%%:*}" >/dev/null 2>&1 || lacking="$lacking ${pair#*:}"
done
if [ "$lacking" ] && command -v apt-get >/dev/null 2>&1; then
	export DEBIAN_FRONTEND=noninteractive
	echo "# installing$lacking"
	apt-get -qq update >/dev/null 2>&1
	for name in $lacking; do
		apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$name" >/dev/null 2>&1 ||
			echo "# cannot install $name"
	done
fi
# busybox comes with the other end-to-end tests.
sh "$(dirname "$0")/../install-packages.sh" >/dev/null 2>&1
exit 0
