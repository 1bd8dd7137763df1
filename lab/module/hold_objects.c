// SPDX-License-Identifier: GPL-2.0
/* Pages held by small memory: stacks, per-CPU memory, slabs; and those slabs. */
#include <linux/kthread.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include "plant.h"

/* One size of a slab cache, one above the largest of any kernel's caches. */
static const size_t kmalloc_sizes[] = { 1024, 16384 };

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
		err = fill_names(holders.objects[n], KIND_OBJECTS,
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
 * What is above the largest cache comes from the page allocator and looks
 * like any compound page; the kernel counts it as unreclaimable slab.
 */
int hold_kmalloc(unsigned int count)
{
	unsigned int n;

	holders.kmalloc = pointers(count);
	if (!holders.kmalloc)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		size_t size = kmalloc_sizes[n % ARRAY_SIZE(kmalloc_sizes)];
		struct page *page;

		holders.kmalloc[n] = kzalloc(size, GFP_KERNEL);
		if (!holders.kmalloc[n])
			return -ENOMEM;
		page = virt_to_page(holders.kmalloc[n]);
		if (size < PAGE_SIZE)
			record(page_to_pfn(page), KIND_KMALLOC, 0);
		else
			record(page_to_pfn(page), KIND_KMALLOC,
			       get_order(size));
	}
	return 0;
}
