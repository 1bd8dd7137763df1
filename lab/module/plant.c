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
	{ "lostcompound", lose_compound },
	{ "zero", lose_zero },
	{ "noise", lose_noise },
	{ "cycle", lose_cycle },
	{ "stale", lose_behind_free_objects },
	{ "vmalloc", hold_vmalloc },
	{ "array", hold_array },
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
};

/* Each kind can be planted once: its holder is one static. */
int plant(const char *what, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(planters); i++)
		if (!strcmp(planters[i].what, what))
			return planters[i].plant(count);
	return -EINVAL;
}
