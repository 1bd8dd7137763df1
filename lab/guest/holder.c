/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * holder WHAT COUNT: holds kernel memory from user space until the guest is
 * dumped. It prints "pfn kind order pid" lines of what it holds, and returns to
 * the shell once all is in place; a child stays behind and keeps it.
 *
 *   pipe     COUNT pipes, filled; the module writes down their buffers
 *   packet   COUNT AF_PACKET rings; every second one is not mapped any more
 *   uring    COUNT io_uring instances, likewise
 *   perf     COUNT perf ring buffers
 *   stream   COUNT pairs of unix sockets, one end filled; the module writes
 *            down the fragments that wait
 *   tcp      COUNT connections over loopback, likewise
 *   bpf      COUNT BPF ring buffers
 *   taskfrag COUNT processes that keep page fragments of their own
 *   swap     COUNT pages of memory, swapped out
 *   kvm      COUNT virtual machines that touched a page in each 2 MiB of 1 GiB
 *   mapped   COUNT mappings of 64 pages that the module makes
 *   poison   COUNT pages declared to have a memory error
 *   user     COUNT pages of memory, private and shared, filled with the
 *            addresses of all that the module lost
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
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
	KIND_BPFRING = 55,
};

#ifndef MADV_PAGEOUT
/* Of Linux 5.4; the C library's headers may be older. */
#define MADV_PAGEOUT 21
#endif

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
			printf("%llu %d 0 %d\n",
			       (unsigned long long)(entry & ((1ULL << 55) - 1)),
			       kind, getpid());
	}
	close(pagemap);
}

/* Writes down how many pages a kind of owner has, where no mapping tells which. */
static void owned(size_t pages, const char *kind)
{
	FILE *file = fopen("/tmp/owned", "a");

	if (!file || fprintf(file, "%zu %d %s\n", pages, getpid(), kind) < 0 ||
	    fclose(file))
		fail("/tmp/owned");
}

/* Prints what a mapping of the descriptor shows, and keeps every second. */
static void show(int fd, off_t at, size_t size, int kind, int keep)
{
	void *start = map(size, fd, at);

	print_frames(start, size, kind);
	if (!keep)
		munmap(start, size);
}

/* Lets the module write down what is behind a descriptor. */
static void write_down(const char *what, int fd)
{
	int module = open("/proc/pagelab", O_WRONLY);
	char line[32];
	int size = snprintf(line, sizeof(line), "%s %d", what, fd);

	if (module < 0 || write(module, line, size) != size)
		fail("/proc/pagelab");
	close(module);
}

static void hold_pipe(unsigned int number)
{
	static char data[1 << 16];
	int ends[2];
	size_t size;

	if (pipe(ends))
		fail("pipe");
	memset(data, 'p', sizeof(data));
	size = snprintf(data, sizeof(data), "pipe %u\n", number);
	data[size] = 'p';
	if (write(ends[1], data, sizeof(data)) != sizeof(data))
		fail("write to a pipe");
	write_down("pipe", ends[1]);
}

/* Writes until the other end takes no more, and lets the module write it down. */
static void fill_socket(int from, int to)
{
	static char data[60000];

	memset(data, 's', sizeof(data));
	if (fcntl(from, F_SETFL, O_NONBLOCK))
		fail("fcntl");
	while (write(from, data, sizeof(data)) > 0)
		;
	if (errno != EAGAIN)
		fail("write to a socket");
	/* What is on its way arrives. */
	usleep(100000);
	write_down("socket", to);
}

static void hold_stream(unsigned int number)
{
	int ends[2], size = 1 << 20;

	(void)number;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) ||
	    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)))
		fail("unix sockets");
	fill_socket(ends[0], ends[1]);
}

static void connect_over_loopback(const struct sockaddr_in *here, int ends[2])
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int server = socket(AF_INET, SOCK_STREAM, 0);

	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (server < 0 || ends[0] < 0 || ioctl(server, SIOCSIFFLAGS, &loopback))
		fail("loopback");
	if (bind(server, (const struct sockaddr *)here, sizeof(*here)) ||
	    listen(server, 1) ||
	    connect(ends[0], (const struct sockaddr *)here, sizeof(*here)))
		fail("connection");
	ends[1] = accept(server, NULL, NULL);
	if (ends[1] < 0)
		fail("accept");
}

static void hold_tcp(unsigned int number)
{
	struct sockaddr_in here = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(5000 + number),
	};
	int ends[2];

	connect_over_loopback(&here, ends);
	fill_socket(ends[0], ends[1]);
}

/*
 * Sent data lies in page fragments of the process, which stay its own for the
 * next time when it was read and is gone.
 */
static void hold_task_frag(unsigned int number)
{
	struct sockaddr_in here = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(6000 + number),
	};
	int ends[2], ready[2];
	char data[600];

	if (pipe(ready))
		fail("pipe");
	switch (fork()) {
	case -1:
		fail("fork");
	case 0:
		connect_over_loopback(&here, ends);
		memset(data, 'f', sizeof(data));
		if (write(ends[0], data, sizeof(data)) != sizeof(data) ||
		    read(ends[1], data, sizeof(data)) != sizeof(data))
			fail("data over loopback");
		usleep(100000);
		write_down("taskfrag", 0);
		if (write(ready[1], "!", 1) != 1)
			fail("ready");
		for (;;)
			pause();
	default:
		close(ready[1]);
		if (read(ready[0], data, 1) != 1)
			exit(1);
		close(ready[0]);
	}
}

