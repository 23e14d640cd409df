// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)

/* The guard: one program per direction, shared by all slivers of a node, at the
 * host end of each sliver's veth. All state is in maps, by ifindex.
 *
 *   deadline -> headers and source -> destination -> packets/s -> new flows/s
 *            -> fan-out -> the day's bytes -> row -> octets/s
 *
 * A packet is charged and recorded only if it passes all of it: under the lock
 * of its meter everything is looked at first, then everything is taken. Before
 * that, leaf.h says whether its flow is sparse. A port without state drops
 * everything. */

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
#include "checksum.h"
#include "known.h"
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

/* A benchmark leaves single checks out, to see what each costs. */
#define CHECK_CLOSED 1
#define CHECK_OPTOUT 2
#define CHECK_FLOWS 4
#define CHECK_FANOUT 8
#define CHECK_ALLOWANCE 16
#define CHECK_ROW 32
#define CHECK_SEAL 64
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
	__u32 set, fan_set;     /* where in all */
	__u32 opened, heard;   /* 1 + place in its set, or 0 */
	__u64 kind;            /* of row */
	__u64 fresh;           /* a new flow */
	__u64 note_opened, note_heard;
};

/* alive is 1 if there is a slot and its flow was not silent for too long; stale
 * is 1 unless it was used in this tick. Neither has branches, as find has none. */
static __always_inline __u64 alive(const __u64 *set, __u32 place, __u64 tick)
{
	return some(place) & top(slot_age(set[(place - 1) % WAYS], tick) - IDLE_TICKS - 1);
}

static __always_inline __u64 stale(const __u64 *set, __u32 place, __u64 tick)
{
	return some(slot_age(set[(place - 1) % WAYS], tick));
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
	t->fan_set = hash_place(&h);
	if (p->key.family == 6) {
		hash_add(&h, s, 3, far[2]);
		hash_add(&h, s, 4, far[3]);
	}
	hash_add(&h, s, 5, (__u32)p->near << 16 | p->far);
	hash_add(&h, s, 6, p->proto);
	t->tag = hash_slot(&h);
	t->set = hash_place(&h);
	t->tick = now >> TICK_SHIFT;

	struct page_key key = {.tenure = tenure, .page = (__u32)(h.place >> 40) & (l->pages - 1)};
	t->page = bpf_map_lookup_elem(&pages, &key);
	if (!t->page)
		return REASON_NO_SLIVER;
	const __u64 *opened = set_of(t->page->opened, t->set, PAGE_SETS), *heard = set_of(t->page->heard, t->set, PAGE_SETS);
	t->opened = find(opened, t->tag);
	t->heard = find(heard, t->tag);
	__u64 mine = alive(opened, t->opened, t->tick), theirs = ~mine & alive(heard, t->heard, t->tick);
	if (way == INGRESS) {
		/* What answers the sliver is not noted: what the sliver sends keeps its slot. */
		t->note_heard = ~mine & 1 & (~theirs | stale(heard, t->heard, t->tick));
		return REASON_NONE;
	}
	t->fresh = ~(mine | theirs) & 1;
	t->kind = mine * ROWS_OPEN | theirs * ROWS_REPLY; /* else ROWS_NEW */
	t->note_opened = t->fresh | (mine & (DOES(SEAL) ? stale(opened, t->opened, t->tick) : 1));
	t->note_heard = theirs & stale(heard, t->heard, t->tick);
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
		use(set_of(t->page->opened, t->set, PAGE_SETS), t->tag, t->tick, t->opened);
	if (t->note_heard)
		use(set_of(t->page->heard, t->set, PAGE_SETS), t->tag, t->tick, t->heard);
}

/* add puts a packet into its row and returns 0, or says that there is no room. A
 * row that was reserved and turns out to be there, or not to fit, is given back. */
static __always_inline int add(void *table, struct flow *row, const struct flow_key *key, __u32 flags, __u32 *reserved,
			       __u32 seal, __u64 now, __u64 packets, __u64 bytes)
{
	if (!row) {
		struct flow first = {.packets = packets, .bytes = bytes, .first = now, .last = now, .flags = flags, .seal = seal};
		if (bpf_map_update_elem(table, key, &first, BPF_NOEXIST) == 0)
			return 0;
		if (reserved)
			__sync_fetch_and_add(reserved, -1);
		row = bpf_map_lookup_elem(table, key); /* another processor was first, or the table is full */
		if (!row)
			return -1;
	}
	__sync_fetch_and_add(&row->packets, packets);
	__sync_fetch_and_add(&row->bytes, bytes);
	if (flags & ~row->flags)
		__sync_fetch_and_or(&row->flags, flags);
	row->last = now;
	if (row->seal != seal)
		row->seal = seal;
	return 0;
}

/* admit charges a packet, records it and gives it a class, or returns why not and
 * does none of that.
 *
 * The row of a flow is sealed with the rules and the tick under which its
 * destination and the sliver's memory were asked: for the flow's other packets
 * of that tick the answer is known. */
