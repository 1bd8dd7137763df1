// SPDX-License-Identifier: GPL-2.0
/*
 * The truth: one record a planted block. A frame number is no pointer, and
 * with kind and order in the upper half the 64-bit word looks like none.
 */
#include <linux/spinlock.h>
#include <linux/vmalloc.h>

#include "pagelab.h"

struct entry {
	u32 pfn;
	u16 kind;
	u16 order;
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

/* False when the table is full: the caller must then not plant the page. */
bool record(unsigned long pfn, enum kind kind, unsigned int order)
{
	bool fits;

	spin_lock_bh(&lock);
	fits = used < room;
	if (fits)
		entries[used++] = (struct entry){ pfn, kind, order };
	spin_unlock_bh(&lock);
	return fits;
}

int records_show(struct seq_file *m, void *v)
{
	unsigned int i;

	for (i = 0; i < used; i++)
		seq_printf(m, "%u %u %u\n", entries[i].pfn, entries[i].kind,
			   entries[i].order);
	return 0;
}

/*
 * The struct page addresses of all lost frames as raw words: user space
 * stores them in a file, whose pages must not count as referrers.
 */
int names_show(struct seq_file *m, void *v)
{
	unsigned int i;

	for (i = 0; i < used; i++) {
		struct page *page = pfn_to_page(entries[i].pfn);

		if (entries[i].kind == KIND_FRAME)
			seq_write(m, &page, sizeof(page));
	}
	scrub_stack(4);
	return 0;
}
