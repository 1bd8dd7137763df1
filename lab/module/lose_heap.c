// SPDX-License-Identifier: GPL-2.0
/* Slab objects and vmalloc areas that nobody has any more: counters show them. */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "plant.h"

/* An object of the cache, and what tells whose it was. */
struct forgotten {
	int (*made_by)(unsigned int count);
	char text[488];
};

/* With a constructor a cache is not merged with others of its shape. */
static void construct(void *object)
{
	memset(object, 0, sizeof(struct forgotten));
}

int lose_objects(unsigned int count)
{
	struct kmem_cache *cache = kmem_cache_create("pagelab_forgotten",
						     sizeof(struct forgotten),
						     0, 0, construct);

	if (!cache)
		return -ENOMEM;
	while (count--) {
		struct forgotten *object = kmem_cache_alloc(cache, GFP_KERNEL);

		if (!object)
			return -ENOMEM;
		object->made_by = lose_objects;
		strscpy(object->text, "a forgotten object", sizeof(object->text));
	}
	return 0;
}

int lose_areas(unsigned int count)
{
	while (count--) {
		char *area = vmalloc(16 * PAGE_SIZE);

		if (!area)
			return -ENOMEM;
		strscpy(area, "a forgotten area", PAGE_SIZE);
	}
	return 0;
}
