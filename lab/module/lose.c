// SPDX-License-Identifier: GPL-2.0
/* Pages that nothing holds once the function that takes them returns. */
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/version.h>

#include "plant.h"

int lose_text(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_TEXT, 0, 0);

		if (!page)
			return -ENOMEM;
		fill(page, 0, "a lost page of text");
	}
	return 0;
}

/* Charged to the control group of whoever asks. */
int lose_charged(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_LOST_CHARGED, __GFP_ACCOUNT, 0);

		if (!page)
			return -ENOMEM;
		fill(page, 0, "a lost page, charged to a control group");
	}
	return 0;
}

int lose_on_node(unsigned int count)
{
	while (count--) {
		struct page *page = alloc_pages_node(
			1, GFP_KERNEL | __GFP_ZERO | __GFP_THISNODE, 0);

		if (!page)
			return -ENOMEM;
		if (!record(page_to_pfn(page), KIND_ON_NODE, 0)) {
			__free_page(page);
			return -ENOMEM;
		}
		fill(page, 0, "a lost page of the second node");
	}
	return 0;
}

int lose_order2(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_ORDER2, 0, 2);

		if (!page)
			return -ENOMEM;
		fill(page, 2, "LABRING2");
	}
	return 0;
}

int lose_order3(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_ORDER3, __GFP_COMP, 3);

		if (!page)
			return -ENOMEM;
		fill(page, 3, "LABRING3");
	}
	return 0;
}

int lose_compound(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_LOST_COMPOUND, __GFP_COMP, 2);

		if (!page)
			return -ENOMEM;
		fill(page, 2, "a lost compound block");
	}
	return 0;
}

int lose_zero(unsigned int count)
{
	while (count--)
		if (!take(KIND_ZERO, 0, 0))
			return -ENOMEM;
	return 0;
}

int lose_noise(unsigned int count)
{
	while (count--) {
		struct page *page = take(KIND_NOISE, 0, 0);

		if (!page)
			return -ENOMEM;
		get_random_bytes(page_address(page), PAGE_SIZE);
	}
	return 0;
}

/*
 * Above the largest cache of any kernel: a compound block of its own. Since
 * 6.15 a page type tells it from others.
 */
int lose_kmalloc(unsigned int count)
{
	int kind = LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0) ?
			   KIND_LOST_KMALLOC : KIND_TYPED_KMALLOC;
	size_t size = 16384;

	while (count--) {
		struct page *page;
		void *buffer = kzalloc(size, GFP_KERNEL);

		if (!buffer)
			return -ENOMEM;
		page = virt_to_page(buffer);
		if (!record(page_to_pfn(page), kind, get_order(size)))
			return -ENOMEM;
		fill(page, get_order(size), "a lost kmalloc()");
	}
	return 0;
}

/*
 * Objects are filled with page pointers, then every second one is freed: the
 * allocator leaves its content alone, as it does with an sk_buff's frags[].
 * Live neighbours keep the slabs from going back to the page allocator. No
 * object is taken again after a free, or it would be live with stale content.
 */
int lose_behind_free_objects(unsigned int count)
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
