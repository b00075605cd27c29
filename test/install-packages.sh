#!/bin/sh
# Installs what the end-to-end suites want (test/e2e/packages) and this machine lacks. Never fails the build: what cannot be had is
# reported, and its tests are skipped with their reason.
set -u
list=$(dirname "$0")/e2e/packages
cache=${XDG_CACHE_HOME:-$HOME/.cache}/pogs

if ! command -v apt-get >/dev/null 2>&1; then
	echo "install-packages: no apt-get here: tests that lack a program are skipped" >&2
	exit 0
fi

# A package counts as there when dpkg knows it, or when the program it is wanted for is there from elsewhere.
has() {
	case $1 in
	python3 | python3-minimal) command -v python3 >/dev/null 2>&1 ;;
	gcc | less | dash | grep | sed | tar | logrotate) command -v "$1" >/dev/null 2>&1 ;;
	libc6-dev) [ -e /usr/include/syslog.h ] ;;
	vim-tiny) command -v vim.tiny >/dev/null 2>&1 || command -v vim >/dev/null 2>&1 ;;
	*) dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed' ;;
	esac
}

lacking='' unpack=''
while read -r name; do
	case $name in
	'#'* | '') ;;
	unpack:busybox-static) [ -x "$cache/bin/busybox" ] || unpack="$unpack ${name#unpack:}" ;;
	unpack:*) unpack="$unpack ${name#unpack:}" ;;
	*) has "$name" || lacking="$lacking $name" ;;
	esac
done <"$list"
[ -z "$lacking$unpack" ] && exit 0

export DEBIAN_FRONTEND=noninteractive
echo "install-packages: getting$lacking$unpack" >&2
apt-get -qq update >/dev/null 2>&1 || echo 'install-packages: apt-get update fails: using the lists that are here' >&2

if [ -n "$lacking" ]; then
	if [ "$(id -u)" -ne 0 ]; then
		echo "install-packages: not root, so not installed:$lacking" >&2
	else
		# One by one when all at once fails: one package that is not to be had must not cost the others.
		# shellcheck disable=SC2086
		apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends $lacking >/dev/null 2>&1 ||
			for name in $lacking; do
				apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$name" >/dev/null 2>&1 ||
					echo "install-packages: cannot install $name" >&2
			done
	fi
fi

for name in $unpack; do
	scratch=$(mktemp -d) || exit 0
	(
		cd "$scratch" && chmod 755 . && apt-get -qq download "$name" >/dev/null 2>&1 && dpkg-deb -x ./*.deb tree &&
			mkdir -p "$cache/bin" && find tree -type f -perm -100 -path '*bin/*' -exec cp {} "$cache/bin/" \;
	) || echo "install-packages: cannot unpack $name" >&2
	rm -rf "$scratch"
done
exit 0
