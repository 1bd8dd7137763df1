// SPDX-License-Identifier: GPL-2.0
/* Pages that the CPU fills: one function a kind, listed in `planters`. */
#include <linux/kthread.h>
#include <linux/percpu.h>
#include <linux/pfn.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "pagelab.h"

/* Pages a vmalloc area has, and pages asked of alloc_pages_exact(). */
#define AREA_PAGES 4
#define EXACT_PAGES 13
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
struct holders holders;

static void fill(struct page *page, unsigned int order, const char *text)
{
	char *at = page_address(page);
	unsigned int i;

	for (i = 0; i < 1U << order; i++, at += PAGE_SIZE)
		snprintf(at, 64, "%s of %08lx\n", text,
			 page_to_pfn(page) + i);
}

/* A recorded block, or NULL when memory or the record table ran out. */
static struct page *take(enum kind kind, gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO | gfp, order);

	if (page && !record(page_to_pfn(page), kind, order)) {
		__free_pages(page, order);
		page = NULL;
	}
	return page;
}

static void *pointers(unsigned int count)
{
	return vzalloc(array_size(count, sizeof(void *)));
}

/*
 * A cache with a constructor is never merged with another, keeps its freelist
 * pointer outside the object, and init_on_free leaves its objects alone.
 */
static void wipe_names(void *object)
{
	memset(object, 0, sizeof(struct names));
}

static int fill_names(struct names *names, enum kind kind, const char *text)
{
	unsigned int i;

	for (i = 0; i < NAMES; i++) {
		names->page[i] = take(kind, 0, 0);
		if (!names->page[i])
			return -ENOMEM;
		fill(names->page[i], 0, text);
	}
	return 0;
}

static int lose_text(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_TEXT, 0, 0);

		if (!page)
			return -ENOMEM;
		fill(page, 0, "a lost page of text");
	}
	return 0;
}

static int lose_order2(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_ORDER2, 0, 2);

		if (!page)
			return -ENOMEM;
		fill(page, 2, "LABRING2");
	}
	return 0;
}

static int lose_compound(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_COMPOUND_LOST, __GFP_COMP, 2);

		if (!page)
			return -ENOMEM;
		fill(page, 2, "a lost compound block");
	}
	return 0;
}

static int lose_zero(unsigned int count)
{
	while (count--)
		if (!take(KIND_ZERO, 0, 0))
			return -ENOMEM;
	return 0;
}

static int lose_noise(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_NOISE, 0, 0);

		if (!page)
			return -ENOMEM;
		get_random_bytes(page_address(page), PAGE_SIZE);
	}
	return 0;
}

/* Each page names the one before it, and the first names the last. */
static int lose_cycle(unsigned int count)
{
	struct page *first = NULL, *before = NULL;

	while (count--) {
		struct page *page = take(KIND_CYCLE, 0, 0);

		if (!page)
			return -ENOMEM;
		if (!first)
			first = page;
		else
			*(void **)page_address(page) = page_address(before);
		INIT_LIST_HEAD(&page->lru);
		if (before)
			list_add(&page->lru, &before->lru);
		before = page;
	}
	if (first)
		*(void **)page_address(first) = page_address(before);
	return 0;
}

/*
 * Objects are filled with page pointers, then every second one is freed: the
 * allocator leaves its content alone, as it does with an sk_buff's frags[].
 * Live neighbours keep the slabs from going back to the page allocator. No
 * object is taken again after a free, or it would be live with stale content.
 */
static int lose_behind_free_objects(unsigned int count)
{
	unsigned int n, objects = 2 * DIV_ROUND_UP(count, NAMES);
	struct kmem_cache *cache;
	int err = 0;

	cache = kmem_cache_create("pagelab_stale", sizeof(struct names), 0, 0,
				  wipe_names);
	holders.live = pointers(objects);
	if (!cache || !holders.live)
		return -ENOMEM;
	for (n = 0; n < objects; n++) {
		holders.live[n] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!holders.live[n])
			return -ENOMEM;
	}
	for (n = 0; n < objects && !err; n += 2) {
		err = fill_names(holders.live[n], KIND_STALE,
				 "named by a free object");
		kmem_cache_free(cache, holders.live[n]);
		holders.live[n] = NULL;
	}
	return err;
}

static int hold_vmalloc(unsigned int count)
{
	unsigned int i, n;

	holders.areas = pointers(count);
	if (!holders.areas)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		holders.areas[n] = vzalloc(AREA_PAGES * PAGE_SIZE);
		if (!holders.areas[n])
			return -ENOMEM;
		for (i = 0; i < AREA_PAGES; i++)
			record(vmalloc_to_pfn(holders.areas[n] + i * PAGE_SIZE),
			       KIND_VMALLOC, 0);
	}
	return 0;
}

static int hold_array(unsigned int count)
{
	unsigned int n;

	holders.array = pointers(count);
	if (!holders.array)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		holders.array[n] = take(KIND_ARRAY, 0, 0);
		if (!holders.array[n])
			return -ENOMEM;
		fill(holders.array[n], 0, "held by an array");
	}
	return 0;
}

static int hold_tagged(unsigned int count)
{
	unsigned int n;

	holders.tagged = pointers(count);
	if (!holders.tagged)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		struct page *page = take(KIND_TAGGED, 0, 0);

		if (!page)
			return -ENOMEM;
		fill(page, 0, "held by a tagged pointer");
		holders.tagged[n] = (unsigned long)page | (1 + n % 3);
	}
	return 0;
}

