// SPDX-License-Identifier: GPL-2.0
/* Pages in the fragments of sk_buffs. */
#include <linux/net.h>
#include <linux/skbuff.h>
#include <linux/vmalloc.h>

#include <net/sock.h>

#include "plant.h"

/* Fragments an sk_buff gets; below the least MAX_SKB_FRAGS of any kernel. */
#define FRAGS 4

static struct sk_buff *with_frags(enum kind kind, const char *text)
{
	struct sk_buff *skb = alloc_skb(128, GFP_KERNEL);
	unsigned int i;

	if (!skb)
		return NULL;
	for (i = 0; i < FRAGS; i++) {
		struct page *page = take(kind, 0, 0);

		if (!page)
			return NULL;
		fill(page, 0, text);
		skb_fill_page_desc(skb, i, page, 0, PAGE_SIZE);
	}
	return skb;
}

int hold_queued(unsigned int count)
{
	skb_queue_head_init(&holders.queue);
	while (count--) {
		struct sk_buff *skb = with_frags(KIND_QUEUED,
						 "held by a queued sk_buff");

		if (!skb)
			return -ENOMEM;
		skb_queue_tail(&holders.queue, skb);
	}
	return 0;
}

/*
 * The first word of a fragment names its page in every kernel so far; network
 * memory that is no page has bit 0 set there. These sk_buffs must not be freed.
 */
int hold_netmem(unsigned int count)
{
	unsigned int i;

	skb_queue_head_init(&holders.netmem);
	while (count--) {
		struct sk_buff *skb = with_frags(KIND_NETMEM,
						 "held by a netmem word");

		if (!skb)
			return -ENOMEM;
		for (i = 0; i < FRAGS; i++)
			*(unsigned long *)&skb_shinfo(skb)->frags[i] |= 1;
		skb_queue_tail(&holders.netmem, skb);
	}
	return 0;
}

/*
 * All sk_buffs are built before the first is freed, or each would be built in
 * the memory of the one before it. Each page has a reference too many.
 */
int lose_freed_skb(unsigned int count)
{
	struct sk_buff **skbs = pointers(count);
	unsigned int i, n;
	int err = 0;

	if (!skbs)
		return -ENOMEM;
	for (n = 0; n < count; n++) {
		skbs[n] = with_frags(KIND_FREED_SKB, "lost by a freed sk_buff");
		if (!skbs[n]) {
			err = -ENOMEM;
			break;
		}
		for (i = 0; i < FRAGS; i++)
			get_page(skb_frag_page(&skb_shinfo(skbs[n])->frags[i]));
	}
	while (n--)
		kfree_skb(skbs[n]);
	memset(skbs, 0, array_size(count, sizeof(*skbs)));
	vfree(skbs);
	return err;
}

/* Each block once: a stream's fragments lie in it one behind the other. */
static int record_frags(struct sk_buff *skb, struct page **before)
{
	unsigned int i;

	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		struct page *page = skb_frag_page(&skb_shinfo(skb)->frags[i]);

		page = compound_head(page);
		if (page == *before)
			continue;
		if (!record_own(page_to_pfn(page), KIND_SOCKET,
				compound_order(page)))
			return -ENOMEM;
		*before = page;
	}
	return 0;
}

int record_socket(unsigned int fd)
{
	struct page *before = NULL;
	struct socket *socket;
	struct sk_buff *skb;
	int err;

	socket = sockfd_lookup(fd, &err);
	if (!socket)
		return err;
	lock_sock(socket->sk);
	skb_queue_walk(&socket->sk->sk_receive_queue, skb) {
		err = record_frags(skb, &before);
		if (err)
			break;
	}
	release_sock(socket->sk);
	sockfd_put(socket);
	return err;
}
