// SPDX-License-Identifier: GPL-2.0
/* Taking, filling and naming pages. */
#include <linux/vmalloc.h>

#include "plant.h"

void fill(struct page *page, unsigned int order, const char *text)
{
	char *at = page_address(page);
	unsigned int i;

	for (i = 0; i < 1U << order; i++, at += PAGE_SIZE)
		snprintf(at, 64, "%s of %08lx\n", text,
			 page_to_pfn(page) + i);
}

/* A recorded block, or NULL when memory or the record table ran out. */
struct page *take(enum kind kind, gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO | gfp, order);

	if (page && !record(page_to_pfn(page), kind, order)) {
		__free_pages(page, order);
		page = NULL;
	}
	return page;
}

void *pointers(unsigned int count)
{
	return vzalloc(array_size(count, sizeof(void *)));
}

/*
 * A cache with a constructor is never merged with another, keeps its freelist
 * pointer outside the object, and init_on_free leaves its objects alone.
 */
void wipe_names(void *object)
{
	memset(object, 0, sizeof(struct names));
}

int fill_names(struct names *names, enum kind kind, const char *text)
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
