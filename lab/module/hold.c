// SPDX-License-Identifier: GPL-2.0
/* Pages that something still holds, each kind in another way. */
#include <linux/pfn.h>
#include <linux/vmalloc.h>

#include "plant.h"

/* Pages a vmalloc area has. */
#define AREA_PAGES 4

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

static int in_array(struct page ***array, enum kind kind, gfp_t gfp,
		    const char *text, unsigned int count)
{
	struct page **pages = pointers(count);
	unsigned int n;

	*array = pages;
	if (!pages)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		pages[n] = take(kind, gfp, 0);
		if (!pages[n])
			return -ENOMEM;
		fill(pages[n], 0, text);
	}
	return 0;
}

int hold_array(unsigned int count)
{
	return in_array(&holders.array, KIND_ARRAY, 0, "held by an array",
			count);
}

/* Charged to the control group of whoever asks. */
int hold_charged(unsigned int count)
{
	return in_array(&holders.charged, KIND_CHARGED, __GFP_ACCOUNT,
			"held, and charged to a control group", count);
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

int hold_lru(unsigned int count)
{
	INIT_LIST_HEAD(&holders.lru);
	while (count--) {
		struct page *page = take(KIND_LRU, 0, 0);

		if (!page)
			return -ENOMEM;
		fill(page, 0, "held by a page->lru list");
		list_add(&page->lru, &holders.lru);
	}
	return 0;
}

/* Plain entries, entries with a tag in bits 0 and 1, and marks on some. */
int hold_xarray(unsigned int count)
{
	static const unsigned long tags[] = { 0, 1, 3 };
	unsigned int n;
	int err = 0;

	xa_init(&holders.xarray);
	for (n = 0; n < count && !err; n++) {
		struct page *page = take(KIND_XARRAY, 0, 0);

		if (!page)
			return -ENOMEM;
		fill(page, 0, "held by an xarray");
		err = xa_err(xa_store(&holders.xarray, 5 * n,
				      xa_tag_pointer(page, tags[n % 3]),
				      GFP_KERNEL));
		if (n % 4 == 0)
			xa_set_mark(&holders.xarray, 5 * n, XA_MARK_1);
	}
	return err;
}

int hold_sg(unsigned int count)
{
	unsigned int n;
	int err = 0;

	holders.sg = vzalloc(array_size(count, sizeof(*holders.sg)));
	if (!holders.sg)
		return -ENOMEM;
	for (n = 0; n < count && !err; n++) {
		struct page *page = take(KIND_SG, 0, 0);

		if (!page)
			return -ENOMEM;
		fill(page, 0, "held by a scatterlist");
		err = sg_alloc_table(&holders.sg[n], 1, GFP_KERNEL);
		if (!err)
			sg_set_page(holders.sg[n].sgl, page, PAGE_SIZE, 0);
	}
	return err;
}