static void hold_bpf(unsigned int number)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	size_t size = 64 * page_size;
	union bpf_attr map_of;
	void *start;
	int fd;

	/* Up to 5.10 maps are locked memory of the process. */
	setrlimit(RLIMIT_MEMLOCK, &all);
	memset(&map_of, 0, sizeof(map_of));
	map_of.map_type = BPF_MAP_TYPE_RINGBUF;
	map_of.max_entries = size;
	snprintf(map_of.map_name, sizeof(map_of.map_name), "ring%u", number);
	fd = syscall(SYS_bpf, BPF_MAP_CREATE, &map_of, sizeof(map_of));
	if (fd < 0)
		fail("BPF ring buffer");
	print_frames(map(page_size, fd, 0), page_size, KIND_BPFRING);
	/* The producer's page and the data can be read only. */
	start = mmap(NULL, page_size + size, PROT_READ, MAP_SHARED, fd,
		     page_size);
	if (start == MAP_FAILED)
		fail("mmap of a BPF ring buffer");
	print_frames(start, page_size + size, KIND_BPFRING);
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
	/* Newer kernels map it without pages that a process could see. */
	show(fd, 0, (1 + 64) * page_size, KIND_PERF, 1);
	owned(1 + 64, "perf buffer");
}

static void hold_mapped(unsigned int number)
{
	int module = open("/proc/pagelab", O_RDWR);

	if (module < 0)
		fail("/proc/pagelab");
	map(64 * page_size, module, number % 2 * page_size);
	close(module);
}

#ifdef __x86_64__
/* In 32-bit mode without paging: a byte every 2 MiB up to 1 GiB, then halt. */
static const unsigned char touch[] = {
	0xb8, 0x00, 0x00, 0x20, 0x00,	/* mov $0x200000, %eax */
	0xc6, 0x00, 0x01,		/* movb $1, (%eax) */
	0x05, 0x00, 0x00, 0x20, 0x00,	/* add $0x200000, %eax */
	0x3d, 0x00, 0x00, 0x00, 0x40,	/* cmp $0x40000000, %eax */
	0x72, 0xf1,			/* jb to the movb */
	0xf4,				/* hlt */
};

static void hold_kvm(unsigned int number)
{
	size_t size = 1 << 30;
	int kvm = open("/dev/kvm", O_RDWR), machine, processor;
	struct kvm_userspace_memory_region memory = { .memory_size = size };
	struct kvm_regs registers = { .rip = 0x1000, .rflags = 2 };
	struct kvm_sregs special;
	struct kvm_run *run;
	char *start;

	(void)number;
	if (kvm < 0)
		fail("/dev/kvm");
	machine = ioctl(kvm, KVM_CREATE_VM, 0);
	processor = ioctl(machine, KVM_CREATE_VCPU, 0);
	if (machine < 0 || processor < 0)
		fail("virtual machine");
	start = mmap(NULL, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (start == MAP_FAILED || madvise(start, size, MADV_NOHUGEPAGE))
		fail("memory of a virtual machine");
	memcpy(start + 0x1000, touch, sizeof(touch));
	memory.userspace_addr = (uintptr_t)start;
	run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
		   PROT_READ | PROT_WRITE, MAP_SHARED, processor, 0);
	if (run == MAP_FAILED ||
	    ioctl(machine, KVM_SET_USER_MEMORY_REGION, &memory) ||
	    ioctl(processor, KVM_GET_SREGS, &special))
		fail("virtual processor");
	special.cr0 |= 1;
	special.cs.base = special.ds.base = 0;
	special.cs.limit = special.ds.limit = ~0U;
	special.cs.g = special.ds.g = special.cs.db = special.ds.db = 1;
	if (ioctl(processor, KVM_SET_SREGS, &special) ||
	    ioctl(processor, KVM_SET_REGS, &registers) ||
	    ioctl(processor, KVM_RUN, 0) || run->exit_reason != KVM_EXIT_HLT) {
		fprintf(stderr, "exit reason %u\n", run->exit_reason);
		fail("run of a virtual processor");
	}
}
#endif

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

/* Pages that compress to a half: a page is a word, then noise. */
static void hold_swap(unsigned int pages)
{
	size_t size = pages * page_size, i;
	char *start = map(size, -1, 0);
	int noise = open("/dev/urandom", O_RDONLY);

	for (i = 0; i < size; i += page_size)
		if (read(noise, start + i, page_size / 2) != page_size / 2)
			fail("/dev/urandom");
	close(noise);
	if (madvise(start, size, MADV_PAGEOUT))
		fail("MADV_PAGEOUT");
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
		{ "stream", hold_stream },
		{ "tcp", hold_tcp },
		{ "bpf", hold_bpf },
		{ "taskfrag", hold_task_frag },
#ifdef __x86_64__
		{ "kvm", hold_kvm },
#endif
		{ "mapped", hold_mapped },
		{ "poison", hold_poison },
	};
	unsigned int i, n;

	if (!strcmp(what, "user")) {
		hold_user(count);
		return;
	}
	if (!strcmp(what, "swap")) {
		hold_swap(count);
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
