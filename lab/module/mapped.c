// SPDX-License-Identifier: GPL-2.0
/* Pages to which no pointer leads, only an entry of a page table. */
#include <linux/fs.h>
#include <linux/vmalloc.h>

#include "plant.h"

/* At offset 0 as a device's memory is mapped, elsewhere page by page. */
int map_to_user(struct file *file, struct vm_area_struct *vma)
{
	unsigned long at;
	int err = 0;

	for (at = vma->vm_start; at < vma->vm_end && !err; at += PAGE_SIZE) {
		struct page *page = take(KIND_MAPPED, 0, 0);

		if (!page)
			return -ENOMEM;
		fill(page, 0, "held by a mapping");
		if (!vma->vm_pgoff) {
			err = remap_pfn_range(vma, at, page_to_pfn(page),
					      PAGE_SIZE, vma->vm_page_prot);
		} else {
			err = vm_insert_page(vma, at, page);
			put_page(page);
		}
	}
	scrub_stack(4);
	return err;
}

int hold_vmapped(unsigned int count)
{
	struct page **pages = pointers(count);
	unsigned int n;

	if (!pages)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		pages[n] = take(KIND_VMAPPED, 0, 0);
		if (!pages[n])
			return -ENOMEM;
		fill(pages[n], 0, "held by vmap()");
	}
	holders.vmapped = vmap(pages, count, VM_MAP, PAGE_KERNEL);
	memset(pages, 0, array_size(count, sizeof(*pages)));
	vfree(pages);
	return holders.vmapped ? 0 : -ENOMEM;
}
