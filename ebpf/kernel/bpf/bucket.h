/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */

/* The token bucket, a pure function of its arguments. ebpf.Bucket is the same
 * arithmetic in Go and says what the units are; a test runs both on the same
 * steps. */
#pragma once

struct bucket_limit {
	__u64 rate; /* units gained in a nanosecond */
	__u64 full; /* units held at most */
	__u64 fill; /* nanoseconds from nothing to full, rounded up */
};

struct bucket {
	__u64 level; /* units held at last */
	__u64 last;  /* boot clock, ns */
};

#define BYTE_UNITS 8000000000ULL
#define PACKET_UNITS 1000000000ULL

static __always_inline void bucket_refill(struct bucket *b, const struct bucket_limit *l, __u64 now)
{
	if (b->level > l->full)
		b->level = l->full;
	if (now <= b->last)
		return;
	__u64 elapsed = now - b->last;
	b->last = now;
	if (elapsed >= l->fill) {
		b->level = l->full;
		return;
	}
	__u64 gain = elapsed * l->rate; /* < full, so it fits */
	if (gain < l->full - b->level)
		b->level += gain;
	else
		b->level = l->full;
}

struct meter_limit {
	struct bucket_limit packets, bytes;
};

/* charge takes from both buckets and returns 0, or takes nothing and returns
 * the drop reason. */
static __always_inline int charge(struct bucket *packets, struct bucket *bytes, const struct meter_limit *l,
				  __u64 now, __u64 count, __u64 octets)
{
	count *= PACKET_UNITS;
	octets *= BYTE_UNITS;
	bucket_refill(packets, &l->packets, now);
	bucket_refill(bytes, &l->bytes, now);
	if (packets->level < count)
		return REASON_PACKETS;
	if (bytes->level < octets)
		return REASON_BYTES;
	packets->level -= count;
	bytes->level -= octets;
	return REASON_NONE;
}
