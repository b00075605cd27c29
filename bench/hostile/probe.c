/*
 * probe SECONDS [EVERY_US]: how long a well-behaved program waits for its log: one write to /dev/kmsg and one message to
 * /dev/log every EVERY_US (2,000). Beside them it asks a process of its own that does nothing else than answer: what the
 * machine's scheduler makes anybody wait who needs a second process. Prints one line each: NAME SENT FAILED P50 P99 P99.9 MAX, times
 * in microseconds.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 200000

enum { KMSG, DEVLOG, PEER, WAYS };

static double took[WAYS][MOST];

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* A process in a session of its own, as the service is one, that answers every byte. */
static int start_peer(void)
{
	int ends[2];
	char byte;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		return -1;
	if (fork() == 0) {
		close(ends[0]);
		setsid();
		while (read(ends[1], &byte, 1) == 1)
			(void)!write(ends[1], &byte, 1);
		_exit(0);
	}
	close(ends[1]);
	return ends[0];
}

int main(int argc, char **argv)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	static const char *names[WAYS] = {"kmsg", "devlog", "peer"};
	long every = argc > 2 ? atol(argv[2]) : 2000, failed[WAYS] = {0};
	double until = now() + (argc > 1 ? atof(argv[1]) : 5) * 1e6;
	int fds[WAYS], n = 0, way;
	fds[KMSG] = open("/dev/kmsg", O_WRONLY);
	fds[DEVLOG] = socket(AF_UNIX, SOCK_DGRAM, 0);
	fds[PEER] = start_peer();
	if (fds[KMSG] < 0 || fds[PEER] < 0 || connect(fds[DEVLOG], (struct sockaddr *)&to, sizeof to) != 0) {
		perror("probe");
		return 1;
	}
	for (; n < MOST && now() < until; n++) {
		char text[100];
		for (way = 0; way < WAYS; way++) {
			int bytes = way == PEER ? 1 : sprintf(text, "<14>probe[%d]: %s %d\n", getpid(), names[way], n);
			double begun = now();
			if (write(fds[way], text, (size_t)bytes) != bytes || (way == PEER && read(fds[way], text, 1) != 1))
				failed[way]++;
			took[way][n] = now() - begun;
		}
		usleep((unsigned)every);
	}
	close(fds[PEER]);
	wait(NULL);
	for (way = 0; way < WAYS; way++) {
		qsort(took[way], (size_t)n, sizeof(double), ascending);
		printf("%s %d %ld %.0f %.0f %.0f %.0f\n", names[way], n, failed[way], took[way][n / 2], took[way][(int)(n * 0.99)],
		       took[way][(int)(n * 0.999)], took[way][n - 1]);
	}
	return 0;
}
