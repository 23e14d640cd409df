/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only) */

/* A checksum that is left to the device is written after all that looks at the
 * packet: to two octets that its sender names. A packet socket can name octets
 * of the addresses, and IPv6 has no checksum of its own that would give it away.
 * Whatever names another place than the checksum of the transport that was
 * parsed is malformed. (The kernel's own sockets name that place.) */
#pragma once

#include <bpf/bpf_core_read.h>

struct sk_buff___left { /* of the kernel's sk_buff, found by its BTF */
	unsigned char *head, *data;
	__u16 csum_start, csum_offset;
	__u8 ip_summed : 2;
} __attribute__((preserve_access_index));

#define CHECKSUM_PARTIAL 3

extern void *bpf_cast_to_kern_ctx(void *) __ksym __weak; /* Linux 6.2 */

/* misplaced says so of a packet whose transport's header begins at off. */
static __always_inline int misplaced(struct __sk_buff *skb, __u32 off, __u8 proto)
{
	if (!bpf_cast_to_kern_ctx)
		return 0;
	struct sk_buff___left *k = bpf_cast_to_kern_ctx(skb);

	if (BPF_CORE_READ_BITFIELD(k, ip_summed) != CHECKSUM_PARTIAL)
		return 0;
	__u32 where = proto == IPPROTO_TCP ? 16 : proto == IPPROTO_UDP ? 6 : proto == IPPROTO_SCTP ? 8 : 0;
	__u64 start = (__u64)k->head + k->csum_start - (__u64)k->data;
	return !where || start != off || k->csum_offset != where;
}
