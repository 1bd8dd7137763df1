// SPDX-License-Identifier: GPL-2.0
/* Pages that something still holds, each kind in another way. */
#include <linux/kthread.h>
#include <linux/percpu.h>
#include <linux/pfn.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "plant.h"

/* Pages a vmalloc area has, and pages asked of alloc_pages_exact(). */
#define AREA_PAGES 4
#define EXACT_PAGES 13

struct holders holders;

int hold_vmalloc(unsigned int count)
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

int hold_array(unsigned int count)
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

int hold_tagged(unsigned int count)
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

int hold_compound(unsigned int count)
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
int hold_split(unsigned int count)
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

int hold_private(unsigned int count)
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

int hold_chain(unsigned int count)
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

int hold_stack(unsigned int threads)
{
	while (threads--) {
		struct task_struct *task = kthread_run(sleeper, NULL, "pagelab");

		if (IS_ERR(task))
			return PTR_ERR(task);
	}
	return 0;
}

int hold_percpu(unsigned int unused)
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

int hold_objects(unsigned int count)
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
int hold_slab(unsigned int count)
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
int hold_hwtable(unsigned int tables)
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
