// SPDX-License-Identifier: GPL-2.0
/* Lost pages that name each other: being named is not being reachable. */
#include "plant.h"

/* Where in a page the list's links are. */
#define LINKS_AT 0x100

/* Each page names the one before it, and the first names the last. */
int lose_cycle(unsigned int count)
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

/* Each page holds the address of the next; nothing has that of the first. */
int lose_singly(unsigned int count)
{
	struct page *next = NULL;

	while (count--) {
		struct page *page = take(KIND_SINGLY, 0, 0);

		if (!page)
			return -ENOMEM;
		fill(page, 0, "a lost page of a singly linked list");
		if (next)
			*(void **)(page_address(page) + LINKS_AT) =
				page_address(next) + LINKS_AT;
		next = page;
	}
	return 0;
}

/* A ring of list_heads inside the pages, without a head outside. */
int lose_doubly(unsigned int count)
{
	struct list_head *before = NULL;

	while (count--) {
		struct page *page = take(KIND_DOUBLY, 0, 0);
		struct list_head *links;

		if (!page)
			return -ENOMEM;
		fill(page, 0, "a lost page of a doubly linked list");
		links = page_address(page) + LINKS_AT;
		INIT_LIST_HEAD(links);
		if (before)
			list_add(links, before);
		before = links;
	}
	return 0;
}
