/*
 * fuse-ops OP DIR FILE COUNT: enters DIR, then repeats one operation on FILE and prints the seconds it took.
 *
 * Entering DIR first means that a path costs the look-up of its last name only, as in a container where DIR is bind-mounted.
 *
 * write  a 100-byte message by write(2) on one open description (O_WRONLY)
 * read   200 bytes by pread(2) at offset 0 of one open description
 * seek   200 bytes by pread(2) at offsets all over the file, by a fixed pseudo-random series
 * stat   stat(2) of the path (a lookup of the last name: nothing may be cached)
 * open   open(2) O_RDONLY and close(2)
 * seq    reads the file from its start to its end with a 128 KiB buffer, COUNT times; prints seconds and bytes
 *
 * The clock runs around the loop only. Any short or failed operation ends the program with status 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "fuse-ops: %s: %s\n", what, strerror(errno));
	exit(1);
}

int main(int argc, char **argv)
{
	static char buffer[128 * 1024];
	char message[100];
	struct stat st;
	const char *file;
	double start;
	long long total = 0;
	ssize_t n;
	long count, i;
	int fd = -1;

	if (argc != 5) {
		fprintf(stderr, "usage: fuse-ops write|read|seek|stat|open|seq DIR FILE COUNT\n");
		return 2;
	}
	if (chdir(argv[2]) != 0)
		die(argv[2]);
	file = argv[3];
	count = atol(argv[4]);
	memset(message, 'm', sizeof message);
	memcpy(message, "<13>bench: ", 11);
	message[sizeof message - 1] = '\n';

	if (strcmp(argv[1], "write") == 0)
		fd = open(file, O_WRONLY | O_CLOEXEC);
	else if (strcmp(argv[1], "read") == 0 || strcmp(argv[1], "seek") == 0)
		fd = open(file, O_RDONLY | O_CLOEXEC);
	else
		fd = -2;
	if (fd == -1)
		die("open");

	start = now();
	if (strcmp(argv[1], "write") == 0) {
		for (i = 0; i < count; i++)
			if (write(fd, message, sizeof message) != (ssize_t)sizeof message)
				die("write");
	} else if (strcmp(argv[1], "read") == 0) {
		for (i = 0; i < count; i++)
			if (pread(fd, buffer, 200, 0) != 200)
				die("read");
	} else if (strcmp(argv[1], "seek") == 0) {
		unsigned long long random = 1;
		if (fstat(fd, &st) != 0 || st.st_size <= 200)
			die("size");
		for (i = 0; i < count; i++) {
			random = random * 6364136223846793005ULL + 1442695040888963407ULL;
			if (pread(fd, buffer, 200, (off_t)((random >> 16) % (unsigned long long)(st.st_size - 200))) != 200)
				die("seek");
		}
	} else if (strcmp(argv[1], "stat") == 0) {
		for (i = 0; i < count; i++)
			if (stat(file, &st) != 0)
				die("stat");
	} else if (strcmp(argv[1], "open") == 0) {
		for (i = 0; i < count; i++) {
			if ((fd = open(file, O_RDONLY | O_CLOEXEC)) < 0)
				die("open");
			if (close(fd) != 0)
				die("close");
		}
	} else if (strcmp(argv[1], "seq") == 0) {
		for (i = 0; i < count; i++) {
			if ((fd = open(file, O_RDONLY | O_CLOEXEC)) < 0)
				die("open");
			while ((n = read(fd, buffer, sizeof buffer)) > 0)
				total += n;
			if (n < 0)
				die("read");
			close(fd);
		}
	} else {
		fprintf(stderr, "fuse-ops: no operation %s\n", argv[1]);
		return 2;
	}
	printf("%.6f %lld\n", now() - start, total);
	return 0;
}
