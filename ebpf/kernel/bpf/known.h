/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */

/* Which flows a sliver has open, and to how many addresses: memory of its own
 * for each sliver, never the flow table, so that one fills no other's.
 *
 * A slot is 40 bits of a keyed hash and the tick, 8.6 s, of its last use. Eight
 * slots make a set; a hash belongs to one set, where the oldest makes room. What
 * was forgotten counts as new again, for the sliver that overran its sets; what
 * is confused with another is one in 10^11 packets, and nobody knows the keys. */
#pragma once

#define TICK_SHIFT 33 /* of ns: 8.59 s */
#define TICK_MASK 0xffffffULL
#define IDLE_TICKS 14 /* 120.3 s: a flow that is silent for longer is new */
#define FAN_TICKS 8   /* 60.1 to 68.7 s: until then an address counts */
#define WAYS 8        /* slots in a set */
#define PAGE_SETS 31  /* with its header, a page is below the 4 KiB that the kernel gives out */
#define FAN_SETS 250  /* below 16 KiB */

#define MAX_PAGES 512
#define ALL_PAGES 65536

struct page_key {
	__u32 tenure, page;
};

/* Flows that the sliver opened, and those that it heard of from outside, whose
 * answers are no new flows. An outsider's flood turns out its own kind only. */
struct page {
	__u64 opened[PAGE_SETS * WAYS];
	__u64 heard[PAGE_SETS * WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ALL_PAGES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct page_key);
	__type(value, struct page);
} pages SEC(".maps");

/* Remote addresses of flows that the sliver opened, under the lock of its meter.
 * count is how many were last sent to in each of the newest ticks. */
struct fan {
	__u64 tick;
	__u32 count[FAN_TICKS];
	__u64 slots[FAN_SETS * WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SLIVERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32); /* tenure */
	__type(value, struct fan);
} fans SEC(".maps");

/* Keys of the hash, drawn when the maps are made. */
#define HASH_KEYS 8

struct secret {
	__u64 tag[HASH_KEYS], place[HASH_KEYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct secret);
} secrets SEC(".maps");

/* Multilinear hashing: strongly universal in the upper half of each sum. The
 * lower bits of tag and place make up what the upper halves have not. */
struct hash {
	__u64 tag, place;
};

static __always_inline void hash_add(struct hash *h, const struct secret *s, int i, __u32 word)
{
	h->tag += s->tag[i] * word;
	h->place += s->place[i] * word;
}

static __always_inline __u64 hash_slot(const struct hash *h) /* without the tick */
{
	return (h->tag >> 32 << 32) | (h->place >> 32 & 0xff) << 24;
}

static __always_inline __u32 hash_place(const struct hash *h) { return h->place >> 32; }

/* set_of returns the first slot of the set at place, by arithmetic in which the
 * verifier sees the bound. */
static __always_inline __u64 *set_of(__u64 *slots, __u32 place, __u32 sets)
{
	__u64 at = place;

	asm volatile("" : "+r"(at)); /* or the compiler keeps a product whose bound is forgotten, */
	at = (at & 0xffffffff) * sets >> 32;
	asm volatile("" : "+r"(at)); /* or makes one shift of two, whose bound is above the set */
	return &slots[at * WAYS];
}

static __always_inline __u64 slot_age(__u64 slot, __u64 tick) { return (tick - slot) & TICK_MASK; }

/* top is 1 if the highest bit is set, and some if any is. What follows has no
 * branches, of which the verifier would walk every combination; the barrier keeps
 * the compiler from making them again. */
static __always_inline __u64 top(__u64 v)
{
	asm volatile("" : "+r"(v));
	v >>= 63;
	asm volatile("" : "+r"(v));
	return v;
}

static __always_inline __u64 some(__u64 v) { return top(v | -v); }

/* find returns 1 + the place of tag in a set, or 0. */
static __always_inline __u32 find(const __u64 *set, __u64 tag)
{
	__u64 at = 0;

#pragma unroll
	for (int i = 0; i < WAYS; i++) {
		__u64 differ = (set[i] ^ tag) >> 24; /* 40 bits, so that 0 alone underflows */
		at |= top(differ - 1) << i;
	}
	/* A set holds a tag once; of two that another processor left, the first. */
	at &= -at;
	return some(at) + some(at & 0xaa) + some(at & 0xcc) * 2 + some(at & 0xf0) * 4;
}

/* oldest returns the place to make room in: an empty slot is from tick 0. */
static __always_inline __u32 oldest(const __u64 *set, __u64 tick)
{
	__u64 best = 0;

#pragma unroll
	for (int i = 0; i < WAYS; i++) {
		__u64 age = slot_age(set[i], tick) << 3 | i;
		best ^= (best ^ age) & -top(best - age); /* the greater */
	}
	return best % WAYS;
}

/* use notes the use of a tag at place, or in the oldest's. */
static __always_inline void use(__u64 *set, __u64 tag, __u64 tick, __u32 place)
{
	__u64 none = some(place) - 1; /* all ones if there is no place */

	set[(((place - 1) & ~none) | (oldest(set, tick) & none)) % WAYS] = tag | (tick & TICK_MASK);
}

/* fan_tick brings the counts up to tick. Under the lock. */
static __always_inline __u64 fan_tick(struct fan *f, __u64 tick)
{
	__u64 last = f->tick;

	if (tick <= last) /* another processor was ahead */
		return last;
#pragma unroll
	for (int i = 1; i <= FAN_TICKS; i++)
		f->count[(last + i) % FAN_TICKS] &= -top(tick - (last + i)); /* of ticks to come, no count is cleared */
	return f->tick = tick;
}

/* fan_peek looks whether the address at place, 0 if at none, may be sent to:
 * it counts already, or there is room for one more. Under the lock. */
static __always_inline int fan_peek(struct fan *f, const __u64 *set, __u32 place, __u64 tick, __u32 limit)
{
	if (place && slot_age(set[(place - 1) % WAYS], tick) < FAN_TICKS)
		return REASON_NONE;
	__u32 sum = 0;
#pragma unroll
	for (int i = 0; i < FAN_TICKS; i++)
		sum += f->count[i];
	return sum < limit ? REASON_NONE : REASON_FANOUT;
}

/* fan_take counts the address in the newest tick. Under the lock. */
static __always_inline void fan_take(struct fan *f, __u64 *set, __u64 tag, __u64 tick, __u32 place)
{
	__u64 slot = set[(place - 1) % WAYS];

	if (place && slot_age(slot, tick) < FAN_TICKS)
		f->count[slot % FAN_TICKS]--;
	f->count[tick % FAN_TICKS]++;
	use(set, tag, tick, place);
}