static __always_inline int admit(const struct packet *p, struct port_limits *l, struct meter *m, struct tally *tally, __u32 way,
				 __u64 epoch, __u64 now, __u64 packets, __u64 bytes, __u32 *class)
{
	__u32 side = epoch & 1, word = CONTROL_RULES, *reserved = 0;
	void *table = bpf_map_lookup_elem(&flow_tables, &side);
	volatile __u64 *rules = bpf_map_lookup_elem(&control, &word);
	if (!table || !rules)
		return REASON_NO_SLIVER;
	__u32 seal = *rules << 24 | ((now >> TICK_SHIFT) & TICK_MASK);
	struct flow *row = DOES(ROW) ? bpf_map_lookup_elem(table, &p->key) : 0;
	struct track t = {};
	int reason = REASON_NONE;
	if (p->local)
		seal = 0; /* the same row may be of packets that leave the link, which are to be asked */
	if (!row || row->seal != seal || !seal || !DOES(SEAL)) {
		if (way == EGRESS && !p->local && DOES(CLOSED) && closed(p))
			return REASON_CLOSED;
		if (way == EGRESS && !p->local && DOES(OPTOUT) && opted_out(p))
			return REASON_OPTOUT;
		reason = recall(p, l, way, now, &t);
		if (reason)
			return reason;
	}
	__u64 parity = epoch;
	asm volatile("" : "+r"(parity)); /* beside side, of which the verifier has lost sight */
	struct row_count *count = &m->rows[parity & 1];
	__u32 *taken = &count->rows[t.kind % ROW_KINDS], place = 0;
	__u64 *fan_set = 0, tick = t.tick;
	if (t.fan)
		fan_set = set_of(t.fan->slots, t.fan_set, FAN_SETS);
	struct meter_limit *ways = &l->ways[way];
	__u64 rate = ways->bytes.rate;
	__u64 keeps = leaf(&p->key, ways, &m->leaves, now, leaf_size(packets, bytes)) & 1, sparse = keeps;
	int overflow = 0;

	bpf_spin_lock(&m->lock);
	if (DOES(ALLOWANCE))
		reason = peek_first(&m->purse, ways, &l->flows, now, packets, t.fresh, &sparse);
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
		reason = peek_bytes(&m->purse, ways, now, bytes, rate, &sparse);
	if (!reason) {
		if (DOES(ALLOWANCE))
			take(&m->purse, &l->flows, packets, bytes, t.fresh, sparse);
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

	if (keeps & ~sparse)
		leaf_full(&p->key, ways, now);
	*class = l->class + LEAF_BULK - sparse * (LEAF_BULK - LEAF_SPARSE);
	note(&t);
	int lost = 1;
	if (overflow) {
		struct flow_key all = {.tenure = l->tenure, .way = way, .proto = PROTO_OVERFLOW};
		lost = add(table, bpf_map_lookup_elem(table, &all), &all, 0, 0, 0, now, packets, bytes);
	} else if (DOES(ROW)) {
		lost = add(table, row, &p->key, p->flags, reserved, seal, now, packets, bytes);
	}
	if (lost)
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
	__u32 class = 0;
	if (reason == REASON_NONE && way == EGRESS && p.key.family && p.key.proto != PROTO_ARP && misplaced(skb, p.transport, p.key.proto))
		reason = REASON_MALFORMED;
	if (reason == REASON_NONE) {
		bytes += (packets - 1) * p.headers;
		reason = admit(&p, l, m, tally, way, epoch, now, packets, bytes, &class);
	}

	if (reason != REASON_NONE) {
		__sync_fetch_and_add(&tally->dropped[reason & (REASONS - 1)], packets);
		__sync_fetch_and_add(&m->dropped[reason & (REASONS - 1)], packets);
		__sync_fetch_and_add(&m->dropped_bytes, bytes);
		return DROP;
	}

	skb->priority = class;
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
	/* A channel is a flow as any other. */
	struct flow_key key = {.tenure = tenure, .way = way, .proto = PROTO_NODE, .sport = bpf_htons(channel)};
	__u64 sparse = leaf(&key, ways, &m->leaves, now, leaf_size(packets, bytes)) & 1;

	bpf_spin_lock(&m->lock);
	int reason = peek_first(&m->purse, ways, &l->flows, now, packets, 0, &sparse);
	if (!reason && way == EGRESS)
		reason = peek_day(&m->purse, &l->day, now, bytes, &rate);
	if (!reason)
		reason = peek_bytes(&m->purse, ways, now, bytes, rate, &sparse);
	if (!reason) {
		take(&m->purse, &l->flows, packets, bytes, 0, sparse);
		m->passed_packets += packets;
		m->passed_bytes += bytes;
	} else if (reason == REASON_PACKETS) {
		wait = bucket_wait(&m->purse.packets, &ways->packets, need_packets, ways->packets.rate);
	} else if (reason == REASON_BYTES) {
		wait = bucket_wait(&m->purse.bytes, &ways->bytes, need_bytes, rate);
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
	if (add(table, bpf_map_lookup_elem(table, &key), &key, 0, 0, 0, now, packets, bytes))
		__sync_fetch_and_add(&tally->unrecorded, packets);
	return REASON_NONE;
}

/* tenure, way: puts what another layout's meter had left, carries[0], into one
 * that never fills, once */
SEC("tc")
int guard_carry(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct meter_key mk = {.tenure = skb->cb[0], .way = skb->cb[1] & 1};
	struct meter *from = bpf_map_lookup_elem(&carries, &zero), *to = bpf_map_lookup_elem(&meters, &mk);
	if (!from || !to)
		return REASON_NO_SLIVER;

	bpf_spin_lock(&to->lock);
	if (!to->carried) {
		to->carried = 1;
		to->purse = from->purse;
		to->passed_packets += from->passed_packets;
		to->passed_bytes += from->passed_bytes;
		__sync_fetch_and_add(&to->dropped_bytes, from->dropped_bytes);
		for (int i = 0; i < REASONS; i++)
			__sync_fetch_and_add(&to->dropped[i], from->dropped[i]);
	}
	bpf_spin_unlock(&to->lock);
	return REASON_NONE;
}
