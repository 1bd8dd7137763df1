/* SPDX-License-Identifier: GPL-2.0 */
/* What the planters share. Each returns 0 or a negative error number. */
#ifndef PAGELAB_PLANT_H
#define PAGELAB_PLANT_H

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
	struct page **array;
	unsigned long *tagged;
	struct block *blocks;
	struct page *private_head;
	void *chain_head;
	struct names __percpu *percpu;
	struct names **objects;
	u64 **tables;
} holders;

/* blocks.c */
void fill(struct page *page, unsigned int order, const char *text);
struct page *take(enum kind kind, gfp_t gfp, unsigned int order);
void *pointers(unsigned int count);
void wipe_names(void *object);
int fill_names(struct names *names, enum kind kind, const char *text);

/* lose.c: `count` units each */
int lose_text(unsigned int count);
int lose_order2(unsigned int count);
int lose_compound(unsigned int count);
int lose_zero(unsigned int count);
int lose_noise(unsigned int count);
int lose_cycle(unsigned int count);
int lose_behind_free_objects(unsigned int count);

/* hold.c: `count` areas, pages, blocks, threads, objects or tables */
int hold_vmalloc(unsigned int count);
int hold_array(unsigned int count);
int hold_tagged(unsigned int count);
int hold_compound(unsigned int count);
int hold_split(unsigned int count);
int hold_private(unsigned int count);
int hold_chain(unsigned int count);
int hold_stack(unsigned int count);
int hold_percpu(unsigned int count);
int hold_objects(unsigned int count);
int hold_slab(unsigned int count);
int hold_hwtable(unsigned int count);

#endif
