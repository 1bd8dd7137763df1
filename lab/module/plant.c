// SPDX-License-Identifier: GPL-2.0
/* The kinds of pages that the CPU fills, by the names that /proc/pagelab takes. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "plant.h"

static const struct {
	const char *what;
	int (*plant)(unsigned int count);
} planters[] = {
	{ "text", lose_text },
	{ "order2", lose_order2 },
	{ "order3", lose_order3 },
	{ "lostcompound", lose_compound },
	{ "zero", lose_zero },
	{ "noise", lose_noise },
	{ "lostkmalloc", lose_kmalloc },
	{ "cycle", lose_cycle },
	{ "singly", lose_singly },
	{ "doubly", lose_doubly },
	{ "detached", lose_detached },
	{ "unmapped", lose_unmapped },
	{ "freedskb", lose_freed_skb },
	{ "poolgone", lose_pool },
	{ "stale", lose_behind_free_objects },
	{ "lostcharged", lose_charged },
	{ "onnode", lose_on_node },
	{ "vmalloc", hold_vmalloc },
	{ "array", hold_array },
	{ "charged", hold_charged },
	{ "tagged", hold_tagged },
	{ "compound", hold_compound },
	{ "split", hold_split },
	{ "private", hold_private },
	{ "chain", hold_chain },
	{ "stack", hold_stack },
	{ "percpu", hold_percpu },
	{ "objects", hold_objects },
	{ "slab", hold_slab },
	{ "hwtable", hold_hwtable },
	{ "kmalloc", hold_kmalloc },
	{ "xarray", hold_xarray },
	{ "lru", hold_lru },
	{ "sg", hold_sg },
	{ "netmem", hold_netmem },
	{ "queued", hold_queued },
	{ "splitpage", hold_split_page },
	{ "pool", hold_pool },
	{ "poolbeyond", hold_pool_beyond },
	{ "pagefrag", hold_page_frag },
	{ "vmapped", hold_vmapped },
	{ "balloon", hold_balloon },
	{ "pipe", record_pipe },
	{ "taskfrag", record_task_frag },
	{ "socket", record_socket },
	{ "lostobjects", lose_objects },
	{ "lostareas", lose_areas },
};

/* Each kind but what is only written down can be planted once: its holder is one static. */
int plant(const char *what, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(planters); i++)
		if (!strcmp(planters[i].what, what))
			return planters[i].plant(count);
	return -EINVAL;
}
