// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)

/* The guard: one program per direction, shared by all slivers of a node, at the
 * host end of each sliver's veth. All state is in maps, by ifindex.
 *
 *   deadline -> headers and source -> destination -> packets/s -> new flows/s
 *            -> fan-out -> the day's bytes -> row -> octets/s
 *
 * A packet is charged and recorded only if it passes all of it: under the lock
 * of its meter everything is looked at first, then everything is taken. A port
 * without state drops everything. */

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
#include "known.h"

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

/* A benchmark leaves single checks out, to see what each costs. */
#define CHECK_CLOSED 1
#define CHECK_OPTOUT 2
#define CHECK_FLOWS 4
#define CHECK_FANOUT 8
#define CHECK_ALLOWANCE 16
#define CHECK_ROW 32
const volatile __u32 cfg_without = 0;

#define DOES(check) (!(cfg_without & CHECK_##check))

static __always_inline __u64 clock_now(void)
{
	return cfg_testclock ? test_now : bpf_ktime_get_boot_ns();
}

static __always_inline int closed(const struct packet *p)
{
	__u32 *verdict;

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

/* opted_out looks whether the destination asked to be left alone. */
static __always_inline int opted_out(const struct packet *p)
{
	__u32 zero = 0;
	void *set = bpf_map_lookup_elem(&optouts, &zero);
	if (!set)
		return 0;
	struct address a = {};
	if (p->key.family == 4) {
		a.octets[10] = a.octets[11] = 0xff;
		__builtin_memcpy(a.octets + 12, p->key.dst, 4);
	} else {
		__builtin_memcpy(a.octets, p->key.dst, 16);
	}
	return bpf_map_lookup_elem(set, &a) != 0;
}

/* What the sliver's memory says of a packet's flow. */
struct track {
	struct page *page;
	struct fan *fan;       /* if its address is to be counted */
	__u64 tick, tag;
	__u64 fan_tag;
	__u32 set, fan_set;
	__u32 opened, heard;   /* 1 + place in its set, or 0 */
	__u32 kind;            /* of row */
	__u8 fresh;            /* a new flow */
	__u8 note_opened, note_heard;
};

static __always_inline int alive(const __u64 *set, __u32 place, __u64 tick)
{
	return place && slot_age(set[(place - 1) % WAYS], tick) <= IDLE_TICKS;
}

static __always_inline int recall(const struct packet *p, const struct port_limits *l, __u32 way, __u64 now, struct track *t)
{
	t->kind = way == EGRESS ? ROWS_OPEN : ROWS_NEW;
	if (!DOES(FLOWS) || !p->peered || p->local)
		return REASON_NONE;
	__u32 zero = 0, tenure = l->tenure;
	struct secret *s = bpf_map_lookup_elem(&secrets, &zero);
	if (!s)
		return REASON_NO_SLIVER;

	const __u32 *far = (const __u32 *)(way == EGRESS ? p->key.dst : p->key.src);
	struct hash h = {};
	hash_add(&h, s, 0, p->key.family);
	hash_add(&h, s, 1, far[0]);
	if (p->key.family == 6)
		hash_add(&h, s, 2, far[1]);
	t->fan_tag = hash_slot(&h); /* an IPv4 address, or a /64 */
	t->fan_set = hash_set(&h, FAN_SETS);
	if (p->key.family == 6) {
		hash_add(&h, s, 3, far[2]);
		hash_add(&h, s, 4, far[3]);
	}
	hash_add(&h, s, 5, (__u32)p->near << 16 | p->far);
	hash_add(&h, s, 6, p->proto);
	t->tag = hash_slot(&h);
	t->set = hash_set(&h, PAGE_SETS);
	t->tick = now >> TICK_SHIFT;

	struct page_key key = {.tenure = tenure, .page = (__u32)(h.place >> 40) & (l->pages - 1)};
	t->page = bpf_map_lookup_elem(&pages, &key);
	if (!t->page)
		return REASON_NO_SLIVER;
	const __u64 *opened = first(t->page->opened, t->set, PAGE_SETS), *heard = first(t->page->heard, t->set, PAGE_SETS);
	t->opened = find(opened, t->tag);
	int was_opened = alive(opened, t->opened, t->tick);
	if (was_opened && way == INGRESS)
		return REASON_NONE; /* an answer to the sliver; its slot is kept by what the sliver sends */
	if (was_opened) {
		t->note_opened = slot_age(opened[(t->opened - 1) % WAYS], t->tick) != 0;
	} else {
		t->heard = find(heard, t->tag);
		int was_heard = alive(heard, t->heard, t->tick);
		if (way == INGRESS || was_heard) {
			t->note_heard = !was_heard || slot_age(heard[(t->heard - 1) % WAYS], t->tick) != 0;
			if (way == EGRESS)
				t->kind = ROWS_REPLY;
			return REASON_NONE;
		}
		t->kind = ROWS_NEW;
		t->fresh = t->note_opened = 1;
	}
	if (DOES(FANOUT) && t->note_opened && l->fan_out) {
		t->fan = bpf_map_lookup_elem(&fans, &tenure);
		if (!t->fan)
			return REASON_NO_SLIVER;
	}
	return REASON_NONE;
}

/* note keeps the use of a flow that passed. Processors may overwrite each
 * other's note: then that flow is new once more. */
static __always_inline void note(const struct track *t)
{
	if (!t->page)
		return;
	if (t->note_opened)
		use(first(t->page->opened, t->set, PAGE_SETS), t->tag, t->tick, t->opened);
	if (t->note_heard)
		use(first(t->page->heard, t->set, PAGE_SETS), t->tag, t->tick, t->heard);
}

/* add puts a packet into its row and returns 0, or says that there is no room. A
 * row that was reserved and turns out to be there, or not to fit, is given back. */
static __always_inline int add(void *table, struct flow *row, const struct packet *p, __u32 *reserved,
			       __u64 now, __u64 packets, __u64 bytes)
{
	if (!row) {
		struct flow first = {.packets = packets, .bytes = bytes, .first = now, .last = now, .flags = p->flags};
		if (bpf_map_update_elem(table, &p->key, &first, BPF_NOEXIST) == 0)
			return 0;
		if (reserved)
			__sync_fetch_and_add(reserved, -1);
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

/* admit charges a packet and records it, or returns why not and does neither. */
static __always_inline int admit(struct packet *p, struct port_limits *l, struct meter *m, struct tally *tally, __u32 way,
				 __u64 epoch, __u64 now, __u64 packets, __u64 bytes)
{
	struct track t = {};
	int reason = recall(p, l, way, now, &t);
	if (reason)
		return reason;
	__u32 side = epoch & 1, *reserved = 0;
	void *table = bpf_map_lookup_elem(&flow_tables, &side);
	if (!table)
		return REASON_NO_SLIVER;
	struct flow *row = DOES(ROW) ? bpf_map_lookup_elem(table, &p->key) : 0;
	struct row_count *count = &m->rows[side];
	__u32 *taken = &count->rows[t.kind % ROW_KINDS], place = 0;
	__u64 *fan_set = 0, tick = t.tick;
	if (t.fan)
		fan_set = first(t.fan->slots, t.fan_set, FAN_SETS);
	struct meter_limit *ways = &l->ways[way];
	__u64 rate = ways->bytes.rate;
	int overflow = 0;

	bpf_spin_lock(&m->lock);
	if (DOES(ALLOWANCE))
		reason = peek_first(&m->purse, ways, &l->flows, now, packets, t.fresh);
	if (!reason && t.fan) {
		tick = fan_tick(t.fan, tick);
		place = find(fan_set, t.fan_tag);
		reason = fan_peek(t.fan, fan_set, place, tick, l->fan_out);
	}
	if (!reason && way == EGRESS && DOES(ALLOWANCE))
		reason = peek_day(&m->purse, &l->day, now, bytes, &rate);
	if (!reason && !row && DOES(ROW)) {
		if (count->epoch != epoch) {
			count->epoch = epoch;
			count->rows[ROWS_NEW] = count->rows[ROWS_OPEN] = count->rows[ROWS_REPLY] = 0;
		}
		if (*taken < l->rows)
			reserved = taken;
		else if (way == INGRESS || t.kind == ROWS_REPLY)
			overflow = 1; /* no outsider silences a sliver */
		else
			reason = REASON_ROWS;
	}
	if (!reason && DOES(ALLOWANCE))
		reason = peek_bytes(&m->purse, ways, now, bytes, rate);
	if (!reason) {
		if (DOES(ALLOWANCE))
			take(&m->purse, &l->flows, packets, bytes, t.fresh);
		if (t.fan)
			fan_take(t.fan, fan_set, t.fan_tag, tick, place);
		if (reserved)
			__sync_fetch_and_add(reserved, 1);
		m->passed_packets += packets;
		m->passed_bytes += bytes;
	}
	bpf_spin_unlock(&m->lock);
	if (reason)
		return reason;

	note(&t);
	if (overflow) {
		one_row(p, PROTO_OVERFLOW);
		row = bpf_map_lookup_elem(table, &p->key);
	}
	if (!DOES(ROW) || add(table, row, p, reserved, now, packets, bytes))
		__sync_fetch_and_add(&tally->unrecorded, packets);
	return REASON_NONE;
}

static __always_inline int guard(struct __sk_buff *skb, const __u32 way)
{
	__u32 zero = CONTROL_EPOCH, ifindex = skb->ifindex;
	volatile __u64 *live = bpf_map_lookup_elem(&control, &zero);
	if (!live)
		return DROP;
	__u64 epoch = *live;
	__u32 side = epoch & 1;
	struct tally *tally = bpf_map_lookup_elem(&tallies, &side);
	if (!tally)
		return DROP;

	/* What it is on the wire. A packet socket leaves the segments uncounted. */
	__u64 packets = skb->gso_segs ? skb->gso_segs : 1, bytes = skb->len > ETH_HLEN ? skb->len - ETH_HLEN : 0;
	struct port_limits *l = bpf_map_lookup_elem(&limits, &ifindex);
	struct meter_key mk = {.tenure = l ? l->tenure : 0, .way = way};
	struct meter *m = bpf_map_lookup_elem(&meters, &mk);
	if (!l || !m) {
		__sync_fetch_and_add(&tally->seen, packets);
		__sync_fetch_and_add(&tally->no_sliver, packets);
		return DROP;
	}

	__u64 now = clock_now();
	struct packet p = {.key = {.tenure = l->tenure, .way = way}};
	int reason = now >= l->deadline ? REASON_DEADLINE : parse(skb, &p, l, way);
	if (skb->gso_size && !skb->gso_segs && bytes > p.headers)
		packets = (bytes - p.headers + skb->gso_size - 1) / skb->gso_size;
	__sync_fetch_and_add(&tally->seen, packets);
	if (reason == REASON_NONE) {
		bytes += (packets - 1) * p.headers;
		if (way == EGRESS && !p.local && DOES(CLOSED) && closed(&p))
			reason = REASON_CLOSED;
		else if (way == EGRESS && !p.local && DOES(OPTOUT) && opted_out(&p))
			reason = REASON_OPTOUT;
		else
			reason = admit(&p, l, m, tally, way, epoch, now, packets, bytes);
	}

	if (reason != REASON_NONE) {
		__sync_fetch_and_add(&tally->dropped[reason & (REASONS - 1)], packets);
		__sync_fetch_and_add(&m->dropped[reason & (REASONS - 1)], packets);
		__sync_fetch_and_add(&m->dropped_bytes, bytes);
		return DROP;
	}

	skb->priority = l->class;
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

/* The two below are for user space, which runs them on no packet: what they
 * change is shared with the programs above and has to be changed under the lock.
 * The request is in the control block. */
#define NEVER 255 /* of a charge: more than the burst */

static __always_inline __u64 wait_for(const struct bucket *b, __u64 need, __u64 rate)
{
	return rate ? (need - b->level) / rate + 1 : DAY_NS;
}

/* tenure, way + channel << 8, bytes (two words), ifindex -> reason; wait in ns in the words of bytes */
SEC("tc")
int guard_charge(struct __sk_buff *skb)
{
	__u32 zero = CONTROL_EPOCH, tenure = skb->cb[0], way = skb->cb[1] & 1, channel = skb->cb[1] >> 8, ifindex = skb->cb[4];
	__u64 bytes = (__u64)skb->cb[3] << 32 | skb->cb[2], packets = (bytes + CHARGE_UNIT - 1) / CHARGE_UNIT, wait = 0;
	volatile __u64 *live = bpf_map_lookup_elem(&control, &zero);
	if (!live)
		return REASON_NO_SLIVER;
	__u32 side = *live & 1;
	struct tally *tally = bpf_map_lookup_elem(&tallies, &side);
	struct port_limits *l = bpf_map_lookup_elem(&limits, &ifindex);
	struct meter_key mk = {.tenure = tenure, .way = way};
	struct meter *m = bpf_map_lookup_elem(&meters, &mk);
	void *table = bpf_map_lookup_elem(&flow_tables, &side);
	if (!tally || !l || !m || !table || l->tenure != tenure)
		return REASON_NO_SLIVER;
	__u64 now = clock_now();
	if (now >= l->deadline)
		return REASON_DEADLINE;
	struct meter_limit *ways = &l->ways[way];
	__u64 need_packets = packets * PACKET_UNITS, need_bytes = bytes * BYTE_UNITS, rate = ways->bytes.rate;
	if (need_packets > ways->packets.full || need_bytes > ways->bytes.full)
		return NEVER;

	bpf_spin_lock(&m->lock);
	int reason = peek_first(&m->purse, ways, &l->flows, now, packets, 0);
	if (!reason && way == EGRESS)
		reason = peek_day(&m->purse, &l->day, now, bytes, &rate);
	if (!reason)
		reason = peek_bytes(&m->purse, ways, now, bytes, rate);
	if (!reason) {
		take(&m->purse, &l->flows, packets, bytes, 0);
		m->passed_packets += packets;
		m->passed_bytes += bytes;
	} else if (reason == REASON_PACKETS) {
		wait = wait_for(&m->purse.packets, need_packets, ways->packets.rate);
	} else if (reason == REASON_BYTES) {
		wait = wait_for(&m->purse.bytes, need_bytes, rate);
	} else {
		wait = (m->purse.day.from >= l->day.last_from ? l->day.last_end : m->purse.day.from + DAY_NS) - (__s64)now;
	}
	bpf_spin_unlock(&m->lock);
	if (reason) { /* nothing was moved, so nothing was seen */
		skb->cb[2] = (__u32)wait;
		skb->cb[3] = wait >> 32;
		return reason;
	}
	__sync_fetch_and_add(&tally->seen, packets);
	struct packet p = {.key = {.tenure = tenure, .way = way, .proto = PROTO_NODE, .sport = bpf_htons(channel)}};
	if (add(table, bpf_map_lookup_elem(table, &p.key), &p, 0, now, packets, bytes))
		__sync_fetch_and_add(&tally->unrecorded, packets);
	return REASON_NONE;
}

static __always_inline void carry_bucket(struct bucket *to, const struct bucket *from, const struct bucket_limit *l)
{
	to->level += from->level; /* each at most full, which is below half of what fits */
	if (to->level > l->full)
		to->level = l->full;
}

/* tenure, way, -, -, ifindex: adds carries[0] to a meter, once */
SEC("tc")
int guard_carry(struct __sk_buff *skb)
{
	__u32 zero = 0, ifindex = skb->cb[4];
	struct meter_key mk = {.tenure = skb->cb[0], .way = skb->cb[1] & 1};
	struct meter *from = bpf_map_lookup_elem(&carries, &zero), *to = bpf_map_lookup_elem(&meters, &mk);
	struct port_limits *l = bpf_map_lookup_elem(&limits, &ifindex);
	if (!from || !to || !l || l->tenure != mk.tenure)
		return REASON_NO_SLIVER;
	__u32 way = mk.way;
	asm volatile("" : "+r"(way)); /* for the verifier, which forgot */
	if (way > INGRESS)
		return REASON_NO_SLIVER;
	struct meter_limit *ways = &l->ways[way];

	bpf_spin_lock(&to->lock);
	if (!to->carried) {
		to->carried = 1;
		carry_bucket(&to->purse.packets, &from->purse.packets, &ways->packets);
		carry_bucket(&to->purse.bytes, &from->purse.bytes, &ways->bytes);
		carry_bucket(&to->purse.flows, &from->purse.flows, &l->flows);
		to->purse.day.from = from->purse.day.from;
		to->purse.day.spent += from->purse.day.spent;
		to->passed_packets += from->passed_packets;
		to->passed_bytes += from->passed_bytes;
		__sync_fetch_and_add(&to->dropped_bytes, from->dropped_bytes);
		for (int i = 0; i < REASONS; i++)
			__sync_fetch_and_add(&to->dropped[i], from->dropped[i]);
	}
	bpf_spin_unlock(&to->lock);
	return REASON_NONE;
}
