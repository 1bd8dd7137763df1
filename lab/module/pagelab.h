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
	KIND_FRAMES = 1,	/* lost: received frame, extra page reference */
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
	KIND_LOST_COMPOUND = 13, /* lost: compound order-2 block */
	KIND_COMPOUND = 14,	/* held: compound block, pointer into a tail */
	KIND_TAGGED = 15,	/* held: struct page pointer with low tag bits */
	KIND_CHAIN = 16,	/* held: named by the content of a held page */
	KIND_SKB = 17,		/* lost: in sk_buffs that nobody frees */
	KIND_STALE = 18,	/* lost: named by freed slab objects only */
	KIND_STACK = 19,	/* held: pointers on a sleeping thread's stack */
	KIND_PERCPU = 20,	/* held: pointers in per-CPU memory */
	KIND_OBJECTS = 21,	/* held: pointers in live slab objects */
	KIND_HWTABLE = 22,	/* held: frame numbers in a hardware-like table */
	KIND_OFFSET64 = 23,	/* lost: received frame at offset 64 */
	KIND_OFFSET192 = 24,	/* lost: the same at offset 192 */
	KIND_OFFSET2048 = 25,	/* lost: the same at offset 2048 */
	KIND_FREED_SKB = 26,	/* lost: only freed sk_buffs still name it */
	KIND_ORDER3 = 27,	/* lost: compound order-3 block */
	KIND_SINGLY = 28,	/* lost: singly linked list, by content */
	KIND_DOUBLY = 29,	/* lost: doubly linked list, by content */
	KIND_POOL_GONE = 30,	/* lost: in flight when its page_pool went */
	KIND_DETACHED = 31,	/* lost: reference on a truncated file's page */
	KIND_UNMAPPED = 32,	/* lost: reference on an unmapped anonymous page */
	KIND_LOST_KMALLOC = 33,	/* lost: kmalloc() above the largest cache */
	KIND_KMALLOC = 34,	/* held: kmalloc(), in slabs and above them */
	KIND_XARRAY = 35,	/* held: xarray with marks and tagged entries */
	KIND_LRU = 36,		/* held: page->lru list only */
	KIND_SG = 37,		/* held: one-entry sg_table, end mark in bit 1 */
	KIND_NETMEM = 38,	/* held: live sk_buff, bit 0 of the frag set */
	KIND_QUEUED = 39,	/* held: frags of queued sk_buffs */
	KIND_SPLIT_PAGE = 40,	/* held: split_page(), one struct page pointer */
	KIND_POOL_RING = 41,	/* held: recycled into a live page_pool */
	KIND_POOL_FLIGHT = 42,	/* held: given out by a live page_pool */
	KIND_PAGE_FRAG = 43,	/* held: one 2 KiB fragment of the block in use */
	/* Most of the following user space writes down: lab/guest/holder.c. */
	KIND_PIPE = 44,		/* held: pipe buffers */
	KIND_PACKET = 45,	/* held: AF_PACKET ring */
	KIND_URING = 46,	/* held: io_uring rings */
	KIND_PERF = 47,		/* held: perf ring buffer */
	KIND_USER = 48,		/* held: user memory full of lost pages' names */
	KIND_MAPPED = 49,	/* held: only a process's page table maps it */
	KIND_VMAPPED = 50,	/* held: only the kernel's page table maps it */
	KIND_BALLOON = 51,	/* held: inflated memory balloon */
	KIND_POISONED = 52,	/* held: taken out of use for a memory error */
	KIND_TYPED_KMALLOC = 53, /* counted: as KIND_LOST_KMALLOC, of a page type */
	KIND_SOCKET = 54,	/* held: fragments in a socket's receive queue */
	KIND_BPFRING = 55,	/* held: BPF ring buffer */
	KIND_TASK_FRAG = 56,	/* held: a process's page fragments */
	KIND_POOL_BEYOND = 57,	/* held: in flight, more than the pool's size */
	KIND_CHARGED = 58,	/* held: charged to a control group, in an array */
	KIND_LOST_CHARGED = 59,	/* lost: charged to a control group */
	KIND_ON_NODE = 60,	/* lost: on the second NUMA node */
};

/* records.c */
int records_init(unsigned int capacity);
void records_free(void);
bool record(unsigned long pfn, enum kind kind, unsigned int order);
bool record_own(unsigned long pfn, enum kind kind, unsigned int order);
int records_show(struct seq_file *m, void *v);
ssize_t names_read(struct file *file, char __user *to, size_t len, loff_t *pos);

/* mapped.c */
struct vm_area_struct;
int map_to_user(struct file *file, struct vm_area_struct *vma);

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
