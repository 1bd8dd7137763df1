// SPDX-License-Identifier: GPL-2.0
/*
 * The truth: one record a planted block. A frame number is no pointer, and
 * with kind and order in the upper half the 64-bit word looks like none.
 */
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "pagelab.h"

struct entry {
	u32 pfn;
	u16 kind;
	u16 order;
	/* 0 where no process owns it. */
	u64 pid;
};

static struct entry *entries;
static unsigned int used, room;
static DEFINE_SPINLOCK(lock);

int records_init(unsigned int capacity)
{
	entries = vzalloc(array_size(capacity, sizeof(*entries)));
	if (!entries)
		return -ENOMEM;
	room = capacity;
	return 0;
}

void records_free(void)
{
	vfree(entries);
}

static bool record_of(unsigned long pfn, enum kind kind, unsigned int order,
		      pid_t pid)
{
	bool fits;

	spin_lock_bh(&lock);
	fits = used < room;
	if (fits)
		entries[used++] = (struct entry){ pfn, kind, order, pid };
	spin_unlock_bh(&lock);
	return fits;
}

/* False when the table is full: the caller must then not plant the page. */
bool record(unsigned long pfn, enum kind kind, unsigned int order)
{
	return record_of(pfn, kind, order, 0);
}

/* The same for what the process that asks for it owns. */
bool record_own(unsigned long pfn, enum kind kind, unsigned int order)
{
	return record_of(pfn, kind, order, current->tgid);
}

int records_show(struct seq_file *m, void *v)
{
	unsigned int i;

	for (i = 0; i < used; i++)
		seq_printf(m, "%u %u %u %llu\n", entries[i].pfn,
			   entries[i].kind, entries[i].order, entries[i].pid);
	return 0;
}

static bool is_lost(enum kind kind)
{
	switch (kind) {
	case KIND_FRAMES:
	case KIND_TEXT:
	case KIND_ORDER2:
	case KIND_ZERO:
	case KIND_NOISE:
	case KIND_CYCLE:
	case KIND_LOST_COMPOUND:
	case KIND_SKB:
	case KIND_STALE:
	case KIND_OFFSET64 ... KIND_LOST_KMALLOC:
	case KIND_TYPED_KMALLOC:
		return true;
	default:
		return false;
	}
}

/*
 * Two words a record: addresses of the struct page and of the content of what
 * is lost, zeroes for the rest. User space stores them where they must not
 * count as references; they leave none here.
 */
ssize_t names_read(struct file *file, char __user *to, size_t len, loff_t *pos)
{
	static void *room[512];
	static DEFINE_MUTEX(reading);
	unsigned int n = 0, next = *pos / (2 * sizeof(void *));
	size_t size;

	mutex_lock(&reading);
	for (; next < used && n + 2 <= min(len / sizeof(void *),
					   ARRAY_SIZE(room)); next++) {
		struct page *page = pfn_to_page(entries[next].pfn);
		bool lost = is_lost(entries[next].kind);

		room[n++] = lost ? page : NULL;
		room[n++] = lost ? page_address(page) : NULL;
	}
	size = n * sizeof(void *);
	if (copy_to_user(to, room, size))
		size = 0;
	memset(room, 0, sizeof(room));
	mutex_unlock(&reading);
	scrub_stack(4);
	*pos += size;
	return size;
}
