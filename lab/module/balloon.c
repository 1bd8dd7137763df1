// SPDX-License-Identifier: GPL-2.0
/* Pages that a guest gave back to its hypervisor, on a list through page->lru. */
#if __has_include(<linux/balloon.h>)
/* The name in 7.2. */
#include <linux/balloon.h>
#else
#include <linux/balloon_compaction.h>
#endif

#include "plant.h"

/* Not static: the list's head is what holds the pages. */
struct balloon_dev_info balloon;

int hold_balloon(unsigned int count)
{
	balloon_devinfo_init(&balloon);
	while (count--) {
		struct page *page = balloon_page_alloc();

		if (!page || !record(page_to_pfn(page), KIND_BALLOON, 0))
			return -ENOMEM;
		balloon_page_enqueue(&balloon, page);
	}
	return 0;
}
