// SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only)

/* For tests only: the bucket on given steps, and what a program costs that does
 * nothing, or one look-up. */

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "reason.h"
#include "bucket.h"

char _license[] SEC("license") = "GPL v2";

#define STEPS 131072

struct step {
	__u64 now, packets, bytes, fresh, sparse;
};

struct result {
	struct purse purse;
	__u64 reason, sparse;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STEPS);
	__type(key, __u32);
	__type(value, struct step);
} steps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STEPS);
	__type(key, __u32);
	__type(value, struct result);
} results SEC(".maps");

struct state {
	struct meter_limit limit;
	struct bucket_limit flows;
	struct day_limit day;
	struct purse purse;
	__u32 next, pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct state);
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} ports SEC(".maps");

/* Each run takes one step. */
SEC("tc")
int test_bucket(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct state *s = bpf_map_lookup_elem(&states, &zero);
	if (!s)
		return 1;
	__u32 i = s->next++;
	struct step *in = bpf_map_lookup_elem(&steps, &i);
	struct result *out = bpf_map_lookup_elem(&results, &i);
	if (!in || !out)
		return 1;
	__u64 sparse = in->sparse;
	out->reason = charge(&s->purse, &s->limit, &s->flows, &s->day, in->now, in->packets, in->bytes, in->fresh, &sparse);
	out->sparse = sparse;
	out->purse = s->purse;
	return 0;
}

SEC("tc")
int test_nothing(struct __sk_buff *skb)
{
	return 0;
}

SEC("tc")
int test_lookup(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	__u64 *v = bpf_map_lookup_elem(&ports, &ifindex);
	return v ? 0 : 2;
}
