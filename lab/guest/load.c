/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * load SECONDS FOLDER...: keeps a guest busy. Each worker takes kernel memory
 * of one sort, uses it and gives it back, over and over; those of files do so
 * in the folders. After that time it returns to the shell; the workers go on
 * until the guest is dumped.
 *
 * A call that fails for want of memory or of a feature is no mistake here.
 */
#define _GNU_SOURCE
/* First: older kernels' headers make macros of what it declares. */
#include <sys/mount.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char data[1 << 20];

static unsigned int below(unsigned int limit)
{
	return (unsigned int)random() % limit;
}

static void rest(void)
{
	usleep(1000 + below(30000));
}

/* Anonymous memory, with or without huge pages, written and partly given back. */
static char *memory(size_t size, int flags)
{
	char *start = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	size_t i;

	if (start == MAP_FAILED)
		return NULL;
	if (below(2))
		madvise(start, size, MADV_HUGEPAGE);
	for (i = 0; i < size; i += 4096)
		snprintf(start + i, 64, "memory of %d at %zx\n", getpid(), i);
	if (!flags)
		madvise(start + size / 4, size / 8, MADV_DONTNEED);
	return start;
}

/* Forks a child that ends by itself or with its parent. */
static pid_t child(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		srandom(getpid());
	}
	return pid;
}

static void pipes(const char *unused)
{
	enum { PIPES = 64 };
	static int ends[PIPES][2];

	for (;;) {
		int *pipe = ends[below(PIPES)], *other = ends[below(PIPES)];
		struct iovec page = { data, 65536 };

		if (!pipe[0]) {
			if (pipe2(pipe, O_NONBLOCK))
				pipe[0] = 0;
			else
				fcntl(pipe[1], F_SETPIPE_SZ, 4096 << below(9));
			continue;
		}
		write(pipe[1], data, below(sizeof(data)));
		if (below(4) == 0)
			vmsplice(pipe[1], &page, 1, SPLICE_F_NONBLOCK);
		if (other[0] && other != pipe) {
			tee(pipe[0], other[1], 65536, SPLICE_F_NONBLOCK);
			splice(pipe[0], NULL, other[1], NULL, 65536, SPLICE_F_NONBLOCK);
		}
		read(pipe[0], data, below(sizeof(data)));
		if (below(8) == 0) {
			close(pipe[0]);
			close(pipe[1]);
			pipe[0] = 0;
		}
		rest();
	}
}

static void packet_rings(const char *unused)
{
	for (;;) {
		struct tpacket_req request = {
			.tp_block_size = 4096U << below(5),
			.tp_block_nr = 1 + below(64),
			.tp_frame_size = 2048,
		};
		int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
		size_t size = (size_t)request.tp_block_size * request.tp_block_nr;
		void *ring;

		request.tp_frame_nr = size / request.tp_frame_size;
		setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request));
		ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		usleep(below(500000));
		if (ring != MAP_FAILED && below(2))
			munmap(ring, size), ring = MAP_FAILED;
		rest();
		close(fd);
		if (ring != MAP_FAILED)
			munmap(ring, size);
	}
}

/* Rings, and memory of the process that they have pinned. */
static void urings(const char *unused)
{
	size_t size = 1 << 20;
	char *buffer = memory(size, 0);

	for (;;) {
		struct io_uring_params params = { 0 };
		struct iovec pinned = { buffer, size };
		int fd = syscall(SYS_io_uring_setup, 1 << below(12), &params);
		size_t ring = params.cq_off.cqes +
			      params.cq_entries * sizeof(struct io_uring_cqe);
		void *start = mmap(NULL, ring, PROT_READ | PROT_WRITE, MAP_SHARED,
				   fd, IORING_OFF_SQ_RING);

		syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &pinned, 1);
		usleep(below(300000));
		if (start != MAP_FAILED)
			munmap(start, ring);
		close(fd);
		rest();
	}
}

/* Files written, read, mapped, cut and removed. */
static void files(const char *folder)
{
	char name[128];

	for (;;) {
		unsigned int size = below(16 << 20), at, fd;
		char *mapped;

		snprintf(name, sizeof(name), "%s/%d-%u", folder, getpid(), below(24));
		fd = open(name, O_RDWR | O_CREAT, 0600);
		for (at = 0; at < size; at += sizeof(data))
			if (pwrite(fd, data, sizeof(data), at) <= 0)
				break;
		for (at = 0; at < size; at += sizeof(data))
			pread(fd, data, sizeof(data), at);
		mapped = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (mapped != MAP_FAILED && at > 1 << 20)
			memset(mapped, 'm', 1 << 20);
		if (below(4) == 0)
			ftruncate(fd, below(size + 1));
		if (below(4) == 0)
			fsync(fd);
		if (mapped != MAP_FAILED)
			munmap(mapped, 1 << 20);
		close(fd);
		if (below(3) == 0)
			unlink(name);
		rest();
	}
}

