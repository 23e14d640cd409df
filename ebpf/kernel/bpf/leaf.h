/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */

/* Which flows are sparse. A way has so many bit/s and packets/s, and each flow
 * that was seen lately a fair share of both. A flow that keeps within half of its
 * share is sparse: an answer, a key press, a name looked up. It is served first,
 * and out of what the buckets keep for such flows. All others are bulk.
 *
 * Two tests:
 *
 *   the flow's own     half of a share; at once two full packets, or eight small ones
 *   all sparse flows'  what is kept (bucket.h): half the rate, 5 ms of it at once
 *
 * Here is the first. Who breaks it is bulk until it has kept it for a quarter of a
 * second. It is put to the test all that time: if its credit were whole again when
 * the time is over, flows that began together would all be sparse again together,
 * four times a second. The second bounds how long the sparse queue can get,
 * whatever is sent; who meets it used up is bulk until what it sent there is
 * through, so that packets of one flow keep their order.
 *
 * A flow is judged by what it sends, passed or not: else one that floods, and of
 * which nothing passes, would be sparse. It decides nothing but who goes first: two
 * processors that see one flow at the same instant may each give it the same
 * credit. What all of them may take is exact. */
#pragma once

#define LEAF_SPARSE 1 /* added to the sliver's class, as package net numbers them */
#define LEAF_BULK 2

#define LEAF_LINK 10000000000ULL /* bit/s from which nothing is told apart: ebpf.LinkRate */

#define LEAF_WINDOW 28		  /* flows are counted in windows of 2^28 ns, 268 ms */
#define LEAF_PENALTY 250000000ULL /* ns */
#define LEAF_ORDER 10000000ULL	  /* ns that the bulk queue is long, */
#define LEAF_QUEUE 70000	  /* or the time of so many bytes */
#define LEAF_OCTETS 3000	  /* that a sparse flow may send at once, */
#define LEAF_PACKETS 8		  /* in so many packets */

#define LEAF_FLOWS (1 << 16)
#define LEAF_NEW 1024 /* flows that one way can have in a window; more are bulk */

/* leaf_flow is forgotten when it was not seen for long and room is needed. A
 * flow that is not known is taken for a new one. Times are the boot clock's, ns. */
struct leaf_flow {
	__u64 octets;  /* at which all octets that it sent are paid for, */
	__u64 packets; /* and all packets */
	__u64 bulk;    /* until which it is bulk */
	__u64 window;  /* in which it was counted last */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LEAF_FLOWS);
	__type(key, struct flow_key);
	__type(value, struct leaf_flow);
} leaf_flows SEC(".maps");

/* leaf_turn begins a window. Who comes a moment late counts in either. */
static __always_inline void leaf_turn(struct leaf_way *w, __u64 window)
{
	__u64 old = w->window;

	if (old == window || __sync_val_compare_and_swap(&w->window, old, window) != old)
		return;
	w->before = old + 1 == window ? w->count : 0;
	w->count = 0;
}

/* leaf_take pays out of a credit that is used up at due - depth, and returns 0, or
 * takes nothing. */
static __always_inline int leaf_take(__u64 *due, __u64 now, __u64 cost, __u64 depth)
{
	__u64 from = *due > now ? *due : now;

	if (from - now + cost > depth)
		return -1;
	*due = from + cost;
	return 0;
}

/* leaf returns 1 if a packet's flow passes its own test, else 0. A function of its
 * own: the verifier walks it once, and knows nothing of what it returns. */
__attribute__((noinline)) int leaf(const struct flow_key *key, const struct meter_limit *l, struct leaf_way *w, __u64 now,
				   __u64 size)
{
	if (!key || !l || !w)
		return 0;
	__u64 packets = size >> 32, bytes = size & 0xffffffff;
	__u64 rate = l->bytes.rate, pps = l->packets.rate, window = now >> LEAF_WINDOW;

	if (!rate || rate >= LEAF_LINK || !pps)
		return 0;
	leaf_turn(w, window);
	struct leaf_flow *f = bpf_map_lookup_elem(&leaf_flows, key);
	if (!f) {
		struct leaf_flow first = {};
		if (w->count >= LEAF_NEW || bpf_map_update_elem(&leaf_flows, key, &first, BPF_NOEXIST))
			return 0;
		f = bpf_map_lookup_elem(&leaf_flows, key);
		if (!f)
			return 0;
	}
	if (f->window != window) {
		f->window = window;
		__sync_fetch_and_add(&w->count, 1);
	}

	/* At most 1024 flows, 128 kB and as many packets: all products fit into 64 bits. */
	__u64 active = w->count > w->before ? w->count : w->before;
	if (active > LEAF_NEW)
		active = LEAF_NEW;
	if (bytes > 1 << 17 || packets > 1 << 17)
		return 0;
	__u64 octet = active * 2 * BYTE_UNITS, packet = active * 2 * PACKET_UNITS; /* ns × rate for one at half a share */
	if (leaf_take(&f->octets, now, bytes * octet / rate, LEAF_OCTETS * octet / rate) |
	    leaf_take(&f->packets, now, packets * packet / pps, LEAF_PACKETS * packet / pps))
		f->bulk = now + LEAF_PENALTY;
	return now >= f->bulk;
}

static __always_inline __u64 leaf_size(__u64 packets, __u64 bytes)
{
	return packets << 32 | (bytes & 0xffffffff); /* a packet's, or a charge's of 2 GB at most */
}

/* leaf_full notes that nothing was left of what is kept. */
static __always_inline void leaf_full(const struct flow_key *key, const struct meter_limit *l, __u64 now)
{
	__u64 order = LEAF_QUEUE * BYTE_UNITS / l->bytes.rate;
	struct leaf_flow *f = bpf_map_lookup_elem(&leaf_flows, key);

	if (f)
		f->bulk = now + (order > LEAF_ORDER ? order : LEAF_ORDER);
}
