# shellcheck shell=sh disable=SC2154,SC2329,SC2015
# An image of Debian with systemd, rsyslog, apache2, mariadb and nginx, for what needs real daemons. Made once by mmdebstrap, kept as a tar in the cache of
# the tests; two runtimes that want it at the same time take turns.

image_cache=${XDG_CACHE_HOME:-$HOME/.cache}/pogs/bookworm-daemons.tar
image_packages=systemd-sysv,dbus,rsyslog,apache2,apache2-utils,mariadb-server,nginx-light,util-linux,bsdutils

# image_missing: why there is none, or nothing.
image_missing() {
	[ -e "$image_cache" ] || has mmdebstrap || return 1
	(
		mkdir -p "${image_cache%/*}"
		exec 9>"$image_cache.lock"
		flock 9
		if [ ! -e "$image_cache" ]; then
			timeout 300 mmdebstrap --quiet --variant=minbase --include="$image_packages" --dpkgopt='path-exclude=/usr/share/doc/*' \
				--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
				--format=tar bookworm "$image_cache.part" >"$image_cache.log" 2>&1 && mv "$image_cache.part" "$image_cache"
			rm -f "$image_cache.part"
		fi
		[ -e "$image_cache" ] || { echo 'no image of Debian can be made here'; exit 1; }
		[ -e "$work/image.done" ] || {
			mkdir "$work/image" && tar -C "$work/image" -xf "$image_cache" || { echo 'the image cannot be unpacked'; exit 1; }
			# None of them starts by itself: two want the same port.
			for unit in apache2 nginx mariadb; do ln -sf /dev/null "$work/image/etc/systemd/system/$unit.service"; done
			: >"$work/image.done"
		}
	)
}

# image_root DIRECTORY: a root file system of the image, whose writes stay in memory.
image_root() {
	mkdir -p "$1" && mount -t tmpfs image "$1" && mkdir "$1/upper" "$1/work" "$1/root" &&
		mount -t overlay -o "lowerdir=$work/image,upperdir=$1/upper,workdir=$1/work" image "$1/root"
}
