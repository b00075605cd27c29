/*
 * storm KIND SECONDS PROCESSES: what a hostile container does to its own log, as hard as it can, by many processes.
 *
 * Run it where the paths are a POG's (/dev/kmsg, /dev/log, /var/log, /run/pog, /etc/syslog.conf). Refusals are expected and
 * counted; nothing it does is outside of what any program in the container may call. Prints "KIND: N done, N refused" and exits
 * 0, or 2 for a kind that is not in the table.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define MESSAGES "/var/log/messages"
#define CONF "/etc/syslog.conf"

/* Shared by all processes of the storm. */
static struct { long done, refused; } *tally;
static int me;
static double ends;
static char block[1 << 18];

static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Counts one operation by its result; true while there is time. */
static int count(long result)
{
	__atomic_add_fetch(result < 0 ? &tally->refused : &tally->done, 1, __ATOMIC_RELAXED);
	return now() < ends;
}

static unsigned roll(unsigned below)
{
	static unsigned state;
	if (state == 0)
		state = 2463534242u + (unsigned)me * 7919;
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % below;
}

static int dial(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	int bytes = 4 << 20, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
		perror("storm: /dev/log");
		_exit(1);
	}
	return fd;
}

static void datagrams(void)
{
	int fd = dial(), n = sprintf(block, "<14>storm[%d]: ", getpid());
	memset(block + n, 'd', 100);
	while (count(send(fd, block, 100, 0)))
		;
}

/* Up to what a socket takes, which is more than the intake does. */
static void huge_datagrams(void)
{
	int fd = dial();
	memset(block, 'H', sizeof block);
	while (count(send(fd, block, 60000 + roll(140000), 0)))
		;
}

/* Every message from another process, so that each sender has to be looked up. */
static void fork_senders(void)
{
	do {
		pid_t child = fork();
		if (child == 0) {
			int i, fd = dial();
			for (i = 0; i < 4; i++)
				(void)!send(fd, "<14>bomb: x", 11, 0);
			_exit(0);
		}
		if (child > 0)
			waitpid(child, NULL, 0);
		if (!count(child))
			break;
	} while (1);
}

static void kmsg_writes(void)
{
	int fd = open("/dev/kmsg", O_WRONLY);
	memset(block, 'k', 1024);
	while (count(write(fd, block, 1 + roll(1024))))
		;
}

static void kmsg_opens(void)
{
	int fd;
	do {
		fd = open("/dev/kmsg", O_RDWR);
		if (fd >= 0) {
			(void)!write(fd, "<14>again: x", 12);
			close(fd);
		}
	} while (count(fd));
}

static void names(void)
{
	char from[128], to[128];
	int fd;
	long result;
	struct stat st;
	sprintf(from, "/var/log/dir-%d", me);
	mkdir(from, 0755);
	do {
		unsigned i = roll(5000);
		sprintf(from, "/var/log/dir-%d/%u-name", me, i);
		sprintf(to, "/var/log/dir-%d/%u-other", me, roll(5000));
		switch (roll(7)) {
		case 0: fd = open(from, O_CREAT | O_RDWR, 0600); result = fd; if (fd >= 0) close(fd); break;
		case 1: result = unlink(from); break;
		case 2: result = rename(from, to); break;
		case 3: result = stat(from, &st); break;
		case 4: result = link(from, to); break;
		case 5: result = symlink("../../../etc/shadow", to); break;
		default: result = mkdir(to, 0755); break;
		}
	} while (count(result));
}

