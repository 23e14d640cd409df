/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */

/* Which of a sliver's two queues a packet waits in. A way has R bit/s, and each
 * flow that was seen lately a fair share of it. A flow that keeps within half of
 * its share is sparse: an answer, a key press, a name looked up. It is served
 * first. All others are bulk, and share what sparse flows leave, at least half.
 *
 * Two tests:
 *
 *   the flow's own     R / (2 × active flows), two full packets at once
 *   all sparse flows'  R / 2, five milliseconds of R at once
 *
 * Who breaks the first is bulk until it has kept it for a quarter of a second. It
 * is put to the test all that time: if its credit were whole again when the time
 * is over, flows that began together would all be sparse again together, four
 * times a second. The second bounds how long the sparse queue can get, whatever is
 * sent; who meets it full is bulk until what it sent there is through, so that
 * packets of one flow keep their order.
 *
 * This decides who waits, never what passes: two processors that see one flow at
 * the same instant may each give it the same credit. */
#pragma once

#define LEAF_SPARSE 1 /* added to the sliver's class, as package net numbers them */
#define LEAF_BULK 2

#define LEAF_LINK 10000000000ULL /* bit/s from which nothing is shaped: net.LinkRate */

#define LEAF_WINDOW 28		  /* flows are counted in windows of 2^28 ns, 268 ms */
#define LEAF_PENALTY 250000000ULL /* ns */
#define LEAF_ORDER 10000000ULL	  /* ns that the bulk queue is long, */
#define LEAF_QUEUE 70000	  /* or the time of so many bytes */
#define LEAF_DEPTH 3000		  /* bytes that a sparse flow may send at once */
#define LEAF_BURST 5000000ULL	  /* ns of R that all sparse flows may send at once */
#define LEAF_LEAST (8 * 1500)	  /* bytes, for slow ways */

#define LEAF_FLOWS (1 << 16)
#define LEAF_WAYS (2 * 4096)
#define LEAF_NEW 1024 /* flows that one way can have in a window; more are bulk */

/* leaf_flow is forgotten when it was not seen for long and room is needed. A
 * flow that is not known is taken for a new one. */
struct leaf_flow {
	__u64 due;    /* boot clock, ns, at which all that it sent is paid for */
	__u64 bulk;   /* boot clock, ns, until which it is bulk */
	__u64 window; /* in which it was counted last */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LEAF_FLOWS);
	__type(key, struct flow_key);
	__type(value, struct leaf_flow);
} leaf_flows SEC(".maps");

struct leaf_way {
	__u64 window; /* the running one */
	__u64 due;    /* as a flow's, for all sparse ones together */
	__u32 count;  /* flows seen in it so far */
	__u32 before; /* and in the one before */
};

/* By place, which is in the class; both ways of one side by side. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LEAF_WAYS);
	__type(key, __u32);
	__type(value, struct leaf_way);
} leaf_ways SEC(".maps");

/* leaf_turn begins a window. Who comes a moment late counts in either. */
static __always_inline void leaf_turn(struct leaf_way *w, __u64 window)
{
	__u64 old = w->window;

	if (old == window || __sync_val_compare_and_swap(&w->window, old, window) != old)
		return;
	w->before = old + 1 == window ? w->count : 0;
	w->count = 0;
}

/* leaf_take pays for a packet out of a bucket that is empty at due - depth, and
 * returns 0, or takes nothing. */
static __always_inline int leaf_take(__u64 *due, __u64 now, __u64 cost, __u64 depth)
{
	__u64 from = *due > now ? *due : now;

	if (from - now + cost > depth)
		return -1;
	*due = from + cost;
	return 0;
}

/* leaf returns the class of the queue that a packet waits in. */
static __always_inline __u32 leaf(const struct packet *p, struct port_limits *l, __u32 way, __u64 now,
				  __u64 packets, __u64 bytes)
{
	__u64 rate = l->ways[way].bytes.rate; /* bit/s, as it happens */
	__u32 bulk = l->class + LEAF_BULK, at = ((l->class & 0xffff) >> 2) * 2 + (way & 1);
	__u64 window = now >> LEAF_WINDOW;

	if (!rate || rate >= LEAF_LINK)
		return bulk;
	struct leaf_way *w = bpf_map_lookup_elem(&leaf_ways, &at);
	if (!w)
		return bulk;
	leaf_turn(w, window);
	struct leaf_flow *f = bpf_map_lookup_elem(&leaf_flows, &p->key);
	if (!f) {
		struct leaf_flow first = {};
		if (w->count >= LEAF_NEW || bpf_map_update_elem(&leaf_flows, &p->key, &first, BPF_NOEXIST))
			return bulk;
		f = bpf_map_lookup_elem(&leaf_flows, &p->key);
		if (!f)
			return bulk;
	}
	if (f->window != window) {
		f->window = window;
		__sync_fetch_and_add(&w->count, 1);
	}

	/* At most 1024 flows and 128 kB: all products fit into 64 bits. */
	__u64 active = w->count > w->before ? w->count : w->before;
	if (active > LEAF_NEW)
		active = LEAF_NEW;
	if (bytes > 1 << 17)
		return bulk;
	__u64 octet = 16000000000ULL; /* ns × bit/s for an octet at R / 2 */
	__u64 least = LEAF_LEAST * octet / rate;
	if (leaf_take(&f->due, now, bytes * octet * active / rate, LEAF_DEPTH * octet * active / rate)) {
		f->bulk = now + LEAF_PENALTY;
		return bulk;
	}
	if (now < f->bulk)
		return bulk;
	if (leaf_take(&w->due, now, bytes * octet / rate, least > 2 * LEAF_BURST ? least : 2 * LEAF_BURST)) {
		__u64 order = LEAF_QUEUE * octet / 2 / rate;
		f->bulk = now + (order > LEAF_ORDER ? order : LEAF_ORDER);
		return bulk;
	}
	return l->class + LEAF_SPARSE;
}
