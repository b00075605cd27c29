/*
 * devlog-send SOCKET SENDERS MESSAGES [BYTES]: sends MESSAGES datagrams in all from SENDERS processes to a syslog socket.
 *
 * Every message is what glibc's syslog(3) sends: `<14>Mmm dd hh:mm:ss bench[pid]: ` and a running number, filled to BYTES
 * (100 by default). Sends block while the receiver's queue is full, as syslog(3) does, so nothing can be lost on the way.
 * Prints the CLOCK_MONOTONIC seconds at which the senders were let go and at which the last of them had sent everything; exits 1
 * when a send failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int dial(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (strlen(path) >= sizeof to.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(to.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		return -1;
	return fd;
}

static int send_all(int fd, long first, long count, size_t bytes)
{
	char message[65536];
	char stamp[32];
	time_t t = time(NULL);
	struct tm tm;
	size_t head, used;
	long i;

	strftime(stamp, sizeof stamp, "%b %e %H:%M:%S", localtime_r(&t, &tm));
	head = (size_t)snprintf(message, sizeof message, "<14>%s bench[%d]: ", stamp, (int)getpid());
	for (i = 0; i < count; i++) {
		used = head + (size_t)snprintf(message + head, sizeof message - head, "%ld ", first + i);
		if (used < bytes)
			memset(message + used, 'x', bytes - used);
		while (send(fd, message, bytes, 0) != (ssize_t)bytes) {
			if (errno == EINTR)
				continue;
			fprintf(stderr, "devlog-send: send: %s\n", strerror(errno));
			return 1;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	int senders, gate[2], i, status, failed = 0;
	long messages, share;
	size_t bytes;
	double start;
	char go;

	if (argc < 4) {
		fprintf(stderr, "usage: devlog-send SOCKET SENDERS MESSAGES [BYTES]\n");
		return 2;
	}
	senders = atoi(argv[2]);
	messages = atol(argv[3]);
	bytes = argc > 4 ? (size_t)atol(argv[4]) : 100;
	if (senders < 1 || senders > 64 || messages < senders || bytes < 64 || bytes > 60000)
		return 2;
	share = messages / senders;
	if (pipe(gate) != 0)
		return 1;
	for (i = 0; i < senders; i++) {
		if (fork() == 0) {
			int fd = dial(argv[1]);
			close(gate[1]);
			if (fd < 0) {
				fprintf(stderr, "devlog-send: %s: %s\n", argv[1], strerror(errno));
				_exit(1);
			}
			/* All start together: when the parent closes the gate. */
			(void)!read(gate[0], &go, 1);
			_exit(send_all(fd, i * share, i == senders - 1 ? messages - share * (senders - 1) : share, bytes));
		}
	}
	close(gate[0]);
	usleep(20000);
	start = now();
	close(gate[1]);
	while (wait(&status) > 0)
		failed |= status;
	printf("%.6f %.6f\n", start, now());
	return failed ? 1 : 0;
}
