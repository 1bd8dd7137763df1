// SPDX-License-Identifier: GPL-2.0
/* What user space filled and the module only writes down. */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/pipe_fs_i.h>

#include "plant.h"

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

		if (!record(page_to_pfn(page), KIND_PIPE, 0))
			err = -ENOMEM;
	}
	fput(file);
	return err;
}
