#!/bin/sh
# Installs the container engines, workloads and peers of the evaluation that this machine lacks, from Debian. Never fails: what cannot be had
# is left out of the document, with its reason. Starts no daemon that was not there.
set -u
lacking=
for pair in runc:runc dockerd:docker.io apache2:apache2 ab:apache2-utils mariadbd:mariadb-server mariadb-slap:mariadb-client lxcfs:lxcfs logger:bsdutils; do
	command -v "${pair%%:*}" >/dev/null 2>&1 || lacking="$lacking ${pair#*:}"
done
[ "$lacking" ] && command -v apt-get >/dev/null 2>&1 || exit 0
echo "install-packages: getting$lacking"
export DEBIAN_FRONTEND=noninteractive
# The packages would start their daemons; /usr/sbin/policy-rc.d is how Debian is told not to, and is left as it was.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
	trap 'rm -f $policy' EXIT
fi
apt-get -qq update >/dev/null 2>&1
for name in $lacking; do
	apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$name" >/dev/null 2>&1 ||
		echo "install-packages: cannot install $name"
done
exit 0
