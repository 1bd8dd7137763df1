/* SPDX-License-Identifier: GPL-2.0 */
/* What the planters share. Each returns 0 or a negative error number. */
#ifndef PAGELAB_PLANT_H
#define PAGELAB_PLANT_H

#include <linux/scatterlist.h>
#include <linux/skbuff.h>
#include <linux/version.h>
#include <linux/xarray.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
/* 65941f10caf2 moved the fragments out of gfp.h and mm_types.h. */
#include <linux/page_frag_cache.h>
#endif

#include "pagelab.h"

/* Page pointers in one slab object, one stack and one CPU's array. */
#define NAMES 32

struct names {
	struct page *page[NAMES];
};

struct block {
	void *start;
	size_t size;
};

/*
 * What holds the pages that are not lost. External linkage: the compiler
 * would drop a static that nobody reads again.
 */
extern struct holders {
	void **areas, **in_tail, **live, **slab;
	struct page **array, **charged;
	unsigned long *tagged;
	struct block *blocks;
	struct page *private_head;
	void *chain_head;
	struct names __percpu *percpu;
	struct names **objects;
	u64 **tables;
	void **kmalloc, **frags;
	struct page_frag_cache frag_cache;
	struct page **blocks_of_pages, **flight, **beyond;
	struct xarray xarray;
	struct list_head lru;
	struct sg_table *sg;
	struct sk_buff_head queue, netmem;
	struct page_pool *pool, *small_pool;
	void *vmapped;
} holders;

/* blocks.c */
void fill(struct page *page, unsigned int order, const char *text);
struct page *take(enum kind kind, gfp_t gfp, unsigned int order);
void *pointers(unsigned int count);
void wipe_names(void *object);
int fill_names(struct names *names, enum kind kind, const char *text);

/*
 * `count` units each: pages, blocks, areas, objects, threads, tables or
 * sk_buffs. What the name begins with is the fate.
 */

/* lose.c */
int lose_text(unsigned int count);
int lose_order2(unsigned int count);
int lose_order3(unsigned int count);
int lose_compound(unsigned int count);
int lose_zero(unsigned int count);
int lose_noise(unsigned int count);
int lose_kmalloc(unsigned int count);
int lose_charged(unsigned int count);
int lose_on_node(unsigned int count);
int lose_behind_free_objects(unsigned int count);

/* lose_linked.c */
int lose_cycle(unsigned int count);
int lose_singly(unsigned int count);
int lose_doubly(unsigned int count);

/* detached.c */
int lose_detached(unsigned int count);
int lose_unmapped(unsigned int count);

/* sockets.c */
int lose_freed_skb(unsigned int count);
int hold_queued(unsigned int count);
int hold_netmem(unsigned int count);

/* pools.c */
int lose_pool(unsigned int count);
int hold_pool(unsigned int count);
int hold_pool_beyond(unsigned int count);

/* hold.c */
int hold_vmalloc(unsigned int count);
int hold_array(unsigned int count);
int hold_charged(unsigned int count);
int hold_tagged(unsigned int count);
int hold_private(unsigned int count);
int hold_chain(unsigned int count);
int hold_lru(unsigned int count);
int hold_xarray(unsigned int count);
int hold_sg(unsigned int count);
int hold_hwtable(unsigned int count);

/* hold_blocks.c */
int hold_compound(unsigned int count);
int hold_split(unsigned int count);
int hold_split_page(unsigned int count);
int hold_page_frag(unsigned int count);

/* hold_objects.c */
int hold_stack(unsigned int count);
int hold_percpu(unsigned int unused);
int hold_objects(unsigned int count);
int hold_slab(unsigned int count);
int hold_kmalloc(unsigned int count);

/* mapped.c, balloon.c */
int hold_vmapped(unsigned int count);
int hold_balloon(unsigned int count);

/* pipes.c: the buffers of the caller's file descriptor, a pipe */
int record_pipe(unsigned int fd);
/* pipes.c: the caller's own page fragments */
int record_task_frag(unsigned int unused);

/* sockets.c: what waits to be read from the caller's file descriptor */
int record_socket(unsigned int fd);

/* lose_heap.c: nothing of these is a page by itself, and so none is recorded */
int lose_objects(unsigned int count);
int lose_areas(unsigned int count);

#endif
