// SPDX-License-Identifier: GPL-2.0
/* Pages that a guest gave back to its hypervisor, on a list through page->lru. */
#if __has_include(<linux/balloon.h>)
/* The name in 7.2. */
#include <linux/balloon.h>
#else
#include <linux/balloon_compaction.h>
#endif

#include <linux/fs.h>
#include <linux/version.h>

#include "plant.h"

/* Not static: the list's head is what holds the pages. */
struct balloon_dev_info balloon;

/* Until 68f2736a8583 (6.0) pages could move by way of an inode's operations. */
static int give_inode(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0) && \
	defined(CONFIG_BALLOON_COMPACTION)
	struct file *file = filp_open("/tmp/balloon", O_CREAT | O_RDWR, 0600);

	if (IS_ERR(file))
		return PTR_ERR(file);
	balloon.inode = file_inode(file);
#endif
	return 0;
}

int hold_balloon(unsigned int count)
{
	int err;

	balloon_devinfo_init(&balloon);
	err = give_inode();
	if (err)
		return err;
	while (count--) {
		struct page *page = balloon_page_alloc();

		if (!page || !record(page_to_pfn(page), KIND_BALLOON, 0))
			return -ENOMEM;
		balloon_page_enqueue(&balloon, page);
	}
	return 0;
}
