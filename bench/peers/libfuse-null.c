/*
 * The peer of the FUSE rows: a libfuse 3 low-level server whose operations do nothing.
 *
 * libfuse-null [-s] MOUNTPOINT: one directory with one file, `file`. A write answers its size, a read answers 200 bytes,
 * attributes are constants. Settings are those a log server has to run with (direct I/O, no caching of names or attributes),
 * everything else is libfuse at its fastest: single-threaded loop (no hand-over between threads), cloned descriptors not needed,
 * splice off by default for small requests (libfuse copies those anyway), no flush request (FOPEN_NOFLUSH).
 */
#define FUSE_USE_VERSION 312
#define _GNU_SOURCE
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_INO 2
static char content[256 * 1024];

static int fill(fuse_ino_t ino, struct stat *st)
{
	memset(st, 0, sizeof *st);
	st->st_ino = ino;
	if (ino == FUSE_ROOT_ID) {
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
		return 0;
	}
	if (ino == FILE_INO) {
		st->st_mode = S_IFREG | 0666;
		st->st_nlink = 1;
		st->st_size = sizeof content;
		return 0;
	}
	return -1;
}

static void null_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;
	if (parent != FUSE_ROOT_ID || strcmp(name, "file") != 0) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	memset(&e, 0, sizeof e);
	e.ino = FILE_INO;
	fill(FILE_INO, &e.attr);
	fuse_reply_entry(req, &e);
}

static void null_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	(void)fi;
	if (fill(ino, &st) != 0)
		fuse_reply_err(req, ENOENT);
	else
		fuse_reply_attr(req, &st, 0.0);
}

static void null_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	(void)attr;
	(void)to_set;
	null_getattr(req, ino, fi);
}

static void null_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->direct_io = 1;
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void null_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	(void)off;
	/* 200 bytes to a small read; a large one is answered whole, for the sequential row. */
	fuse_reply_buf(req, content, size <= 4096 ? (size < 200 ? size : 200) : (size < sizeof content ? size : sizeof content));
}

static void null_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	(void)ino;
	(void)buf;
	(void)off;
	(void)fi;
	fuse_reply_write(req, size);
}

static void null_init(void *data, struct fuse_conn_info *conn)
{
	(void)data;
	/* The same answers as a default session, said aloud: no write-back cache, no spliced reads (a pipe per request costs more). */
	conn->want &= ~(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
}

static const struct fuse_lowlevel_ops ops = {
	.init = null_init,
	.lookup = null_lookup,
	.getattr = null_getattr,
	.setattr = null_setattr,
	.open = null_open,
	.read = null_read,
	.write = null_write,
};

int main(int argc, char **argv)
{
	char *args[] = {argv[0], "-o", "allow_other,default_permissions,fsname=libfuse-null", NULL};
	struct fuse_args fa = FUSE_ARGS_INIT(3, args);
	struct fuse_session *se;
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: libfuse-null MOUNTPOINT\n");
		return 2;
	}
	memset(content, 'x', sizeof content);
	se = fuse_session_new(&fa, &ops, sizeof ops, NULL);
	if (!se || fuse_set_signal_handlers(se) != 0 || fuse_session_mount(se, argv[1]) != 0)
		return 1;
	puts("ready");
	fflush(stdout);
	rc = fuse_session_loop(se);
	fuse_session_unmount(se);
	fuse_session_destroy(se);
	return rc ? 1 : 0;
}
