// SPDX-License-Identifier: GPL-2.0
/* What user space filled and the module only writes down. */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched.h>

#include "plant.h"

int record_task_frag(unsigned int unused)
{
	struct page *page = current->task_frag.page;

	if (!page)
		return -ENOENT;
	page = compound_head(page);
	if (!record_own(page_to_pfn(page), KIND_TASK_FRAG, compound_order(page)))
		return -ENOMEM;
	return 0;
}

int record_pipe(unsigned int fd)
{
	struct file *file = fget(fd);
	struct pipe_inode_info *pipe;
	unsigned int at;
	int err = 0;

	if (!file)
		return -EBADF;
	if (!S_ISFIFO(file_inode(file)->i_mode)) {
		fput(file);
		return -EINVAL;
	}
	pipe = file->private_data;
	for (at = pipe->tail; at != pipe->head && !err; at++) {
		struct page *page = pipe->bufs[at & (pipe->ring_size - 1)].page;

		if (!record_own(page_to_pfn(page), KIND_PIPE, 0))
			err = -ENOMEM;
	}
	fput(file);
	return err;
}
