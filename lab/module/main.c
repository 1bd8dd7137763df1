// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/pagelab        write "KIND COUNT" to plant; read "pfn kind order" lines;
 *                      a mapping of it is held by page tables alone
 * /proc/pagelab_state  progress of the frames taken from the network
 * /proc/pagelab_names  addresses of all that is lost, raw words
 */
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>

#include "pagelab.h"

static unsigned int capacity = 65536;
module_param(capacity, uint, 0444);
MODULE_PARM_DESC(capacity, "most records that are kept");

static ushort port = 4242;
module_param(port, ushort, 0444);
MODULE_PARM_DESC(port, "UDP destination port of the lab's frames");

/* Overwrites about `depth` KiB of stack below the caller. */
noinline void scrub_stack(unsigned int depth)
{
	u8 room[1024];

	memset(room, 0, sizeof(room));
	OPTIMIZER_HIDE_VAR(room[0]);
	if (depth > 1)
		scrub_stack(depth - 1);
	/* Keeps `room` alive across the call, so it is no tail call. */
	barrier_data(room);
}

static ssize_t command(struct file *file, const char __user *buf, size_t len,
		       loff_t *pos)
{
	char line[64], what[16];
	unsigned int count;
	int err;

	if (len >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, buf, len))
		return -EFAULT;
	line[len] = 0;
	if (sscanf(line, "%15s %u", what, &count) != 2)
		return -EINVAL;
	err = frames_take(what, count);
	if (err == -EINVAL)
		err = plant(what, count);
	scrub_stack(6);
	return err ? err : len;
}

static int records_open(struct inode *inode, struct file *file)
{
	return single_open(file, records_show, NULL);
}

static int frames_open(struct inode *inode, struct file *file)
{
	return single_open(file, frames_show, NULL);
}

static const struct proc_ops records_ops = {
	.proc_open = records_open, .proc_read = seq_read,
	.proc_lseek = seq_lseek, .proc_release = single_release,
	.proc_write = command, .proc_mmap = map_to_user,
};

static const struct proc_ops frames_ops = {
	.proc_open = frames_open, .proc_read = seq_read,
	.proc_lseek = seq_lseek, .proc_release = single_release,
};

static const struct proc_ops names_ops = {
	.proc_read = names_read, .proc_lseek = default_llseek,
};

/* There is no exit: planted pages are never given back. */
static int __init pagelab_init(void)
{
	int err = records_init(capacity);

	if (err)
		return err;
	err = frames_init(port);
	if (err)
		goto free;
	err = -ENOMEM;
	if (!proc_create("pagelab", 0600, NULL, &records_ops) ||
	    !proc_create("pagelab_state", 0400, NULL, &frames_ops) ||
	    !proc_create("pagelab_names", 0400, NULL, &names_ops))
		goto remove;
	return 0;
remove:
	remove_proc_entry("pagelab", NULL);
	remove_proc_entry("pagelab_state", NULL);
	frames_stop();
free:
	records_free();
	return err;
}
module_init(pagelab_init);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Plants leaked and held pages with known frame numbers");
