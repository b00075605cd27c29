/*
 * http-load FIRST_PORT PORTS CONNECTIONS REQUESTS: asks for / on PORTS servers of 127.0.0.1 in turn, CONNECTIONS at a time, until
 * REQUESTS have been answered; every request is a connection of its own (HTTP/1.0).
 *
 * ab(1) knows one server only. Prints the seconds it took, the answers that were whole ("200" and bytes behind it) and the others.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char request[] = "GET / HTTP/1.0\r\nHost: container\r\n\r\n";

struct connection {
	int fd, sent, good;
	long bytes;
};

static int first_port, ports, poll_fd;
static long next_port;

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static int dial(struct connection *c)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
	to.sin_port = htons((unsigned short)(first_port + next_port++ % ports));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memset(c, 0, sizeof *c);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -1;
	if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) {
		close(c->fd);
		return -1;
	}
	return epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

/* 1 when the connection has ended. */
static int step(struct connection *c, unsigned events)
{
	char buffer[16384];
	ssize_t n;

	if (!c->sent && (events & EPOLLOUT)) {
		if (send(c->fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
			return 1;
		c->sent = 1;
	}
	for (;;) {
		n = recv(c->fd, buffer, sizeof buffer, 0);
		if (n < 0)
			return errno != EAGAIN;
		if (n == 0)
			return 1;
		if (c->bytes == 0 && n > 12)
			c->good = memcmp(buffer + 9, "200", 3) == 0;
		c->bytes += n;
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[64];
	struct connection *all;
	long requests, started = 0, ended = 0, good = 0;
	int connections, i, n;
	double start;

	if (argc != 5)
		return 2;
	first_port = atoi(argv[1]);
	ports = atoi(argv[2]);
	connections = atoi(argv[3]);
	requests = atol(argv[4]);
	if (ports < 1 || connections < 1 || requests < connections)
		return 2;
	all = calloc((size_t)connections, sizeof *all);
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	start = now();
	for (i = 0; i < connections; i++, started++)
		if (dial(&all[i]) != 0) {
			perror("http-load: connect");
			return 1;
		}
	while (ended < requests) {
		n = epoll_wait(poll_fd, events, 64, 10000);
		if (n <= 0) {
			fprintf(stderr, "http-load: no answer in 10 s, after %ld requests\n", ended);
			return 1;
		}
		for (i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;
			if (!step(c, events[i].events))
				continue;
			close(c->fd);
			ended++;
			good += c->good && c->bytes > 0;
			if (started < requests) {
				started++;
				if (dial(c) != 0) {
					perror("http-load: connect");
					return 1;
				}
			}
		}
	}
	printf("%.6f %ld %ld\n", now() - start, good, ended - good);
	return 0;
}