static int hold_compound(unsigned int count)
{
	unsigned int n;

	holders.in_tail = pointers(count);
	if (!holders.in_tail)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		struct page *page = take(KIND_COMPOUND, __GFP_COMP, 2);

		if (!page)
			return -ENOMEM;
		fill(page, 2, "held by a pointer into a tail");
		holders.in_tail[n] = page_address(page) + 2 * PAGE_SIZE + 0x120;
	}
	return 0;
}

/* The kernel splits the block and frees what is beyond the size asked. */
static int hold_split(unsigned int count)
{
	unsigned int i, n;

	holders.blocks = vzalloc(array_size(count, sizeof(*holders.blocks)));
	if (!holders.blocks)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		struct block *block = &holders.blocks[n];

		block->size = EXACT_PAGES * PAGE_SIZE;
		block->start = alloc_pages_exact(block->size,
						 GFP_KERNEL | __GFP_ZERO);
		if (!block->start)
			return -ENOMEM;
		for (i = 0; i < EXACT_PAGES; i++)
			record(page_to_pfn(virt_to_page(block->start)) + i,
			       KIND_SPLIT, 0);
	}
	return 0;
}

static int hold_private(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_PRIVATE, 0, 0);

		if (!page)
			return -ENOMEM;
		fill(page, 0, "held by a page->private chain");
		set_page_private(page, (unsigned long)holders.private_head);
		holders.private_head = page;
	}
	return 0;
}

static int hold_chain(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_CHAIN, 0, 0);

		if (!page)
			return -ENOMEM;
		fill(page, 0, "held by a page's content");
		*(void **)(page_address(page) + 0x400) = holders.chain_head;
		holders.chain_head = page_address(page);
	}
	return 0;
}

static int sleeper(void *unused)
{
	struct names names;

	if (!fill_names(&names, KIND_STACK, "held by a stack"))
		while (!kthread_should_stop()) {
			barrier_data(&names);
			schedule_timeout_interruptible(MAX_SCHEDULE_TIMEOUT);
		}
	return 0;
}

static int hold_stack(unsigned int threads)
{
	while (threads--) {
		struct task_struct *task = kthread_run(sleeper, NULL, "pagelab");

		if (IS_ERR(task))
			return PTR_ERR(task);
	}
	return 0;
}

static int hold_percpu(unsigned int unused)
{
	int cpu, err = 0;

	holders.percpu = alloc_percpu(struct names);
	if (!holders.percpu)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		err = err ?: fill_names(per_cpu_ptr(holders.percpu, cpu),
					KIND_PERCPU, "held by per-CPU memory");
	return err;
}

static int hold_objects(unsigned int count)
{
	unsigned int n;
	int err = 0;

	holders.objects = pointers(count);
	if (!holders.objects)
		return -ENOMEM;
	for (n = 0; n < count && !err; n++) {
		holders.objects[n] = kzalloc(sizeof(struct names), GFP_KERNEL);
		if (!holders.objects[n])
			return -ENOMEM;
		err = fill_names(holders.objects[n], KIND_OBJECT,
				 "held by an object");
	}
	return err;
}

/* Live objects of a cache of our own; one record a slab page. */
static int hold_slab(unsigned int count)
{
	struct kmem_cache *cache;
	unsigned long pfn, before = 0;
	unsigned int n;

	cache = kmem_cache_create("pagelab_obj", sizeof(struct names), 0, 0,
				  wipe_names);
	holders.slab = pointers(count);
	if (!cache || !holders.slab)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		holders.slab[n] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!holders.slab[n])
			return -ENOMEM;
		pfn = page_to_pfn(virt_to_page(holders.slab[n]));
		if (pfn != before)
			record(pfn, KIND_SLAB, 0);
		before = pfn;
	}
	return 0;
}

/*
 * Tables as an IOMMU has them: 512 entries of frame address and permission
 * bits. The pages they name have no pointer.
 */
static int hold_hwtable(unsigned int tables)
{
	unsigned int i, n;

	holders.tables = pointers(tables);
	if (!holders.tables)
		return -ENOMEM;
	for (n = 0; n < tables; n++) {
		holders.tables[n] = (u64 *)get_zeroed_page(GFP_KERNEL);
		if (!holders.tables[n])
			return -ENOMEM;
		for (i = 0; i < PAGE_SIZE / sizeof(u64); i++) {
			struct page *page = take(KIND_HWTABLE, 0, 0);

			if (!page)
				return -ENOMEM;
			fill(page, 0, "held by a hardware table");
			holders.tables[n][i] = PFN_PHYS(page_to_pfn(page)) | 3;
		}
	}
	return 0;
}

static const struct {
	const char *what;
	int (*plant)(unsigned int count);
} planters[] = {
	{ "text", lose_text },
	{ "order2", lose_order2 },
	{ "lostcompound", lose_compound },
	{ "zero", lose_zero },
	{ "noise", lose_noise },
	{ "cycle", lose_cycle },
	{ "stale", lose_behind_free_objects },
	{ "vmalloc", hold_vmalloc },
	{ "array", hold_array },
	{ "tagged", hold_tagged },
	{ "compound", hold_compound },
	{ "split", hold_split },
	{ "private", hold_private },
	{ "chain", hold_chain },
	{ "stack", hold_stack },
	{ "percpu", hold_percpu },
	{ "objects", hold_objects },
	{ "slab", hold_slab },
	{ "hwtable", hold_hwtable },
};

/* Each kind can be planted once: its holder is one static. */
int plant(const char *what, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(planters); i++)
		if (!strcmp(planters[i].what, what))
			return planters[i].plant(count);
	return -EINVAL;
}
