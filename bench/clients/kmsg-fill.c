/*
 * kmsg-fill PATH COUNT: writes COUNT records of 21 bytes of text to a kernel log device.
 *
 * Opens the device for every record, because the kernel's rate limit is one per open description. The texts are short, so
 * that 4,000 fit into a kernel log of 128 KiB.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char line[64];
	int count, i, fd, n;

	if (argc != 3)
		return 2;
	count = atoi(argv[2]);
	for (i = 0; i < count; i++) {
		fd = open(argv[1], O_WRONLY | O_CLOEXEC);
		n = snprintf(line, sizeof line, "<14>bench: record %06d\n", i);
		if (fd < 0 || write(fd, line, (size_t)n) != n) {
			perror("kmsg-fill");
			return 1;
		}
		close(fd);
	}
	return 0;
}
