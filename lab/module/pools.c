// SPDX-License-Identifier: GPL-2.0
/* Pages of page_pools, which recycle what drivers receive into. */
#include <linux/bottom_half.h>
#include <linux/dma-direction.h>
#include <linux/numa.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#include <net/page_pool/helpers.h>
#else
#include <net/page_pool.h>
#endif

#include "plant.h"

static struct page_pool *new_pool(unsigned int size)
{
	struct page_pool_params params = {
		.pool_size = size,
		.nid = NUMA_NO_NODE,
		.dma_dir = DMA_FROM_DEVICE,
	};

	return page_pool_create(&params);
}

/* A driver takes pages in its poll function, where softirqs cannot come. */
static struct page *pool_page(struct page_pool *pool, enum kind kind,
			      const char *text)
{
	struct page *page;

	local_bh_disable();
	page = page_pool_dev_alloc_pages(pool);
	local_bh_enable();
	if (!page || !record(page_to_pfn(page), kind, 0))
		return NULL;
	fill(page, 0, text);
	return page;
}

/*
 * `count` pages in flight, known to the driver, and as many in the ring: the
 * pool is full, and has what its size allows.
 */
int hold_pool(unsigned int count)
{
	struct page **ring = pointers(count);
	unsigned int n;

	holders.flight = pointers(count);
	holders.pool = new_pool(count);
	if (!ring || !holders.flight || IS_ERR(holders.pool))
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		holders.flight[n] = pool_page(holders.pool, KIND_POOL_FLIGHT,
					      "in flight from a page_pool");
		ring[n] = pool_page(holders.pool, KIND_POOL_RING,
				    "in a page_pool's ring");
		if (!holders.flight[n] || !ring[n])
			return -ENOMEM;
	}
	for (n = 0; n < count; n++)
		page_pool_put_full_page(holders.pool, ring[n], false);
	memset(ring, 0, array_size(count, sizeof(*ring)));
	vfree(ring);
	return 0;
}

/* Size of a pool that has many more pages in flight. */
#define SMALL 64

/* `count` pages in flight, all known to the driver, which gives none back. */
int hold_pool_beyond(unsigned int count)
{
	unsigned int n;

	holders.beyond = pointers(count);
	holders.small_pool = new_pool(SMALL);
	if (!holders.beyond || IS_ERR(holders.small_pool))
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		holders.beyond[n] = pool_page(holders.small_pool,
					      KIND_POOL_BEYOND,
					      "beyond the size of a page_pool");
		if (!holders.beyond[n])
			return -ENOMEM;
	}
	return 0;
}

/*
 * The pool waits for its pages for ever: a delayed work holds it, but it has
 * no list of what is in flight. The pages are lost, the pool is not.
 */
int lose_pool(unsigned int count)
{
	struct page_pool *pool = new_pool(count);
	int err = 0;

	if (IS_ERR(pool))
		return PTR_ERR(pool);
	while (count-- && !err)
		if (!pool_page(pool, KIND_POOL_GONE,
			       "in flight from a page_pool that is gone"))
			err = -ENOMEM;
	page_pool_destroy(pool);
	return err;
}
