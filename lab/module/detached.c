// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of files and processes with a reference too many: when file or mapping
 * is gone they stay, and belong to nothing.
 */
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/vmalloc.h>

#include "plant.h"

/* A reference on a page of the file, or NULL. */
static struct page *cached_page(struct file *file, pgoff_t index)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	/* An error pointer where there is none since 66dabbb65d67. */
	struct folio *folio = filemap_get_folio(file->f_mapping, index);

	return IS_ERR_OR_NULL(folio) ? NULL : folio_file_page(folio, index);
#else
	return find_get_page(file->f_mapping, index);
#endif
}

static int detach(const char *path, unsigned int count)
{
	struct file *file = filp_open(path, O_CREAT | O_RDWR, 0600);
	char line[64];
	unsigned int n;
	int err = 0;

	if (IS_ERR(file))
		return PTR_ERR(file);
	for (n = 0; n < count && !err; n++) {
		loff_t at = (loff_t)n * PAGE_SIZE;
		int size = snprintf(line, sizeof(line),
				    "page %u of a file that is gone\n", n);
		struct page *page;

		if (kernel_write(file, line, size, &at) != size) {
			err = -EIO;
			break;
		}
		page = cached_page(file, n);
		if (!page || !record(page_to_pfn(page), KIND_DETACHED, 0))
			err = -ENOMEM;
	}
	err = err ?: vfs_truncate(&file->f_path, 0);
	filp_close(file, NULL);
	return err;
}

/* Half of them from a tmpfs, half from a ramfs: the guest mounts both. */
int lose_detached(unsigned int count)
{
	return detach("/tmp/detached", count / 2) ?:
	       detach("/cache/detached", count - count / 2);
}

/* Anonymous memory of the caller, unmapped while a reference is held. */
int lose_unmapped(unsigned int count)
{
	size_t size = (size_t)count * PAGE_SIZE;
	struct page **pages = pointers(count);
	unsigned long start;
	int i, got, err = 0;

	if (!pages)
		return -ENOMEM;
	start = vm_mmap(NULL, 0, size, PROT_READ | PROT_WRITE,
			MAP_ANONYMOUS | MAP_PRIVATE, 0);
	if (IS_ERR_VALUE(start)) {
		vfree(pages);
		return start;
	}
	got = get_user_pages_fast(start, count, FOLL_WRITE, pages);
	if (got != count)
		err = -EFAULT;
	for (i = 0; i < got; i++) {
		fill(pages[i], 0, "memory of a process that unmapped it");
		record(page_to_pfn(pages[i]), KIND_UNMAPPED, 0);
	}
	memset(pages, 0, array_size(count, sizeof(*pages)));
	vfree(pages);
	vm_munmap(start, size);
	return err;
}
