// SPDX-License-Identifier: GPL-2.0
/* Blocks of several pages of which the owner keeps one pointer. */
#include <linux/vmalloc.h>

#include "plant.h"

/* Pages asked of alloc_pages_exact(); the order given to split_page(). */
#define EXACT_PAGES 13
#define SPLIT_ORDER 3
/* A page_frag block has 32 KiB; one fragment of it stays in use. */
#define FRAG_SIZE 2048
#define FRAGS 16
#define KEPT_FRAG 10

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

/* A reference count for each page, and the owner knows only the first. */
int hold_split_page(unsigned int count)
{
	unsigned int i, n;

	holders.blocks_of_pages = pointers(count);
	if (!holders.blocks_of_pages)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		struct page *page = alloc_pages(GFP_KERNEL | __GFP_ZERO,
						SPLIT_ORDER);

		if (!page)
			return -ENOMEM;
		holders.blocks_of_pages[n] = page;
		fill(page, SPLIT_ORDER, "held by split_page()");
		split_page(page, SPLIT_ORDER);
		for (i = 0; i < 1U << SPLIT_ORDER; i++)
			record(page_to_pfn(page) + i, KIND_SPLIT_PAGE, 0);
	}
	return 0;
}

/*
 * The cache lets go of a block once it is used up; then only the fragments
 * that are still in use hold it.
 */
int hold_page_frag(unsigned int count)
{
	void *frags[FRAGS];
	unsigned int i, n;

	holders.frags = pointers(count);
	if (!holders.frags)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		struct page *head;

		for (i = 0; i < FRAGS; i++) {
			frags[i] = page_frag_alloc(&holders.frag_cache,
						   FRAG_SIZE, GFP_KERNEL);
			if (!frags[i])
				return -ENOMEM;
		}
		memset(frags[KEPT_FRAG], 'F', FRAG_SIZE);
		holders.frags[n] = frags[KEPT_FRAG];
		for (i = 0; i < FRAGS; i++)
			if (i != KEPT_FRAG)
				page_frag_free(frags[i]);
		head = virt_to_head_page(holders.frags[n]);
		record(page_to_pfn(head), KIND_PAGE_FRAG, compound_order(head));
	}
	return 0;
}