/* A directory of as many names as the quota allows, read again and again from its beginning. */
static void directories(void)
{
	char path[300];
	int i, fd;
	DIR *dir;
	for (i = 0; i < 20000 && now() < ends; i++) {
		sprintf(path, "/var/log/%d-%d-%0120d", me, i, i);
		fd = open(path, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	do {
		dir = opendir("/var/log");
		for (i = 0; dir && i < 40 && readdir(dir); i++)
			;
		if (dir)
			closedir(dir);
	} while (count(dir ? 0 : -1));
}

/* A long path to every name. */
static void deep(void)
{
	struct stat st;
	int i;
	if (chdir("/var/log") != 0)
		return;
	for (i = 0; i < 400; i++) {
		mkdir("d", 0755);
		if (chdir("d") != 0)
			break;
	}
	while (count(stat(roll(2) ? "d" : ".", &st)))
		;
}

/* Handles of every kind, until no more are given, held to the end. */
static void opens(void)
{
	static const char *paths[] = {"/dev/kmsg", "/proc/kmsg", MESSAGES, CONF, "/run/pog/stats", "/run/pog/status",
	                              "/run/pog/ctl", "/var/log/held"};
	struct rlimit most = {1 << 20, 1 << 20};
	setrlimit(RLIMIT_NOFILE, &most);
	while (count(open(paths[roll(8)], O_RDONLY | O_NONBLOCK | (roll(8) == 7 ? O_CREAT : 0), 0600)))
		if (tally->refused > 20000)
			usleep(1000);
}

static void reads(void)
{
	int fd = open(MESSAGES, O_RDONLY);
	while (count(pread(fd, block, roll(2) ? 1 : sizeof block, roll(1 << 24))))
		;
}

/* The whole log, from its start, in the largest pieces and in single bytes. */
static void whole(void)
{
	long got;
	int fd = open(me % 2 ? MESSAGES : "/run/pog/log", O_RDONLY);
	do {
		got = read(fd, block, me % 3 ? sizeof block : 1);
		if (got == 0)
			lseek(fd, 0, SEEK_SET);
	} while (count(got));
}

static void reports(void)
{
	struct stat st;
	static const char *paths[] = {"/run/pog/stats", "/run/pog/status", CONF};
	do {
		const char *path = paths[roll(3)];
		int fd = open(path, O_RDONLY);
		if (fd >= 0) {
			(void)!read(fd, block, sizeof block);
			close(fd);
		}
	} while (count(stat(paths[roll(3)], &st)));
}

/* Thousands who poll one log, and somebody who writes it. */
static void pollers(void)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	struct rlimit most = {1 << 20, 1 << 20};
	int set = epoll_create1(0), writer = open("/dev/kmsg", O_WRONLY), i;
	setrlimit(RLIMIT_NOFILE, &most);
	for (i = 0; i < 8192; i++) {
		int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
		if (fd < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) != 0)
			break;
		lseek(fd, 0, SEEK_END);
	}
	do {
		struct epoll_event events[64];
		epoll_wait(set, events, 64, 0);
	} while (count(write(writer, "<14>poll: x", 11)));
}

/* Readers that wait, each a process: all are woken by every record. One is stopped in the middle. */
static void waiters(void)
{
	int i, fd;
	pid_t child = 0;
	for (i = 0; i < 200; i++) {
		child = fork();
		if (child == 0) {
			/* Also the one that is stopped, whatever ends this process. */
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			fd = open("/dev/kmsg", O_RDONLY);
			lseek(fd, 0, SEEK_END);
			alarm((unsigned)(ends - now()) + 1);
			while (now() < ends)
				(void)!read(fd, block, 8192);
			_exit(0);
		}
	}
	kill(child, SIGSTOP);
	fd = open("/dev/kmsg", O_WRONLY);
	while (count(write(fd, "<14>wake: x", 11)))
		;
	kill(child, SIGKILL);
}

/* Patterns that take a backtracking matcher for ever, and as many rules as fit. */
static void configurations(void)
{
	static const char *patterns[] = {"(a*)*b", "(a|aa)*c", "((a{1,50}){1,50}){1,50}", "(.*.*.*.*.*.*)x", "[[:alpha:]]*[a-z]*[a-y]*z"};
	static char text[1 << 20];
	do {
		size_t n = 0, most = sizeof text - 200;
		int fd = open(CONF, O_WRONLY | O_TRUNC), rules = 0;
		long result = -1;
		n += (size_t)sprintf(text, "include /var/log/*.conf\ninclude /run/pog/*\n");
		while (n < most && (me % 2 == 0 || rules < 40)) {
			n += (size_t)sprintf(text + n, ":msg, ereregex, \"%s\" /var/log/f%d\n*.* /var/log/g%d\n", patterns[roll(5)],
				rules % 40, rules % 40);
			rules++;
		}
		if (fd >= 0) {
			result = write(fd, text, n);
			close(fd);
		}
		memset(block, 'a', 1024);
		fd = open("/dev/kmsg", O_WRONLY);
		(void)!write(fd, block, 1000);
		close(fd);
		if (!count(result))
			break;
	} while (1);
}

/* A configuration as long as it may be, another one each time: whatever is remembered of texts is of no use. */
static void texts(void)
{
	static char text[1 << 20];
	unsigned round = 0;
	do {
		size_t n = 0, most = me % 2 ? 120000 : sizeof text - 4000;
		int fd = open(CONF, O_WRONLY | O_TRUNC), i;
		long result = -1;
		n += (size_t)sprintf(text, "# %d %u\n", me, round++);
		for (i = 0; n < most; i++)
			n += (size_t)sprintf(text + n, i < 20 ? ":msg, ereregex, \"%d([a-z]|[b-y])*%u[[:alnum:]]\" /var/log/t%d\n" :
				"kern,user,mail.=err;*.info;auth,%ddaemon.none /var/log/t%u;RFC5424\n", i, round % 9, i % 20);
		if (fd >= 0) {
			for (i = 0; (size_t)i < n; i += (int)result)
				if ((result = write(fd, text + i, n - (size_t)i)) <= 0)
					break;
			close(fd);
		}
		if (!count(result))
			break;
	} while (1);
}

