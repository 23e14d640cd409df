// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
//
// Packet programs of tests, one with each name that is defined: see generate.go. What a
// node takes comes first; the others it does not.

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define MAP(kind, entries, bytes, more)                                                                   \
	struct {                                                                                           \
		__uint(type, kind);                                                                        \
		__uint(max_entries, entries);                                                              \
		__uint(key_size, 4);                                                                       \
		__uint(value_size, bytes);                                                                 \
		more                                                                                       \
	} table SEC(".maps")

#if defined(NONE) /* nothing passes, either way */
SEC("cgroup_skb/egress") int none_out(struct __sk_buff *skb) { return 0; }
SEC("cgroup_skb/ingress") int none_in(struct __sk_buff *skb) { return 0; }

#elif defined(ODD) /* numbers that mean something else to the kernel, of odd ports */
static const volatile __u32 most = 3;
static __u32 count;
SEC("cgroup_skb/egress") int odd_out(struct __sk_buff *skb)
{
	__u8 ports[4];

	count++;
	if (bpf_skb_load_bytes(skb, 20, ports, sizeof(ports)))
		return 2;
	return ports[1] & 1 ? most : 0;
}

#elif defined(WORST) /* as many calls as may be, each copies as much as it can */
MAP(BPF_MAP_TYPE_ARRAY, 1, 1024, );
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__uint(key_size, 4);
	__uint(value_size, 1024);
} copies SEC(".maps");
SEC("cgroup_skb/egress") int worst(struct __sk_buff *skb)
{
	__u32 key = 0;
	void *v = bpf_map_lookup_elem(&table, &key);

	if (!v)
		return 1;
#pragma unroll
	for (int i = 0; i < 63; i++) {
		key = i;
		bpf_map_update_elem(&copies, &key, v, 0);
	}
	return 1;
}

#elif defined(LONG)
SEC("cgroup_skb/egress") int too_long(struct __sk_buff *skb)
{
	__u32 h = skb->len;

#pragma unroll
	for (int i = 0; i < 480; i++) {
		h ^= h << 13;
		h ^= h >> 17;
		h ^= h << 5;
	}
	return h & 1;
}

#elif defined(LOOP)
SEC("cgroup_skb/egress") int loop(struct __sk_buff *skb)
{
	__u32 h = skb->len;

#pragma nounroll
	for (int i = 0; i < 100000; i++) {
		h ^= h << 13;
		asm volatile("" : "+r"(h));
	}
	return h & 1;
}

#elif defined(FUNCTION)
static __attribute__((noinline)) int half(struct __sk_buff *skb) { return skb->len / 2; }
SEC("cgroup_skb/egress") int function(struct __sk_buff *skb) { return half(skb) > 3; }

#elif defined(HELPER)
SEC("cgroup_skb/egress") int helper(struct __sk_buff *skb) { return bpf_skb_cgroup_id(skb) & 1; }

#elif defined(REDIRECT)
SEC("cgroup_skb/egress") int redirect(struct __sk_buff *skb) { return bpf_redirect(1, 0); }

#elif defined(REWRITE) /* by a helper */
SEC("cgroup_skb/egress") int rewrite(struct __sk_buff *skb)
{
	__u8 b = 0;
	return bpf_skb_store_bytes(skb, 0, &b, 1, 0);
}

#elif defined(OVERWRITE) /* by itself */
SEC("cgroup_skb/egress") int overwrite(struct __sk_buff *skb)
{
	__u8 *data = (void *)(long)skb->data;

	if ((void *)(data + 1) > (void *)(long)skb->data_end)
		return 1;
	data[0] = 0;
	return 1;
}

#elif defined(MARK)
SEC("cgroup_skb/egress") int mark(struct __sk_buff *skb) { skb->mark = 7; return 1; }

#elif defined(LATER)
SEC("cgroup_skb/egress") int later(struct __sk_buff *skb) { skb->tstamp = skb->tstamp + 1000000; return 1; }

#elif defined(BEYOND) /* the end of the packet */
SEC("cgroup_skb/egress") int beyond(struct __sk_buff *skb) { return *(__u8 *)(long)skb->data & 1; }

#elif defined(LEAK) /* where something is in the kernel */
MAP(BPF_MAP_TYPE_ARRAY, 1, 8, );
SEC("cgroup_skb/egress") int leak(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *v = bpf_map_lookup_elem(&table, &key);

	if (v)
		*v = (__u64)(long)v;
	return 1;
}

#elif defined(CALLS)
MAP(BPF_MAP_TYPE_PROG_ARRAY, 1, 4, );
SEC("cgroup_skb/egress") int calls(struct __sk_buff *skb) { bpf_tail_call(skb, &table, 0); return 1; }

#elif defined(TELLS)
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } table SEC(".maps");
SEC("cgroup_skb/egress") int tells(struct __sk_buff *skb) { __u32 v = 0; bpf_ringbuf_output(&table, &v, 4, 0); return 1; }

#elif defined(LARGE)
MAP(BPF_MAP_TYPE_HASH, 16384, 64, );
SEC("cgroup_skb/egress") int large(struct __sk_buff *skb) { __u32 k = 0; return !bpf_map_lookup_elem(&table, &k); }

#elif defined(WIDE)
MAP(BPF_MAP_TYPE_ARRAY, 1, 1032, );
SEC("cgroup_skb/egress") int wide(struct __sk_buff *skb) { __u32 k = 0; return !bpf_map_lookup_elem(&table, &k); }

#elif defined(PINNED)
MAP(BPF_MAP_TYPE_ARRAY, 1, 8, __uint(pinning, LIBBPF_PIN_BY_NAME););
SEC("cgroup_skb/egress") int pinned(struct __sk_buff *skb) { __u32 k = 0; return !bpf_map_lookup_elem(&table, &k); }

#elif defined(ELSEWHERE)
SEC("tc") int elsewhere(struct __sk_buff *skb) { return TC_ACT_OK; }

#elif defined(TWICE)
SEC("cgroup_skb/egress") int once(struct __sk_buff *skb) { return 1; }
SEC("cgroup_skb/egress") int twice(struct __sk_buff *skb) { return 0; }
#endif

char _license[] SEC("license") = "Dual BSD/GPL";
