/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */

/* The allowances of one direction, pure functions of their arguments. ebpf.Meter
 * is the same arithmetic in Go and says what the units are; a test runs both on
 * the same steps. */
#pragma once

struct bucket_limit {
	__u64 rate; /* units gained in a nanosecond */
	__u64 full; /* units held at most */
	__u64 fill; /* nanoseconds from nothing to full, rounded up */
	__u64 keep; /* of full, what is kept for sparse flows */
};

/* Sparse flows have a share of their own in what is held: it fills at half the
 * rate, and others leave it there. It is never more than level, so what finds
 * room in it passes. */
struct bucket {
	__u64 level; /* units held at last */
	__u64 kept;  /* of level, for sparse flows */
	__u64 last;  /* boot clock, ns */
};

/* What a day may carry, in bytes, and the mark from which the rest is spread
 * over what is left of it; the same of the last day, which the deadline cuts. */
struct day_limit {
	__u64 bytes, mark;
	__u64 last_bytes, last_mark;
	__s64 last_from; /* boot clock, ns: when the last day begins */
	__s64 last_end;
};

struct day {
	__s64 from; /* boot clock, ns: when the running day began */
	__u64 spent;
};

#define BYTE_UNITS 8000000000ULL
#define PACKET_UNITS 1000000000ULL
#define DAY_NS 86400000000000LL
#define SECOND_NS 1000000000ULL

/* less is 1 if a is less than b, else 0, without a branch: of branches the
 * verifier walks every combination. */
static __always_inline __u64 less(__u64 a, __u64 b)
{
	return ((~a & b) | ((~a | b) & (a - b))) >> 63;
}

/* bucket_refill gains since last time at a rate that may be below the limit's. */
static __always_inline void bucket_refill(struct bucket *b, const struct bucket_limit *l, __u64 now, __u64 rate)
{
	__u64 gain = 0;

	if (now > b->last) {
		__u64 elapsed = now - b->last;
		b->last = now;
		if (rate >= l->rate) /* < full, so it fits */
			gain = elapsed < l->fill ? elapsed * l->rate : l->full;
		else if (rate)
			gain = elapsed <= l->full / rate ? elapsed * rate : l->full;
	}
	if (b->level > l->full || gain >= l->full - b->level)
		b->level = l->full;
	else
		b->level += gain;
	b->kept += gain / 2; /* kept is a quarter of 64 bits, and gain / 2 a half */
	if (b->kept > l->keep)
		b->kept = l->keep;
	if (b->kept > b->level)
		b->kept = b->level;
}

/* bucket_holds looks for room, and clears sparse when it is not in what is kept.
 * Of a full bucket anybody may take all. */
static __always_inline int bucket_holds(const struct bucket *b, const struct bucket_limit *l, __u64 cost, __u64 *sparse)
{
	*sparse &= ~less(b->kept, cost);
	return b->level - (b->kept & (*sparse - 1) & -less(b->level, l->full)) >= cost;
}

static __always_inline void bucket_take(struct bucket *b, __u64 cost, __u64 sparse)
{
	b->level -= cost;
	b->kept -= cost & -sparse;
	b->kept -= (b->kept - b->level) & -less(b->level, b->kept);
}

/* day_roll begins the day that now lies in. */
static __always_inline void day_roll(struct day *d, __u64 now)
{
	__s64 gone = (__s64)now - d->from;

	if (gone < DAY_NS)
		return;
	d->from += (__s64)((__u64)gone / DAY_NS * DAY_NS);
	d->spent = 0;
}

struct meter_limit {
	struct bucket_limit packets, bytes;
};

/* What a packet is charged against. flows and day are of what leaves the sliver. */
struct purse {
	struct bucket packets, bytes, flows;
	struct day day;
};

/* peek_first looks at packets and, for a flow that is new, at new flows. */
static __always_inline int peek_first(struct purse *p, const struct meter_limit *l, const struct bucket_limit *flows,
				      __u64 now, __u64 packets, int fresh, __u64 *sparse)
{
	bucket_refill(&p->packets, &l->packets, now, l->packets.rate);
	if (!bucket_holds(&p->packets, &l->packets, packets * PACKET_UNITS, sparse))
		return REASON_PACKETS;
	if (fresh && flows->full) {
		bucket_refill(&p->flows, flows, now, flows->rate);
		if (p->flows.level < PACKET_UNITS)
			return REASON_FLOWS;
	}
	return REASON_NONE;
}

/* peek_day looks at the day's bytes. It leaves in rate what the throttle allows. */
static __always_inline int peek_day(struct purse *p, const struct day_limit *l, __u64 now, __u64 bytes, __u64 *rate)
{
	if (!l->bytes)
		return REASON_NONE;
	day_roll(&p->day, now);
	__u64 all = l->bytes, mark = l->mark;
	__s64 end = p->day.from + DAY_NS;
	if (p->day.from >= l->last_from) {
		all = l->last_bytes;
		mark = l->last_mark;
		end = l->last_end;
	}
	__u64 spent = p->day.spent;
	if (spent > all || all - spent < bytes)
		return REASON_DAILY;
	if (spent >= mark && end > (__s64)now) {
		__u64 pace = (all - spent) * 8 / ((__u64)(end - (__s64)now) / SECOND_NS + 1);
		if (pace < *rate)
			*rate = pace;
	}
	return REASON_NONE;
}

/* peek_bytes looks at the octets. */
static __always_inline int peek_bytes(struct purse *p, const struct meter_limit *l, __u64 now, __u64 bytes, __u64 rate,
				      __u64 *sparse)
{
	bucket_refill(&p->bytes, &l->bytes, now, rate);
	return bucket_holds(&p->bytes, &l->bytes, bytes * BYTE_UNITS, sparse) ? REASON_NONE : REASON_BYTES;
}

/* take removes what all peeks have granted. */
static __always_inline void take(struct purse *p, const struct bucket_limit *flows, __u64 packets, __u64 bytes,
				 int fresh, __u64 sparse)
{
	bucket_take(&p->packets, packets * PACKET_UNITS, sparse);
	bucket_take(&p->bytes, bytes * BYTE_UNITS, sparse);
	if (fresh && flows->full)
		bucket_take(&p->flows, PACKET_UNITS, 0);
	p->day.spent += bytes; /* without a limit too: one that comes later counts them */
}

/* charge takes from all or returns the reason and takes from none. */
static __always_inline int charge(struct purse *p, const struct meter_limit *l, const struct bucket_limit *flows,
				  const struct day_limit *day, __u64 now, __u64 packets, __u64 bytes, int fresh, __u64 *sparse)
{
	__u64 rate = l->bytes.rate;
	int reason = peek_first(p, l, flows, now, packets, fresh, sparse);

	if (!reason)
		reason = peek_day(p, day, now, bytes, &rate);
	if (!reason)
		reason = peek_bytes(p, l, now, bytes, rate, sparse);
	if (!reason)
		take(p, flows, packets, bytes, fresh, *sparse);
	return reason;
}

/* bucket_wait returns in how many ns there is room, at that rate, for what is not
 * sparse: what is kept fills first. */
static __always_inline __u64 bucket_wait(const struct bucket *b, const struct bucket_limit *l, __u64 cost, __u64 rate)
{
	if (!rate)
		return DAY_NS;
	__u64 more = cost - (b->level - b->kept), keep = l->keep - b->kept, all = l->full - b->level;
	more += more < keep ? more : keep;
	return (more < all ? more : all) / rate + 1;
}
