// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that the network device filled. The handler sees every IPv4 frame
 * that the drivers hand up, picks those of the lab by their UDP port, and
 * keeps a page reference beyond the sk_buff's life: what a driver does when
 * it forgets a put_page().
 */
#include <linux/if_ether.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>

#include "pagelab.h"

/* Offset of the UDP destination port behind an IPv4 header without options. */
#define PORT_OFFSET 22

static u16 lab_port;
static enum kind mode;
static unsigned int remaining;
/* Frames seen whose data sits in pages, and those copied to linear memory. */
static unsigned long in_pages, copied;
static LIST_HEAD(held_by_lru);
static DEFINE_SPINLOCK(lock);

/*
 * The page a driver built the sk_buff around (build_skb()), if it shares it
 * with nobody; heads from the stack's own page fragments are no such pages.
 */
static struct page *head_page(struct sk_buff *skb)
{
	struct page *page;

	if (!skb->head_frag)
		return NULL;
	page = virt_to_head_page(skb->head);
	return page_count(page) == 1 && !PageCompound(page) ? page : NULL;
}

static void keep_page(struct page *page)
{
	if (!remaining || !record(page_to_pfn(page), mode, 0))
		return;
	get_page(page);
	if (mode == KIND_LIST)
		list_add(&page->lru, &held_by_lru);
	remaining--;
}

static void keep_pages(struct sk_buff *skb)
{
	struct page *head = head_page(skb);
	int i;

	if (head)
		keep_page(head);
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++)
		keep_page(skb_frag_page(&skb_shinfo(skb)->frags[i]));
}

/*
 * A page of our own with a copy of the whole frame, as a driver has it that
 * leaves headroom or puts two frames into a page.
 */
static void lose_copy(struct sk_buff *skb, unsigned int offset)
{
	int header = skb->data - skb_mac_header(skb);
	struct page *page = alloc_page(GFP_ATOMIC | __GFP_ZERO);

	if (!page)
		return;
	if (skb_copy_bits(skb, -header, page_address(page) + offset,
			  min_t(unsigned int, skb->len + header,
				PAGE_SIZE - offset)) ||
	    !record(page_to_pfn(page), mode, 0)) {
		put_page(page);
		return;
	}
	remaining--;
}

/*
 * The caller must then not free the sk_buff: its reference is lost, and all
 * pages with it. Other handlers of the same frame work on clones.
 */
static void lose_skb(struct sk_buff *skb)
{
	int i;

	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++)
		record(page_to_pfn(skb_frag_page(&skb_shinfo(skb)->frags[i])),
		       KIND_SKB, 0);
	if (skb->head_frag)
		record(page_to_pfn(virt_to_head_page(skb->head)), KIND_SKB,
		       compound_order(virt_to_head_page(skb->head)));
	remaining--;
}

static int on_frame(struct sk_buff *skb, struct net_device *dev,
		    struct packet_type *type, struct net_device *orig_dev)
{
	bool lost = false, paged;
	__be16 port;

	if (skb_copy_bits(skb, PORT_OFFSET, &port, sizeof(port)) ||
	    port != htons(lab_port)) {
		kfree_skb(skb);
		return NET_RX_DROP;
	}
	spin_lock(&lock);
	paged = skb_shinfo(skb)->nr_frags || head_page(skb);
	if (paged)
		in_pages++;
	else
		copied++;
	if (remaining && paged) {
		switch (mode) {
		case KIND_SKB:
			lost = true;
			lose_skb(skb);
			break;
		case KIND_OFFSET64:
			lose_copy(skb, 64);
			break;
		case KIND_OFFSET192:
			lose_copy(skb, 192);
			break;
		case KIND_OFFSET2048:
			lose_copy(skb, 2048);
			break;
		default:
			keep_pages(skb);
		}
	}
	spin_unlock(&lock);
	if (!lost)
		kfree_skb(skb);
	return NET_RX_SUCCESS;
}

static struct packet_type handler = {
	.type = cpu_to_be16(ETH_P_IP),
	.func = on_frame,
};

int frames_init(u16 port)
{
	lab_port = port;
	dev_add_pack(&handler);
	return 0;
}

void frames_stop(void)
{
	dev_remove_pack(&handler);
}

static const struct {
	const char *what;
	enum kind kind;
} modes[] = {
	{ "frames", KIND_FRAMES },
	{ "list", KIND_LIST },
	{ "skb", KIND_SKB },
	{ "offset64", KIND_OFFSET64 },
	{ "offset192", KIND_OFFSET192 },
	{ "offset2048", KIND_OFFSET2048 },
};

/* Takes the pages of the next `count` frames; frames_show() tells progress. */
int frames_take(const char *what, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(modes[i].what, what))
			continue;
		spin_lock_bh(&lock);
		mode = modes[i].kind;
		remaining = count;
		spin_unlock_bh(&lock);
		return 0;
	}
	return -EINVAL;
}

int frames_show(struct seq_file *m, void *v)
{
	seq_printf(m, "remaining %u\nin_pages %lu\ncopied %lu\n",
		   READ_ONCE(remaining), READ_ONCE(in_pages),
		   READ_ONCE(copied));
	return 0;
}