static void huge_pages(const char *unused)
{
	for (;;) {
		size_t size = (size_t)(1 + below(32)) << 21;
		char *start = memory(size, MAP_HUGETLB);

		usleep(below(500000));
		if (start)
			munmap(start, size);
		rest();
	}
}

/* Some live for a moment, some for the whole time. */
static void processes(const char *unused)
{
	unsigned int n = 0;

	for (;; n++) {
		if (!child()) {
			size_t size = (size_t)(1 + below(32)) << 20;
			char *start = memory(size, 0);

			if (start && below(2) && !child())
				memset(start, 'c', size / 2);
			usleep(below(2000000));
			if (n < 100)
				for (;;)
					pause();
			_exit(0);
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		usleep(50000);
	}
}

static void put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY);

	if (fd >= 0) {
		write(fd, text, strlen(text));
		close(fd);
	}
}

/* One container: its own everything, a file system in memory, a few processes. */
static void container(void)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS |
		    CLONE_NEWIPC | CLONE_NEWCGROUP))
		_exit(1);
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (mount("own", "/tmp", "tmpfs", 0, "size=64m"))
		_exit(1);
	if (!child()) {
		mount("proc", "/proc", "proc", 0, NULL);
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		ioctl(fd, SIOCSIFFLAGS, &loopback);
		memory(4 << 20, 0);
		if (!child())
			files("/tmp");
		usleep(below(3000000));
		_exit(0);
	}
	wait(NULL);
	_exit(0);
}

static void containers(const char *unused)
{
	char group[64], file[96], pid[16];
	unsigned int n;

	for (n = 0;; n++) {
		snprintf(group, sizeof(group), "/sys/fs/cgroup/load%d-%u", getpid(), n);
		mkdir(group, 0700);
		if (!child()) {
			snprintf(file, sizeof(file), "%s/cgroup.procs", group);
			snprintf(pid, sizeof(pid), "%d", getpid());
			put(file, pid);
			container();
		}
		wait(NULL);
		rmdir(group);
		rest();
	}
}

/* Data that waits in sockets, over loopback and between processes. */
static void sockets(const char *unused)
{
	for (;;) {
		struct sockaddr_in here = { .sin_family = AF_INET };
		socklen_t size = sizeof(here);
		int pair[2] = { -1, -1 };
		int server = socket(AF_INET, SOCK_STREAM, 0), accepted;
		int client = socket(AF_INET, SOCK_STREAM, 0);
		unsigned int i;

		here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		bind(server, (struct sockaddr *)&here, sizeof(here));
		listen(server, 4);
		getsockname(server, (struct sockaddr *)&here, &size);
		connect(client, (struct sockaddr *)&here, sizeof(here));
		accepted = accept4(server, NULL, NULL, SOCK_NONBLOCK);
		socketpair(AF_UNIX, below(2) ? SOCK_STREAM : SOCK_DGRAM, 0, pair);
		for (i = 0; i < 16; i++) {
			send(client, data, below(65536), MSG_DONTWAIT);
			recv(accepted, data, below(65536), MSG_DONTWAIT);
			send(pair[0], data, below(32768), MSG_DONTWAIT);
			recv(pair[1], data, below(32768), MSG_DONTWAIT);
			rest();
		}
		close(client);
		close(accepted);
		close(server);
		close(pair[0]);
		close(pair[1]);
	}
}

/* What administrators and timers do: caches dropped, memory compacted. */
static void housekeeping(const char *unused)
{
	for (;;) {
		sleep(7);
		put("/proc/sys/vm/drop_caches", below(2) ? "1" : "3");
		sleep(7);
		put("/proc/sys/vm/compact_memory", "1");
		put("/proc/sys/vm/nr_hugepages", below(2) ? "96" : "128");
		sync();
	}
}

static void start(void (*work)(const char *), const char *argument)
{
	if (fork())
		return;
	srandom(getpid());
	work(argument);
}

int main(int argc, char **argv)
{
	static void (*const work[])(const char *) = {
		pipes, packet_rings, urings, huge_pages, processes,
		containers, containers, sockets, sockets, housekeeping,
	};
	unsigned int i;
	int folder;

	if (argc < 3) {
		fprintf(stderr, "usage: load SECONDS FOLDER...\n");
		return 1;
	}
	for (i = 0; i < sizeof(data); i++)
		data[i] = "load "[i % 5];
	mkdir("/sys/fs/cgroup", 0700);
	mount("cgroup", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	put("/sys/fs/cgroup/cgroup.subtree_control", "+memory +pids");
	put("/proc/sys/vm/nr_hugepages", "128");
	for (i = 0; i < sizeof(work) / sizeof(work[0]); i++)
		start(work[i], NULL);
	for (folder = 2; folder < argc; folder++)
		for (i = 0; i < 4; i++)
			start(files, argv[folder]);
	sleep(strtoul(argv[1], NULL, 10));
	return 0;
}
