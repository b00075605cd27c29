/**
 * The search that knows nothing of POGs: what a hostile root in a container would do. It walks every mount that its mountinfo names, by
 * bytes, names, links, attributes and file handles; the roots of processes that have another mount namespace; and, in a mount namespace of
 * its own, what lies below the service's mounts and in file systems that it mounts afresh.
 *
 * Source: proc(5), xattr(7), open_by_handle_at(2), mount_namespaces(7); the handles of tmpfs are those of mm/shmem.c: generation, then the
 * inode's number.
 *
 * Invariants: it prints words of the form that `isolation-words.ts` says and where they were, and last what it did; it is told no word, so it
 * finds none in itself. It changes nothing of the container and opens no device but the log's.
 */

import { WORD_PATTERN } from './isolation-words.ts'

/** For python3. What is not done after so many seconds is left out, and said; disks get so many of them. */
const SECONDS = 8
const DISK_SECONDS = 2

const PROGRAM = String.raw`
import ctypes, os, re, stat, struct, time
WORD = re.compile(rb"${WORD_PATTERN}")
MOST_BYTES, MOST_NAMES, MOST_HANDLES = 1 << 22, 20000, 32
end = time.monotonic() + ${SECONDS}
libc = ctypes.CDLL(None, use_errno=True)
done = dict(files=0, names=0, handles=0)
shown, late = set(), []

def show(where, data):
    for word in WORD.findall(data):
        if (where, word) not in shown:
            shown.add((where, word)); print(word.decode(), where, flush=True)

def content(fd, where):
    kept, room = b"", MOST_BYTES
    try:
        while room > 0:
            piece = os.read(fd, 1 << 16)
            if not piece: break
            show(where, kept + piece)
            kept, room = piece[-64:], room - len(piece)
        done["files"] += 1
    except OSError: pass

def read(path):
    try: fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY)
    except OSError: return
    content(fd, path)
    os.close(fd)

def entry(path, there):
    done["names"] += 1
    show(path, os.fsencode(path))
    if stat.S_ISLNK(there.st_mode):
        try: show(path, os.fsencode(os.readlink(path)))
        except OSError: pass
    try: names = os.listxattr(path, follow_symlinks=False)
    except OSError: names = []
    for name in [*names, "user.isolation", "trusted.overlay.origin", "trusted.overlay.redirect"]:
        show(path, os.fsencode(name))
        try: show(path, os.getxattr(path, name, follow_symlinks=False))
        except OSError: pass
    if stat.S_ISREG(there.st_mode) or os.path.basename(path) == "kmsg": read(path)

def walk(top, kind, handles=None):
    try: device = os.lstat(top).st_dev
    except OSError: return
    stack, most = [top], done["names"] + MOST_NAMES
    while stack:
        if time.monotonic() > end or done["names"] > most:
            late.append(top); return
        path = stack.pop()
        if is_skipped(path): continue
        try: there = os.lstat(path)
        except OSError: continue
        if stat.S_ISDIR(there.st_mode) and there.st_dev != device: continue
        entry(path, there)
        if handles is not None and len(handles) < MOST_HANDLES: handles.append(path)
        if not stat.S_ISDIR(there.st_mode): continue
        if kind == "proc" and os.path.basename(path) in ("task", "map_files", "sys"): continue
        try: stack += [os.path.join(path, name) for name in os.listdir(path)]
        except OSError: pass

def opened(mount, kind, body, where):
    fd = libc.open_by_handle_at(mount, struct.pack("<Ii", len(body), kind) + body, os.O_RDONLY | os.O_NONBLOCK)
    done["handles"] += 1
    if fd < 0: return
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode): show(where, b"\n".join(map(os.fsencode, os.listdir(fd))))
        else: content(fd, where)
    except OSError: pass
    os.close(fd)

def by_handles(top, paths):
    try: mount = os.open(top, os.O_RDONLY | os.O_NONBLOCK)
    except OSError: return
    for path in paths:
        room, number = ctypes.create_string_buffer(struct.pack("<Ii", 128, 0), 136), ctypes.c_int()
        if libc.name_to_handle_at(-100, os.fsencode(path), room, ctypes.byref(number), 0) != 0: continue
        size, kind = struct.unpack_from("<Ii", room.raw)
        body = room.raw[8:8 + size]
        opened(mount, kind, body, "by a handle in " + top)
        if size < 12: continue
        words = struct.unpack_from("<III", body)
        for near in range(-32, 33):
            number = max(0, words[1] + near)
            opened(mount, kind, struct.pack("<III", words[0], number, words[2]) + body[12:], "by a made handle in " + top)
    os.close(mount)

def mounts():
    text = open("/proc/self/mountinfo", "rb").read()
    show("/proc/self/mountinfo", text)
    rows = []
    for line in text.decode("utf8", "surrogateescape").splitlines():
        left, right = line.split(" - ", 1)
        device, root, point = left.split(" ")[2:5]
        rows.append((device, root, re.sub(r"\\(\d{3})", lambda at: chr(int(at.group(1), 8)), point), right.split(" ")[0]))
    return rows

# What comes from the machine's disk is as large as the machine, and no log of POGs; of /sys where the kernel keeps words.
SKIPPED = re.compile(r"/(usr|lib\w*|bin|sbin|sys)(/|$)")
KEPT = re.compile(r"/sys/fs/(fuse|pstore)")

def is_skipped(path): return SKIPPED.match(path) is not None and KEPT.match(path) is None

FIRST = ("fuse", "tmpfs", "mqueue", "proc")
FAR = ("nfs", "cifs", "autofs", "ceph", "smb")

def search_mounts(first):
    rank = lambda row: next((n for n, kind in enumerate(FIRST) if row[3].startswith(kind)), len(FIRST))
    seen = set()
    for device, root, point, kind in sorted(mounts(), key=lambda row: (rank(row), row[2] == "/")):
        if kind.startswith(FIRST) != first or kind.startswith(FAR) or (device, root) in seen: continue
        if is_skipped(point): continue
        seen.add((device, root))
        paths = [] if kind.startswith(("fuse", "tmpfs", "mqueue")) else None
        walk(point, kind, paths)
        if paths: by_handles(point, paths)
        swept.append(point)

def search_roots():
    mine = os.readlink("/proc/self/ns/mnt")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink("/proc/%s/ns/mnt" % pid) == mine: continue
        except OSError: continue
        for name in ("var/log", "run", "dev", "etc/syslog.conf", "proc/kmsg"): walk("/proc/%s/root/%s" % (pid, name), "root")

CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH, NOWHERE = 0x20000, 0x4000, 1 << 18, 2, b"none"

def search_below():
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(NOWHERE, b"/", None, MS_REC | MS_PRIVATE, None) != 0: return
    points = [point for _, _, point, kind in mounts() if kind.startswith("fuse")]
    for point in reversed(points): libc.umount2(os.fsencode(point), MNT_DETACH)
    for point in points:
        walk(point, "below")
        swept.append("below " + point)
    fresh = "/tmp" if os.path.isdir("/tmp") else "/"
    for kind in ("proc", "mqueue", "devtmpfs", "pstore", "fusectl", "tmpfs"):
        if libc.mount(NOWHERE, os.fsencode(fresh), kind.encode(), 0, None) != 0: continue
        if kind == "tmpfs":
            try: os.mknod(fresh + "/kmsg", 0o20600, os.makedev(1, 11))
            except OSError: pass
        walk(fresh, kind)
        swept.append("fresh " + kind)
        libc.umount2(os.fsencode(fresh), MNT_DETACH)

swept = []
search_mounts(True)
search_roots()
search_below()
end = min(end, time.monotonic() + ${DISK_SECONDS})
search_mounts(False)
print("swept %(files)d files, %(names)d names, %(handles)d handles" % done, "in:", *swept)
if late: print("not finished:", *late)
`

/** Shell. */
export const SWEEP = `python3 - <<'END'${PROGRAM}END`