/* Records that are as expensive to route as filters allow. */
static void patterns(void)
{
	static const char *conf = ":msg, ereregex, \"([ab]*a.{0,120}[bc]){0,1}.*c[ab]{60}x\" /var/log/p1\n"
		":msg, ereregex, \"(a.?){0,20}(b.?){0,20}y\" /var/log/p2\n*.* /var/log/p3\n";
	int i, fd = open(CONF, O_WRONLY | O_TRUNC);
	(void)!write(fd, conf, strlen(conf));
	close(fd);
	fd = open("/dev/kmsg", O_WRONLY);
	do {
		for (i = 0; i < 1000; i++)
			block[i] = "abc"[roll(3)];
	} while (count(write(fd, block, 1000)));
}

/* The largest ring and the smallest one, in turns, and lines between so that there is something to move. */
static void resizes(void)
{
	int fd = dial(), i, n = 0;
	memset(block, 'r', 8192);
	memcpy(block, "<14>r: ", 7);
	do {
		int ctl = open("/run/pog/ctl", O_RDWR);
		const char *line = n++ % 2 ? "resize 64m" : "resize 32m";
		long result = ctl < 0 ? -1 : write(ctl, line, strlen(line));
		if (ctl >= 0)
			close(ctl);
		for (i = 0; i < 500; i++)
			(void)!send(fd, block, 8000, MSG_DONTWAIT);
		if (!count(result))
			break;
	} while (1);
}

