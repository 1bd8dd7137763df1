/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * holder WHAT COUNT: holds kernel memory from user space until the guest is
 * dumped. It prints "pfn kind order" lines of what it holds, and returns to
 * the shell once all is in place; a child stays behind and keeps it.
 *
 *   pipe     COUNT pipes, filled; the module writes down their buffers
 *   packet   COUNT AF_PACKET rings; every second one is not mapped any more
 *   uring    COUNT io_uring instances, likewise
 *   perf     COUNT perf ring buffers
 *   mapped   COUNT mappings of 64 pages that the module makes
 *   poison   COUNT pages declared to have a memory error
 *   user     COUNT pages of memory, private and shared, filled with the
 *            addresses of all that the module lost
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same numbers as in lab/module/pagelab.h. */
enum {
	KIND_PACKET = 45,
	KIND_URING = 46,
	KIND_PERF = 47,
	KIND_USER = 48,
	KIND_POISONED = 52,
};

static size_t page_size;

_Noreturn static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void *map(size_t size, int fd, off_t at)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, at);

	if (start == MAP_FAILED)
		fail("mmap");
	return start;
}

/* Prints the frames behind a mapping, which is touched first. */
static void print_frames(void *start, size_t size, int kind)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	volatile char *at = start;
	uint64_t entry;
	size_t i;

	if (pagemap < 0)
		fail("/proc/self/pagemap");
	for (i = 0; i < size; i += page_size) {
		off_t where = ((uintptr_t)start + i) / page_size * sizeof(entry);

		(void)at[i];
		if (pread(pagemap, &entry, sizeof(entry), where) != sizeof(entry))
			fail("pagemap");
		/* Bit 63: present; the frame is in bits 0 to 54. */
		if (entry >> 63)
			printf("%llu %d 0\n",
			       (unsigned long long)(entry & ((1ULL << 55) - 1)),
			       kind);
	}
	close(pagemap);
}

/* Prints what a mapping of the descriptor shows, and keeps every second. */
static void show(int fd, off_t at, size_t size, int kind, int keep)
{
	void *start = map(size, fd, at);

	print_frames(start, size, kind);
	if (!keep)
		munmap(start, size);
}

static void hold_pipe(unsigned int number)
{
	static char data[1 << 16];
	int ends[2], module = open("/proc/pagelab", O_WRONLY);
	char line[32];
	size_t size;

	if (module < 0 || pipe(ends))
		fail("pipe");
	memset(data, 'p', sizeof(data));
	size = snprintf(data, sizeof(data), "pipe %u\n", number);
	data[size] = 'p';
	if (write(ends[1], data, sizeof(data)) != sizeof(data))
		fail("write to a pipe");
	size = snprintf(line, sizeof(line), "pipe %d", ends[1]);
	if (write(module, line, size) != (ssize_t)size)
		fail("/proc/pagelab");
	close(module);
}

/* Blocks of 64 KiB and of one page: compound pages and single ones. */
static void hold_packet(unsigned int number)
{
	struct tpacket_req request = {
		.tp_block_size = number % 4 < 2 ? 1 << 16 : page_size,
		.tp_block_nr = 16,
		.tp_frame_size = 2048,
	};
	int version = TPACKET_V2, ring = PACKET_RX_RING;
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	request.tp_frame_nr = request.tp_block_nr *
			      (request.tp_block_size / request.tp_frame_size);
	if (fd < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(fd, SOL_PACKET, ring, &request, sizeof(request)))
		fail("packet ring");
	show(fd, 0, (size_t)request.tp_block_size * request.tp_block_nr,
	     KIND_PACKET, number % 2);
}

static void hold_uring(unsigned int number)
{
	struct io_uring_params params = { 0 };
	int fd = syscall(SYS_io_uring_setup, 1024, &params);
	size_t rings;

	if (fd < 0)
		fail("io_uring_setup");
	rings = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
	show(fd, IORING_OFF_SQ_RING, rings, KIND_URING, number % 2);
	show(fd, IORING_OFF_SQES, params.sq_entries * sizeof(struct io_uring_sqe),
	     KIND_URING, number % 2);
}

/* The kernel frees a perf buffer with its last mapping: all stay mapped. */
static void hold_perf(unsigned int number)
{
	struct perf_event_attr event = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(event),
		.config = PERF_COUNT_SW_CONTEXT_SWITCHES,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
	};
	int fd = syscall(SYS_perf_event_open, &event, -1, number % 2, -1, 0);

	if (fd < 0)
		fail("perf_event_open");
	show(fd, 0, (1 + 64) * page_size, KIND_PERF, 1);
}

static void hold_mapped(unsigned int number)
{
	int module = open("/proc/pagelab", O_RDWR);

	if (module < 0)
		fail("/proc/pagelab");
	map(64 * page_size, module, number % 2 * page_size);
	close(module);
}

static void do_nothing(int signal)
{
	(void)signal;
}

/*
 * The page leaves the process, which is told so by a signal; newer kernels
 * force it, and would end a process that ignores it.
 */
static void hold_poison(unsigned int number)
{
	char *page = map(page_size, -1, 0);

	signal(SIGBUS, do_nothing);
	snprintf(page, page_size, "poisoned page %u\n", number);
	print_frames(page, page_size, KIND_POISONED);
	if (madvise(page, page_size, MADV_HWPOISON))
		fail("MADV_HWPOISON");
}

/* Words of the module, over and over; a page behind them that is shared. */
static void hold_user(unsigned int pages)
{
	size_t size = pages / 2 * page_size, got = 0;
	char *own = map(size, -1, 0);
	int file = memfd_create("names", 0), names;
	char *shared;
	ssize_t part;

	if (file < 0 || ftruncate(file, size))
		fail("memfd");
	shared = map(size, file, 0);
	names = open("/proc/pagelab_names", O_RDONLY);
	while (got < size) {
		part = read(names, own + got, size - got);
		if (part < 0 || (!part && !got))
			fail("/proc/pagelab_names");
		if (!part)
			lseek(names, 0, SEEK_SET);
		got += part;
	}
	close(names);
	memcpy(shared, own, size);
	print_frames(own, size, KIND_USER);
	print_frames(shared, size, KIND_USER);
}

static void hold(const char *what, unsigned int count)
{
	static const struct {
		const char *name;
		void (*hold)(unsigned int number);
	} kinds[] = {
		{ "pipe", hold_pipe },
		{ "packet", hold_packet },
		{ "uring", hold_uring },
		{ "perf", hold_perf },
		{ "mapped", hold_mapped },
		{ "poison", hold_poison },
	};
	unsigned int i, n;

	if (!strcmp(what, "user")) {
		hold_user(count);
		return;
	}
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(what, kinds[i].name))
			continue;
		for (n = 0; n < count; n++)
			kinds[i].hold(n);
		return;
	}
	fprintf(stderr, "holder: %s is no kind\n", what);
	exit(1);
}

int main(int argc, char **argv)
{
	int ready[2];
	char done;

	if (argc != 3 || pipe(ready)) {
		fprintf(stderr, "usage: holder WHAT COUNT\n");
		return 1;
	}
	page_size = sysconf(_SC_PAGESIZE);
	switch (fork()) {
	case -1:
		fail("fork");
	case 0:
		hold(argv[1], strtoul(argv[2], NULL, 10));
		fflush(stdout);
		if (write(ready[1], "!", 1) != 1)
			fail("ready");
		for (;;)
			pause();
	default:
		/* The end of file when the child failed. */
		close(ready[1]);
		return read(ready[0], &done, 1) != 1;
	}
}
