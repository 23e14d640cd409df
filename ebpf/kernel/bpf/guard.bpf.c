// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)

/* The guard: one program per direction, shared by all slivers of a node, at the
 * host end of each sliver's veth. All state is in maps, by ifindex.
 *
 *   deadline -> headers and source -> destination -> packets/s -> octets/s -> row
 *
 * A packet is charged and recorded only if it passes all of it. A port without
 * state drops everything. */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "reason.h"
#include "bucket.h"
#include "maps.h"
#include "parse.h"
#include "leaf.h"

#define PASS 0 /* TC_ACT_OK, TCX_PASS */
#define DROP 2 /* TC_ACT_SHOT, TCX_DROP */

/* From linux/in6.h, of which no more is needed. */
#ifndef IPPROTO_HOPOPTS
#define IPPROTO_HOPOPTS 0
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_ICMPV6 58
#define IPPROTO_DSTOPTS 60
#endif

/* Loaded programs take the GPL leg of the licence. */
char _license[] SEC("license") = "GPL v2";

/* A test sets these to judge at exact times. */
const volatile __u8 cfg_testclock = 0;
volatile __u64 test_now = 0;

static __always_inline __u64 clock_now(void)
{
	return cfg_testclock ? test_now : bpf_ktime_get_boot_ns();
}

static __always_inline int closed(const struct packet *p)
{
	__u32 *verdict;

	if (p->local)
		return 0;
	if (p->key.family == 4) {
		struct rule4 k = {.bits = 32};
		__builtin_memcpy(k.addr, p->key.dst, 4);
		verdict = bpf_map_lookup_elem(&rules4, &k);
	} else {
		struct rule6 k = {.bits = 128};
		__builtin_memcpy(k.addr, p->key.dst, 16);
		verdict = bpf_map_lookup_elem(&rules6, &k);
	}
	if (!verdict || *verdict == OPEN)
		return 0;
	return !(*verdict == OPEN_DNS && p->key.dport == bpf_htons(53) &&
		 (p->key.proto == IPPROTO_UDP || p->key.proto == IPPROTO_TCP));
}

/* record adds to the flow's row and returns 0, or says that it could not. */
static __always_inline int record(const struct packet *p, __u32 side, __u64 now, __u64 packets, __u64 bytes)
{
	void *table = bpf_map_lookup_elem(&flow_tables, &side);
	if (!table)
		return -1;
	struct flow *row = bpf_map_lookup_elem(table, &p->key);
	if (!row) {
		struct flow first = {.packets = packets, .bytes = bytes, .first = now, .last = now, .flags = p->flags};
		if (bpf_map_update_elem(table, &p->key, &first, BPF_NOEXIST) == 0)
			return 0;
		row = bpf_map_lookup_elem(table, &p->key); /* another processor was first, or the table is full */
		if (!row)
			return -1;
	}
	__sync_fetch_and_add(&row->packets, packets);
	__sync_fetch_and_add(&row->bytes, bytes);
	if (p->flags & ~row->flags)
		__sync_fetch_and_or(&row->flags, p->flags);
	row->last = now;
	return 0;
}

static __always_inline int guard(struct __sk_buff *skb, const __u32 way)
{
	__u32 zero = CONTROL_EPOCH, ifindex = skb->ifindex;
	volatile __u64 *epoch = bpf_map_lookup_elem(&control, &zero);
	if (!epoch)
		return DROP;
	__u32 side = *epoch & 1;
	struct tally *tally = bpf_map_lookup_elem(&tallies, &side);
	if (!tally)
		return DROP;

	/* What it is on the wire. A packet socket may leave the segments uncounted. */
	__u64 packets = 1, bytes = skb->len > ETH_HLEN ? skb->len - ETH_HLEN : 0;
	if (skb->gso_segs)
		packets = skb->gso_segs;
	else if (skb->gso_size)
		packets = (bytes + skb->gso_size - 1) / skb->gso_size;
	__sync_fetch_and_add(&tally->seen, packets);

	struct port_limits *l = bpf_map_lookup_elem(&limits, &ifindex);
	struct meter_key mk = {.tenure = l ? l->tenure : 0, .way = way};
	struct meter *m = bpf_map_lookup_elem(&meters, &mk);
	if (!l || !m) {
		__sync_fetch_and_add(&tally->no_sliver, packets);
		return DROP;
	}

	__u64 now = clock_now();
	struct packet p = {.key = {.tenure = l->tenure, .way = way}};
	int reason;
	if (now >= l->deadline)
		reason = REASON_DEADLINE;
	else if ((reason = parse(skb, &p, l, way)) == REASON_NONE) {
		bytes += (packets - 1) * p.headers;
		if (way == EGRESS && closed(&p)) {
			reason = REASON_CLOSED;
		} else {
			bpf_spin_lock(&m->lock);
			reason = charge(&m->packets, &m->bytes, &l->ways[way], now, packets, bytes);
			if (reason == REASON_NONE) {
				m->passed_packets += packets;
				m->passed_bytes += bytes;
			}
			bpf_spin_unlock(&m->lock);
		}
	}

	if (reason != REASON_NONE) {
		__sync_fetch_and_add(&tally->dropped[reason & (REASONS - 1)], packets);
		__sync_fetch_and_add(&m->dropped[reason & (REASONS - 1)], packets);
		__sync_fetch_and_add(&m->dropped_bytes, bytes);
		return DROP;
	}
	if (record(&p, side, now, packets, bytes))
		__sync_fetch_and_add(&tally->unrecorded, packets);

	skb->priority = leaf(&p, l, way, now, packets, bytes);
	if (way == EGRESS && l->ifb && p.key.proto != PROTO_ARP)
		return bpf_redirect(l->ifb, 0);
	return PASS;
}

SEC("tc")
int guard_egress(struct __sk_buff *skb)
{
	return guard(skb, EGRESS);
}

SEC("tc")
int guard_ingress(struct __sk_buff *skb)
{
	return guard(skb, INGRESS);
}