/* A directory of many short names, listed whole, sought in, and begun again. */
static void listings(void)
{
	char path[300];
	int i, fd;
	DIR *dir;
	for (i = 0; i < 20000 && now() < ends; i++) {
		sprintf(path, "/var/log/l%d-%d", me, i);
		fd = open(path, O_CREAT | O_WRONLY, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	dir = opendir("/var/log");
	do {
		if (roll(4) == 0)
			while (readdir(dir))
				;
		else {
			seekdir(dir, (long)roll(20000));
			for (i = 0; i < 3 && readdir(dir); i++)
				;
		}
		if (roll(2))
			rewinddir(dir);
	} while (count(0));
}

/* Views in the other format that nobody has looked at for as long as the ring is, and then somebody does. */
static void unseen(void)
{
	static char conf[8192];
	int i, fd = open(CONF, O_WRONLY | O_TRUNC), n = 0;
	struct stat st;
	for (i = 0; i < 30; i++)
		n += sprintf(conf + n, "*.* /var/log/u%d;RFC5424\n", i);
	(void)!write(fd, conf, (size_t)n);
	close(fd);
	fd = open("/run/pog/ctl", O_RDWR);
	(void)!write(fd, "resize 64m", 10);
	close(fd);
	fd = dial();
	do {
		for (i = 0; i < 60000 && now() < ends; i++)
			if (send(fd, "<14>u[1]: x", 11, 0) < 0)
				break;
		sprintf(block, "/var/log/u%u", roll(30));
	} while (count(stat(block, &st)));
}

static void commands(void)
{
	static const char *lines[] = {"resize 64m", "resize 64k", "clear", "write <13>x", "conf reset", "resize 1m", "\n\n", "resize 99999g"};
	do {
		int fd = open("/run/pog/ctl", O_RDWR);
		const char *line = lines[roll(8)];
		long result = fd < 0 ? -1 : write(fd, line, strlen(line));
		if (fd >= 0) {
			(void)!read(fd, block, 4096);
			close(fd);
		}
		if (!count(result))
			break;
	} while (1);
}

/* Everything else that a file can be asked, with arguments as they come. */
static void oddities(void)
{
	static const char *paths[] = {"/dev/kmsg", "/proc/kmsg", MESSAGES, CONF, "/run/pog/ctl", "/run/pog/pogctl", "/var/log", "/var/log/odd"};
	struct statfs fs;
	struct timespec times[2] = {{(time_t)roll(1u << 31), 0}, {0, UTIME_NOW}};
	close(open("/var/log/odd", O_CREAT | O_RDWR, 0600));
	do {
		const char *path = paths[roll(8)];
		int fd = open(path, O_RDONLY | O_NONBLOCK);
		long result = -1;
		switch (roll(16)) {
		case 0: result = ioctl(fd, roll(1u << 31), block); break;
		case 1: result = getxattr(path, "user.x", block, 100); break;
		case 2: result = setxattr(path, "trusted.x", block, 100, 0); break;
		case 3: result = listxattr(path, block, sizeof block); break;
		case 4: result = truncate(path, (off_t)roll(1u << 31) << roll(20)); break;
		case 5: result = fallocate(fd, (int)roll(64), roll(1u << 31), roll(1u << 31)); break;
		case 6: result = chmod(path, roll(010000)); break;
		case 7: result = chown(path, roll(70000), roll(70000)); break;
		case 8: result = lseek(fd, (off_t)roll(1u << 31) << roll(31), (int)roll(5)); break;
		case 9: result = statfs(path, &fs); break;
		case 10: result = fsync(fd); break;
		case 11: result = utimensat(AT_FDCWD, path, times, 0); break;
		case 12: result = mknod("/var/log/device", S_IFCHR | 0666, 0x10b); break;
		case 13: result = fcntl(fd, F_SETFL, (int)roll(1u << 31)); break;
		case 14: result = read(fd, block, roll(sizeof block)); break;
		default: result = rename(path, paths[roll(8)]); break;
		}
		if (fd >= 0)
			close(fd);
		if (!count(result))
			break;
	} while (1);
}

/* Bytes and inodes until the quota says no, over and over. */
static void quota(void)
{
	char path[100];
	int i = 0, fd;
	long result;
	do {
		sprintf(path, "/var/log/fill-%d-%d", me, i++ % 200);
		fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
		result = fd < 0 ? -1 : write(fd, block, sizeof block);
		if (result < 0)
			unlink(path);
		if (fd >= 0)
			close(fd);
	} while (count(result));
}

/* Lines appended to a view, and the view rotated away. */
static void appends(void)
{
	char to[64];
	int fd = open(MESSAGES, O_WRONLY | O_APPEND);
	long result;
	memset(block, 'v', sizeof block);
	do {
		if (roll(100) == 0) {
			sprintf(to, "/var/log/messages.%u", roll(1000));
			rename(MESSAGES, to);
			close(fd);
			fd = open(MESSAGES, O_WRONLY | O_APPEND | O_CREAT, 0600);
		}
		result = write(fd, block, roll(2) ? 1 : sizeof block);
	} while (count(result));
}

/* Node numbers as handles, one after the other. */
static void handles(void)
{
	union { struct file_handle head; char room[sizeof(struct file_handle) + 16]; } handle;
	int fd = open("/var/log", O_RDONLY);
	do {
		uint64_t node = roll(4) ? roll(1u << 16) : ((uint64_t)(1 + roll(2)) << 50) + roll(1u << 16);
		handle.head.handle_bytes = 12;
		handle.head.handle_type = 0x81;
		memcpy(handle.head.f_handle, &node, 8);
		memset(handle.head.f_handle + 8, 0, 4);
	} while (count(open_by_handle_at(fd, &handle.head, O_RDONLY)));
}

static const struct { const char *name; void (*run)(void); } KINDS[] = {
	{"datagrams", datagrams}, {"huge-datagrams", huge_datagrams}, {"fork-senders", fork_senders},
	{"kmsg-writes", kmsg_writes}, {"kmsg-opens", kmsg_opens}, {"names", names}, {"directories", directories},
	{"deep", deep}, {"opens", opens}, {"reads", reads}, {"whole", whole}, {"reports", reports},
	{"pollers", pollers}, {"waiters", waiters}, {"configurations", configurations}, {"commands", commands},
	{"texts", texts}, {"patterns", patterns}, {"resizes", resizes}, {"listings", listings}, {"unseen", unseen},
	{"oddities", oddities}, {"quota", quota}, {"appends", appends}, {"handles", handles},
};

int main(int argc, char **argv)
{
	size_t kind;
	int i, processes;
	if (argc != 4)
		return 2;
	for (kind = 0; kind < sizeof KINDS / sizeof *KINDS && strcmp(KINDS[kind].name, argv[1]) != 0; kind++)
		;
	if (kind == sizeof KINDS / sizeof *KINDS)
		return 2;
	ends = now() + atof(argv[2]);
	processes = atoi(argv[3]);
	tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < processes; i++) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			me = i;
			/* Whatever it is in the middle of. */
			alarm((unsigned)atof(argv[2]) + 3);
			KINDS[kind].run();
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	printf("%s: %ld done, %ld refused\n", argv[1], tally->done, tally->refused);
	return 0;
}
