/*
 * paced WHAT PATH COUNT INTERVAL_US [TAG]: does one operation COUNT times, INTERVAL_US apart, and says how each went.
 *
 * read   opens PATH, reads 4096 bytes, closes it: a reader that comes anew
 * hold   reads 4096 bytes at offset 0 of a description that was opened once and is kept
 * write  a numbered line to PATH by write(2) on a description that was opened once and is kept
 * send   a numbered datagram to the socket PATH; after an error it connects anew, once for each message, as syslog(3) does
 *
 * A line is "<14>TAG: N", so that what arrived can be counted. Prints one line: operations that went well, those that failed,
 * the latency's median, 99th percentile and maximum in microseconds, the longest time between two that went well in milliseconds, and
 * the errors as NAME=COUNT. An error never ends it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static double now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static int dial(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int fd = -1;
static const char *tag = "paced";

/* 0, or -1 with errno. */
static int once(const char *what, const char *path, long number)
{
	char buffer[4096];
	ssize_t n;
	int error;

	if (strcmp(what, "read") == 0) {
		if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
			return -1;
		n = read(fd, buffer, sizeof buffer);
		error = errno;
		close(fd);
		errno = error;
		return n < 0 ? -1 : 0;
	}
	if (strcmp(what, "hold") == 0)
		return pread(fd, buffer, sizeof buffer, 0) < 0 ? -1 : 0;
	n = snprintf(buffer, sizeof buffer, "<14>%.40s: %06ld", tag, number);
	if (strcmp(what, "write") == 0)
		return write(fd, buffer, (size_t)n) == n ? 0 : -1;
	if (fd < 0 && (fd = dial(path)) < 0)
		return -1;
	if (send(fd, buffer, (size_t)n, 0) == n)
		return 0;
	error = errno;
	close(fd);
	if ((fd = dial(path)) >= 0 && send(fd, buffer, (size_t)n, 0) == n)
		return 0;
	errno = error;
	return -1;
}

int main(int argc, char **argv)
{
	static int errors[4096];
	long count, i, good = 0, failed = 0;
	double *took, interval, next, start, end, last_good, gap = 0;

	if (argc != 5 && argc != 6)
		return 2;
	if (argc == 6)
		tag = argv[5];
	count = atol(argv[3]);
	interval = atof(argv[4]);
	if (count < 1 || !(took = calloc((size_t)count, sizeof *took)))
		return 2;
	if (strcmp(argv[1], "hold") == 0)
		fd = open(argv[2], O_RDONLY | O_CLOEXEC);
	else if (strcmp(argv[1], "write") == 0)
		fd = open(argv[2], O_WRONLY | O_CLOEXEC);
	else if (strcmp(argv[1], "send") == 0)
		fd = dial(argv[2]);
	else if (strcmp(argv[1], "read") != 0)
		return 2;
	if (fd < 0 && strcmp(argv[1], "read") != 0) {
		perror("paced: open");
		return 1;
	}
	next = last_good = now_us();
	for (i = 0; i < count; i++, next += interval) {
		start = now_us();
		if (next > start) {
			usleep((useconds_t)(next - start));
			start = now_us();
		}
		if (once(argv[1], argv[2], i) == 0) {
			end = now_us();
			took[good++] = end - start;
			if (end - last_good > gap)
				gap = end - last_good;
			last_good = end;
		} else {
			errors[errno & 4095]++;
			failed++;
			/* Late ones are not made up for: an error is no reason to hurry. */
			next = now_us();
		}
	}
	qsort(took, (size_t)good, sizeof *took, by_size);
	printf("%ld %ld %.1f %.1f %.1f %.3f", good, failed, good ? took[good / 2] : 0, good ? took[(long)(good * 0.99)] : 0,
	       good ? took[good - 1] : 0, gap / 1e3);
	for (i = 0; i < 4096; i++)
		if (errors[i])
			printf(" %s=%d", strerrorname_np((int)i), errors[i]);
	printf("\n");
	return 0;
}
