/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pagelab: plants pages whose fate is known, for scoring a leak finder.
 *
 * Every planted page is written down as a record of plain integers. A page
 * that is to be lost must not be named by any pointer of this module: no
 * static, no list, no leftover on a stack.
 */
#ifndef PAGELAB_H
#define PAGELAB_H

#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/types.h>

/* Numbers are part of the truth files' format: never reuse one. */
enum kind {
	KIND_FRAME = 1,		/* lost: received frame, extra page reference */
	KIND_TEXT = 2,		/* lost: text */
	KIND_ORDER2 = 3,	/* lost: order-2 block, not compound */
	KIND_VMALLOC = 4,	/* held: page of a vmalloc area */
	KIND_SLAB = 5,		/* held: page of a slab */
	KIND_ARRAY = 6,		/* held: pointer in an array */
	KIND_ZERO = 7,		/* lost: zeroes */
	KIND_NOISE = 8,		/* lost: random bytes */
	KIND_LIST = 9,		/* held: received frame, page->lru list only */
	KIND_SPLIT = 10,	/* held: split block, one pointer to its start */
	KIND_PRIVATE = 11,	/* held: page->private chain */
	KIND_CYCLE = 12,	/* lost: pages that only name each other */
	KIND_COMPOUND_LOST = 13, /* lost: compound order-2 block */
	KIND_COMPOUND = 14,	/* held: compound block, pointer into a tail */
	KIND_TAGGED = 15,	/* held: struct page pointer with low tag bits */
	KIND_CHAIN = 16,	/* held: named by the content of a held page */
	KIND_SKB = 17,		/* lost: in sk_buffs that nobody frees */
	KIND_STALE = 18,	/* lost: named by freed slab objects only */
	KIND_STACK = 19,	/* held: pointers on a sleeping thread's stack */
	KIND_PERCPU = 20,	/* held: pointers in per-CPU memory */
	KIND_OBJECT = 21,	/* held: pointers in live slab objects */
	KIND_HWTABLE = 22,	/* held: frame numbers in a hardware-like table */
};

/* records.c */
int records_init(unsigned int capacity);
void records_free(void);
bool record(unsigned long pfn, enum kind kind, unsigned int order);
int records_show(struct seq_file *m, void *v);
int names_show(struct seq_file *m, void *v);

/* plant.c */
int plant(const char *what, unsigned int count);

/* frames.c */
int frames_init(u16 port);
void frames_stop(void);
int frames_take(const char *what, unsigned int count);
int frames_show(struct seq_file *m, void *v);

/* main.c */
void scrub_stack(unsigned int depth);

#endif
